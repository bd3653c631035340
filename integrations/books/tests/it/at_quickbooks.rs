//! The same with a ledger at QuickBooks, which has no void for bills, no place for our ids, and lines without their own taxes.

use crate::common::Office;
use chrono::{NaiveDate, Utc};
use harness::eventually;
use lab::{Fault, What};
use ports::{Book, MERGED, Merged};
use providers::Hint;
use serde_json::{Value, json};

fn day() -> NaiveDate {
    Utc::now().date_naive()
}

async fn office() -> Office {
    Office::with_ledger_at("quickbooks").await
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap().to_owned()
}

/// An amount of the lab's in minor units.
fn cents(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{part:0<2}").parse().unwrap()
}

#[actix_web::test]
async fn an_issued_invoice_is_there_to_the_cent_by_either_rule_of_rounding() {
    let office = office().await;
    for (rule, tax) in [("per_line", 600), ("per_document", 601)] {
        office.rounding(rule).await;
        let id = office.issued(&[1_001, 1_001, 1_001]).await;
        office.round().await;
        assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1, "{rule}");
        let invoices = office.outside.lab.quickbooks("Invoice");
        let booked = invoices.iter().find(|one| one["PrivateNote"] == id.to_string()).unwrap();
        assert_eq!((cents(&booked["TxnTaxDetail"]["TotalTax"]), cents(&booked["TotalAmt"])), (tax, 3_003 + tax));
        assert_eq!(office.comes_to(id).await, (3_003, tax, 3_003 + tax), "{rule}");
    }
    office.round().await;
    let lab = &office.outside.lab;
    assert_eq!((lab.quickbooks("Invoice").len(), lab.quickbooks("Customer").len()), (2, 1));
    // Both are of one service, which was made for the account.
    assert_eq!(lab.quickbooks("Item").len(), 1);
    assert_eq!(lab.invoices(), [Value::Null; 0], "nothing is at the other ledger");
    assert_eq!(lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_invoice_to_which_quickbooks_comes_otherwise_does_not_stay_there() {
    let office = office().await;
    office.rounding("per_line").await;
    office.outside.lab.works_out_tax(20);
    let id = office.issued(&[1_001; 3]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 1);
    let invoices = office.outside.lab.quickbooks("Invoice");
    assert_eq!((invoices.len(), cents(&invoices[0]["TotalAmt"])), (1, 0), "it is voided");
}

#[actix_web::test]
async fn an_answer_that_gets_lost_leads_to_no_second_invoice() {
    for what in [What::AnswerLost, What::DoneBut { status: 502 }] {
        let office = office().await;
        office.outside.lab.fault(Fault::at("quickbooks", "POST", "/invoice", what));
        let id = office.issued(&[1_000]).await;
        eventually(async || {
            office.round().await;
            // Nobody waits two minutes for the next try.
            office.retry("books.invoices").await;
            office.happened("invoice.pushed_to_ledger", id).await == 1
        })
        .await;
        assert_eq!(office.outside.lab.quickbooks("Invoice").len(), 1);
    }
}

#[actix_web::test]
async fn a_closed_period_is_on_the_record_and_parked_until_it_is_open_and_somebody_says_so() {
    let office = office().await;
    office.outside.lab.close_period(day());
    let id = office.issued(&[1_000]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 1);
    assert_eq!(office.jobs("books.invoices", "parked").await, 1);
    office.outside.lab.close_period(day() - chrono::Days::new(30));
    office.retry("books.invoices").await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1);
    assert_eq!(office.outside.lab.quickbooks("Invoice").len(), 1);
}

#[actix_web::test]
async fn what_is_paid_there_comes_back_once_and_is_taken_back_with_it() {
    let office = office().await;
    let (first, second) = (office.issued(&[1_000]).await, office.issued(&[500]).await);
    office.round().await;
    let lab = &office.outside.lab;
    let entry = text(&lab.quickbooks("Invoice")[0], "Id");
    let payment = lab.quickbooks_pay("Invoice", &entry, 500, day());
    office.sweep().await;
    office.sweep().await;
    assert_eq!((office.all("payment.received").await, office.happened("invoice.partially_paid", first).await), (1, 1));
    lab.quickbooks_pay("Invoice", &entry, 700, day());
    office.sweep().await;
    assert_eq!((office.all("payment.received").await, office.happened("invoice.paid", first).await), (2, 1));
    lab.quickbooks_delete("Payment", &payment);
    office.sweep().await;
    assert_eq!(office.all("payment.reversed").await, 1);
    // More than is owed is a credit there, and pays for no more than is owed here.
    let entry = text(&lab.quickbooks("Invoice")[1], "Id");
    lab.quickbooks_pay("Invoice", &entry, 700, day());
    office.sweep().await;
    assert_eq!(office.happened("invoice.paid", second).await, 1);
    assert_eq!(lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_invoice_that_is_deleted_there_is_on_the_record_and_what_paid_for_it_is_taken_back() {
    let office = office().await;
    let id = office.issued(&[1_000]).await;
    office.round().await;
    let lab = &office.outside.lab;
    let entry = text(&lab.quickbooks("Invoice")[0], "Id");
    lab.quickbooks_pay("Invoice", &entry, 500, day());
    office.sweep().await;
    lab.quickbooks_delete("Invoice", &entry);
    office.sweep().await;
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 1);
    assert_eq!(office.all("payment.reversed").await, 1);
    assert_eq!(office.jobs("connect.hint", "parked").await, 0);
}

#[actix_web::test]
async fn a_limit_of_quickbooks_means_later_and_nothing_is_lost() {
    let office = office().await;
    let limit = What::Status { status: 429, retry_after: Some(1), limit: None, code: None };
    office.outside.lab.fault(Fault { method: None, ..Fault::at("quickbooks", "GET", "", limit) });
    let id = office.issued(&[1_000]).await;
    eventually(async || {
        office.round().await;
        office.happened("invoice.pushed_to_ledger", id).await == 1
    })
    .await;
    assert_eq!(office.outside.lab.quickbooks("Invoice").len(), 1);
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 0);
}

#[actix_web::test]
async fn a_voided_invoice_leaves_the_ledger_and_a_voided_bill_is_deleted_there() {
    let office = office().await;
    let (id, vendor) = (office.issued(&[1_000]).await, office.vendor("Paper Ltd").await);
    let bill = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    let lab = &office.outside.lab;
    assert_eq!((lab.quickbooks("Invoice").len(), lab.quickbooks("Bill").len()), (1, 1));
    office.order("revenue.invoice.void", id, json!({ "reason": "a mistake" })).await;
    office.order("revenue.bill.void", bill, json!({ "reason": "a mistake" })).await;
    office.round().await;
    assert_eq!(cents(&lab.quickbooks("Invoice")[0]["TotalAmt"]), 0);
    assert_eq!(lab.quickbooks("Bill"), [Value::Null; 0]);
}

#[actix_web::test]
async fn a_token_that_is_revoked_between_approval_and_push_holds_the_bill_until_somebody_agrees_again() {
    let office = office().await;
    let vendor = office.vendor("Paper Ltd").await;
    office.outside.lab.revoke("quickbooks");
    let id = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    assert_eq!((office.outside.lab.quickbooks("Bill").len(), office.jobs("books.bills", "parked").await), (0, 0));
    // What is wrong with a connection is on its record with the next round.
    office.round().await;
    assert_eq!(office.happened("connection.auth_failed", office.at.connection.0).await, 1);
    office.outside.agreed(&office.app, office.at, "quickbooks").await;
    eventually(async || {
        office.round().await;
        office.happened("bill.pushed_to_ledger", id).await == 1
    })
    .await;
    assert_eq!(office.outside.lab.quickbooks("Bill").len(), 1);
    assert_eq!(office.happened("vendor.linked_to_ledger", vendor).await, 1);
}

#[actix_web::test]
async fn a_vendor_that_is_called_as_a_client_is_another_party_under_another_name() {
    let office = office().await;
    office.issued(&[1_000]).await;
    let vendor = office.vendor("Acme GmbH").await;
    let id = office.approved(vendor, "14", 1_200).await;
    office.round().await;
    let lab = &office.outside.lab;
    assert_eq!((lab.quickbooks("Customer").len(), lab.quickbooks("Vendor").len()), (1, 1));
    assert_ne!(lab.quickbooks("Customer")[0]["DisplayName"], lab.quickbooks("Vendor")[0]["DisplayName"]);
    assert_eq!(office.happened("bill.pushed_to_ledger", id).await, 1);
}

#[actix_web::test]
async fn a_firm_with_two_ledgers_has_the_one_that_was_agreed_to_first() {
    let office = office().await;
    office.outside.connected(&office.app, office.firm, "xero").await;
    let id = office.issued(&[1_000]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1);
    assert_eq!((office.outside.lab.quickbooks("Invoice").len(), office.outside.lab.invoices().len()), (1, 0));
}

#[actix_web::test]
async fn of_two_clients_that_were_made_one_there_the_one_that_is_left_is_booked_on() {
    let office = office().await;
    office.issued(&[1_000]).await;
    office.round().await;
    let lab = &office.outside.lab;
    let gone = text(&lab.quickbooks("Customer")[0], "Id");
    let kept = lab.quickbooks_enter("Customer", &json!({ "DisplayName": "Acme, Berlin" }));
    lab.quickbooks_merge("Customer", &gone, &kept);
    // As the door hears it.
    let merged = Merged { book: Book::Sales, gone, kept: kept.clone() };
    let hint = Hint { kind: MERGED.to_owned(), id: merged.written() };
    assert!(office.outside.keeper.take_in(office.at, b"merged", &[hint]).await.unwrap());
    office.round().await;
    let id = office.issued(&[2_000]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1);
    assert_eq!(lab.quickbooks("Customer").len(), 1);
    let invoices = lab.quickbooks("Invoice");
    assert!(invoices.iter().all(|one| one["CustomerRef"]["value"] == kept.as_str()), "{invoices:?}");
    assert_eq!(lab.violations(), [""; 0]);
}
