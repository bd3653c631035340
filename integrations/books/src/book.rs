//! A party and an entry of it, as both reactions bring them to the ledger.

use crate::Books;
use kernel::Money;
use ports::{Booked, Entry, EntryStatus, Fault, Line, Party, PartyRef, Place};
use uuid::Uuid;

/// Thousandths of one, in which ledgers count.
const THOUSANDTHS: i64 = 1_000;
/// The end of a reference by which two parties of one name are told apart.
const TELLS_APART: usize = 6;

impl Books {
    /// The party as the ledger has it, made or changed if it has to be. Two of ours that share a name are two parties there too: the
    /// second is called by a piece of its reference besides.
    pub(crate) async fn party(&self, at: Place, key: &str, party: &Party) -> Result<PartyRef, Fault> {
        let away = |error: sqlx::Error| Fault::Later(None, format!("the database: {error}"));
        let known = self.parties().of(at, party).await.map_err(away)?;
        let party = Party { known, ..party.clone() };
        let found = self.named(at, key, &party).await?;
        // Whoever finds it again next time asks for no more than this one.
        self.parties().note(at, &party, &found.party_id).await.map_err(away)?;
        Ok(found)
    }

    async fn named(&self, at: Place, key: &str, party: &Party) -> Result<PartyRef, Fault> {
        match self.ledger.party(at, &key_of(key, party), party).await {
            Err(Fault::Never("taken", _)) => {
                let tail = party.reference.len().saturating_sub(TELLS_APART);
                let name = format!("{} ({})", party.name, party.reference.get(tail..).unwrap_or(&party.reference));
                let other = Party { name, ..party.clone() };
                self.ledger.party(at, &key_of(key, &other), &other).await
            }
            answer => answer,
        }
    }

    /// Books it, unless the ledger has it: one with the same number and total is ours, from a try whose answer got lost, or entered by
    /// hand from the same paper.
    ///
    /// A ledger that works taxes out by itself may come to another total. Such an entry leaves it again: books that say another amount
    /// than the paper are worse than none.
    pub(crate) async fn entry(&self, at: Place, key: &str, entry: &Entry, total: Money) -> Result<Booked, Fault> {
        if let Some(booked) = self.known(at, entry, total).await? {
            return Ok(booked);
        }
        let booked = self.ledger.book(at, key, entry).await?;
        if booked.total == total {
            return Ok(booked);
        }
        let key =
            format!("void-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{key} {}", booked.entry_id).as_bytes()));
        self.ledger.void(at, &key, &booked.entry_id).await?;
        let why =
            format!("the ledger comes to {} in minor units, the paper to {}", booked.total.minor(), total.minor());
        Err(Fault::Never("not_the_total", why))
    }

    /// What the ledger has of it.
    pub(crate) async fn known(&self, at: Place, entry: &Entry, total: Money) -> Result<Option<Booked>, Fault> {
        let found = self.ledger.find(at, entry.book, &entry.number, &entry.party_id).await?;
        Ok(found.filter(|booked| booked.status != EntryStatus::Voided && booked.total == total))
    }
}

/// A key is for one request: a party that has changed since the last try is another one.
fn key_of(key: &str, party: &Party) -> String {
    let said = format!("{:?}", (key, &party.reference, &party.name, &party.email, &party.tax_number));
    format!("party-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, said.as_bytes()))
}

/// So many millionths at a price, as a ledger works it out. If it would come to another amount than ours, it is one of the whole amount.
pub(crate) fn line(text: &str, millionths: i64, unit: Money, net: Money, account: &str) -> Line {
    let thousandths = (millionths > 0 && millionths % THOUSANDTHS == 0).then_some(millionths / THOUSANDTHS);
    let same = thousandths.filter(|count| unit.scaled(*count, THOUSANDTHS) == Ok(net));
    let (quantity_thousandths, unit) = same.map_or((THOUSANDTHS, net), |count| (count, unit));
    Line { text: text.to_owned(), quantity_thousandths, unit, tax: None, account: account.to_owned(), tax_kind: None }
}

/// The entry, if its lines come to what is owed. A ledger that books another amount is worse than one that books none.
pub(crate) fn checked(entry: Entry, owed: Money) -> Result<Entry, Fault> {
    match entry.total() {
        Some(sum) if sum == owed => Ok(entry),
        _ => Err(Fault::Never("not_the_total", "the lines would not come to the total at the ledger".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_quantity_that_a_ledger_cannot_count_is_one_of_the_whole_amount() {
        let exact = line("Advice", 1_500_000, euro(10_000), euro(15_000), "200");
        assert_eq!((exact.quantity_thousandths, exact.unit), (1_500, euro(10_000)));
        let fine = line("Advice", 333_333, euro(10_000), euro(3_333), "200");
        assert_eq!((fine.quantity_thousandths, fine.unit), (1_000, euro(3_333)));
        let back = line("Discount", -1_000_000, euro(500), euro(-500), "200");
        assert_eq!((back.quantity_thousandths, back.unit), (1_000, euro(-500)));
    }

    #[test]
    fn lines_come_to_the_same_at_the_ledger_or_do_not_go_there() {
        let taxed = Line { tax: Some(euro(285)), ..line("Travel", 1_500_000, euro(1_001), euro(1_502), "200") };
        let entry = || Entry {
            book: ports::Book::Sales,
            party_id: String::new(),
            number: "1".to_owned(),
            reference: None,
            dated: chrono::NaiveDate::MIN,
            due: chrono::NaiveDate::MIN,
            tax: ports::TaxMode::Exclusive,
            lines: vec![taxed.clone()],
        };
        assert!(checked(entry(), euro(1_787)).is_ok());
        assert!(matches!(checked(entry(), euro(1_786)), Err(Fault::Never("not_the_total", _))));
    }

    #[test]
    fn a_party_that_changed_has_another_key() {
        let party = |name: &str| Party {
            book: ports::Book::Sales,
            known: None,
            reference: "r".into(),
            name: name.into(),
            email: None,
            tax_number: None,
        };
        assert_eq!(key_of("k", &party("a")), key_of("k", &party("a")));
        assert_ne!(key_of("k", &party("a")), key_of("k", &party("b")));
        assert_ne!(key_of("k", &party("a")), key_of("l", &party("a")));
    }
}
