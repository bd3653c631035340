//! Invoices go to the ledger once, and what is paid there comes back once.

use crate::common::{Office, eur};
use chrono::{NaiveDate, Utc};
use harness::eventually;
use kernel::Money;
use lab::{Fault, What};
use ports::{Book, Entry, Ledger as _, Line, Party, TaxMode};
use serde_json::{Value, json};
use uuid::Uuid;

fn day() -> NaiveDate {
    Utc::now().date_naive()
}

#[actix_web::test]
async fn an_issued_invoice_is_in_the_ledger_to_the_cent() {
    let office = Office::open().await;
    let id = office.issued(&[1_003, 1_003, 999]).await;
    office.round().await;
    let invoices = office.outside.lab.invoices();
    assert_eq!(invoices.len(), 1);
    assert_eq!(invoices[0]["InvoiceNumber"], "R0001");
    // 30.05 and 20 % of it.
    assert_eq!(invoices[0]["Total"].to_string(), "36.06");
    assert_eq!(office.outside.lab.contacts()[0]["ContactNumber"], office.client.to_string());
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1);
    office.round().await;
    assert_eq!(office.outside.lab.invoices().len(), 1);
    assert_eq!(office.outside.lab.violations(), [""; 0]);
}

/// An amount of the lab's in minor units.
fn cents(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{part:0<2}").parse().unwrap()
}

#[actix_web::test]
async fn the_ledger_says_the_same_as_the_paper_by_either_rule_of_rounding() {
    let office = Office::open().await;
    // Lines, the tax of each by each rule at 20 %, and what all of it comes to: three of 10.01 are 36.03 or 36.04.
    let cases = [
        ([1_001, 1_001, 1_001], ("per_line", [200, 200, 200], 3_603), ("per_document", [200, 200, 201], 3_604)),
        ([1_000, 1_000, 1_000], ("per_line", [200, 200, 200], 3_600), ("per_document", [200, 200, 200], 3_600)),
        ([1_002, 1_002, 1_002], ("per_line", [200, 200, 200], 3_606), ("per_document", [200, 201, 200], 3_607)),
        ([1_003, 1_003, 1_003], ("per_line", [201, 201, 201], 3_612), ("per_document", [201, 200, 201], 3_611)),
        // What is taken off is rounded away from nothing, too.
        ([1_003, 1_003, -999], ("per_line", [201, 201, -200], 1_209), ("per_document", [201, 200, -200], 1_208)),
    ];
    for (lines, by_line, by_document) in cases {
        for (rule, taxes, total) in [by_line, by_document] {
            office.rounding(rule).await;
            let id = office.issued(&lines).await;
            office.round().await;
            assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1, "{lines:?} {rule}");
            let invoices = office.outside.lab.invoices();
            let booked = invoices.iter().find(|one| one["Reference"] == id.to_string()).unwrap();
            let items = booked["LineItems"].as_array().unwrap();
            let each: Vec<i64> = items.iter().map(|item| cents(&item["TaxAmount"])).collect();
            assert_eq!(each, taxes, "{lines:?} {rule}");
            let (net, tax) = (lines.iter().sum::<i64>(), taxes.iter().sum::<i64>());
            let sums = (cents(&booked["SubTotal"]), cents(&booked["TotalTax"]), cents(&booked["Total"]));
            assert_eq!(sums, (net, tax, total), "{lines:?} {rule}");
            assert_eq!(office.comes_to(id).await, sums, "{lines:?} {rule}");
            // Whoever pays what the ledger asks for owes nothing here.
            office.outside.lab.pay(booked["InvoiceID"].as_str().unwrap(), total, day());
            office.sweep().await;
            assert_eq!(office.happened("invoice.paid", id).await, 1, "{lines:?} {rule}");
        }
    }
    assert_eq!(office.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_invoice_to_which_the_ledger_comes_otherwise_does_not_stay_there() {
    let office = Office::open().await;
    office.rounding("per_line").await;
    // It comes to 36.04 by itself.
    office.outside.lab.works_out_tax(20);
    let id = office.issued(&[1_001; 3]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 0);
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 1);
    let invoices = office.outside.lab.invoices();
    assert_eq!((invoices.len(), invoices[0]["Status"].as_str()), (1, Some("VOIDED")));
    // By the ledger's own rule both say the same.
    office.rounding("per_document").await;
    let id = office.issued(&[1_001; 3]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1);
}

#[actix_web::test]
async fn a_paper_that_was_entered_by_hand_and_rounded_otherwise_is_another_one() {
    let office = Office::open().await;
    office.rounding("per_line").await;
    let (at, ledger) = (office.at, &office.outside.xero);
    let party = Party {
        book: Book::Sales,
        known: None,
        reference: office.client.to_string(),
        name: "Acme GmbH".to_owned(),
        email: None,
        tax_number: None,
    };
    let party = ledger.party(at, "by-hand", &party).await.unwrap();
    let euro = |minor| Money::new(minor, "EUR".parse().unwrap()).unwrap();
    let line = |tax| Line {
        text: "Work".to_owned(),
        quantity_thousandths: 1_000,
        unit: euro(1_001),
        tax: Some(euro(tax)),
        account: "200".to_owned(),
        tax_kind: None,
    };
    let entry = Entry {
        book: Book::Sales,
        party_id: party.party_id,
        number: "R0001".to_owned(),
        reference: None,
        dated: day(),
        due: day(),
        tax: TaxMode::Exclusive,
        lines: vec![line(200), line(200), line(201)],
    };
    ledger.book(at, "by-hand", &entry).await.unwrap();
    let id = office.issued(&[1_001; 3]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 0);
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 1);
    // Whoever entered it decides what becomes of it.
    let invoices = office.outside.lab.invoices();
    assert_eq!((invoices.len(), invoices[0]["Status"].as_str()), (1, Some("AUTHORISED")));
}

#[actix_web::test]
async fn an_answer_that_gets_lost_leads_to_no_second_invoice() {
    let office = Office::open().await;
    office.outside.lab.fault(Fault::at("xero", "PUT", "/Invoices", What::AnswerLost));
    let id = office.issued(&[1_000]).await;
    eventually(async || {
        office.round().await;
        // Nobody waits two minutes for the next try.
        office.retry("books.invoices").await;
        office.happened("invoice.pushed_to_ledger", id).await == 1
    })
    .await;
    assert_eq!(office.outside.lab.invoices().len(), 1);
}

#[actix_web::test]
async fn a_closed_period_is_on_the_record_and_parked_and_the_next_invoice_goes_on() {
    let office = Office::open().await;
    office.outside.lab.close_period(day());
    let id = office.issued(&[1_000]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.ledger_rejected", id).await, 1);
    assert_eq!(office.jobs("books.invoices", "parked").await, 1);
    office.outside.lab.close_period(day() - chrono::Days::new(30));
    let next = office.issued(&[2_000]).await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", next).await, 1);
}

#[actix_web::test]
async fn what_a_closed_period_held_up_goes_there_when_it_is_open_and_somebody_says_so() {
    let office = Office::open().await;
    office.outside.lab.close_period(day());
    let id = office.issued(&[1_000]).await;
    office.round().await;
    assert_eq!(office.jobs("books.invoices", "parked").await, 1);
    // The accountant opens the period; nothing goes there by itself.
    office.outside.lab.close_period(day() - chrono::Days::new(30));
    office.round().await;
    assert_eq!(office.outside.lab.invoices().len(), 0);
    office.retry("books.invoices").await;
    office.round().await;
    assert_eq!(office.happened("invoice.pushed_to_ledger", id).await, 1);
    assert_eq!(office.outside.lab.invoices().len(), 1);
}

#[actix_web::test]
async fn invoices_are_booked_where_the_firm_wants_them() {
    let office = Office::open().await;
    office.issued(&[1_000]).await;
    office.chart("4000", "EXEMPTOUTPUT").await;
    office.issued(&[2_000]).await;
    office.round().await;
    let account = |invoice: &serde_json::Value| invoice["LineItems"][0]["AccountCode"].as_str().map(str::to_owned);
    // Also what was issued before, for it goes there now.
    let accounts: Vec<_> = office.outside.lab.invoices().iter().map(account).collect();
    assert_eq!(accounts, [Some("4000".to_owned()), Some("4000".to_owned())]);
}

#[actix_web::test]
async fn what_is_paid_at_the_ledger_comes_back_once_and_is_taken_back_with_it() {
    let office = Office::open().await;
    let id = office.issued(&[1_000]).await;
    office.round().await;
    let entry = office.outside.lab.invoices()[0]["InvoiceID"].as_str().unwrap().to_owned();
    office.outside.lab.pay(&entry, 500, day());
    office.sweep().await;
    office.sweep().await;
    assert_eq!((office.all("payment.received").await, office.happened("invoice.partially_paid", id).await), (1, 1));
    office.outside.lab.pay(&entry, 700, day());
    office.sweep().await;
    assert_eq!((office.all("payment.received").await, office.happened("invoice.paid", id).await), (2, 1));
}

#[actix_web::test]
async fn a_payment_that_was_noted_here_is_not_doubled() {
    let office = Office::open().await;
    let id = office.issued(&[1_000]).await;
    office.round().await;
    let receive = json!({ "client_id": office.client, "amount": eur(500), "allocations": [{ "invoice_id": id }] });
    office.order("revenue.payment.receive", Uuid::now_v7(), receive).await;
    let entry = office.outside.lab.invoices()[0]["InvoiceID"].as_str().unwrap().to_owned();
    office.outside.lab.pay(&entry, 500, day());
    office.sweep().await;
    assert_eq!(office.all("payment.received").await, 1);
    office.outside.lab.pay(&entry, 500, day());
    office.sweep().await;
    assert_eq!(office.all("payment.received").await, 2, "the second of the same amount is another one");
}

#[actix_web::test]
async fn a_limit_of_the_ledger_means_later_and_nothing_is_lost() {
    let office = Office::open().await;
    for (count, which) in ["minute", "day"].into_iter().enumerate() {
        let limit = What::Status { status: 429, retry_after: Some(1), limit: Some(which.to_owned()), code: None };
        office.outside.lab.fault(Fault { method: None, ..Fault::at("xero", "GET", "", limit) });
        let id = office.issued(&[1_000]).await;
        eventually(async || {
            office.round().await;
            office.happened("invoice.pushed_to_ledger", id).await == 1
        })
        .await;
        assert_eq!(office.outside.lab.invoices().len(), count + 1, "{which}");
        assert_eq!(office.happened("invoice.ledger_rejected", id).await, 0);
    }
}

#[actix_web::test]
async fn a_voided_invoice_leaves_the_ledger() {
    let office = Office::open().await;
    let id = office.issued(&[1_000]).await;
    office.round().await;
    office.order("revenue.invoice.void", id, json!({ "reason": "a mistake" })).await;
    office.round().await;
    assert_eq!(office.outside.lab.invoices()[0]["Status"], "VOIDED");
}

#[actix_web::test]
async fn what_is_paid_before_a_lost_answer_is_looked_up_comes_back_too() {
    let office = Office::open().await;
    office.outside.lab.fault(Fault::at("xero", "PUT", "/Invoices", What::AnswerLost));
    let id = office.issued(&[1_000]).await;
    office.round().await;
    let entry = office.outside.lab.invoices()[0]["InvoiceID"].as_str().unwrap().to_owned();
    office.outside.lab.pay(&entry, 1_200, day());
    // It is heard, and nobody knows yet whose it is.
    office.sweep().await;
    assert_eq!((office.happened("invoice.pushed_to_ledger", id).await, office.all("payment.received").await), (0, 0));
    eventually(async || {
        office.hasten().await;
        office.round().await;
        office.happened("invoice.paid", id).await == 1
    })
    .await;
    assert_eq!((office.outside.lab.invoices().len(), office.all("payment.received").await), (1, 1));
}

#[actix_web::test]
async fn an_invoice_that_is_voided_before_a_lost_answer_is_looked_up_leaves_the_ledger() {
    let office = Office::open().await;
    office.outside.lab.fault(Fault::at("xero", "PUT", "/Invoices", What::AnswerLost));
    let id = office.issued(&[1_000]).await;
    office.round().await;
    office.order("revenue.invoice.void", id, json!({ "reason": "a mistake" })).await;
    eventually(async || {
        office.hasten().await;
        office.round().await;
        office.outside.lab.invoices()[0]["Status"] == "VOIDED"
    })
    .await;
    assert_eq!(office.outside.lab.invoices().len(), 1);
}
