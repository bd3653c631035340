//! The journal balances: at every position of any history, and the books see when it does not.

use crate::common::World as History;
use catalogue::AnyEvent;
use kernel::{Currency, TenantId};
use projections::revenue::{BillRow, InvoiceRow, JournalAccount, JournalEntryRow, JournalPostingRow};
use projections::{Event, Fold, ReadModel, Row, books};
use proptest::prelude::*;
use samples::{Script, World};
use std::cell::Cell;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The rows that an event leaves, of those that are there.
fn fold<R: ReadModel>(rows: &mut BTreeMap<(TenantId, Uuid), Row<R>>, event: &Event) -> Vec<Row<R>> {
    if !R::STREAMS.is_empty() && !R::STREAMS.contains(&event.aggregate_type.as_str()) {
        return vec![];
    }
    let mut after = vec![];
    for id in Row::<R>::keys(event) {
        let key = (event.tenant_id, id);
        let row = Row::after(id, rows.get(&key).cloned(), event).unwrap();
        rows.insert(key, row.clone());
        after.push(row);
    }
    after
}

#[test]
fn debits_equal_credits_at_every_position_and_what_is_owed_is_what_is_open() {
    let entries = Cell::new(0);
    let scripts = samples::exploring_scripts(Some("revenue"), 150..500);
    let play = |script: Script| {
        let (mut bills, mut made, mut postings) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut invoices = BTreeMap::new();
        let mut payable: BTreeMap<(TenantId, Currency), i64> = BTreeMap::new();
        let mut receivable = payable.clone();
        for event in World::log_of(&script) {
            let event = catalogue::decode(event).unwrap();
            fold::<BillRow>(&mut bills, &event);
            fold::<InvoiceRow>(&mut invoices, &event);
            let entry = fold::<JournalEntryRow>(&mut made, &event);
            let lines = fold::<JournalPostingRow>(&mut postings, &event);
            prop_assert_eq!(entry.len(), usize::from(!lines.is_empty()), "an entry has postings: {}", event.event_type);
            let debit: i64 = lines.iter().map(|line| line.debit_minor).sum();
            let credit: i64 = lines.iter().map(|line| line.credit_minor).sum();
            prop_assert_eq!(debit, credit, "{}", &event.event_type);
            if let Some(entry) = entry.first() {
                prop_assert_eq!(entry.amount_minor, debit);
                prop_assert!(lines.iter().all(|line| line.currency == entry.currency && line.entry_id == entry.id));
                entries.set(entries.get() + 1);
            }
            for line in lines.iter().filter(|line| line.account == JournalAccount::Payable) {
                *payable.entry((event.tenant_id, line.currency)).or_default() += line.credit_minor - line.debit_minor;
            }
            let mut owed: BTreeMap<(TenantId, Currency), i64> = BTreeMap::new();
            for ((tenant, _), bill) in &bills {
                *owed.entry((*tenant, bill.currency)).or_default() += bill.outstanding_minor;
            }
            owed.retain(|_, minor| *minor != 0);
            payable.retain(|_, minor| *minor != 0);
            prop_assert_eq!(&owed, &payable, "after {}", &event.event_type);
            for line in lines.iter().filter(|line| line.account == JournalAccount::Receivable) {
                *receivable.entry((event.tenant_id, line.currency)).or_default() +=
                    line.debit_minor - line.credit_minor;
            }
            let mut open: BTreeMap<(TenantId, Currency), i64> = BTreeMap::new();
            for ((tenant, _), invoice) in &invoices {
                *open.entry((*tenant, invoice.currency)).or_default() += invoice.outstanding_minor;
            }
            open.retain(|_, minor| *minor != 0);
            receivable.retain(|_, minor| *minor != 0);
            prop_assert_eq!(&open, &receivable, "after {}", &event.event_type);
        }
        Ok(())
    };
    let missing = || if entries.get() < 20 { vec![format!("{} entries", entries.get())] } else { vec![] };
    samples::play_until_seen(&samples::config(12, samples::regressions!("books")), &scripts, play, missing);
}

#[test]
fn the_streams_of_the_journal_are_those_that_it_makes_entries_of() {
    let known: Vec<&str> = catalogue::entries().map(|entry| entry.stream).collect();
    for stream in <JournalPostingRow as Fold>::STREAMS {
        assert!(known.contains(stream), "{stream}");
    }
    assert_eq!(<JournalPostingRow as Fold>::STREAMS, <JournalEntryRow as Fold>::STREAMS);
    assert!(AnyEvent::read("revenue.bill", "bill.void", 1, "{}").is_err());
}

#[tokio::test]
async fn the_books_see_a_row_that_was_damaged() {
    let history = History::new().await;
    let wrong =
        async || books(&history.worker).await.unwrap().differences.into_iter().map(|d| d.what).collect::<Vec<_>>();
    assert_eq!(wrong().await, [""; 0]);
    let put = async |number: u128, position: i64, account: &str, debit: i64, credit: i64| {
        let sql = "insert into revenue.journal_postings (tenant_id, position, id, version, created_at, updated_at, entry_id, place,
                       booked_on, account, currency, debit_minor, credit_minor)
                   values ($1, $2, $3, 1, now(), now(), $4, 0, '2027-01-01', $5, 'EUR', $6, $7)";
        let query = sqlx::query(sql).bind(Uuid::from_u128(1)).bind(position).bind(Uuid::from_u128(number));
        let query =
            query.bind(Uuid::from_u128(u128::try_from(position).unwrap())).bind(account).bind(debit).bind(credit);
        query.execute(&history.worker).await.unwrap();
    };
    put(1, 7, "bank", 100, 0).await;
    put(2, 7, "client_credit", 0, 100).await;
    assert_eq!(wrong().await, [""; 0]);
    // One minor unit is lost at one position, and found at another: in all, the books would balance.
    put(3, 8, "bank", 50, 0).await;
    put(4, 8, "client_credit", 0, 49).await;
    put(5, 9, "client_credit", 0, 1).await;
    let found = wrong().await;
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("position 8: 50 EUR are not 49") && found[1].contains("position 9"), "{found:#?}");
    put(6, 9, "payable", 1, 0).await;
    let found = wrong().await;
    assert!(found.iter().any(|what| what.contains("payables of -1 EUR, open bills of 0")), "{found:#?}");
}
