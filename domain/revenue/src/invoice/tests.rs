use super::*;
use crate::billing_profile::tests::{buyer, client, created as profile};
use crate::billing_settings::tests::established;
use crate::invoice_series::tests::defined as series;
use crate::tax_rate::tests::standard;
use chrono::TimeDelta;
use kernel::spec::{Given, given};
use kernel::{Rounding, Timestamp, UserId};
use revenue_events::PaymentId;

pub(crate) fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn id() -> Uuid {
    Uuid::from_u128(500)
}

pub(crate) fn new_line(minor: i64) -> NewLine {
    NewLine {
        description: "Work".parse().unwrap(),
        quantity: None,
        measure: None,
        unit_price: eur(minor),
        tax_rate: None,
        source: None,
    }
}

/// Everything that an invoice asks of others: settings, a profile, a tax at 20 % and a series that is at 7.
fn knowing(given: Given<Invoice>, rounding: Rounding, vat_id: Option<&str>) -> Given<Invoice> {
    let settings = kernel::spec::given::<BillingSettings>([established(rounding)]).state();
    let profile = kernel::spec::given::<BillingProfile>([profile(vat_id)]).state();
    let rate = kernel::spec::given::<TaxRate>([standard("vat", "20")]).state();
    let numbers = kernel::spec::given::<InvoiceSeries>([series("invoices", "R", 7)]).state();
    given
        .with_id(id())
        .knowing(BillingSettings::of_firm(), Uuid::from_u128(1), settings)
        .knowing(BillingProfile::of_client(client()), Uuid::from_u128(2), profile)
        .knowing(TaxRate::by_key(&"vat".parse().unwrap()), Uuid::from_u128(3), rate)
        .knowing(InvoiceSeries::by_key(&"invoices".parse().unwrap()), Uuid::from_u128(4), numbers)
}

fn world(events: impl IntoIterator<Item = E>) -> Given<Invoice> {
    knowing(given::<Invoice>(events), Rounding::PerDocument, None)
}

fn draft(lines: Vec<NewLine>) -> C {
    C::Draft {
        client_id: client(),
        project_id: None,
        engagement_id: None,
        currency: None,
        buyer_reference: None,
        note: None,
        lines,
    }
}

fn approve() -> C {
    C::Approve { step: 0, comment: None }
}

fn issue() -> C {
    C::Issue { series: None, issued_on: None, due_on: None }
}

/// What a history of commands leads to.
fn after(rounding: Rounding, lines: &[i64], then: Vec<C>) -> Vec<E> {
    let mut events: Vec<E> = vec![];
    let begin = draft(lines.iter().map(|minor| new_line(*minor)).collect());
    for command in [begin].into_iter().chain(then) {
        let world = knowing(given::<Invoice>(events.clone()), rounding, None).by_system();
        events.extend(world.brought_by("spec", Uuid::nil()).when(command).events().to_vec());
    }
    events
}

pub(crate) fn issued(rounding: Rounding, lines: &[i64]) -> Vec<E> {
    after(rounding, lines, vec![C::SubmitForApproval {}, approve(), issue()])
}

pub(crate) fn payment(n: u128) -> Settlement {
    Settlement::Payment { payment_id: PaymentId(Uuid::from_u128(n)) }
}

fn settle(n: u128, minor: i64) -> C {
    C::Settle { settlement: payment(n), client_id: client(), amount: eur(minor) }
}

fn settled(before: &[E], settlements: &[(u128, i64)]) -> Vec<E> {
    let mut events = before.to_vec();
    for (n, minor) in settlements {
        let world = world(events.clone()).brought_by("revenue.payment.allocate", Uuid::from_u128(*n));
        events.extend(world.when(settle(*n, *minor)).events().to_vec());
    }
    events
}

fn status(events: &[E]) -> InvoiceStatus {
    events.iter().fold(InvoiceStatus::default(), |status, event| status.after(event))
}

fn total(events: &[E]) -> (i64, i64, i64) {
    match events.iter().find(|event| matches!(event, E::Issued { .. })) {
        Some(E::Issued { amounts, .. }) => (amounts.net.minor(), amounts.tax.minor(), amounts.total.minor()),
        _ => panic!("{events:?}"),
    }
}

#[test]
fn three_lines_come_to_what_the_firms_rule_says_and_the_invoice_says_which() {
    assert_eq!(total(&issued(Rounding::PerDocument, &[1001; 3])), (3003, 601, 3604));
    assert_eq!(total(&issued(Rounding::PerLine, &[1001; 3])), (3003, 600, 3603));
    let events = issued(Rounding::PerLine, &[1001; 3]);
    let said = events.iter().find_map(|event| match event {
        E::Submitted { total, .. } => Some(total.minor()),
        _ => None,
    });
    assert_eq!(said, Some(3603), "who approves sees what is issued");
    match events.last() {
        Some(E::Issued { amounts, .. }) => assert_eq!(amounts.rounding, Rounding::PerLine),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_draft_has_no_number_and_takes_the_next_when_it_is_issued() {
    let approved = after(Rounding::PerDocument, &[100], vec![C::SubmitForApproval {}, approve()]);
    let take = crate::invoice_series::InvoiceSeriesCommand::TakeNumber {
        number: 7,
        taken_by: Paper::Invoice { invoice_id: InvoiceId(id()) },
    };
    let when = world(approved).when(issue()).together_with::<InvoiceSeries>(Uuid::from_u128(4), take);
    assert_eq!(when.claims(), [ClaimChange::Take(Claim::new(NUMBER_CLAIM, "R0007"))]);
    match when.events() {
        [E::Issued { number, issued_on, due_on, overdue_at, buyer: said, .. }] => {
            assert_eq!(number.as_str(), "R0007");
            assert_eq!((issued_on.to_string(), due_on.to_string()), ("2026-11-02".into(), "2026-12-02".into()));
            assert_eq!(overdue_at.to_string(), "2026-12-03T00:00:00Z");
            assert_eq!(*said, buyer(None).into());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_invoice_is_overdue_when_its_last_day_is_over_where_the_firm_is() {
    let approved = || after(Rounding::PerDocument, &[100], vec![C::SubmitForApproval {}, approve()]);
    for (zone, at) in [("America/Los_Angeles", "2026-12-03T08:00:00Z"), ("Pacific/Kiritimati", "2026-12-02T10:00:00Z")]
    {
        let due = C::Issue { series: None, issued_on: None, due_on: "2026-12-02".parse().ok() };
        let world = || world(approved()).in_zone(&zone.parse().unwrap());
        match world().when(due.clone()).events() {
            [E::Issued { overdue_at, .. }] => assert_eq!(overdue_at.to_string(), at, "{zone}"),
            other => panic!("{other:?}"),
        }
        let there = [approved(), world().when(due).events().to_vec()].concat();
        let overdue = |at: Timestamp| given::<Invoice>(there.clone()).at(at).when(C::MarkOverdue {});
        let at: Timestamp = at.parse().unwrap();
        overdue(at - TimeDelta::microseconds(1)).rejected("revenue.invoice.not_due_yet");
        assert_eq!(overdue(at).events().len(), 1);
    }
}

#[test]
fn what_is_paid_is_never_overdue() {
    let paid = settled(&issued(Rounding::PerDocument, &[100]), &[(1, 120)]);
    let late: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    given::<Invoice>(paid).at(late).when(C::MarkOverdue {}).then_nothing();
    let open = issued(Rounding::PerDocument, &[100]);
    let overdue = given::<Invoice>(open.clone()).at(late).when(C::MarkOverdue {}).events().to_vec();
    let there = [open, overdue].concat();
    assert_eq!(status(&there), InvoiceStatus::Overdue);
    given::<Invoice>(there.clone()).at(late).when(C::MarkOverdue {}).then_nothing();
    assert_eq!(status(&settled(&there, &[(1, 20)])), InvoiceStatus::Overdue, "a part is not enough");
    assert_eq!(status(&settled(&there, &[(1, 20), (1, 0)])), InvoiceStatus::Overdue);
    assert_eq!(status(&settled(&there, &[(1, 120)])), InvoiceStatus::Paid);
}

#[test]
fn an_invoice_that_was_issued_never_changes() {
    let there = issued(Rounding::PerDocument, &[100]);
    let line_id = InvoiceLineId(Uuid::from_u128(9));
    let add = C::AddLine { line_id: None, line: new_line(1) };
    world(there.clone()).when(add).rejected("revenue.invoice.not_draft");
    world(there.clone()).when(C::RemoveLine { line_id }).rejected("revenue.invoice.not_draft");
    world(there.clone()).when(issue()).rejected("revenue.invoice.not_approved");
    world(there.clone()).when(C::SubmitForApproval {}).rejected("revenue.invoice.not_draft");
    world(there).when(C::Reject { reason: "no".parse().unwrap() }).rejected("revenue.invoice.not_pending");
}

#[test]
fn who_wrote_an_invoice_does_not_approve_it() {
    let begun = world([]).when(draft(vec![new_line(100)])).events().to_vec();
    let submitted = world(begun.clone()).by_system().when(C::SubmitForApproval {}).events().to_vec();
    let there = [begun, submitted].concat();
    world(there.clone()).when(approve()).rejected("revenue.invoice.own_invoice");
    world(there.clone()).by_system().when(approve()).then([E::Approved {}]);
    let others = E::Drafted {
        client_id: client(),
        project_id: None,
        engagement_id: None,
        currency: "EUR".parse().unwrap(),
        buyer_reference: None,
        note: None,
        lines: vec![],
        drafted_by: Some(UserId(Uuid::from_u128(77)).into()),
    };
    let handed_in = |by: u128| E::Submitted {
        total: eur(1),
        submitted_by: Some(UserId(Uuid::from_u128(by)).into()),
        about: None,
        request: None,
    };
    world([others.clone(), handed_in(2)]).when(approve()).rejected("revenue.invoice.own_invoice");
    world([others, handed_in(78)]).when(approve()).then([E::Approved {}]);
}

#[test]
fn a_payment_pays_it_in_parts_and_as_a_whole_and_is_taken_back() {
    let there = issued(Rounding::PerDocument, &[1000]);
    let part = settled(&there, &[(1, 500)]);
    assert_eq!(status(&part), InvoiceStatus::PartiallyPaid);
    let paid = settled(&part, &[(2, 700)]);
    assert_eq!(status(&paid), InvoiceStatus::Paid);
    match paid.last() {
        Some(E::Paid { amount, paid, .. }) => assert_eq!((*amount, *paid), (eur(700), eur(1200))),
        other => panic!("{other:?}"),
    }
    let back = settled(&paid, &[(2, 0)]);
    assert_eq!(status(&back), InvoiceStatus::PartiallyPaid);
    assert_eq!(status(&settled(&back, &[(1, 0)])), InvoiceStatus::Issued);
    let sent = [there, vec![E::Sent {}]].concat();
    assert_eq!(status(&settled(&sent, &[(1, 1200), (1, 0)])), InvoiceStatus::Sent);
    let late: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let world = world(paid).at(late).brought_by("revenue.payment.reverse", Uuid::from_u128(1));
    match world.when(settle(1, 0)).events() {
        [E::PaymentReversed { returns_to, outstanding, .. }] => {
            assert_eq!((*returns_to, *outstanding), (Reopened::Overdue, eur(500)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_pays_an_invoice_but_with_a_payment() {
    let there = issued(Rounding::PerDocument, &[1000]);
    world(there.clone()).when(settle(1, 500)).rejected("revenue.invoice.not_alone");
    let credit = C::Credit { credit_note_id: CreditNoteId(Uuid::from_u128(1)), amount: eur(1) };
    world(there.clone()).when(credit).rejected("revenue.invoice.not_alone");
    let brought = || world(there.clone()).brought_by("revenue.payment.allocate", Uuid::from_u128(1));
    brought().when(settle(1, 1201)).rejected("revenue.invoice.overpaid");
    brought().when(settle(1, -1)).rejected("revenue.invoice.not_positive");
    let other = ClientId(Uuid::from_u128(71));
    let foreign = C::Settle { settlement: payment(1), client_id: other, amount: eur(1) };
    brought().when(foreign).rejected("revenue.invoice.other_client");
    let yen = Money::new(1, "JPY".parse().unwrap()).unwrap();
    let foreign = C::Settle { settlement: payment(1), client_id: client(), amount: yen };
    brought().when(foreign).rejected("revenue.invoice.currency_mismatch");
}

#[test]
fn what_is_for_the_same_is_on_one_invoice() {
    let task = Uuid::from_u128(40);
    let of_task = || NewLine { source: Some(NewSource::Task { task_id: task }), ..new_line(100) };
    world([]).when(draft(vec![of_task(), of_task()])).rejected("revenue.invoice.source_twice");
    let when = world([]).when(draft(vec![of_task()]));
    let claim = Claim::new(SOURCE_CLAIM, format!("task/{task}"));
    assert!(when.claims().contains(&ClaimChange::Take(claim.clone())));
    let there = when.events().to_vec();
    let void = C::Void { reason: "mistake".parse().unwrap() };
    assert_eq!(world(there.clone()).when(void).claims(), [ClaimChange::Release(claim.clone())]);
    let E::Drafted { lines, .. } = &there[0] else { panic!() };
    let remove = C::RemoveLine { line_id: lines[0].id };
    assert_eq!(world(there.clone()).when(remove).claims(), [ClaimChange::Release(claim)]);
}

#[test]
fn a_line_that_is_added_again_is_added_once() {
    let line_id = Some(InvoiceLineId(Uuid::from_u128(9)));
    let add = |minor| C::AddLine { line_id, line: new_line(minor) };
    let begun = world([]).when(draft(vec![])).events().to_vec();
    let there = [begun.clone(), world(begun).when(add(100)).events().to_vec()].concat();
    world(there.clone()).when(add(100)).then_nothing();
    world(there).when(add(101)).rejected("revenue.invoice.line_exists");
}

#[test]
fn what_is_paid_or_credited_is_not_voided_and_what_is_written_off_is_not_paid() {
    let there = issued(Rounding::PerDocument, &[1000]);
    let void = || C::Void { reason: "mistake".parse().unwrap() };
    world(settled(&there, &[(1, 1)])).when(void()).rejected("revenue.invoice.not_voidable");
    assert_eq!(world(settled(&there, &[(1, 1), (1, 0)])).when(void()).events().len(), 1);
    let write_off = C::WriteOff { reason: "bankrupt".parse().unwrap() };
    let part = settled(&there, &[(1, 200)]);
    let off = world(part.clone()).when(write_off.clone()).events().to_vec();
    assert_eq!(off, [E::WrittenOff { reason: "bankrupt".parse().unwrap(), outstanding: eur(1000) }]);
    let there = [part, off].concat();
    let brought = || world(there.clone()).brought_by("revenue.payment.allocate", Uuid::nil());
    brought().when(settle(2, 1)).rejected("revenue.invoice.not_open");
    assert_eq!(brought().when(settle(1, 0)).events().len(), 1, "money can be taken back of it all the same");
    world(there.clone()).when(write_off).then_nothing();
    world(there).when(void()).rejected("revenue.invoice.not_voidable");
}

#[test]
fn an_invoice_asks_for_something_and_says_who_is_taxed() {
    let begun = |minor: i64| world([]).when(draft(vec![new_line(minor)])).events().to_vec();
    for nothing in [0, -5] {
        world(begun(nothing)).when(C::SubmitForApproval {}).rejected("revenue.invoice.nothing_to_pay");
    }
    world(world([]).when(draft(vec![])).events().to_vec())
        .when(C::SubmitForApproval {})
        .rejected("revenue.invoice.nothing_to_pay");
    let huge = NewLine { quantity: "999999999".parse().ok(), ..new_line(Money::MINOR_MAX) };
    let huge = world([]).when(draft(vec![huge])).events().to_vec();
    world(huge).when(C::SubmitForApproval {}).rejected("revenue.invoice.too_large");
    let mut approved = after(Rounding::PerDocument, &[100], vec![C::SubmitForApproval {}, approve()]);
    if let Some(E::Drafted { lines, .. }) = approved.first_mut() {
        lines[0].tax.tax = kernel::Tax::ReverseCharge {};
    }
    world(approved.clone()).when(issue()).rejected("revenue.invoice.no_buyer_vat_id");
    let known = knowing(given::<Invoice>(approved), Rounding::PerDocument, Some("DE123456789"));
    assert_eq!(known.when(issue()).events().len(), 1);
}

#[test]
fn what_a_firm_has_not_said_is_asked_for() {
    let bare = || given::<Invoice>([]).with_id(id());
    bare().when(draft(vec![])).rejected("revenue.invoice.no_billing_settings");
    let unknown = NewLine { tax_rate: "other".parse().ok(), ..new_line(1) };
    world([]).when(draft(vec![unknown])).rejected("revenue.invoice.unknown_tax_rate");
    let yen = NewLine { unit_price: Money::new(1, "JPY".parse().unwrap()).unwrap(), ..new_line(1) };
    world([]).when(draft(vec![yen])).rejected("revenue.invoice.currency_mismatch");
    world([]).when(draft(vec![new_line(1); 101])).rejected("revenue.invoice.too_many_lines");
    let approved = after(Rounding::PerDocument, &[100], vec![C::SubmitForApproval {}, approve()]);
    let early = C::Issue { series: None, issued_on: None, due_on: "2026-11-01".parse().ok() };
    world(approved.clone()).when(early).rejected("revenue.invoice.due_before_issue");
    let other = C::Issue { series: "other".parse().ok(), issued_on: None, due_on: None };
    world(approved).when(other).rejected("revenue.invoice.unknown_series");
}

#[test]
fn an_issued_invoice_has_one_paper_and_only_the_system_says_where() {
    let file = |n| FileId(Uuid::from_u128(n));
    let record = |n| C::RecordPaper { pdf_file_id: file(n), xml_file_id: Some(file(n + 1)) };
    let issued = issued(Rounding::PerDocument, &[1001]);
    world(issued.clone()).when(record(1)).rejected("revenue.invoice.system_only");
    let drafted = issued[..1].to_vec();
    world(drafted).by_system().when(record(1)).rejected("revenue.invoice.not_issued");
    let when = world(issued.clone()).by_system().when(record(1));
    let [stored @ E::PaperStored { number, email, xml_file_id, .. }] = when.events() else { panic!() };
    assert_eq!((number.as_str(), *xml_file_id), ("R0007", Some(file(2))));
    assert!(email.is_some(), "whoever sends it knows where to");
    let there = [issued, vec![stored.clone()]].concat();
    world(there.clone()).by_system().when(record(1)).then_nothing();
    world(there).by_system().when(record(5)).rejected("revenue.invoice.paper_exists");
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

/// From 10,000 euros on user 3 approves, or user 4 after three days; below nobody has to.
fn by_policy(events: impl IntoIterator<Item = E>) -> Given<Invoice> {
    use revenue_events::{AmountRange, ApprovalPolicyEvent, ApprovalRule, ApprovalStep, Approver};
    let people = |n| vec![Approver::User { user_id: user(n) }];
    let step = ApprovalStep {
        name: "Head".parse().unwrap(),
        approvers: people(3),
        quorum: 1,
        escalate_after_days: Some(3),
        escalate_to: people(4),
    };
    let rule = |name: &str, amount, steps| ApprovalRule {
        name: name.parse().unwrap(),
        amount,
        vendors: vec![],
        projects: vec![],
        steps,
    };
    let large = AmountRange { currency: "EUR".parse().unwrap(), from: Some(eur(1_000_000)), below: None };
    let defined = ApprovalPolicyEvent::Defined {
        name: "Invoices".parse().unwrap(),
        subject: ApprovalSubject::Invoice,
        rules: vec![rule("Large", Some(large), vec![step]), rule("Others", None, vec![])],
        separation_of_duties: true,
    };
    let policy = kernel::spec::given::<ApprovalPolicy>([defined]).state();
    world(events).knowing(ApprovalPolicy::in_use(ApprovalSubject::Invoice), Uuid::from_u128(5), policy)
}

/// An invoice that a workflow drafted and handed in.
fn handed_in(minor: i64) -> Vec<E> {
    let begun = by_policy([]).by_system().when(draft(vec![new_line(minor)])).events().to_vec();
    let submitted = by_policy(begun.clone()).by_system().when(C::SubmitForApproval {}).events().to_vec();
    [begun, submitted].concat()
}

#[test]
fn by_the_policy_a_large_invoice_is_approved_by_whom_it_names_and_a_small_one_by_a_workflow_too() {
    let (small, large) = (handed_in(100), handed_in(1_000_000));
    by_policy(small).by_system().when(approve()).then([E::Approved {}]);
    match large.last() {
        Some(E::Submitted { request: Some(request), about, .. }) => {
            assert_eq!(request.rule.as_ref().map(|rule| rule.as_str()), Some("Large"));
            assert_eq!(about.as_ref().map(|about| about.as_str()), Some("Work"));
        }
        other => panic!("{other:?}"),
    }
    by_policy(large.clone()).by_system().when(approve()).rejected("revenue.invoice.not_for_you");
    by_policy(large.clone()).by_user(user(5)).when(approve()).rejected("revenue.invoice.not_for_you");
    let later = C::Approve { step: 1, comment: None };
    by_policy(large.clone()).by_user(user(3)).when(later).rejected("revenue.invoice.not_this_step");
    let granted = by_policy(large.clone()).by_user(user(3)).when(approve()).events().to_vec();
    assert!(
        matches!(granted[..], [E::ApprovalGranted { step: 0, completes: true, .. }, E::Approved {}]),
        "{granted:?}"
    );
    by_policy([large, granted].concat()).by_user(user(3)).when(approve()).then_nothing();
}

#[test]
fn whoever_is_away_holds_an_invoice_up_no_longer_than_the_policy_says() {
    let there = handed_in(1_000_000);
    by_policy(there.clone()).by_user(user(4)).when(approve()).rejected("revenue.invoice.not_for_you");
    let escalate = || C::EscalateApproval { step: 0, reason: None };
    let escalated = by_policy(there.clone()).by_system().when(escalate()).events().to_vec();
    assert_eq!(escalated, [E::ApprovalEscalated { step: 0, reason: None }]);
    let after = [there, escalated].concat();
    by_policy(after.clone()).by_system().when(escalate()).then_nothing();
    assert_eq!(by_policy(after.clone()).by_user(user(4)).when(approve()).events().len(), 2);
    let sent_back = by_policy(after.clone()).when(C::Reject { reason: "no".parse().unwrap() }).events().to_vec();
    let again = [after, sent_back].concat();
    by_policy(again).by_system().when(escalate()).rejected("revenue.invoice.not_pending");
}

#[test]
fn the_policy_does_not_let_anybody_approve_their_own_invoice() {
    let mine = |events: &[E]| by_policy(events.iter().cloned()).by_user(user(3));
    let begun = mine(&[]).when(draft(vec![new_line(1_000_000)])).events().to_vec();
    let submitted = mine(&begun).when(C::SubmitForApproval {}).events().to_vec();
    mine(&[begun, submitted].concat()).when(approve()).rejected("revenue.invoice.own_invoice");
}
