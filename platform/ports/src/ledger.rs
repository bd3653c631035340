//! Books that others keep.

use crate::{Asked, Place};
use chrono::NaiveDate;
use kernel::Money;

/// Whom the firm does business with, as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
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

/// Keeps books.
pub trait Ledger: Send + Sync + 'static {
    /// Makes sure that the books know a party as it is now: found by our reference, changed where it differs, made if it is not there.
    fn party<'a>(&'a self, at: Place, key: &'a str, party: &'a Party) -> Asked<'a, PartyRef>;

    /// Books an entry, once for each key, of at most 128 characters, and never over another.
    fn book<'a>(&'a self, at: Place, key: &'a str, entry: &'a Entry) -> Asked<'a, Booked>;

    /// The entry with this number, if the books have it: of a bill, that party's.
    fn find<'a>(&'a self, at: Place, book: Book, number: &'a str, party_id: &'a str) -> Asked<'a, Option<Booked>>;

    /// How an entry stands, with its payments.
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
