//! Papers that others sent, read back: an invoice in a PDF (Factur-X, ZUGFeRD, XRechnung), as CII or as UBL.
//!
//! Whoever sent the bytes is a stranger, so nothing here trusts them: sizes, depth and what a PDF unpacks to are bounded, an XML that
//! declares a document type is refused, and nothing outside of the bytes is ever looked at. What stands on the paper is told as it
//! stands there; [`Paper::bill`] says whether that can be asked of anybody, and nothing is made up where it cannot.

mod cii;
mod decimal;
mod pdf;
mod sums;
mod tree;
mod ubl;

pub use decimal::Decimal;
pub use sums::{Asked, AskedLine};

use chrono::NaiveDate;
use kernel::Currency;
use tree::Element;

/// Bytes of a paper that are read at all.
pub const PAPER_MAX: usize = 20 << 20;
/// Bytes of XML, alone or unpacked from a PDF.
pub const XML_MAX: usize = 10 << 20;

/// How a paper was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// XML inside of a PDF.
    Pdf,
    /// Cross Industry Invoice, of UN/CEFACT.
    Cii,
    /// Universal Business Language, of OASIS.
    Ubl,
}

/// Why nothing can be read of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Neither of what is read.
    #[error("it is neither a PDF nor XML")]
    UnknownFormat,
    /// A PDF for people alone.
    #[error("the PDF holds no invoice that a program could read")]
    NothingInside,
    /// Nobody gave its password.
    #[error("the PDF is protected by a password")]
    Protected,
    /// More than is read.
    #[error("it is larger than {0} bytes, or unpacks to more")]
    TooLarge(usize),
    /// Not well formed.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Entities are how an XML reads other files, or grows without end.
    #[error("its XML declares a document type, which no invoice does")]
    Doctype,
    /// XML of something else.
    #[error("its XML is {0:?}, which is no invoice")]
    NotAnInvoice(String),
}

/// Why what was read is no bill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It gives money back.
    #[error("it is a credit note, or asks for less than nothing")]
    CreditNote,
    /// Whoever pays wrote it: the firm is the one who is paid.
    #[error("whoever pays has written it in the name of who is paid")]
    SelfBilled,
    /// It asks for nothing.
    #[error("it asks for nothing")]
    AsksForNothing,
    /// Something that every bill has.
    #[error("it says no {0}")]
    Missing(&'static str),
    /// Something cannot be what it says.
    #[error("its {0} cannot be {1:?}")]
    Wrong(&'static str, String),
    /// Its amounts are of several currencies.
    #[error("its amounts are in {0} and in {1}")]
    TwoCurrencies(String, String),
    /// Its sums do not come to what it says.
    #[error("{0}")]
    SumsDiffer(String),
}

/// What stands on a paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// How it was written.
    pub format: Format,
    /// What kind of paper it is, in UNTDID 1001 (BT-3).
    pub kind: Option<String>,
    /// Its number (BT-1).
    pub number: Option<String>,
    /// Its day (BT-2).
    pub issued_on: Option<NaiveDate>,
    /// Until when it is to be paid (BT-9).
    pub due_on: Option<NaiveDate>,
    /// In which currency it is (BT-5).
    pub currency: Option<Currency>,
    /// Who sent it (BG-4).
    pub seller: Sender,
    /// To whom (BG-7).
    pub buyer: Sender,
    /// Who is to be paid, if it is not who sent it (BG-10).
    pub payee: Option<String>,
    /// To which account (BT-84).
    pub iban: Option<String>,
    /// What is charged (BG-25).
    pub lines: Vec<Item>,
    /// What is taken off and added for all of it (BG-20, BG-21); what is taken off is below zero.
    pub adjustments: Vec<Item>,
    /// Each tax (BG-23).
    pub taxes: Vec<TaxItem>,
    /// What it comes to (BG-22).
    pub sums: Sums,
    /// What cannot be what it says: what, and what it says.
    wrong: Vec<(&'static str, String)>,
    /// Another currency that an amount is in.
    other_currency: Option<String>,
}

/// Who sent it, or to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// The name (BT-27).
    pub name: Option<String>,
    /// The number for value-added tax (BT-31).
    pub vat_id: Option<String>,
    /// The number of the tax office (BT-32).
    pub tax_number: Option<String>,
    /// Where letters go (BT-43, BT-34).
    pub email: Option<String>,
}

/// A tax: its category, and its rate if it has one.
pub type TaxKey = (String, Option<Decimal>);

/// Something that is charged or taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub text: Option<String>,
    /// How much, without tax.
    pub net: Option<Decimal>,
    /// How it is taxed.
    pub tax: TaxKey,
    /// What quantity and price come to, with what is taken off and added, and how far the sum may be off.
    calculated: Option<(Decimal, Decimal)>,
}

/// How a line comes to its sum.
struct Calculation<'e> {
    quantity: Option<&'e Element>,
    price: Option<&'e Element>,
    /// The price is for so many.
    basis: Option<&'e Element>,
    /// What is added, and what is taken off as less than nothing.
    adjusted: Decimal,
}

/// A tax of all that bears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxItem {
    /// Which.
    pub tax: TaxKey,
    /// On how much.
    pub net: Option<Decimal>,
    /// How much it is.
    pub amount: Option<Decimal>,
}

/// What it comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// All lines (BT-106).
    pub lines: Option<Decimal>,
    /// What is taken off (BT-107).
    pub allowances: Option<Decimal>,
    /// What is added (BT-108).
    pub charges: Option<Decimal>,
    /// Without tax (BT-109).
    pub net: Option<Decimal>,
    /// The tax (BT-110).
    pub tax: Option<Decimal>,
    /// With tax (BT-112).
    pub total: Option<Decimal>,
    /// What was paid before (BT-113).
    pub prepaid: Option<Decimal>,
    /// What is added so that it is a round sum (BT-114).
    pub rounding: Option<Decimal>,
    /// What is to be paid (BT-115).
    pub due: Option<Decimal>,
}

/// Reads a paper, whatever it is.
///
/// # Errors
/// If nothing can be read of it.
pub fn read(bytes: &[u8]) -> Result<Paper, Unreadable> {
    if bytes.len() > PAPER_MAX {
        return Err(Unreadable::TooLarge(PAPER_MAX));
    }
    if pdf::is_pdf(bytes) {
        return inside(bytes);
    }
    if !tree::looks_like_xml(bytes) {
        return Err(Unreadable::UnknownFormat);
    }
    xml(bytes)
}

/// The first invoice that a PDF holds. What has the name that the standards give is looked at first, and if it is not one, that is why
/// the paper cannot be read.
fn inside(bytes: &[u8]) -> Result<Paper, Unreadable> {
    let mut because = Unreadable::NothingInside;
    for attached in pdf::attached(bytes)? {
        match attached.bytes.and_then(|bytes| xml(&bytes)) {
            Ok(paper) => return Ok(Paper { format: Format::Pdf, ..paper }),
            Err(error) if attached.is_named && because == Unreadable::NothingInside => because = error,
            Err(_) => {}
        }
    }
    Err(because)
}

fn xml(bytes: &[u8]) -> Result<Paper, Unreadable> {
    let root = tree::read(bytes)?;
    match root.name.as_str() {
        "CrossIndustryInvoice" | "CrossIndustryDocument" => Ok(cii::read(&root)),
        "Invoice" | "CreditNote" if root.has("LegalMonetaryTotal") => Ok(ubl::read(&root)),
        other => Err(Unreadable::NotAnInvoice(other.chars().take(100).collect())),
    }
}

/// Collects what stands on a paper, and what of it cannot be.
struct Reading {
    wrong: Vec<(&'static str, String)>,
    /// The currencies that its amounts say they are in.
    currencies: Vec<String>,
}

/// Things that cannot be are told of so many times.
const WRONG_MAX: usize = 20;

impl Reading {
    fn new() -> Self {
        Self { wrong: vec![], currencies: vec![] }
    }

    fn note(&mut self, what: &'static str, said: &str) {
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push((what, said.chars().take(100).collect()));
        }
    }

    /// An amount; in which currency, it may say.
    fn amount(&mut self, what: &'static str, at: Option<&Element>) -> Option<Decimal> {
        let element = at?;
        if let Some(currency) = element.attribute("currencyID")
            && !self.currencies.iter().any(|known| known == currency)
            && self.currencies.len() < WRONG_MAX
        {
            self.currencies.push(currency.to_owned());
        }
        self.decimal(what, at)
    }

    fn decimal(&mut self, what: &'static str, at: Option<&Element>) -> Option<Decimal> {
        let said = at?.text()?;
        let read = said.parse().ok();
        if read.is_none() {
            self.note(what, &said);
        }
        read
    }

    /// What a line comes to, and how far off that may be: a price is rounded, and so it is once for each that is bought.
    fn calculated(&mut self, of: Calculation<'_>) -> Option<(Decimal, Decimal)> {
        let quantity = self.decimal("quantity of a line", of.quantity)?;
        let price = self.decimal("price of a line", of.price)?;
        let basis = self.decimal("quantity that a price is for", of.basis).unwrap_or(Decimal::ONE);
        let comes_to = quantity.times(price, basis)?.plus(of.adjusted);
        Some((comes_to, quantity.times(price.half_a_place(), basis)?.distance(Decimal::ZERO)))
    }

    /// A day, as `2027-01-31` or `20270131`, whatever comes behind it.
    fn day(&mut self, what: &'static str, at: Option<&Element>) -> Option<NaiveDate> {
        let said = at?.text()?;
        let dashed = said.get(..10).and_then(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok());
        let read = dashed.or_else(|| NaiveDate::parse_from_str(said.get(..8)?, "%Y%m%d").ok());
        if read.is_none() {
            self.note(what, &said);
        }
        read
    }

    /// The currency: the one that is named, or else the one that all amounts are in.
    fn currency(&mut self, at: Option<&Element>) -> (Option<Currency>, Option<String>) {
        let named = at.and_then(Element::text).or_else(|| self.currencies.first().cloned());
        let read = named.as_ref().and_then(|code| code.parse::<Currency>().ok());
        if let (Some(said), None) = (&named, read) {
            self.note("currency", said);
        }
        let other = self.currencies.iter().find(|code| Some(*code) != named.as_ref()).cloned();
        (read, other)
    }
}

/// What a tax is known by.
fn tax_key(category: Option<String>, rate: Option<Decimal>) -> TaxKey {
    (category.unwrap_or_default(), rate)
}

/// Taken off, or added?
fn signed(amount: Option<Decimal>, indicator: Option<String>) -> Option<Decimal> {
    let is_charge = matches!(indicator.as_deref(), Some("true" | "1"));
    amount.map(|amount| if is_charge { amount } else { amount.negated() })
}

#[cfg(test)]
mod tests;
