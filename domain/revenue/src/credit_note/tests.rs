use super::*;
use crate::billing_profile::tests::client;
use crate::billing_settings::tests::established;
use crate::invoice::tests::{eur, issued};
use crate::invoice_series::tests::defined as series;
use kernel::Rounding;
use kernel::spec::{Given, given};
use revenue_events::InvoiceEvent;

fn invoice(n: u128) -> InvoiceId {
    InvoiceId(Uuid::from_u128(n))
}

fn me() -> CreditNoteId {
    CreditNoteId(Uuid::from_u128(800))
}

fn open(rounding: Rounding, lines: &[i64]) -> Vec<InvoiceEvent> {
    issued(rounding, lines)
}

/// A credit note of invoice 1; other invoices are known too.
fn world(events: &[E], invoices: &[(u128, Vec<InvoiceEvent>)]) -> Given<CreditNote> {
    let settings = given::<BillingSettings>([established(Rounding::PerDocument)]).state();
    let numbers = given::<InvoiceSeries>([series("credits", "G", 1)]).state();
    let world = given::<CreditNote>(events.iter().cloned())
        .with_id(me())
        .knowing(BillingSettings::of_firm(), Uuid::from_u128(1), settings)
        .knowing(InvoiceSeries::by_key(&"credits".parse().unwrap()), Uuid::from_u128(4), numbers);
    invoices.iter().fold(world, |world, (n, events)| {
        let state = given::<Invoice>(events.iter().cloned()).state();
        world.knowing(Reference::id::<Invoice>(invoice(*n)), invoice(*n), state)
    })
}

fn draft(lines: Vec<CreditLine>) -> C {
    C::Draft { invoice_id: invoice(1), reason: "returned".parse().unwrap(), lines }
}

fn issue() -> C {
    C::Issue { series: None, issued_on: None }
}

fn of(rounding: Rounding, lines: &[i64]) -> Vec<E> {
    let invoices = [(1, open(rounding, lines))];
    let drafted = world(&[], &invoices).when(draft(vec![])).events().to_vec();
    let issued = world(&drafted, &invoices).when(issue()).events().to_vec();
    [drafted, issued].concat()
}

fn line_ids(events: &[InvoiceEvent]) -> Vec<InvoiceLineId> {
    match events.first() {
        Some(InvoiceEvent::Drafted { lines, .. }) => lines.iter().map(|line| line.id).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_whole_of_an_invoice_comes_to_the_same_when_it_is_taken_back() {
    for (rounding, total) in [(Rounding::PerDocument, 3604), (Rounding::PerLine, 3603)] {
        match &of(rounding, &[1001; 3])[..] {
            [E::Drafted { amounts, .. }, E::Issued { amounts: again, .. }] => {
                assert_eq!((amounts.total.minor(), amounts.rounding), (total, rounding));
                assert_eq!(amounts, again);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_credit_is_at_most_what_was_not_taken_back_yet() {
    let there = open(Rounding::PerDocument, &[1000, 1000]);
    let lines = line_ids(&there);
    let credited = InvoiceEvent::Credited { credit_note_id: CreditNoteId(Uuid::from_u128(1)), amount: eur(1300) };
    let partly = [there.clone(), vec![credited]].concat();
    let one = vec![CreditLine { line_id: lines[0], quantity: None }];
    world(&[], &[(1, partly.clone())]).when(draft(one.clone())).rejected("revenue.credit_note.too_much");
    let half = vec![CreditLine { line_id: lines[0], quantity: "0.5".parse().ok() }];
    assert_eq!(world(&[], &[(1, partly.clone())]).when(draft(half)).events().len(), 1);
    // Two drafts of what is left: who issues second finds that there is too little.
    let drafted = world(&[], &[(1, there)]).when(draft(one)).events().to_vec();
    world(&drafted, &[(1, partly)]).when(issue()).rejected("revenue.credit_note.too_much");
}

#[test]
fn no_more_of_a_line_is_taken_back_than_there_is() {
    let there = open(Rounding::PerDocument, &[1000]);
    let line = |quantity: &str| vec![CreditLine { line_id: line_ids(&there)[0], quantity: quantity.parse().ok() }];
    let drafting = |lines| world(&[], &[(1, there.clone())]).when(draft(lines));
    drafting(line("1.000001")).rejected("revenue.credit_note.too_much");
    drafting(line("-1")).rejected("revenue.credit_note.too_much");
    drafting(line("0")).rejected("revenue.credit_note.not_positive");
    drafting([line("0.1"), line("0.2")].concat()).rejected("revenue.credit_note.line_twice");
    let unknown = vec![CreditLine { line_id: InvoiceLineId(Uuid::from_u128(1)), quantity: None }];
    drafting(unknown).rejected("revenue.credit_note.unknown_line");
    world(&[], &[]).when(draft(vec![])).rejected("revenue.credit_note.unknown_invoice");
}

#[test]
fn a_credit_pays_for_an_invoice_once_and_no_more_than_is_left() {
    // A credit of 100.00, of which 10.00 are used; the invoice is of 200.00.
    let credit = of(Rounding::PerDocument, &[8333, 1]);
    let total = match &credit[0] {
        E::Drafted { amounts, .. } => amounts.total.minor(),
        other => panic!("{other:?}"),
    };
    let (small, large) = (open(Rounding::PerDocument, &[1000]), open(Rounding::PerDocument, &[16_667]));
    let invoices = [(2, small), (3, large)];
    let apply = |n, minor: Option<i64>| C::Apply { invoice_id: invoice(n), amount: minor.map(eur) };
    let used = world(&credit, &invoices).when(apply(2, Some(1000))).events().to_vec();
    let there = [credit, used].concat();
    world(&there, &invoices).when(apply(3, Some(total - 999))).rejected("revenue.credit_note.more_than_is_left");
    let settlement = Settlement::CreditNote { credit_note_id: me() };
    let settle = InvoiceCommand::Settle { settlement, client_id: client(), amount: eur(total - 1000) };
    let when = world(&there, &invoices).when(apply(3, None)).together_with::<Invoice>(invoice(3), settle);
    let allocation = Allocation { invoice_id: invoice(3), amount: eur(total - 1000) };
    let when = when.then([E::Applied { allocation }]);
    let spent = [there.clone(), when.events().to_vec()].concat();
    world(&spent, &invoices).when(apply(2, Some(1001))).rejected("revenue.credit_note.spent");
    world(&spent, &invoices).when(apply(2, None)).then_nothing().alone();
    world(&spent, &invoices).when(apply(3, Some(total - 1000))).then_nothing().alone();
    world(&spent, &invoices).when(C::Refund {}).rejected("revenue.credit_note.spent");
    world(&there, &invoices).when(apply(2, Some(1))).rejected("revenue.credit_note.less_than_applied");
    world(&there, &invoices).when(C::Refund {}).then([E::Refunded { amount: eur(total - 1000) }]);
}

#[test]
fn a_draft_is_no_credit() {
    let drafted = &of(Rounding::PerDocument, &[1000])[..1];
    let apply = C::Apply { invoice_id: invoice(1), amount: None };
    world(drafted, &[(1, open(Rounding::PerDocument, &[1000]))]).when(apply).rejected("revenue.credit_note.not_issued");
    world(drafted, &[]).when(C::Discard {}).then([E::Discarded {}]);
    world(&of(Rounding::PerDocument, &[1000]), &[]).when(C::Discard {}).rejected("revenue.credit_note.not_draft");
}

#[test]
fn an_issued_credit_note_has_one_paper_and_only_the_system_says_where() {
    let file = |n| kernel::FileId(Uuid::from_u128(n));
    let record = |n| C::RecordPaper { pdf_file_id: file(n), xml_file_id: None };
    let invoices = [(1, open(Rounding::PerDocument, &[1001]))];
    let issued = of(Rounding::PerDocument, &[1001]);
    world(&issued, &invoices).when(record(1)).rejected("revenue.credit_note.system_only");
    world(&issued[..1], &invoices).by_system().when(record(1)).rejected("revenue.credit_note.not_issued");
    let stored = world(&issued, &invoices).by_system().when(record(1)).events().to_vec();
    assert!(matches!(&stored[..], [E::PaperStored { email: Some(_), xml_file_id: None, .. }]));
    let there = [issued, stored].concat();
    world(&there, &invoices).by_system().when(record(1)).then_nothing();
    world(&there, &invoices).by_system().when(record(2)).rejected("revenue.credit_note.paper_exists");
}
