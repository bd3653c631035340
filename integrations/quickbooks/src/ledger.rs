//! The port's questions about invoices and bills in QuickBooks' words.

use crate::entry::{EntryId, booked, is_gone, is_voided, txn};
use crate::wire::{Ref, Txn};
use crate::{Quickbooks, STALE, payment, quoted};
use ports::{Book, Booked, Entry, EntryStatus, Fault, GONE, Place};

/// How often something is booked anew under a key whose first answer is of something that is there no more.
const GENERATIONS: usize = 4;
/// How often something is read again because others change it.
pub const TRIES: usize = 3;

/// See [`ports::Ledger::book`].
pub async fn book(quickbooks: &Quickbooks, at: Place, key: &str, entry: &Entry) -> Result<Booked, Fault> {
    let wanted = txn(quickbooks, at, entry).await?;
    let name = EntryId::name(entry.book);
    for generation in 0..GENERATIONS {
        let key = format!("{key}/{generation}");
        match quickbooks.write::<Txn>(at, name, &key, None, &wanted).await {
            Ok(made) => {
                let id = made.id.ok_or_else(|| Fault::Unknown(format!("QuickBooks names no {name}")))?;
                // An answer to a key that was seen before is what it was then, whatever became of the thing.
                match look(quickbooks, at, &EntryId { book: entry.book, id }.to_string()).await {
                    Ok(booked) if booked.status != EntryStatus::Voided => return Ok(booked),
                    Ok(_) | Err(Fault::Never(GONE, _)) => {}
                    Err(Fault::Later(_, why)) => return Err(Fault::Unknown(why)),
                    Err(fault) => return Err(fault),
                }
            }
            // It may be ours, from a try whose answer got lost after the key was forgotten.
            Err(Fault::Never("taken", why)) => {
                return match of_number(quickbooks, at, entry.book, &entry.number, &entry.party_id).await? {
                    Some(found) if is_same(&found, &wanted, entry)? => {
                        let payments = payment::of(quickbooks, at, entry.book, &found).await?;
                        booked(entry.book, &found, payments)
                    }
                    _ => Err(Fault::Never("taken", why)),
                };
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::Never("taken_out", "it was booked and taken out of the books again and again".to_owned()))
}

/// Is what the books have under that number this very entry? The same party, the same lines and the same total are.
fn is_same(found: &Txn, wanted: &Txn, entry: &Entry) -> Result<bool, Fault> {
    let currency = entry.currency()?;
    let amounts = |txn: &Txn| -> Vec<Option<i64>> {
        let is_own = |kind: &Option<String>| kind.as_deref().is_none_or(|kind| kind != "SubTotalLineDetail");
        let lines = txn.line.iter().filter(|line| is_own(&line.detail_type));
        lines.map(|line| Some(line.amount.as_ref()?.money(currency)?.minor())).collect()
    };
    let total = found.total_amt.as_ref().and_then(|total| total.money(currency));
    let party = |txn: &Txn| txn.customer_ref.clone().or(txn.vendor_ref.clone()).map(|party| party.value);
    Ok(!is_voided(found)
        && party(found) == party(wanted)
        && amounts(found) == amounts(wanted)
        && entry.total().is_none_or(|wanted| Some(wanted) == total))
}

async fn of_number(
    quickbooks: &Quickbooks,
    at: Place,
    book: Book,
    number: &str,
    party_id: &str,
) -> Result<Option<Txn>, Fault> {
    let asked = format!("where DocNumber = {} maxresults 100", quoted(number));
    let found: Vec<Txn> = quickbooks.query(at, EntryId::name(book), &asked).await?;
    let is_it = |one: &Txn| {
        one.doc_number.as_deref() == Some(number)
            && !is_gone(one)
            // Two vendors may give the same number.
            && (book == Book::Sales || one.vendor_ref == Ref::to(party_id))
    };
    Ok(found.into_iter().filter(is_it).max_by_key(|one| !is_voided(one)))
}

/// See [`ports::Ledger::find`].
pub async fn find(
    quickbooks: &Quickbooks,
    at: Place,
    book: Book,
    number: &str,
    party_id: &str,
) -> Result<Option<Booked>, Fault> {
    let Some(found) = of_number(quickbooks, at, book, number, party_id).await? else { return Ok(None) };
    let payments = payment::of(quickbooks, at, book, &found).await?;
    booked(book, &found, payments).map(Some)
}

/// The entry as it is there now.
pub async fn read(quickbooks: &Quickbooks, at: Place, entry: &EntryId) -> Result<Txn, Fault> {
    let found: Txn = quickbooks.read(at, EntryId::name(entry.book), &entry.id).await?;
    match is_gone(&found) {
        true => Err(Fault::Never(GONE, "it was deleted".to_owned())),
        false => Ok(found),
    }
}

/// See [`ports::Ledger::look`].
pub async fn look(quickbooks: &Quickbooks, at: Place, entry_id: &str) -> Result<Booked, Fault> {
    let entry: EntryId = entry_id.parse()?;
    let found = read(quickbooks, at, &entry).await?;
    let payments = payment::of(quickbooks, at, entry.book, &found).await?;
    booked(entry.book, &found, payments)
}

/// See [`ports::Ledger::void`]. Bills cannot be voided there: they are deleted.
pub async fn void(quickbooks: &Quickbooks, at: Place, key: &str, entry_id: &str) -> Result<(), Fault> {
    let entry: EntryId = entry_id.parse()?;
    let operation = match entry.book {
        Book::Sales => "void",
        Book::Purchases => "delete",
    };
    let mut ended = Err(Fault::Later(None, "others change it all the time".to_owned()));
    for _ in 0..TRIES {
        let known = match read(quickbooks, at, &entry).await {
            Err(Fault::Never(GONE, _)) => return Ok(()),
            known => known?,
        };
        if is_voided(&known) {
            return Ok(());
        }
        if !booked(entry.book, &known, vec![])?.paid.is_zero() {
            return Err(Fault::Never("has_payments", "what was paid on is not taken out of the books".to_owned()));
        }
        let token = known.sync_token.clone().unwrap_or_default();
        let end = Txn { id: known.id, sync_token: known.sync_token, ..Txn::default() };
        let key = format!("{key}/{token}");
        match quickbooks.write::<serde_json::Value>(at, EntryId::name(entry.book), &key, Some(operation), &end).await {
            // Somebody has changed it since it was read.
            Err(Fault::Never(STALE, why)) => ended = Err(Fault::Later(None, why)),
            done => return done.map(drop),
        }
    }
    ended
}
