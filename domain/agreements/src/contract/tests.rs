use super::*;
use crate::proposal::tests::{accept, client, proposal, sent as proposal_sent};
use crate::template::tests::{defined, template};
use chrono::TimeDelta;
use kernel::Keyed as _;
use kernel::spec::{Given, given, spec_time};

fn recipient(email: &str, role: RecipientRole, order: u16) -> NewRecipient {
    NewRecipient { name: "Ada Lovelace".parse().unwrap(), email: email.parse().unwrap(), role, order }
}

fn create(recipients: Vec<NewRecipient>) -> C {
    C::Create {
        client_id: client(),
        deal_id: None,
        engagement_id: None,
        title: "Bookkeeping".parse().unwrap(),
        body: "We do it.".parse().unwrap(),
        parties: vec![],
        recipients,
        sign_by: Some("2026-11-30".parse().unwrap()),
    }
}

/// A draft that two sign, and of which a third gets a copy.
fn draft() -> Vec<E> {
    let all = vec![
        recipient("ada@engines.example", RecipientRole::Signer, 1),
        recipient("eve@engines.example", RecipientRole::Signer, 2),
        recipient("cc@engines.example", RecipientRole::Cc, 3),
    ];
    given::<Contract>([]).when(create(all)).events().to_vec()
}

fn and_then(events: Vec<E>, command: C) -> Vec<E> {
    let more = given::<Contract>(events.clone()).when(command).events().to_vec();
    [events, more].concat()
}

fn sent() -> Vec<E> {
    and_then(draft(), C::SendForSignature {})
}

fn id(events: &[E], nth: usize) -> RecipientId {
    let E::Created { recipients, .. } = &events[0] else { panic!("a contract") };
    recipients[nth].id
}

fn sign(events: &[E], nth: usize) -> C {
    C::RecordSignature { recipient_id: id(events, nth), signed_at: None }
}

fn complete(document: Option<SignedDocument>) -> C {
    C::Complete { signed_at: None, document }
}

fn document(number: u128) -> SignedDocument {
    let sha256 = "0".repeat(64).parse().unwrap();
    SignedDocument { file_id: FileId(Uuid::from_u128(number)), sha256 }
}

fn signed() -> Vec<E> {
    and_then(sent(), complete(None))
}

fn kinds(events: &[E]) -> Vec<&'static str> {
    events.iter().map(|event| kernel::Event::entry(event).event_type).collect()
}

fn has(events: Vec<E>) -> Given<Contract> {
    given::<Contract>(events)
}

#[test]
fn a_contract_from_a_proposal_says_all_that_was_agreed() {
    let accepted = given::<Proposal>(proposal_sent()).when(accept(&[5])).events().to_vec();
    let accepted = [proposal_sent(), accepted].concat();
    let proposal_id = ProposalId(Uuid::from_u128(5));
    let create = |client_id| C::CreateFromProposal {
        proposal_id,
        client_id,
        title: None,
        parties: vec![],
        recipients: vec![],
        sign_by: None,
    };
    let knowing = |events: &[agreements_events::ProposalEvent]| {
        given::<Contract>([]).knowing(Reference::id::<Proposal>(proposal_id), proposal_id, proposal(events))
    };
    let when = knowing(&accepted).when(create(None));
    let [E::Created { client_id, title, body, recipients, lines, totals, .. }] = when.events() else {
        panic!("a contract")
    };
    assert_eq!((*client_id, title.as_str(), body.text()), (client(), "Bookkeeping", "We do it."));
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!(totals.as_ref().map(|totals| totals.total.minor()), Some(4444));
    // Whoever accepted signs.
    assert_eq!((recipients.len(), recipients[0].email.text()), (1, "ada@engines.example"));
    assert_eq!(when.parts().ids("recipient_ids"), [recipients[0].id.0]);
    let place = Claim::new("agreements.contract.proposal", proposal_id.to_string());
    assert_eq!(when.claims(), [ClaimChange::Take(place.clone())]);
    let void = C::Void { reason: "another one".parse().unwrap() };
    assert_eq!(has(when.events().to_vec()).when(void).claims(), [ClaimChange::Release(place)]);
    let other = Some(ClientId(Uuid::from_u128(8)));
    knowing(&accepted).when(create(other)).rejected("agreements.contract.unknown_proposal");
    knowing(&proposal_sent()).when(create(None)).rejected("agreements.contract.proposal_not_accepted");
    given::<Contract>([]).when(create(None)).rejected("agreements.contract.unknown_proposal");
}

#[test]
fn a_contract_from_a_template_says_what_that_said_then() {
    let key: Slug = "letter".parse().unwrap();
    let create = |fields: &str| C::CreateFromTemplate {
        template: key.clone(),
        fields: kernel::read_input(fields).unwrap(),
        client_id: client(),
        deal_id: None,
        engagement_id: None,
        title: "Letter".parse().unwrap(),
        parties: vec![],
        recipients: vec![],
        sign_by: None,
    };
    let knowing = |kind| {
        let reference = crate::Template::by_key(&key);
        given::<Contract>([]).knowing(reference, Uuid::from_u128(9), template(&[defined(kind)]))
    };
    let filled = r#"[{"key":"client.name","value":{"kind":"text","text":"Ada"}}]"#;
    let when = knowing(TemplateKind::Contract).when(create(filled));
    let [E::Created { body, template, .. }] = when.events() else { panic!("a contract") };
    assert_eq!((body.text(), template.as_ref().map(|t| t.version)), ("Dear Ada", Some(1)));
    knowing(TemplateKind::Contract).when(create("[]")).rejected("agreements.contract.fields_do_not_fit");
    knowing(TemplateKind::Proposal).when(create(filled)).rejected("agreements.contract.template_of_other_kind");
}

#[test]
fn those_who_get_a_contract_have_a_turn_and_are_named_once() {
    let signer = |email: &str, order| recipient(email, RecipientRole::Signer, order);
    let refused = |all: Vec<NewRecipient>, by: &str| given::<Contract>([]).when(create(all)).rejected(by);
    refused(vec![signer("a@b.example", 0)], "agreements.contract.order_out_of_range");
    refused(vec![signer("a@b.example", 51)], "agreements.contract.order_out_of_range");
    refused(vec![signer("a@b.example", 1), signer("a@b.example", 2)], "agreements.contract.duplicate_recipient");
    let many = (0..51).map(|n| signer(&format!("a{n}@b.example"), 1)).collect();
    refused(many, "agreements.contract.too_many_recipients");
}

#[test]
fn a_draft_is_changed_and_those_who_stay_keep_their_ids() {
    let change = |recipients| C::Change {
        title: None,
        body: Some("We do more.".parse().unwrap()),
        parties: Patch::Unchanged,
        recipients,
        sign_by: Patch::Removed,
    };
    let when = has(draft()).when(change(Patch::Unchanged));
    let [E::Changed { recipients, dropped, sign_by, .. }] = when.events() else { panic!("changed") };
    assert_eq!((recipients[0].id, dropped.len(), *sign_by), (id(&draft(), 0), 0, None));
    has(and_then(draft(), change(Patch::Unchanged))).when(change(Patch::Unchanged)).then_nothing();
    let later = has(draft()).at(spec_time() + TimeDelta::hours(1));
    let when = later.when(change(Patch::Set(vec![recipient("new@b.example", RecipientRole::Signer, 1)])));
    let [E::Changed { dropped, .. }] = when.events() else { panic!("changed") };
    assert_eq!(dropped.len(), 3);
    has(sent()).when(change(Patch::Unchanged)).rejected("agreements.contract.not_draft");
}

#[test]
fn a_contract_is_sent_when_somebody_signs_it_and_once() {
    let when = has(draft()).when(C::SendForSignature {});
    let [E::SentForSignature { recipients, expires_at, .. }] = when.events() else { panic!("sent") };
    assert_eq!((recipients.len(), expires_at.map(|at| at.to_string())), (3, Some("2026-12-01T00:00:00Z".to_owned())));
    assert_eq!(when.forbidden_by(), [(Flag::CLIENT_BLOCKED, client().0)]);
    has(sent()).when(C::SendForSignature {}).then_nothing();
    let nobody = given::<Contract>([]).when(create(vec![recipient("a@b.example", RecipientRole::Cc, 1)]));
    has(nobody.events().to_vec()).when(C::SendForSignature {}).rejected("agreements.contract.no_signer");
    let late = has(draft()).at(spec_time() + TimeDelta::days(29));
    late.when(C::SendForSignature {}).rejected("agreements.contract.sign_by_passed");
}

#[test]
fn a_signature_that_is_reported_before_the_envelope_counts() {
    has(draft()).when(sign(&draft(), 0)).rejected("agreements.contract.not_sent");
    let events = sent();
    let early = and_then(events.clone(), sign(&events, 0));
    assert_eq!(kinds(&early)[2..], ["recipient.signed"]);
    let envelope = |name: &str| C::RecordEnvelope {
        connection_id: ConnectionId(Uuid::from_u128(1)),
        envelope_id: name.parse().unwrap(),
    };
    let known = and_then(early, envelope("e-1"));
    assert_eq!(kinds(&known)[3..], ["contract.envelope_sent"]);
    has(known.clone()).when(envelope("e-1")).then_nothing();
    has(known.clone()).when(envelope("e-2")).rejected("agreements.contract.other_envelope");
    // What was on its way before says nothing new of who signed.
    has(known.clone()).when(C::RecordDelivery { recipient_id: id(&events, 0) }).then_nothing();
    has(known.clone()).when(C::RecordViewed { recipient_id: id(&events, 0) }).then_nothing();
    has(known.clone()).when(sign(&events, 0)).then_nothing();
    has(known).when(sign(&events, 2)).rejected("agreements.contract.not_a_signer");
    // Also when the last one signed before the envelope was on record.
    has(and_then(sent(), complete(None))).when(envelope("e-1")).events();
}

#[test]
fn a_report_that_comes_twice_has_no_second_effect() {
    let events = sent();
    let recipient_id = id(&events, 0);
    for command in [
        C::RecordDelivery { recipient_id },
        C::RecordViewed { recipient_id },
        C::RecordBounce { recipient_id, reason: None },
        sign(&events, 0),
        complete(Some(document(1))),
        C::Decline { recipient_id: Some(recipient_id), reason: None },
        C::Void { reason: "other terms".parse().unwrap() },
        C::Remind {},
    ] {
        let after = and_then(events.clone(), command.clone());
        assert!(after.len() > events.len(), "{command:?}");
        has(after).when(command).then_nothing();
    }
}

#[test]
fn a_completed_contract_is_signed_by_everybody_whoever_was_reported() {
    let events = sent();
    let one = and_then(events.clone(), sign(&events, 1));
    let when = has(one.clone()).when(complete(None));
    assert_eq!(kinds(when.events()), ["recipient.signed", "contract.signed"]);
    has(signed()).when(sign(&events, 0)).then_nothing();
    // The document is often there later.
    let stored = and_then(signed(), C::StoreDocument { document: document(1) });
    assert_eq!(kinds(&stored).last(), Some(&"signed_document.stored"));
    has(stored.clone()).when(C::StoreDocument { document: document(1) }).then_nothing();
    has(stored.clone()).when(complete(Some(document(1)))).then_nothing();
    has(stored).when(C::StoreDocument { document: document(2) }).rejected("agreements.contract.other_document");
    has(one).when(C::StoreDocument { document: document(1) }).rejected("agreements.contract.not_signed");
    let at_once = has(events).when(complete(Some(document(1))));
    assert_eq!(kinds(at_once.events())[2..], ["contract.signed", "signed_document.stored"]);
}

#[test]
fn who_declines_ends_it_and_who_signed_does_not_decline() {
    let events = sent();
    let decline = |nth| C::Decline { recipient_id: Some(id(&events, nth)), reason: Some("no".parse().unwrap()) };
    let when = has(events.clone()).when(decline(0));
    assert_eq!(kinds(when.events()), ["recipient.declined", "contract.declined"]);
    let declined = [events.clone(), when.events().to_vec()].concat();
    has(declined.clone()).when(sign(&events, 0)).rejected("agreements.contract.recipient_declined");
    has(declined.clone()).when(sign(&events, 1)).rejected("agreements.contract.not_out");
    has(declined).when(complete(None)).rejected("agreements.contract.not_out");
    has(and_then(events.clone(), sign(&events, 0))).when(decline(0)).rejected("agreements.contract.already_signed");
    has(events.clone()).when(decline(2)).rejected("agreements.contract.not_a_signer");
    let nobody = C::Decline { recipient_id: None, reason: None };
    assert_eq!(kinds(has(events).when(nobody).events()), ["contract.declined"]);
}

#[test]
fn whoever_the_contract_was_sent_to_may_decline_whatever_became_of_it() {
    let events = sent();
    let recipient_id = id(&events, 0);
    let bounced = C::RecordBounce { recipient_id, reason: None };
    for before in [C::RecordDelivery { recipient_id }, C::RecordViewed { recipient_id }, bounced] {
        let when =
            has(and_then(events.clone(), before)).when(C::Decline { recipient_id: Some(recipient_id), reason: None });
        assert_eq!(kinds(when.events()), ["recipient.declined", "contract.declined"]);
        assert_eq!(when.state().recipients[0].status, RecipientStatus::Declined);
    }
}

#[test]
fn a_contract_that_is_not_signed_in_time_expires() {
    has(sent()).when(C::Expire {}).rejected("agreements.contract.still_open");
    let late = has(sent()).at("2026-12-01T00:00:00Z".parse().unwrap());
    late.when(C::Expire {}).then([E::Expired {}]);
    has(signed()).when(C::Expire {}).rejected("agreements.contract.not_out");
    let by_all = [0, 1].iter().fold(sent(), |events, nth| and_then(events.clone(), sign(&events, *nth)));
    let late = has(by_all).at("2026-12-01T00:00:00Z".parse().unwrap());
    late.when(C::Expire {}).rejected("agreements.contract.not_out");
    has(draft()).when(C::Expire {}).rejected("agreements.contract.not_sent");
}

#[test]
fn a_signed_contract_comes_into_force_and_ends() {
    let active = and_then(signed(), C::Activate {});
    has(active.clone()).when(C::Activate {}).then_nothing();
    has(sent()).when(C::Activate {}).rejected("agreements.contract.not_signed");
    assert_eq!(has(signed()).when(C::Activate {}).forbidden_by(), [(Flag::CLIENT_BLOCKED, client().0)]);
    let terminate = || C::Terminate { reason: "done".parse().unwrap() };
    let ended = and_then(active, terminate());
    has(ended).when(terminate()).then_nothing();
    has(signed()).when(terminate()).rejected("agreements.contract.not_active");
    has(signed()).when(C::Void { reason: "late".parse().unwrap() }).rejected("agreements.contract.not_out");
}

#[test]
fn those_whose_signatures_are_missing_are_reminded_once_a_day() {
    let events = sent();
    let one = and_then(events.clone(), sign(&events, 0));
    let when = has(one.clone()).when(C::Remind {});
    let [E::Reminded { missing, .. }] = when.events() else { panic!("reminded") };
    assert_eq!(missing, &[id(&events, 1)]);
    let reminded = and_then(one, C::Remind {});
    has(reminded.clone()).when(C::Remind {}).then_nothing();
    assert_eq!(has(reminded).at(spec_time() + TimeDelta::days(1)).when(C::Remind {}).events().len(), 1);
    has(signed()).when(C::Remind {}).rejected("agreements.contract.not_out");
}
