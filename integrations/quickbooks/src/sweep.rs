//! What has changed since a moment. QuickBooks tells of a month, also of what was deleted, but only of so much at once; of more and of
//! longer ago a query tells, page by page.

use crate::entry::EntryId;
use crate::wire::{Changes, Txn};
use crate::{ENTRY, PAGE, Quickbooks, good, read};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ports::{Fault, Place};
use providers::Hint;
use std::collections::BTreeSet;

/// What is asked for.
const NAMES: [&str; 4] = ["Invoice", "Bill", "Payment", "BillPayment"];
/// How far back it is told of changes, minus a day in case clocks differ.
const BACK: TimeDelta = TimeDelta::days(29);
/// What is asked for again, in case clocks differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// Pages of one sweep at most.
const PAGES_MAX: usize = 50;

/// Everything of which something has changed.
pub async fn sweep(quickbooks: &Quickbooks, at: Place, since: DateTime<Utc>) -> Result<Vec<Hint>, Fault> {
    let since = since - OVERLAP;
    let earliest = Utc::now() - BACK;
    let mut found = BTreeSet::new();
    let moment = written(since.max(earliest));
    let asked = [("entities", NAMES.join(",")), ("changedSince", moment)];
    let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = quickbooks.get(at, &["cdc"], &asked).await?;
    let changes: Changes = good(&answer)?.json()?;
    let mut counts = 0;
    for list in changes.answers.into_iter().flat_map(|answer| answer.lists) {
        for name in NAMES {
            let Some(things) = list.get(name) else { continue };
            let things: Vec<Txn> = read(things.get())?;
            counts += things.len();
            things.iter().for_each(|thing| note(&mut found, name, thing));
        }
    }
    if counts >= PAGE || since < earliest {
        for name in NAMES {
            page_through(quickbooks, at, name, since, &mut found).await?;
        }
    }
    Ok(found.into_iter().map(|id| Hint { kind: ENTRY.to_owned(), id }).collect())
}

async fn page_through(
    quickbooks: &Quickbooks,
    at: Place,
    name: &str,
    since: DateTime<Utc>,
    found: &mut BTreeSet<String>,
) -> Result<(), Fault> {
    for page in 0..PAGES_MAX {
        let (since, start) = (written(since), page * PAGE + 1);
        let asked = format!(
            "where MetaData.LastUpdatedTime >= '{since}' orderby MetaData.LastUpdatedTime startposition {start} maxresults {PAGE}"
        );
        let things: Vec<Txn> = quickbooks.query(at, name, &asked).await?;
        things.iter().for_each(|thing| note(found, name, thing));
        if things.len() < PAGE {
            break;
        }
    }
    Ok(())
}

/// An entry itself, or those that a payment is of.
fn note(found: &mut BTreeSet<String>, name: &str, thing: &Txn) {
    let own = EntryId::linked(name, thing.id.as_deref().unwrap_or_default());
    let linked = thing.line.iter().flat_map(|line| &line.linked_txn);
    let of_payment = linked.filter_map(|linked| EntryId::linked(&linked.txn_type, &linked.txn_id));
    found.extend(own.into_iter().chain(of_payment).map(|entry| entry.to_string()));
}

fn written(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_speaks_of_the_invoices_that_it_is_of_and_something_deleted_of_itself() {
        let mut found = BTreeSet::new();
        let payment = r#"{"Id":"7","Line":[{"Amount":1,"LinkedTxn":[{"TxnId":"130","TxnType":"Invoice"}]},
                                           {"Amount":1,"LinkedTxn":[{"TxnId":"9","TxnType":"CreditMemo"}]}]}"#;
        note(&mut found, "Payment", &serde_json::from_str(payment).unwrap());
        note(&mut found, "Bill", &serde_json::from_str(r#"{"Id":"14","status":"Deleted"}"#).unwrap());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["bill-14", "invoice-130"]);
    }
}
