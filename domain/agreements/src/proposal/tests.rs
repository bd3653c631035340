use super::*;
use crate::template::tests::{defined, template};
use agreements_events::TemplateEvent;
use chrono::TimeDelta;
use kernel::spec::{Given, given, spec_time};
use kernel::{Actor, Command as _, Keyed as _, Limits, Personal, Reach, TimeZone};

pub(crate) fn client() -> ClientId {
    ClientId(Uuid::from_u128(7))
}

fn line(minor: i64, optional: bool) -> NewProposalLine {
    let text = format!(
        r#"{{"description":"Work","quantity":"1","unit":"day","unit_price":{{"minor":{minor},"currency":"EUR"}},
            "tax":{{"category":"standard","rate":"20"}},"optional":{optional}}}"#
    );
    kernel::read_input(&text).unwrap()
}

fn offer(lines: Vec<NewProposalLine>) -> NewOffer {
    NewOffer {
        title: "Bookkeeping".parse().unwrap(),
        contact_id: None,
        deal_id: None,
        engagement_id: None,
        body: Body::Written { markdown: "We do it.".parse().unwrap() },
        currency: "EUR".parse().unwrap(),
        rounding: Rounding::default(),
        lines,
        valid_until: "2026-11-30".parse().unwrap(),
    }
}

fn create(offer: NewOffer) -> C {
    C::Create { client_id: client(), supersedes_proposal_id: None, offer }
}

fn created(offer: NewOffer) -> E {
    given::<Proposal>([]).when(create(offer)).events()[0].clone()
}

/// A draft of three lines of 10.01 and two that may be chosen.
fn draft() -> Vec<E> {
    let lines = vec![line(1001, false), line(1001, false), line(1001, false), line(500, true), line(700, true)];
    vec![created(offer(lines))]
}

fn and_then(events: Vec<E>, command: C) -> Vec<E> {
    let more = given::<Proposal>(events.clone()).when(command).events().to_vec();
    [events, more].concat()
}

pub(crate) fn sent() -> Vec<E> {
    and_then(draft(), C::Send {})
}

pub(crate) fn accept(options: &[u32]) -> C {
    C::Accept {
        signer_name: "Ada Lovelace".parse().unwrap(),
        signer_email: "ada@engines.example".parse().unwrap(),
        options: options.to_vec(),
    }
}

/// A proposal with this history.
pub(crate) fn proposal(events: &[E]) -> Proposal {
    let mut proposal = Proposal::default();
    events.iter().for_each(|event| proposal.apply(event));
    proposal
}

fn late() -> Given<Proposal> {
    given::<Proposal>(sent()).at(spec_time() + TimeDelta::days(29))
}

#[test]
fn a_proposal_says_what_its_lines_come_to_by_the_rule_of_the_firm() {
    for (rounding, tax, total) in [(Rounding::PerDocument, 601, 3604), (Rounding::PerLine, 600, 3603)] {
        let new = NewOffer { rounding, ..offer(vec![line(1001, false), line(1001, false), line(1001, false)]) };
        let E::Created { offer, version, .. } = created(new.clone()) else { panic!("a proposal") };
        let Totals { net, tax: taxes, total: sum, .. } = &offer.totals;
        assert_eq!((net.minor(), taxes.minor(), sum.minor(), version), (3003, tax, total, 1));
        assert!(offer.lines.iter().all(|line| line.net.minor() == 1001));
        // Whoever accepts it is told the same.
        let events = and_then(and_then(vec![created(new)], C::Send {}), accept(&[]));
        let Some(E::Accepted { totals, .. }) = events.last() else { panic!("accepted") };
        assert_eq!(totals, &offer.totals);
    }
}

#[test]
fn what_a_line_cannot_be_is_refused() {
    let refused = |change: &dyn Fn(&mut NewOffer), by: &str| {
        let mut new = offer(vec![line(1001, false)]);
        change(&mut new);
        given::<Proposal>([]).when(create(new)).rejected(by);
    };
    refused(&|new| new.currency = "JPY".parse().unwrap(), "agreements.proposal.currency_mismatch");
    refused(&|new| new.lines[0].quantity = "0".parse().unwrap(), "agreements.proposal.negative_line");
    refused(&|new| new.lines[0].unit_price = new.lines[0].unit_price.negated(), "agreements.proposal.negative_line");
    refused(&|new| new.lines = vec![line(Money::MINOR_MAX, false); 2], "agreements.proposal.amount_too_large");
    refused(&|new| new.lines = vec![line(1, false); LINES_MAX + 1], "agreements.proposal.too_many_lines");
}

#[test]
fn every_wrong_field_of_a_line_is_named() {
    let body = r#"{"client_id":"x","offer":{"title":"","currency":"EUR","valid_until":"2026-02-30","body":{"kind":"written"},
        "lines":[{"description":"A","quantity":"1.0000001","unit":"mile","unit_price":{"minor":1.5,"currency":"EUR"},
        "tax":{"category":"exempt","rate":"20"}}]}}"#;
    let errors = C::parse("create", body).unwrap_err().into_vec();
    let told: Vec<_> = errors.iter().map(|error| (error.pointer.as_str(), error.code.as_str())).collect();
    let expected = [
        ("/client_id", "not_an_id"),
        ("/offer/title", "too_short"),
        ("/offer/body/markdown", "required"),
        ("/offer/lines/0/quantity", "not_a_quantity"),
        ("/offer/lines/0/unit", "not_one_of"),
        ("/offer/lines/0/unit_price/minor", "wrong_type"),
        ("/offer/lines/0/tax/rate", "unknown"),
        ("/offer/valid_until", "not_a_date"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_proposal_says_what_the_template_said_then() {
    let with = |name: &str, key: &str| {
        let fields = format!(r#"[{{"key":"{key}","value":{{"kind":"text","text":"{name}"}}}}]"#);
        let body = format!(r#"{{"kind":"from_template","template":"letter","fields":{fields}}}"#);
        create(NewOffer { body: kernel::read_input(&body).unwrap(), ..offer(vec![]) })
    };
    let key = "letter".parse().unwrap();
    let knowing = |events: &[TemplateEvent]| {
        given::<Proposal>([]).knowing(crate::Template::by_key(&key), Uuid::from_u128(9), template(events))
    };
    let of_proposals = defined(TemplateKind::Proposal);
    let when = knowing(std::slice::from_ref(&of_proposals)).when(with("Ada *L*", "client.name"));
    let [E::Created { offer, .. }] = when.events() else { panic!("a proposal") };
    assert_eq!(offer.body.text(), r"Dear Ada \*L\*");
    assert_eq!(offer.template.as_ref().map(|template| template.version), Some(1));
    knowing(std::slice::from_ref(&of_proposals))
        .when(with("Ada", "client"))
        .rejected("agreements.proposal.fields_do_not_fit");
    let retired = [of_proposals, TemplateEvent::Retired {}];
    knowing(&retired).when(with("Ada", "client.name")).rejected("agreements.proposal.template_retired");
    let of_contracts = [defined(TemplateKind::Contract)];
    knowing(&of_contracts).when(with("Ada", "client.name")).rejected("agreements.proposal.template_of_other_kind");
    given::<Proposal>([]).when(with("Ada", "client.name")).rejected("agreements.proposal.unknown_template");
}

#[test]
fn a_draft_is_changed_and_what_was_sent_is_not() {
    let change = || C::Change { offer: offer(vec![line(100, false)]) };
    let when = given::<Proposal>(draft()).when(change());
    let [E::Changed { dropped, .. }] = when.events() else { panic!("changed") };
    assert_eq!(dropped, &[2, 3, 4, 5]);
    given::<Proposal>(and_then(draft(), change())).when(change()).then_nothing();
    given::<Proposal>(sent()).when(change()).rejected("agreements.proposal.not_draft");
}

#[test]
fn a_proposal_is_sent_once_and_until_the_end_of_its_last_day_in_the_firms_zone() {
    let zone: TimeZone = "Europe/Berlin".parse().unwrap();
    let when = given::<Proposal>(draft()).in_zone(&zone).when(C::Send {}).alone();
    let [E::Sent { expires_at, lines, total, .. }] = when.events() else { panic!("sent") };
    assert_eq!((expires_at.to_string().as_str(), *lines, total.minor()), ("2026-11-30T23:00:00Z", 5, 3604));
    assert_eq!(when.forbidden_by(), [(Flag::CLIENT_BLOCKED, client().0)]);
    given::<Proposal>(sent()).when(C::Send {}).then_nothing();
    let over = given::<Proposal>(draft()).at(spec_time() + TimeDelta::days(29));
    over.when(C::Send {}).rejected("agreements.proposal.validity_passed");
    let empty = NewOffer { body: Body::Written { markdown: " ".parse().unwrap() }, ..offer(vec![]) };
    given::<Proposal>([created(empty)]).when(C::Send {}).rejected("agreements.proposal.empty");
}

#[test]
fn whoever_accepts_chooses_among_what_is_optional() {
    let when = given::<Proposal>(sent()).when(accept(&[5, 5]));
    let [E::Accepted { lines, totals, signer, .. }] = when.events() else { panic!("accepted") };
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!((totals.net.minor(), totals.tax.minor(), totals.total.minor()), (3703, 741, 4444));
    assert_eq!((signer.name.text(), signer.portal_user_id), ("Ada Lovelace", None));
    given::<Proposal>(sent()).when(accept(&[1])).rejected("agreements.proposal.unknown_option");
    given::<Proposal>(sent()).when(accept(&[6])).rejected("agreements.proposal.unknown_option");
    let options = and_then(vec![created(offer(vec![line(100, true)]))], C::Send {});
    given::<Proposal>(options).when(accept(&[])).rejected("agreements.proposal.nothing_chosen");
}

#[test]
fn a_proposal_is_answered_once() {
    let accepted = and_then(sent(), accept(&[4]));
    given::<Proposal>(accepted.clone()).when(accept(&[4])).then_nothing();
    given::<Proposal>(accepted.clone()).when(accept(&[])).rejected("agreements.proposal.not_open");
    given::<Proposal>(accepted.clone()).when(C::Decline { reason: None }).rejected("agreements.proposal.not_open");
    given::<Proposal>(accepted.clone()).when(C::Withdraw { reason: None }).rejected("agreements.proposal.not_open");
    given::<Proposal>(accepted).when(C::Expire {}).then_nothing();
    let declined = and_then(sent(), C::Decline { reason: Some("too dear".parse().unwrap()) });
    given::<Proposal>(declined.clone()).when(C::Decline { reason: None }).then_nothing();
    given::<Proposal>(declined).when(accept(&[])).rejected("agreements.proposal.not_open");
    given::<Proposal>(draft()).when(accept(&[])).rejected("agreements.proposal.not_open");
}

#[test]
fn who_answered_in_the_portal_is_on_record() {
    let id = PortalUserId(Uuid::from_u128(11));
    let by = Actor::PortalUser { id };
    let state = proposal(&sent());
    let ctx = Context::new(kernel::TenantId::default(), by, spec_time(), Uuid::nil(), Uuid::nil());
    let accepted = state.decide(accept(&[]), &ctx).unwrap();
    let [E::Accepted { signer, .. }] = accepted.as_slice() else { panic!("accepted") };
    assert_eq!(signer.portal_user_id, Some(id));
    assert_eq!(state.decide(C::RecordViewed {}, &ctx), Ok(vec![E::Viewed { portal_user_id: Some(id) }]));
    let declined = E::Declined { reason: None, portal_user_id: Some(id) };
    assert_eq!(state.decide(C::Decline { reason: None }, &ctx), Ok(vec![declined]));
}

#[test]
fn a_client_answers_what_it_has_got_and_no_draft_nor_anothers() {
    let id = Uuid::from_u128(3);
    let reach = |client: ClientId| Reach::Only(Limits { resources: vec![client.into()], own: false });
    let covers = |events: &[E], client, command: &C| reach(client).covers(&proposal(events).scope(id, command), None);
    for command in [accept(&[]), C::Decline { reason: None }, C::RecordViewed {}] {
        assert!(covers(&sent(), client(), &command), "{command:?}");
        assert!(!covers(&draft(), client(), &command), "{command:?}");
        assert!(!covers(&sent(), ClientId(Uuid::from_u128(8)), &command), "{command:?}");
    }
    assert!(Reach::Everything.covers(&proposal(&draft()).scope(id, &accept(&[])), None));
}

#[test]
fn a_proposal_is_looked_at_first_once() {
    let viewed = E::Viewed { portal_user_id: None };
    given::<Proposal>(sent()).when(C::RecordViewed {}).then([viewed.clone()]);
    given::<Proposal>([sent(), vec![viewed]].concat()).when(C::RecordViewed {}).then_nothing();
    given::<Proposal>(draft()).when(C::RecordViewed {}).rejected("agreements.proposal.not_open");
}

#[test]
fn a_proposal_expires_when_its_last_day_is_over_and_cannot_be_accepted_then() {
    late().when(C::Expire {}).then([E::Expired {}]);
    late().when(accept(&[])).rejected("agreements.proposal.validity_passed");
    given::<Proposal>(sent()).when(C::Expire {}).rejected("agreements.proposal.still_valid");
    given::<Proposal>(draft()).when(C::Expire {}).rejected("agreements.proposal.still_valid");
    let at = |moment: &str| given::<Proposal>(sent()).at(moment.parse().unwrap());
    at("2026-11-30T23:59:59.999999Z").when(C::Expire {}).rejected("agreements.proposal.still_valid");
    at("2026-12-01T00:00:00Z").when(C::Expire {}).then([E::Expired {}]);
}

fn next(before: &[E], id: u128) -> Given<Proposal> {
    let id = ProposalId(Uuid::from_u128(id));
    given::<Proposal>([]).knowing(Reference::id::<Proposal>(id), id, proposal(before))
}

fn create_next(id: u128) -> C {
    let supersedes_proposal_id = Some(ProposalId(Uuid::from_u128(id)));
    C::Create { client_id: client(), supersedes_proposal_id, offer: offer(vec![line(900, false)]) }
}

#[test]
fn another_proposal_takes_the_place_of_one_when_it_is_sent() {
    let when = next(&sent(), 5).when(create_next(5)).alone();
    let [E::Created { version, .. }] = when.events() else { panic!("a proposal") };
    assert_eq!(*version, 2);
    let place = Claim::new("agreements.proposal.supersedes", Uuid::from_u128(5).to_string());
    assert_eq!(when.claims(), [ClaimChange::Take(place.clone())]);
    let second = when.events().to_vec();
    let id = ProposalId(Uuid::from_u128(5));
    let knowing = |before: &[E]| {
        let reference = Reference::id::<Proposal>(id);
        given::<Proposal>(second.clone()).with_id(Uuid::from_u128(6)).knowing(reference, id, proposal(before))
    };
    let by_proposal_id = ProposalId(Uuid::from_u128(6));
    knowing(&sent()).when(C::Send {}).together_with::<Proposal>(id, C::Supersede { by_proposal_id });
    let accepted = and_then(sent(), accept(&[]));
    knowing(&accepted).when(C::Send {}).rejected("agreements.proposal.predecessor_not_replaceable");
    let given_up = given::<Proposal>(second.clone()).when(C::Withdraw { reason: None });
    assert_eq!(given_up.claims(), [ClaimChange::Release(place)]);
}

#[test]
fn what_was_not_offered_or_was_accepted_is_not_replaced() {
    next(&draft(), 5).when(create_next(5)).rejected("agreements.proposal.predecessor_not_replaceable");
    let accepted = and_then(sent(), accept(&[]));
    next(&accepted, 5).when(create_next(5)).rejected("agreements.proposal.predecessor_not_replaceable");
    given::<Proposal>([]).when(create_next(5)).rejected("agreements.proposal.unknown_predecessor");
    let mut other = sent();
    if let E::Created { client_id, .. } = &mut other[0] {
        *client_id = ClientId(Uuid::from_u128(8));
    }
    next(&other, 5).when(create_next(5)).rejected("agreements.proposal.predecessor_of_other_client");
    let by = |id| C::Supersede { by_proposal_id: ProposalId(Uuid::from_u128(id)) };
    let superseded = and_then(sent(), by(6));
    given::<Proposal>(superseded.clone()).when(by(6)).then_nothing();
    given::<Proposal>(superseded.clone()).when(by(7)).rejected("agreements.proposal.superseded_by_other");
    given::<Proposal>(superseded).when(accept(&[])).rejected("agreements.proposal.not_open");
    given::<Proposal>(draft()).when(by(6)).rejected("agreements.proposal.not_replaceable");
}

#[test]
fn nothing_begins_for_a_blocked_client_and_what_was_begun_is_given_up() {
    let flag = vec![(Flag::CLIENT_BLOCKED, client().0)];
    assert_eq!(given::<Proposal>([]).when(create(offer(vec![]))).forbidden_by(), flag);
    assert_eq!(given::<Proposal>(sent()).when(accept(&[])).forbidden_by(), flag);
    assert_eq!(given::<Proposal>(sent()).when(C::Decline { reason: None }).forbidden_by(), []);
    assert_eq!(given::<Proposal>(draft()).when(C::Withdraw { reason: None }).forbidden_by(), []);
}

#[test]
fn what_a_proposal_says_is_in_no_log() {
    assert!(!format!("{:?}", proposal(&sent())).contains("We do it."));
    assert_eq!(Personal::<Markdown>::default().text(), "");
}
