use super::*;
use crm_events::{DealEvent, Probability};
use kernel::spec::{Given, given};

fn client() -> ClientId {
    ClientId(Uuid::from_u128(7))
}

fn deal_id() -> DealId {
    DealId(Uuid::from_u128(8))
}

fn contract_id() -> ContractId {
    ContractId(Uuid::from_u128(9))
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn created() -> E {
    E::Created {
        name: "Audit 2027".parse().unwrap(),
        client_id: client(),
        deal_id: Some(deal_id()),
        contract_id: Some(contract_id()),
        owner_id: None,
        starts_on: day("2026-11-02"),
        ends_on: None,
        value: Some(euros(100_000)),
    }
}

/// A client is there, and a deal of this one.
fn world(history: impl IntoIterator<Item = E>, of: ClientId, won: bool) -> Given<Engagement> {
    let mut deal = Deal::default();
    let name: Name = "Audit 2027".parse().unwrap();
    deal.apply(&DealEvent::Created {
        name: name.clone(),
        client_id: of,
        contact_id: None,
        pipeline: "sales".parse().unwrap(),
        stage: "talk".parse().unwrap(),
        value: None,
        probability: Probability::default(),
        estimated: false,
        expected_close_on: None,
        owner_id: None,
    });
    if won {
        deal.apply(&DealEvent::Won { name, client_id: of, contact_id: None, value: None, owner_id: None });
    }
    let given = given::<Engagement>(history).knowing(Reference::id::<Client>(client()), client().0, Client::default());
    given.knowing(Reference::id::<Deal>(deal_id()), deal_id().0, deal)
}

fn known(history: impl IntoIterator<Item = E>) -> Given<Engagement> {
    world(history, client(), true)
}

fn create(more: &str) -> C {
    let body = format!(r#"{{"name":"Audit 2027","client_id":"{}"{more}}}"#, client());
    <C as kernel::Command>::parse("create", &body).unwrap()
}

fn of_deal() -> C {
    let (deal, contract) = (deal_id(), contract_id());
    create(&format!(r#","deal_id":"{deal}","contract_id":"{contract}","value":{{"minor":100000,"currency":"EUR"}}"#))
}

fn parse(action: &str, body: &str) -> C {
    <C as kernel::Command>::parse(action, body).unwrap()
}

#[test]
fn of_one_deal_and_one_contract_comes_one_engagement() {
    let deal = Claim::new("crm.engagement.deal_id", deal_id().to_string());
    let contract = Claim::new("crm.engagement.contract_id", contract_id().to_string());
    let claims = known([]).when(of_deal()).then([created()]).claims();
    assert_eq!(claims, [ClaimChange::Take(deal.clone()), ClaimChange::Take(contract.clone())]);
    assert_eq!(known([created()]).when(C::Complete {}).claims(), []);
    let claims = known([created()]).when(C::Cancel { reason: None }).claims();
    assert_eq!(claims, [ClaimChange::Release(deal), ClaimChange::Release(contract)]);
    assert_eq!(known([]).when(create("")).claims(), [], "of nothing there come any number");
}

#[test]
fn an_engagement_comes_of_a_deal_that_the_client_gave_the_firm() {
    world([], client(), false).when(of_deal()).rejected("crm.engagement.deal_not_won");
    let other = ClientId(Uuid::from_u128(70));
    world([], other, true).when(of_deal()).rejected("crm.engagement.deal_of_another_client");
    let stranger = format!(r#","deal_id":"{}""#, Uuid::from_u128(99));
    known([]).when(create(&stranger)).rejected("crm.engagement.unknown_deal");
    given::<Engagement>([]).when(create("")).rejected("crm.engagement.unknown_client");
}

#[test]
fn an_engagement_begins_on_the_firms_day_and_ends_no_sooner() {
    let began = |more: &str, zone: &str| {
        let given = known([]).at("2026-11-02T10:00:00Z".parse().unwrap()).in_zone(&zone.parse().unwrap());
        match given.when(create(more)).events() {
            [E::Created { starts_on, .. }] => *starts_on,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(began("", "UTC"), day("2026-11-02"));
    assert_eq!(began("", "Pacific/Kiritimati"), day("2026-11-03"));
    assert_eq!(began(r#","starts_on":"2027-01-01","ends_on":"2027-01-01""#, "UTC"), day("2027-01-01"));
    let before = create(r#","starts_on":"2027-01-01","ends_on":"2026-12-31""#);
    known([]).when(before).rejected("crm.engagement.ends_before_start");
    known([]).when(create(r#","value":{"minor":-1,"currency":"EUR"}"#)).rejected("crm.engagement.negative_value");
}

#[test]
fn a_term_changes_in_parts() {
    let change = |body: &str| parse("change_term", body);
    let term = |starts_on: &str, ends_on: Option<&str>| E::TermChanged {
        starts_on: day(starts_on),
        ends_on: ends_on.map(day),
    };
    known([created()]).when(change(r#"{"ends_on":"2027-11-01"}"#)).then([term("2026-11-02", Some("2027-11-01"))]);
    let ends = || known([created(), term("2026-11-02", Some("2027-11-01"))]);
    ends().when(change("{}")).then_nothing();
    ends().when(change(r#"{"starts_on":"2026-12-01"}"#)).then([term("2026-12-01", Some("2027-11-01"))]);
    ends().when(change(r#"{"starts_on":"2028-12-01"}"#)).rejected("crm.engagement.ends_before_start");
    ends().when(change(r#"{"ends_on":null}"#)).then([term("2026-11-02", None)]);
}

#[test]
fn an_engagement_pauses_goes_on_and_ends_once() {
    let held = E::Held { reason: None };
    known([created()]).when(C::Hold { reason: None }).then([held.clone()]);
    known([created(), held.clone()]).when(C::Hold { reason: None }).then_nothing();
    known([created(), held.clone()]).when(C::Resume {}).then([E::Resumed {}]);
    known([created()]).when(C::Resume {}).then_nothing();
    known([created(), held.clone()]).when(C::Complete {}).then([E::Completed {}]);
    known([created(), held]).when(C::Cancel { reason: None }).then([E::Cancelled { reason: None }]);
    known([created(), E::Completed {}]).when(C::Complete {}).then_nothing();
    known([created(), E::Completed {}]).when(C::Cancel { reason: None }).rejected("crm.engagement.closed");
    let cancelled = E::Cancelled { reason: None };
    known([created(), cancelled.clone()]).when(C::Cancel { reason: None }).then_nothing();
    known([created(), cancelled]).when(C::Complete {}).rejected("crm.engagement.closed");
}

#[test]
fn a_closed_engagement_does_not_change() {
    for (action, body) in [
        ("rename", r#"{"name":"Other"}"#),
        ("assign_owner", r#"{"owner_id":"00000000-0000-0000-0000-000000000005"}"#),
        ("change_term", r#"{"ends_on":"2027-11-01"}"#),
        ("change_value", r#"{"value":null}"#),
        ("hold", "{}"),
        ("resume", "{}"),
    ] {
        known([created(), E::Completed {}]).when(parse(action, body)).rejected("crm.engagement.closed");
    }
}

#[test]
fn what_an_engagement_is_called_worth_and_whose_it_is_changes_once() {
    let when = |history: Vec<E>, action, body: &str| known(history).when(parse(action, body));
    when(vec![created()], "change_value", r#"{"value":null}"#).then([E::ValueChanged { value: None }]);
    when(vec![created()], "change_value", "{}").then_nothing();
    let negative = r#"{"value":{"minor":-1,"currency":"EUR"}}"#;
    when(vec![created()], "change_value", negative).rejected("crm.engagement.negative_value");
    let renamed = E::Renamed { name: "Audit".parse().unwrap() };
    when(vec![created()], "rename", r#"{"name":"Audit"}"#).then([renamed.clone()]);
    when(vec![created(), renamed], "rename", r#"{"name":"Audit"}"#).then_nothing();
    let owner_id = UserId(Uuid::from_u128(5));
    known([created()]).when(C::AssignOwner { owner_id }).then([E::OwnerAssigned { owner_id }]);
    known([created(), E::OwnerAssigned { owner_id }]).when(C::AssignOwner { owner_id }).then_nothing();
}

#[test]
fn an_engagement_is_its_clients_and_its_own() {
    let state = known([created()]).when(C::Complete {}).state();
    let id = Uuid::from_u128(3);
    assert_eq!(state.belongs_to(id), [client().into(), EngagementId(id).into()]);
    let forbidden = |event: E| state.forbidden_by(id, &event);
    assert_eq!(forbidden(created()), [(Flag::CLIENT_BLOCKED, client().0)]);
    assert_eq!(forbidden(E::Resumed {}), [(Flag::CLIENT_BLOCKED, client().0)]);
    assert_eq!(forbidden(E::Completed {}), []);
}
