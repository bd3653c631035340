use super::*;
use crate::pipeline;
use crm_events::{ContactEvent, PipelineEvent};
use kernel::spec::{Given, given};
use kernel::{Actor, ContactDetails, Event, Personal, TenantId};
use proptest::prelude::*;
use std::sync::Arc;

fn client() -> ClientId {
    ClientId(Uuid::from_u128(7))
}

fn contact() -> ContactId {
    ContactId(Uuid::from_u128(8))
}

fn key(text: &str) -> Slug {
    text.parse().unwrap()
}

fn per_cent(percent: u16) -> Probability {
    Probability::new(percent).unwrap()
}

fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

/// A deal at the first stage of the sales pipeline.
fn created() -> E {
    E::Created {
        name: "Audit 2027".parse().unwrap(),
        client_id: client(),
        contact_id: None,
        pipeline: key("sales"),
        stage: key("talk"),
        value: Some(euros(100_000)),
        probability: per_cent(10),
        estimated: false,
        expected_close_on: None,
        owner_id: None,
    }
}

fn won() -> E {
    let (contact_id, owner_id) = (None, None);
    E::Won {
        name: "Audit 2027".parse().unwrap(),
        client_id: client(),
        contact_id,
        value: Some(euros(100_000)),
        owner_id,
    }
}

fn lost() -> E {
    E::Lost { reason: "too dear".parse().unwrap(), stage: key("talk") }
}

fn moved(stage: &str, percent: u16) -> E {
    E::StageMoved {
        from_pipeline: key("sales"),
        from_stage: key("talk"),
        pipeline: key("sales"),
        stage: key(stage),
        probability: per_cent(percent),
    }
}

/// A client, a contact and the sales pipeline are there.
fn world(history: impl IntoIterator<Item = E>, pipeline: impl IntoIterator<Item = PipelineEvent>) -> Given<Deal> {
    let mut stages = Pipeline::default();
    [pipeline::tests::defined()].into_iter().chain(pipeline).for_each(|event| stages.apply(&event));
    let mut person = Contact::default();
    let details = ContactDetails::default();
    person.apply(&ContactEvent::Created { name: Personal::new("Ada".parse().unwrap()), details, title: None });
    let (sales, id) = (Pipeline::by_key(&key("sales")), Uuid::from_u128(9));
    let given = given::<Deal>(history).knowing(sales, id, stages);
    let given = given.knowing(Reference::id::<Client>(client()), client().0, Client::default());
    given.knowing(Reference::id::<Contact>(contact()), contact().0, person)
}

fn create(more: &str) -> C {
    let body = format!(r#"{{"name":"Audit 2027","client_id":"{}"{more}}}"#, client());
    <C as kernel::Command>::parse("create", &body).unwrap()
}

fn parse(action: &str, body: &str) -> C {
    <C as kernel::Command>::parse(action, body).unwrap()
}

#[test]
fn a_deal_begins_at_the_first_stage_with_what_that_says() {
    let value = r#","pipeline":"sales","value":{"minor":100000,"currency":"EUR"}"#;
    world([], []).when(create(value)).then([created()]);
    let later = create(r#","pipeline":"sales","stage":"offer","probability":35"#);
    match world([], []).when(later).events() {
        [E::Created { stage, probability, estimated: true, .. }] => {
            assert_eq!((stage.as_str(), probability.percent()), ("offer", 35));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deal_begins_with_what_there_is() {
    let refused = |more: &str, code: &str| world([], []).when(create(more)).rejected(code);
    refused(r#","pipeline":"service""#, "crm.deal.unknown_pipeline");
    refused(r#","pipeline":"sales","stage":"signed""#, "crm.deal.unknown_stage");
    let stranger = Uuid::from_u128(99);
    refused(&format!(r#","pipeline":"sales","contact_id":"{stranger}""#), "crm.deal.unknown_contact");
    refused(r#","pipeline":"sales","value":{"minor":-1,"currency":"EUR"}"#, "crm.deal.negative_value");
    given::<Deal>([]).when(create(r#","pipeline":"sales""#)).rejected("crm.deal.unknown_client");
    let known = format!(r#","pipeline":"sales","contact_id":"{}""#, contact());
    assert_eq!(world([], []).when(create(&known)).events().len(), 1);
}

#[test]
fn no_new_deal_goes_through_a_retired_pipeline_and_one_that_is_in_it_goes_on() {
    let retired = |history: Vec<E>| world(history, [PipelineEvent::Retired {}]);
    retired(vec![]).when(create(r#","pipeline":"sales""#)).rejected("crm.deal.pipeline_retired");
    retired(vec![created()]).when(parse("move_stage", r#"{"stage":"offer"}"#)).then([moved("offer", 60)]);
    let stages = vec![pipeline::tests::stage("in", 5)];
    let other = PipelineEvent::Defined { key: key("service"), name: "Service".parse().unwrap(), stages };
    let state = [other, PipelineEvent::Retired {}].iter().fold(Pipeline::default(), |mut state, event| {
        state.apply(event);
        state
    });
    let both = world([created()], []).knowing(Pipeline::by_key(&key("service")), Uuid::from_u128(10), state);
    let over = parse("move_stage", r#"{"stage":"in","pipeline":"service"}"#);
    both.when(over).rejected("crm.deal.pipeline_retired");
}

#[test]
fn a_probability_is_the_stages_until_it_is_said_of_the_deal() {
    let to_offer = || parse("move_stage", r#"{"stage":"offer"}"#);
    world([created()], []).when(to_offer()).then([moved("offer", 60)]);
    world([created(), moved("offer", 60)], []).when(to_offer()).then_nothing();
    let said = |percent, estimated| E::ProbabilityChanged { probability: per_cent(percent), estimated };
    let say = |body: &str| parse("change_probability", body);
    world([created()], []).when(say(r#"{"probability":90}"#)).then([said(90, true)]);
    // The same number, and from now on it stays.
    world([created()], []).when(say(r#"{"probability":10}"#)).then([said(10, true)]);
    let told = || world([created(), said(90, true)], []);
    told().when(to_offer()).then([moved("offer", 90)]);
    told().when(say(r#"{"probability":90}"#)).then_nothing();
    told().when(say("{}")).then_nothing();
    told().when(say(r#"{"probability":null}"#)).then([said(10, false)]);
}

#[test]
fn a_deal_whose_stage_is_gone_stays_and_can_be_moved() {
    let stages = vec![pipeline::tests::stage("offer", 50)];
    let revised = || PipelineEvent::Revised { name: "Sales".parse().unwrap(), stages: stages.clone() };
    let there = |history: Vec<E>| world(history, [revised()]);
    there(vec![created()]).when(parse("move_stage", r#"{"stage":"offer"}"#)).then([moved("offer", 50)]);
    there(vec![created()]).when(parse("move_stage", r#"{"stage":"talk"}"#)).then_nothing();
    let said = E::ProbabilityChanged { probability: per_cent(90), estimated: true };
    let kept = E::ProbabilityChanged { probability: per_cent(90), estimated: false };
    there(vec![created(), said]).when(parse("change_probability", r#"{"probability":null}"#)).then([kept]);
}

#[test]
fn a_deal_is_won_once_and_tells_whoever_acts_on_it_what_they_need() {
    world([created()], []).when(C::Win {}).then([won()]);
    world([created(), won()], []).when(C::Win {}).then_nothing();
    let lose = || C::Lose { reason: "too dear".parse().unwrap() };
    world([created(), won()], []).when(lose()).rejected("crm.deal.closed");
    world([created()], []).when(lose()).then([lost()]);
    world([created(), lost()], []).when(C::Lose { reason: "other".parse().unwrap() }).then_nothing();
    world([created(), lost()], []).when(C::Win {}).rejected("crm.deal.closed");
}

#[test]
fn a_closed_deal_does_not_change_until_it_is_reopened() {
    for (action, body) in [
        ("rename", r#"{"name":"Other"}"#),
        ("move_stage", r#"{"stage":"offer"}"#),
        ("change_value", r#"{"value":null}"#),
        ("change_probability", r#"{"probability":1}"#),
        ("change_expected_close", r#"{"expected_close_on":"2027-01-31"}"#),
        ("change_contact", r#"{"contact_id":"00000000-0000-0000-0000-000000000008"}"#),
        ("assign_owner", r#"{"owner_id":"00000000-0000-0000-0000-000000000005"}"#),
    ] {
        world([created(), won()], []).when(parse(action, body)).rejected("crm.deal.closed");
        assert_eq!(
            world([created(), won(), E::Reopened {}], []).when(parse(action, body)).events().len(),
            1,
            "{action}"
        );
    }
    world([created(), lost()], []).when(C::Reopen {}).then([E::Reopened {}]);
    world([created()], []).when(C::Reopen {}).then_nothing();
}

#[test]
fn what_is_known_of_a_deal_changes_in_parts_and_once() {
    let when = |history: Vec<E>, action, body: &str| world(history, []).when(parse(action, body));
    let valued = |value| E::ValueChanged { value };
    when(vec![created()], "change_value", r#"{"value":null}"#).then([valued(None)]);
    when(vec![created()], "change_value", r#"{"value":{"minor":100000,"currency":"EUR"}}"#).then_nothing();
    when(vec![created()], "change_value", "{}").then_nothing();
    when(vec![created()], "change_value", r#"{"value":{"minor":-5,"currency":"JPY"}}"#)
        .rejected("crm.deal.negative_value");
    let due = E::ExpectedCloseChanged { expected_close_on: Some(Date::from_ymd(2027, 1, 31).unwrap()) };
    let body = r#"{"expected_close_on":"2027-01-31"}"#;
    when(vec![created()], "change_expected_close", body).then([due.clone()]);
    when(vec![created(), due], "change_expected_close", body).then_nothing();
    let talk = format!(r#"{{"contact_id":"{}"}}"#, contact());
    when(vec![created()], "change_contact", &talk).then([E::ContactChanged { contact_id: Some(contact()) }]);
    let stranger = format!(r#"{{"contact_id":"{}"}}"#, Uuid::from_u128(99));
    when(vec![created()], "change_contact", &stranger).rejected("crm.deal.unknown_contact");
    let owner_id = UserId(Uuid::from_u128(5));
    let assigned = E::OwnerAssigned { owner_id };
    world([created()], []).when(C::AssignOwner { owner_id }).then([assigned.clone()]);
    world([created(), assigned], []).when(C::AssignOwner { owner_id }).then_nothing();
}

#[test]
fn only_a_closed_deal_is_archived_and_an_archived_one_is_not_reopened() {
    world([created()], []).when(C::Archive {}).rejected("crm.deal.not_closed");
    world([created(), won()], []).when(C::Archive {}).then([E::Archived {}]);
    let away = || world([created(), won(), E::Archived {}], []);
    away().when(C::Archive {}).then_nothing();
    away().when(C::Reopen {}).rejected("crm.deal.archived");
    away().when(C::Restore {}).then([E::Restored {}]);
}

#[test]
fn for_a_blocked_client_nothing_is_begun_moved_or_won() {
    let deal = world([created()], []).when(C::Win {}).state();
    let forbids = |event: E| !deal.forbidden_by(Uuid::nil(), &event).is_empty();
    for event in [created(), moved("offer", 60), won(), E::Reopened {}] {
        assert_eq!(deal.forbidden_by(Uuid::nil(), &event), [(Flag::CLIENT_BLOCKED, client().0)], "{event:?}");
    }
    for event in [lost(), E::Archived {}, E::ValueChanged { value: None }] {
        assert!(!forbids(event.clone()), "{event:?}");
    }
}

fn any_command() -> impl Strategy<Value = C> {
    let probability = (0..4u16).prop_map(|n| match n {
        0 => Patch::Removed,
        n => Patch::Set(per_cent(n * 30)),
    });
    prop_oneof![
        prop::sample::select(vec!["talk", "offer", "signed"])
            .prop_map(|stage| C::MoveStage { stage: key(stage), pipeline: None }),
        probability.prop_map(|probability| C::ChangeProbability { probability }),
        (0..3i64).prop_map(|n| C::ChangeValue { value: Patch::Set(euros(n)) }),
        Just(C::Win {}),
        Just(C::Lose { reason: "too dear".parse().unwrap() }),
        Just(C::Reopen {}),
        Just(C::Archive {}),
        Just(C::Restore {}),
    ]
}

proptest! {
    /// Whatever is asked: asking twice changes nothing more, and a probability that was not said of the deal is its stage's.
    #[test]
    fn a_deal_is_as_likely_as_its_stage_or_as_was_said(commands in prop::collection::vec(any_command(), 0..30)) {
        let actor = Actor::System { name: "spec".to_owned() };
        let mut ctx = Context::new(TenantId::default(), actor, kernel::spec::spec_time(), Uuid::nil(), Uuid::nil());
        let (sales, mut stages) = (Pipeline::by_key(&key("sales")), Pipeline::default());
        stages.apply(&pipeline::tests::defined());
        ctx.insert_reference(PipelineEvent::STREAM, sales.key(), Some((Uuid::nil(), Arc::new(stages))));
        let mut deal = Deal::default();
        deal.apply(&created());
        for command in commands {
            let Ok(events) = deal.decide(command.clone(), &ctx) else { continue };
            events.iter().for_each(|event| deal.apply(event));
            prop_assert_eq!(deal.decide(command, &ctx), Ok(vec![]));
            let usual = if deal.stage == Some(key("talk")) { 10 } else { 60 };
            prop_assert!(deal.estimated || deal.probability.percent() == usual, "{:?}", deal);
            let snapshot = serde_json::to_string(&deal).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Deal>(&snapshot).unwrap(), &deal);
        }
    }
}
