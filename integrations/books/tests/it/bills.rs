//! Bills go to the ledger once, also when somebody has to agree there again in between.

use crate::common::Office;
use chrono::Utc;
use harness::eventually;

#[actix_web::test]
async fn an_approved_bill_is_in_the_ledger_with_a_vendor_that_was_missing_there() {
    let office = Office::open().await;
    let vendor = office.vendor("Paper Ltd").await;
    let id = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    let invoices = office.outside.lab.invoices();
    assert_eq!((invoices[0]["Type"].as_str(), invoices[0]["InvoiceNumber"].as_str()), (Some("ACCPAY"), Some("14")));
    assert_eq!(office.outside.lab.contacts()[0]["Name"], "Paper Ltd");
    assert_eq!(office.happened("vendor.linked_to_ledger", vendor).await, 1);
    assert_eq!(office.happened("bill.pushed_to_ledger", id).await, 1);
}

#[actix_web::test]
async fn a_token_that_is_revoked_between_approval_and_push_holds_the_bill_until_somebody_agrees_again() {
    let office = Office::open().await;
    let vendor = office.vendor("Paper Ltd").await;
    office.outside.lab.revoke("xero");
    let id = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    assert_eq!((office.outside.lab.invoices().len(), office.jobs("books.bills", "parked").await), (0, 0));
    // What is wrong with a connection is on its record with the next round.
    office.round().await;
    assert_eq!(office.happened("connection.auth_failed", office.at.connection.0).await, 1);
    office.outside.agreed(&office.app, office.at, "xero").await;
    eventually(async || {
        office.round().await;
        office.happened("bill.pushed_to_ledger", id).await == 1
    })
    .await;
    assert_eq!(office.outside.lab.invoices().len(), 1);
}

#[actix_web::test]
async fn what_is_paid_of_a_bill_at_the_ledger_comes_back_once() {
    let office = Office::open().await;
    let vendor = office.vendor("Paper Ltd").await;
    let id = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    let entry = office.outside.lab.invoices()[0]["InvoiceID"].as_str().unwrap().to_owned();
    office.outside.lab.pay(&entry, 1_200, Utc::now().date_naive());
    office.sweep().await;
    office.sweep().await;
    assert_eq!((office.happened("bill.payment_recorded", id).await, office.happened("bill.paid", id).await), (1, 1));
}

#[actix_web::test]
async fn a_vendor_that_is_called_as_a_client_is_another_party() {
    let office = Office::open().await;
    office.issued(&[1_000]).await;
    let vendor = office.vendor("Acme GmbH").await;
    let id = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    assert_eq!(office.outside.lab.contacts().len(), 2);
    assert_eq!(office.happened("bill.pushed_to_ledger", id).await, 1);
}
