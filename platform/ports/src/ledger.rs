//! Books that others keep.

use crate::{Asked, Fault, Place};
use chrono::NaiveDate;
use kernel::{Currency, Money};

/// Whom the firm does business with, as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// In which of the books it stands: some keep who buys and who sells apart.
    pub book: Book,
    /// What the books called it the last time, if that is known.
    pub known: Option<String>,
    /// Our own id for it, by which it is found again; at most 50 characters.
    pub reference: String,
    /// What it is called.
    pub name: String,
    /// Where it is written to.
    pub email: Option<String>,
    /// Its number for value-added tax.
    pub tax_number: Option<String>,
}

/// A party that the books have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyRef {
    /// Its id there.
    pub party_id: String,
}

/// What a hint is called that of two parties one was made; its id is a [`Merged`].
pub const MERGED: &str = "merged";

/// Of two parties in the books one was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// In which of the books.
    pub book: Book,
    /// The id that is no more.
    pub gone: String,
    /// The id of the one that is left.
    pub kept: String,
}

impl Merged {
    /// As the id of a hint.
    pub fn written(&self) -> String {
        let book = if self.book == Book::Sales { "sales" } else { "purchases" };
        format!("{book}/{}/{}", self.gone, self.kept)
    }

    /// What was written so.
    pub fn read(id: &str) -> Option<Self> {
        let mut parts = id.splitn(3, '/');
        let book = match parts.next()? {
            "sales" => Book::Sales,
            "purchases" => Book::Purchases,
            _ => return None,
        };
        Some(Self { book, gone: parts.next()?.to_owned(), kept: parts.next()?.to_owned() })
    }
}

/// Which of the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Book {
    /// What clients owe the firm.
    Sales,
    /// What the firm owes vendors.
    Purchases,
}

/// Whether the prices of an entry hold the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaxMode {
    /// Tax comes on top.
    Exclusive,
    /// Tax is in them.
    Inclusive,
    /// There is none.
    NoTax,
}

/// An invoice or a bill that is to be booked.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Which book.
    pub book: Book,
    /// The party's id in the books.
    pub party_id: String,
    /// The paper's number, by which it is found again: ours for an invoice, the vendor's for a bill.
    pub number: String,
    /// What else it is known by.
    pub reference: Option<String>,
    /// The day on the paper.
    pub dated: NaiveDate,
    /// When it is to be paid.
    pub due: NaiveDate,
    /// Whether the lines hold the tax.
    pub tax: TaxMode,
    /// Its lines; all have one currency.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What for.
    pub text: String,
    /// How many, in thousandths.
    pub quantity_thousandths: i64,
    /// What one costs.
    pub unit: Money,
    /// The line's tax, if it is known better than the books would work it out.
    pub tax: Option<Money>,
    /// The account that it is booked on.
    pub account: String,
    /// The kind of tax, in the words of the books.
    pub tax_kind: Option<String>,
}

/// Thousandths of one, in which quantities are counted.
const THOUSANDTHS: i64 = 1_000;

impl Line {
    /// What the line comes to, as its price is meant: with the tax if prices hold it. None if that is no amount.
    pub fn amount(&self) -> Option<Money> {
        self.unit.scaled(self.quantity_thousandths, THOUSANDTHS).ok()
    }
}

impl Entry {
    /// The one currency of all lines and their taxes.
    ///
    /// # Errors
    /// If there are no lines, or several currencies.
    pub fn currency(&self) -> Result<Currency, Fault> {
        let first = self.lines.first().map(|line| line.unit.currency());
        let currency = first.ok_or_else(|| Fault::Never("no_lines", "an entry has lines".to_owned()))?;
        let has_other =
            |line: &Line| line.unit.currency() != currency || line.tax.is_some_and(|tax| tax.currency() != currency);
        if self.lines.iter().any(has_other) {
            return Err(Fault::Never("currencies_differ", "all lines of an entry have one currency".to_owned()));
        }
        Ok(currency)
    }

    /// What the books come to if they take each line and its tax as it is. None if a tax on top is left to the books, or if the lines
    /// have no sum.
    pub fn total(&self) -> Option<Money> {
        let currency = self.lines.first()?.unit.currency();
        let mut each = self.lines.iter().map(|line| {
            let amount = line.amount()?;
            match self.tax {
                TaxMode::Exclusive => amount.plus(line.tax?).ok(),
                TaxMode::Inclusive | TaxMode::NoTax => Some(amount),
            }
        });
        each.try_fold(Money::zero(currency), |sum, amount| sum.plus(amount?).ok())
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryStatus {
    /// Not in the books yet.
    Draft,
    /// In the books, and not fully paid.
    Open,
    /// Fully paid.
    Paid,
    /// Taken out of the books.
    Voided,
}

/// One payment of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id in the books.
    pub payment_id: String,
    /// The day.
    pub dated: NaiveDate,
    /// How much.
    pub amount: Money,
}

/// An entry, as the books have it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// Its id in the books.
    pub entry_id: String,
    /// Its number.
    pub number: String,
    /// Where it stands.
    pub status: EntryStatus,
    /// All of it, with tax.
    pub total: Money,
    /// What was paid of it.
    pub paid: Money,
    /// What is still owed.
    pub due: Money,
    /// How it was paid.
    pub payments: Vec<Payment>,
}

/// What a [`Fault::Never`] is called by if the books do not have what was asked for.
pub const GONE: &str = "not_found";

/// Keeps books.
pub trait Ledger: Send + Sync + 'static {
    /// Makes sure that the books know a party as it is now: found by our reference, changed where it differs, made if it is not there.
    fn party<'a>(&'a self, at: Place, key: &'a str, party: &'a Party) -> Asked<'a, PartyRef>;

    /// Books an entry, once for each key, of at most 128 characters, and never over another.
    fn book<'a>(&'a self, at: Place, key: &'a str, entry: &'a Entry) -> Asked<'a, Booked>;

    /// The entry with this number, if the books have it: of a bill, that party's.
    fn find<'a>(&'a self, at: Place, book: Book, number: &'a str, party_id: &'a str) -> Asked<'a, Option<Booked>>;

    /// How an entry stands, with its payments; [`GONE`] if the books have it no more.
    fn look<'a>(&'a self, at: Place, entry_id: &'a str) -> Asked<'a, Booked>;

    /// Takes an entry out of the books on which nothing was paid; one that is out already is so.
    fn void<'a>(&'a self, at: Place, key: &'a str, entry_id: &'a str) -> Asked<'a, ()>;

    /// Notes a payment of an entry, from or to this account of the books, once for each key.
    fn pay<'a>(
        &'a self,
        at: Place,
        key: &'a str,
        entry_id: &'a str,
        account: &'a str,
        payment: (NaiveDate, Money),
    ) -> Asked<'a, Payment>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap()).unwrap()
    }

    fn entry(tax: TaxMode, taxes: &[Option<i64>]) -> Entry {
        let line = |tax: &Option<i64>| Line {
            text: "Travel".to_owned(),
            quantity_thousandths: 1_500,
            unit: euro(1_001),
            tax: tax.map(euro),
            account: "200".to_owned(),
            tax_kind: None,
        };
        Entry {
            book: Book::Sales,
            party_id: String::new(),
            number: "1".to_owned(),
            reference: None,
            dated: NaiveDate::MIN,
            due: NaiveDate::MIN,
            tax,
            lines: taxes.iter().map(line).collect(),
        }
    }

    #[test]
    fn an_entry_comes_to_its_lines_and_their_taxes() {
        // 15.015 is 15.02.
        assert_eq!(entry(TaxMode::Exclusive, &[Some(300), Some(301)]).total(), Some(euro(3_605)));
        assert_eq!(entry(TaxMode::Inclusive, &[Some(250), None]).total(), Some(euro(3_004)));
        assert_eq!(entry(TaxMode::NoTax, &[None]).total(), Some(euro(1_502)));
    }

    #[test]
    fn what_was_merged_is_read_as_it_was_written() {
        let merged = Merged { book: Book::Purchases, gone: "40".to_owned(), kept: "58".to_owned() };
        assert_eq!(Merged::read(&merged.written()), Some(merged));
        assert_eq!(Merged::read("customers/40/58"), None);
        assert_eq!(Merged::read("sales/40"), None);
    }

    #[test]
    fn what_the_books_work_out_themselves_is_not_known() {
        assert_eq!(entry(TaxMode::Exclusive, &[Some(300), None]).total(), None);
        assert_eq!(entry(TaxMode::NoTax, &[]).total(), None);
        let yen = Money::new(1, "JPY".parse().unwrap()).unwrap();
        let mut mixed = entry(TaxMode::NoTax, &[None, None]);
        mixed.lines[1].unit = yen;
        assert_eq!(mixed.total(), None);
    }
}
