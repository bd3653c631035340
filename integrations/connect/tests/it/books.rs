//! Xero against the lab: what is done is done once, whatever becomes of the answers.

use crate::common::world;
use chrono::NaiveDate;
use kernel::Money;
use lab::{Fault as LabFault, What};
use ports::{Book, Entry, EntryStatus, Fault, Ledger, Line, Party, Place, TaxMode};
use providers::Sweeper;
use std::time::Duration;

fn euro(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

fn party(name: &str) -> Party {
    Party {
        book: Book::Sales,
        known: None,
        reference: format!("ubos-{name}"),
        name: name.to_owned(),
        email: Some("office@engines.example".to_owned()),
        tax_number: None,
    }
}

fn entry(book: Book, number: &str, party_id: &str) -> Entry {
    let line = |text: &str, minor, tax| Line {
        text: text.to_owned(),
        quantity_thousandths: 1_500,
        unit: euro(minor),
        tax: Some(euro(tax)),
        account: "200".to_owned(),
        tax_kind: Some("OUTPUT".to_owned()),
    };
    Entry {
        book,
        party_id: party_id.to_owned(),
        number: number.to_owned(),
        reference: Some("project 7".to_owned()),
        dated: day(10),
        due: day(24),
        tax: TaxMode::Exclusive,
        lines: vec![line("Advice", 10_000, 2_850), line("Travel", 1_001, 285)],
    }
}

fn lost() -> What {
    What::AnswerLost
}

#[actix_web::test]
async fn an_invoice_is_booked_found_paid_and_seen() {
    let (app, firm, outside) = world().await;
    let (at, xero) = (outside.connected(&app, firm, "xero").await, &outside.xero);
    let known = xero.party(at, "k1", &party("Engines")).await.unwrap();
    assert_eq!(xero.party(at, "k2", &party("Engines")).await.unwrap(), known, "the same again");
    let moved = Party { email: Some("new@engines.example".to_owned()), ..party("Engines") };
    assert_eq!(xero.party(at, "k3", &moved).await.unwrap(), known);
    assert_eq!(outside.lab.contacts()[0]["EmailAddress"], "new@engines.example");
    assert_eq!(outside.lab.contacts().len(), 1);

    let entry = entry(Book::Sales, "2026-0001", &known.party_id);
    let booked = xero.book(at, "k4", &entry).await.unwrap();
    // 150.00 + 15.02 (15.015, half away from zero), and 31.35 of tax.
    assert_eq!((booked.status, booked.total, booked.due), (EntryStatus::Open, euro(19_637), euro(19_637)));
    assert_eq!(xero.book(at, "k4", &entry).await.unwrap(), booked, "the key is known");
    assert_eq!(xero.find(at, Book::Sales, "2026-0001", "").await.unwrap(), Some(booked.clone()));
    assert_eq!(xero.find(at, Book::Purchases, "2026-0001", &known.party_id).await.unwrap(), None);
    outside.lab.pay(&booked.entry_id, 10_000, day(20));
    let seen = xero.look(at, &booked.entry_id).await.unwrap();
    assert_eq!((seen.status, seen.paid, seen.due), (EntryStatus::Open, euro(10_000), euro(9_637)));
    assert_eq!((seen.payments[0].amount, seen.payments[0].dated), (euro(10_000), day(20)));
    let refused = xero.void(at, "k5", &booked.entry_id).await;
    assert!(matches!(refused, Err(Fault::Never("has_payments", _))), "{refused:?}");
    let paid = xero.pay(at, "k6", &booked.entry_id, "090", (day(21), euro(9_637))).await.unwrap();
    assert_eq!(paid.amount, euro(9_637));
    assert_eq!(xero.look(at, &booked.entry_id).await.unwrap().status, EntryStatus::Paid);
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_answer_that_gets_lost_is_unknown_and_nothing_is_booked_twice() {
    let (app, firm, outside) = world().await;
    let (at, xero) = (outside.connected(&app, firm, "xero").await, &outside.xero);
    let known = xero.party(at, "k1", &party("Engines")).await.unwrap();
    let entry = entry(Book::Sales, "2026-0001", &known.party_id);
    for what in [lost(), What::DoneBut { status: 502 }] {
        outside.lab.fault(LabFault::at("xero", "PUT", "/Invoices", what));
        let asked = xero.book(at, "k2", &entry).await;
        assert!(matches!(asked, Err(Fault::Unknown(_))), "{asked:?}");
        let found = xero.find(at, Book::Sales, "2026-0001", "").await.unwrap();
        assert!(found.is_some(), "it was done");
    }
    // Another key, because the first was forgotten: it is found to be ours.
    let again = xero.book(at, "k3", &entry).await.unwrap();
    assert_eq!(again.number, "2026-0001");
    assert_eq!(outside.lab.invoices().len(), 1);
    let mut other = entry.clone();
    other.lines.pop();
    let refused = xero.book(at, "k4", &other).await;
    assert!(matches!(refused, Err(Fault::Never("taken", _))), "another invoice is not written over: {refused:?}");
}

#[actix_web::test]
async fn two_vendors_may_give_the_same_number() {
    let (app, firm, outside) = world().await;
    let (at, xero) = (outside.connected(&app, firm, "xero").await, &outside.xero);
    let one = xero.party(at, "k1", &party("Paper Ltd")).await.unwrap();
    let other = xero.party(at, "k2", &party("Pencils Ltd")).await.unwrap();
    let first = xero.book(at, "k3", &entry(Book::Purchases, "14", &one.party_id)).await.unwrap();
    let second = xero.book(at, "k4", &entry(Book::Purchases, "14", &other.party_id)).await.unwrap();
    assert_ne!(first.entry_id, second.entry_id);
    assert_eq!(xero.find(at, Book::Purchases, "14", &other.party_id).await.unwrap(), Some(second.clone()));
    xero.void(at, "k5", &second.entry_id).await.unwrap();
    xero.void(at, "k6", &second.entry_id).await.unwrap();
    assert_eq!(xero.look(at, &second.entry_id).await.unwrap().status, EntryStatus::Voided);
}

async fn asked(outside: &harness::Outside, at: Place, what: What) -> Result<(), Fault> {
    outside.lab.fault(LabFault::at("xero", "PUT", "/Contacts", what));
    outside.xero.party(at, "k", &party("Nobody")).await.map(drop)
}

#[actix_web::test]
async fn every_fault_says_what_it_means_for_whoever_asked() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let status = |status, retry_after| What::Status { status, retry_after, limit: None, code: None };
    let later = asked(&outside, at, status(429, Some(30))).await;
    assert!(matches!(later, Err(Fault::Later(Some(after), _)) if after == Duration::from_secs(30)), "{later:?}");
    for busy in [409, 423] {
        let later = asked(&outside, at, status(busy, None)).await;
        assert!(matches!(later, Err(Fault::Later(None, _))), "{busy}: {later:?}");
    }
    assert!(matches!(asked(&outside, at, status(404, None)).await, Err(Fault::Never("not_found", _))));
    assert!(matches!(asked(&outside, at, status(500, None)).await, Err(Fault::Unknown(_))));
    assert!(matches!(asked(&outside, at, status(503, Some(5))).await, Err(Fault::Later(Some(_), _))));
    assert_eq!(asked(&outside, at, status(403, None)).await, Err(Fault::Blocked(at.connection)));
}

#[actix_web::test]
async fn a_closed_period_parks_and_a_day_that_is_used_up_waits() {
    let (app, firm, outside) = world().await;
    let (at, xero) = (outside.connected(&app, firm, "xero").await, &outside.xero);
    let known = xero.party(at, "k1", &party("Engines")).await.unwrap();
    outside.lab.close_period(day(30));
    let refused = xero.book(at, "k2", &entry(Book::Sales, "1", &known.party_id)).await;
    assert!(matches!(refused, Err(Fault::Never("period_closed", _))), "{refused:?}");
    let limit = What::Status { status: 429, retry_after: Some(3_600), limit: Some("day".to_owned()), code: None };
    let later = asked(&outside, at, limit).await;
    assert!(matches!(later, Err(Fault::Later(Some(after), _)) if after == Duration::from_secs(3_600)), "{later:?}");
    let trouble: Option<String> =
        sqlx::query_scalar("select trouble from connect.links").fetch_one(&outside.worker).await.unwrap();
    assert_eq!(trouble.as_deref(), Some("quota_used_up"));
}

#[actix_web::test]
async fn a_sweep_finds_what_no_message_said() {
    let (app, firm, outside) = world().await;
    let (at, xero) = (outside.connected(&app, firm, "xero").await, &outside.xero);
    outside.lab.mood(lab::Mood::Never);
    let since = chrono::Utc::now();
    let known = xero.party(at, "k1", &party("Engines")).await.unwrap();
    let booked = xero.book(at, "k2", &entry(Book::Sales, "1", &known.party_id)).await.unwrap();
    let found = xero.sweep(at, since).await.unwrap();
    assert_eq!(found.iter().map(|hint| hint.id.as_str()).collect::<Vec<_>>(), [booked.entry_id.as_str()]);
    assert_eq!(xero.sweep(at, chrono::Utc::now() + chrono::TimeDelta::minutes(2)).await.unwrap(), []);
}
