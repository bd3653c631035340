//! QuickBooks against the lab: what is done is done once, whatever becomes of the answers and whoever changes it meanwhile.

use crate::common::{status, world};
use chrono::{NaiveDate, TimeDelta, Utc};
use connections_events::ConnectionStatus;
use harness::Outside;
use kernel::Money;
use lab::{Fault as LabFault, What};
use ports::{Book, Entry, EntryStatus, Fault, GONE, Ledger, Line, Party, PartyRef, Place, TaxMode};
use providers::{Budget, Rules, Sweeper};
use quickbooks::Quickbooks;
use serde_json::{Value, json};
use std::time::Duration;

fn euro(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

fn party(book: Book, name: &str) -> Party {
    Party {
        book,
        known: None,
        reference: format!("ubos-{name}"),
        name: name.to_owned(),
        email: Some("office@engines.example".to_owned()),
        tax_number: Some("GB123456789".to_owned()),
    }
}

fn entry(book: Book, number: &str, party: &PartyRef) -> Entry {
    let account = if book == Book::Sales { "200" } else { "400" };
    let line = |text: &str, minor, tax, kind: Option<&str>| Line {
        text: text.to_owned(),
        quantity_thousandths: 1_500,
        unit: euro(minor),
        tax: Some(euro(tax)),
        account: account.to_owned(),
        tax_kind: kind.map(str::to_owned),
    };
    Entry {
        book,
        party_id: party.party_id.clone(),
        number: number.to_owned(),
        reference: Some("project 7".to_owned()),
        dated: day(10),
        due: day(24),
        tax: TaxMode::Exclusive,
        // By name, and by what it comes to.
        lines: vec![line("Advice", 10_000, 2_850, Some("19.0% S")), line("Travel", 1_001, 300, None)],
    }
}

fn id_of(thing: &Value) -> String {
    thing["Id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn an_invoice_is_booked_found_paid_and_seen() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let known = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    assert_eq!(books.party(at, "k2", &party(Book::Sales, "Engines")).await.unwrap(), known, "the same again");
    let moved = Party { email: Some("new@engines.example".to_owned()), ..party(Book::Sales, "Engines") };
    assert_eq!(books.party(at, "k3", &moved).await.unwrap(), known);
    // Renamed here, and found by our id in its notes.
    let renamed = Party { name: "Engines: north".to_owned(), ..moved };
    assert_eq!(books.party(at, "k4", &renamed).await.unwrap(), known);
    let customers = outside.lab.quickbooks("Customer");
    assert_eq!((customers.len(), customers[0]["DisplayName"].as_str()), (1, Some("Engines north")));
    assert_eq!(customers[0]["PrimaryEmailAddr"]["Address"], "new@engines.example");

    let entry = entry(Book::Sales, "2026-0001", &known);
    let booked = books.book(at, "k5", &entry).await.unwrap();
    // 150.00 + 15.02 (15.015, half away from zero), and 31.50 of tax.
    assert_eq!((booked.status, booked.total, booked.due), (EntryStatus::Open, euro(19_652), euro(19_652)));
    assert_eq!(books.book(at, "k5", &entry).await.unwrap(), booked, "the key is known");
    assert_eq!(books.find(at, Book::Sales, "2026-0001", "").await.unwrap(), Some(booked.clone()));
    assert_eq!(books.find(at, Book::Purchases, "2026-0001", &known.party_id).await.unwrap(), None);
    let id = id_of(&outside.lab.quickbooks("Invoice")[0]);
    outside.lab.quickbooks_pay("Invoice", &id, 10_000, day(20));
    let seen = books.look(at, &booked.entry_id).await.unwrap();
    assert_eq!((seen.status, seen.paid, seen.due), (EntryStatus::Open, euro(10_000), euro(9_652)));
    assert_eq!((seen.payments[0].amount, seen.payments[0].dated), (euro(10_000), day(20)));
    let refused = books.void(at, "k6", &booked.entry_id).await;
    assert!(matches!(refused, Err(Fault::Never("has_payments", _))), "{refused:?}");
    let too_much = books.pay(at, "k7", &booked.entry_id, "090", (day(21), euro(9_653))).await;
    assert!(matches!(too_much, Err(Fault::Never("too_much", _))), "{too_much:?}");
    let paid = books.pay(at, "k8", &booked.entry_id, "090", (day(21), euro(9_652))).await.unwrap();
    // Also when nobody remembers the key.
    outside.lab.forget_keys();
    assert_eq!(books.pay(at, "k8", &booked.entry_id, "090", (day(21), euro(9_652))).await.unwrap(), paid);
    let seen = books.look(at, &booked.entry_id).await.unwrap();
    assert_eq!((seen.status, seen.payments.len()), (EntryStatus::Paid, 2));
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_bill_is_booked_with_a_vendor_paid_and_deleted() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let one = books.party(at, "k1", &party(Book::Purchases, "Paper Ltd")).await.unwrap();
    let other = books.party(at, "k2", &party(Book::Purchases, "O'Neill's Pencils")).await.unwrap();
    let first = books.book(at, "k3", &entry(Book::Purchases, "14", &one)).await.unwrap();
    // Two vendors may give the same number.
    let second = books.book(at, "k4", &entry(Book::Purchases, "14", &other)).await.unwrap();
    assert_ne!(first.entry_id, second.entry_id);
    assert_eq!(books.find(at, Book::Purchases, "14", &other.party_id).await.unwrap(), Some(second.clone()));
    let paid = books.pay(at, "k5", &first.entry_id, "090", (day(21), euro(10_000))).await.unwrap();
    assert_eq!(books.look(at, &first.entry_id).await.unwrap().payments, [paid]);
    books.void(at, "k6", &second.entry_id).await.unwrap();
    books.void(at, "k7", &second.entry_id).await.unwrap();
    let gone = books.look(at, &second.entry_id).await;
    assert!(matches!(gone, Err(Fault::Never(GONE, _))), "{gone:?}");
    assert_eq!(books.find(at, Book::Purchases, "14", &other.party_id).await.unwrap(), None);
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_answer_that_gets_lost_is_unknown_and_nothing_is_booked_twice() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let known = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    let entry = entry(Book::Sales, "2026-0001", &known);
    for what in [What::AnswerLost, What::DoneBut { status: 502 }] {
        outside.lab.fault(LabFault::at("quickbooks", "POST", "/invoice", what));
        let asked = books.book(at, "k2", &entry).await;
        assert!(matches!(asked, Err(Fault::Unknown(_))), "{asked:?}");
        assert!(books.find(at, Book::Sales, "2026-0001", "").await.unwrap().is_some(), "it was done");
    }
    // Another key, because the first was forgotten: it is found to be ours.
    let again = books.book(at, "k3", &entry).await.unwrap();
    assert_eq!(again.number, "2026-0001");
    assert_eq!(outside.lab.quickbooks("Invoice").len(), 1);
    let mut other = entry.clone();
    other.lines.pop();
    let refused = books.book(at, "k4", &other).await;
    assert!(matches!(refused, Err(Fault::Never("taken", _))), "another invoice is not written over: {refused:?}");
}

#[actix_web::test]
async fn a_key_that_is_answered_for_what_was_deleted_since_books_anew() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let known = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    let entry = entry(Book::Sales, "1", &known);
    let first = books.book(at, "k2", &entry).await.unwrap();
    outside.lab.quickbooks_delete("Invoice", &id_of(&outside.lab.quickbooks("Invoice")[0]));
    let second = books.book(at, "k2", &entry).await.unwrap();
    assert_ne!(first.entry_id, second.entry_id);
    assert_eq!(books.book(at, "k2", &entry).await.unwrap(), second);
    assert_eq!(outside.lab.quickbooks("Invoice").len(), 1);
}

#[actix_web::test]
async fn what_others_change_meanwhile_is_read_again_and_done() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let stale = || What::Status { status: 400, retry_after: None, limit: None, code: Some("5010".to_owned()) };
    let known = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    let booked = books.book(at, "k2", &entry(Book::Sales, "1", &known)).await.unwrap();
    outside.lab.fault(LabFault::at("quickbooks", "POST", "/customer", stale()));
    let moved = Party { email: Some("new@engines.example".to_owned()), ..party(Book::Sales, "Engines") };
    assert_eq!(books.party(at, "k3", &moved).await.unwrap(), known);
    assert_eq!(outside.lab.quickbooks("Customer")[0]["PrimaryEmailAddr"]["Address"], "new@engines.example");
    // Somebody else's change counts the token up, and what they noted stays.
    outside.lab.quickbooks_change("Customer", &known.party_id, &json!({ "Notes": "Pays late\nUBOS: ubos-Engines" }));
    let again = Party { email: Some("third@engines.example".to_owned()), ..moved };
    assert_eq!(books.party(at, "k4", &again).await.unwrap(), known);
    assert_eq!(outside.lab.quickbooks("Customer")[0]["Notes"], "Pays late\nUBOS: ubos-Engines");
    outside.lab.fault(LabFault::at("quickbooks", "POST", "/invoice", stale()).times(2));
    books.void(at, "k5", &booked.entry_id).await.unwrap();
    assert_eq!(books.look(at, &booked.entry_id).await.unwrap().status, EntryStatus::Voided);
    // It does not go on for ever.
    let other = books.book(at, "k6", &entry(Book::Sales, "2", &known)).await.unwrap();
    outside.lab.fault(LabFault::at("quickbooks", "POST", "/invoice", stale()).times(9));
    let later = books.void(at, "k7", &other.entry_id).await;
    assert!(matches!(later, Err(Fault::Later(..))), "{later:?}");
}

#[actix_web::test]
async fn a_name_that_somebody_else_has_is_taken_and_one_that_nobody_claims_is_theirs() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let known = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    // Names are unique over customers and vendors.
    for book in [Book::Sales, Book::Purchases] {
        let other = Party { reference: "ubos-other".to_owned(), ..party(book, "Engines") };
        let taken = books.party(at, "k2", &other).await;
        assert!(matches!(taken, Err(Fault::Never("taken", _))), "{taken:?}");
    }
    // Without our id in its notes it was entered by hand.
    outside.lab.quickbooks_change("Customer", &known.party_id, &json!({ "Notes": "By hand" }));
    let other = Party { reference: "ubos-other".to_owned(), ..party(Book::Sales, "Engines") };
    assert_eq!(books.party(at, "k3", &other).await.unwrap(), known);
    assert_eq!(outside.lab.quickbooks("Customer")[0]["Notes"], "By hand\nUBOS: ubos-other");
    // Whoever is known by the id that it has there is found by that, whatever it is called now.
    outside.lab.quickbooks_change("Customer", &known.party_id, &json!({ "DisplayName": "Locomotives", "Notes": null }));
    let by_id = Party { known: Some(known.party_id.clone()), ..other.clone() };
    assert_eq!(books.party(at, "k3b", &by_id).await.unwrap(), known);
    assert_eq!(outside.lab.quickbooks("Customer")[0]["DisplayName"], "Engines");
    // One that was put out of use is used again.
    outside.lab.quickbooks_change(
        "Customer",
        &known.party_id,
        &json!({ "Active": false, "DisplayName": "Engines (deleted)" }),
    );
    assert_eq!(books.party(at, "k4", &other).await.unwrap(), known);
    assert_eq!(outside.lab.quickbooks("Customer")[0]["Active"], true);
}

async fn asked(outside: &Outside, at: Place, what: What) -> Result<(), Fault> {
    outside.lab.fault(LabFault::at("quickbooks", "POST", "/customer", what));
    outside.quickbooks.party(at, "k", &party(Book::Sales, "Nobody")).await.map(drop)
}

#[actix_web::test]
async fn every_fault_says_what_it_means_for_whoever_asked() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "quickbooks").await;
    let status = |status, retry_after| What::Status { status, retry_after, limit: None, code: None };
    let coded = |code: &str| What::Status { status: 400, retry_after: None, limit: None, code: Some(code.to_owned()) };
    let later = asked(&outside, at, status(429, Some(30))).await;
    assert!(matches!(later, Err(Fault::Later(Some(after), _)) if after == Duration::from_secs(30)), "{later:?}");
    let later = asked(&outside, at, status(429, None)).await;
    assert!(matches!(later, Err(Fault::Later(Some(_), _))), "{later:?}");
    assert!(matches!(asked(&outside, at, coded("003001")).await, Err(Fault::Later(Some(_), _))));
    for (code, means) in [("610", GONE), ("6240", "taken"), ("6210", "period_closed"), ("2010", "refused")] {
        let never = asked(&outside, at, coded(code)).await;
        assert!(matches!(never, Err(Fault::Never(found, _)) if found == means), "{code}: {never:?}");
    }
    assert!(matches!(asked(&outside, at, status(500, None)).await, Err(Fault::Unknown(_))));
    assert!(matches!(asked(&outside, at, status(503, Some(5))).await, Err(Fault::Later(Some(_), _))));
    assert_eq!(asked(&outside, at, status(403, None)).await, Err(Fault::Blocked(at.connection)));
}

#[actix_web::test]
async fn what_quickbooks_does_not_take_has_a_code() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    let known = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    let plain = || entry(Book::Sales, "1", &known);
    let code = async |key: &str, entry: Entry| match books.book(at, key, &entry).await {
        Err(Fault::Never(code, _)) => code,
        other => panic!("{key}: {other:?}"),
    };
    let mut in_yen = plain();
    for line in &mut in_yen.lines {
        let yen = |amount: Money| Money::new(amount.minor(), "JPY".parse().unwrap()).unwrap();
        (line.unit, line.tax) = (yen(line.unit), line.tax.map(yen));
    }
    assert_eq!(code("k2", in_yen).await, "currency_not_enabled");
    let mut elsewhere = plain();
    elsewhere.lines[0].account = "999".to_owned();
    assert_eq!(code("k3", elsewhere).await, "no_account");
    let mut unknown_tax = plain();
    unknown_tax.lines[0].tax_kind = Some("7.0%".to_owned());
    assert_eq!(code("k4", unknown_tax).await, "no_tax_code");
    assert_eq!(code("k5", Entry { number: "N".repeat(22), ..plain() }).await, "number_too_long");
    outside.lab.close_period(day(30));
    assert_eq!(code("k6", plain()).await, "period_closed");
    assert_eq!(outside.lab.quickbooks("Invoice"), [Value::Null; 0]);
}

#[actix_web::test]
async fn a_day_that_is_used_up_waits() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "quickbooks").await;
    let rules = Rules { budgets: vec![Budget { name: "day", span: Duration::from_secs(86_400), most: 1 }], at_once: 4 };
    let books = Quickbooks::with_rules(outside.links.clone(), rules, Duration::from_secs(900)).unwrap();
    books.find(at, Book::Sales, "1", "").await.unwrap();
    let later = books.find(at, Book::Sales, "1", "").await;
    assert!(matches!(later, Err(Fault::Later(Some(_), _))), "{later:?}");
    let trouble: Option<String> =
        sqlx::query_scalar("select trouble from connect.links").fetch_one(&outside.worker).await.unwrap();
    assert_eq!(trouble.as_deref(), Some("quota_used_up"));
}

#[actix_web::test]
async fn a_sweep_finds_what_no_message_said_also_what_was_deleted_and_of_long_ago() {
    let (app, firm, outside) = world().await;
    let (at, books) = (outside.connected(&app, firm, "quickbooks").await, &outside.quickbooks);
    outside.lab.mood(lab::Mood::Never);
    let since = Utc::now();
    let customer = books.party(at, "k1", &party(Book::Sales, "Engines")).await.unwrap();
    let vendor = books.party(at, "k2", &party(Book::Purchases, "Paper Ltd")).await.unwrap();
    let invoice = books.book(at, "k3", &entry(Book::Sales, "1", &customer)).await.unwrap();
    let bill = books.book(at, "k4", &entry(Book::Purchases, "14", &vendor)).await.unwrap();
    let found = async |since| {
        let hints = books.sweep(at, since).await.unwrap();
        hints.into_iter().map(|hint| hint.id).collect::<Vec<_>>()
    };
    assert_eq!(found(since).await, [bill.entry_id.clone(), invoice.entry_id.clone()]);
    outside.lab.quickbooks_delete("Bill", &id_of(&outside.lab.quickbooks("Bill")[0]));
    assert_eq!(found(since).await, [bill.entry_id, invoice.entry_id.clone()]);
    assert_eq!(found(since - TimeDelta::days(100)).await.len(), 2);
    assert_eq!(found(Utc::now() + TimeDelta::minutes(2)).await, [""; 0]);
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_connection_that_is_given_up_gives_its_grant_back() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "quickbooks").await;
    let providers = outside.providers(&app, vec![], |engine| engine);
    providers.round().await.unwrap();
    assert_eq!(outside.lab.grants("quickbooks"), 1);
    app.command(firm, "connections.connection.disconnect", at.connection.0, &json!({})).await;
    providers.round().await.unwrap();
    assert_eq!(outside.lab.grants("quickbooks"), 0);
    assert_eq!(status(&app, at).await, ConnectionStatus::Disconnected);
}
