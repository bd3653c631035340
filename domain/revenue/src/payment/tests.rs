use super::*;
use crate::billing_profile::tests::client;
use crate::invoice::tests::{eur, issued};
use kernel::Rounding;
use kernel::spec::{Given, given};

fn invoice(n: u128) -> InvoiceId {
    InvoiceId(Uuid::from_u128(n))
}

/// Invoices 1 of 12.00 and 2 of 60.00, both open.
fn world(events: impl IntoIterator<Item = E>) -> Given<Payment> {
    let of = |lines: &[i64]| given::<Invoice>(issued(Rounding::PerDocument, lines)).state();
    given::<Payment>(events)
        .with_id(Uuid::from_u128(900))
        .knowing(Reference::id::<Invoice>(invoice(1)), invoice(1), of(&[1000]))
        .knowing(Reference::id::<Invoice>(invoice(2)), invoice(2), of(&[5000]))
}

fn receive(minor: i64, allocations: &[(u128, Option<i64>)]) -> C {
    let allocation =
        |(n, minor): &(u128, Option<i64>)| NewAllocation { invoice_id: invoice(*n), amount: minor.map(eur) };
    C::Receive {
        client_id: client(),
        amount: eur(minor),
        received_on: None,
        method: PaymentMethod::default(),
        reference: None,
        external_id: None,
        allocations: allocations.iter().map(allocation).collect(),
    }
}

fn settle(minor: i64) -> InvoiceCommand {
    let settlement = Settlement::Payment { payment_id: PaymentId(Uuid::from_u128(900)) };
    InvoiceCommand::Settle { settlement, client_id: client(), amount: eur(minor) }
}

fn unallocated(events: &[E]) -> i64 {
    let state = given::<Payment>(events.iter().cloned()).state();
    state.unallocated().unwrap().minor()
}

#[test]
fn a_payment_pays_an_invoice_and_the_rest_is_credit() {
    let when = world([]).when(receive(1500, &[(1, None)])).together_with::<Invoice>(invoice(1), settle(1200));
    match when.events() {
        [E::Received { allocations, unallocated, .. }] => {
            assert_eq!(allocations[..], [Allocation { invoice_id: invoice(1), amount: eur(1200) }]);
            assert_eq!(*unallocated, eur(300));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(unallocated(when.events()), 300);
}

#[test]
fn no_more_is_paid_than_is_open_or_there() {
    world([]).when(receive(1500, &[(1, Some(1201))])).rejected("revenue.payment.more_than_open");
    world([]).when(receive(1000, &[(1, Some(1001))])).rejected("revenue.payment.more_than_there_is");
    world([]).when(receive(1300, &[(1, None), (2, Some(101))])).rejected("revenue.payment.more_than_there_is");
    world([]).when(receive(1300, &[(1, None), (1, None)])).rejected("revenue.payment.invoice_twice");
    world([]).when(receive(1300, &[(3, None)])).rejected("revenue.payment.unknown_invoice");
    world([]).when(receive(0, &[])).rejected("revenue.payment.not_positive");
    world([]).when(receive(100, &[(1, Some(0))])).rejected("revenue.payment.not_positive");
}

#[test]
fn a_part_is_in_place_of_the_one_before() {
    let begun = world([]).when(receive(6000, &[(2, Some(1000))])).events().to_vec();
    let allocate = |minor| C::Allocate { invoice_id: invoice(2), amount: Some(eur(minor)) };
    let brought = || world(begun.clone());
    brought().when(allocate(1000)).then_nothing().alone();
    let less = brought().when(allocate(400)).together_with::<Invoice>(invoice(2), settle(400));
    let there = [begun.clone(), less.events().to_vec()].concat();
    assert_eq!(unallocated(&there), 5600);
    let away = C::Deallocate { invoice_id: invoice(2) };
    let when = brought().when(away.clone()).together_with::<Invoice>(invoice(2), settle(0));
    let there = [begun.clone(), when.events().to_vec()].concat();
    assert_eq!(unallocated(&there), 6000);
    world(there).when(away).then_nothing().alone();
}

#[test]
fn a_payment_that_is_taken_back_pays_for_nothing() {
    let begun = world([]).when(receive(1500, &[(1, None)])).events().to_vec();
    let reverse = || C::Reverse { reason: "bounced".parse().unwrap() };
    let when = world(begun.clone()).when(reverse()).together_with::<Invoice>(invoice(1), settle(0));
    let there = [begun.clone(), when.events().to_vec()].concat();
    world(there.clone()).when(reverse()).then_nothing().alone();
    let allocate = C::Allocate { invoice_id: invoice(2), amount: None };
    world(there).when(allocate).rejected("revenue.payment.reversed");
    let refunded =
        [begun.clone(), world(begun).when(C::Refund {}).then([E::Refunded { amount: eur(300) }]).events().to_vec()]
            .concat();
    world(refunded.clone()).when(C::Refund {}).then_nothing();
    world(refunded).when(reverse()).rejected("revenue.payment.refunded");
}
