//! An entry in QuickBooks' words, and back.

use crate::Quickbooks;
use crate::means::{self, Code};
use crate::wire::{Expense, Line as WireLine, Ref, SalesItem, TaxDetail, TaxLine, Txn};
use kernel::{Currency, Money};
use ports::{Book, Booked, Entry, EntryStatus, Fault, GONE, Line, Payment, Place, TaxMode};
use providers::Decimal;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Characters of a number at most.
const NUMBER_MAX: usize = 21;
/// Thousandths of one.
const ONE: i64 = 1_000;
/// What QuickBooks writes into the note of what was voided.
const VOIDED: &str = "voided";

/// What an entry is called here: `invoice-130`, `bill-131`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryId {
    pub book: Book,
    pub id: String,
}

impl EntryId {
    /// What QuickBooks calls such things.
    pub fn name(book: Book) -> &'static str {
        match book {
            Book::Sales => "Invoice",
            Book::Purchases => "Bill",
        }
    }

    /// The entry that something linked to is, if it is one.
    pub fn linked(kind: &str, id: &str) -> Option<Self> {
        let book =
            [Book::Sales, Book::Purchases].into_iter().find(|book| Self::name(*book).eq_ignore_ascii_case(kind))?;
        (!id.is_empty()).then(|| Self { book, id: id.to_owned() })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", Self::name(self.book).to_lowercase(), self.id)
    }
}

impl FromStr for EntryId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let found = text.split_once('-').and_then(|(kind, id)| Self::linked(kind, id));
        found.ok_or_else(|| Fault::Never(GONE, format!("{text} is no entry of QuickBooks'")))
    }
}

/// Was it deleted?
pub fn is_gone(txn: &Txn) -> bool {
    txn.status.as_deref() == Some("Deleted")
}

/// Was it voided? There is no other sign of that than an amount of nothing and the word.
pub fn is_voided(txn: &Txn) -> bool {
    let is_nothing = txn.total_amt.as_ref().is_none_or(|total| total.times_ten_to(3) == Some(0));
    is_nothing && txn.private_note.as_deref().is_some_and(|note| note.to_lowercase().contains(VOIDED))
}

/// A line with what it comes to without tax, and its kind of tax.
struct Priced<'e> {
    line: &'e Line,
    net: Money,
    code: Option<Code>,
}

/// The entry as QuickBooks takes it: with the accounts, items and kinds of tax that it has.
pub async fn txn(quickbooks: &Quickbooks, at: Place, entry: &Entry) -> Result<Txn, Fault> {
    let currency = entry.currency()?;
    if entry.number.chars().count() > NUMBER_MAX {
        return Err(Fault::Never("number_too_long", format!("QuickBooks takes numbers of {NUMBER_MAX} characters")));
    }
    let priced = priced(quickbooks, at, entry).await?;
    let mut lines = vec![];
    // Most entries have one account.
    let mut known: BTreeMap<&str, Ref> = BTreeMap::new();
    for one in &priced {
        let account = one.line.account.as_str();
        let booked_on = match known.get(account) {
            Some(found) => found.clone(),
            None => {
                let found = means::account(quickbooks, at, account).await?;
                let found = match entry.book {
                    Book::Sales => means::item(quickbooks, at, &found).await?,
                    Book::Purchases => Ref { value: found.id },
                };
                known.insert(account, found.clone());
                found
            }
        };
        lines.push(wire_line(entry, one, booked_on)?);
    }
    let (customer_ref, vendor_ref) = match entry.book {
        Book::Sales => (Ref::to(&entry.party_id), None),
        Book::Purchases => (None, Ref::to(&entry.party_id)),
    };
    let is_taxed = priced.iter().any(|one| one.code.is_some());
    Ok(Txn {
        doc_number: Some(entry.number.clone()),
        txn_date: Some(entry.dated.to_string()),
        due_date: Some(entry.due.to_string()),
        private_note: entry.reference.clone(),
        currency_ref: Ref::to(currency.code()),
        customer_ref,
        vendor_ref,
        line: lines,
        global_tax_calculation: Some(if is_taxed { "TaxExcluded" } else { "NotApplicable" }.to_owned()),
        txn_tax_detail: tax_detail(&priced, currency)?,
        ..Txn::default()
    })
}

async fn priced<'e>(quickbooks: &Quickbooks, at: Place, entry: &'e Entry) -> Result<Vec<Priced<'e>>, Fault> {
    let no_amount = || Fault::Never("no_amount", "a line comes to no amount".to_owned());
    let mut priced = vec![];
    for line in &entry.lines {
        let amount = line.amount().ok_or_else(no_amount)?;
        let net = match (entry.tax, line.tax) {
            (TaxMode::Exclusive | TaxMode::NoTax, _) => amount,
            // Prices are sent without the tax, whichever way the paper has them.
            (TaxMode::Inclusive, Some(tax)) => amount.minus(tax).map_err(|_| no_amount())?,
            (TaxMode::Inclusive, None) => {
                return Err(Fault::Never("tax_not_known", "the tax in a price is not known".to_owned()));
            }
        };
        priced.push(Priced { line, net, code: None });
    }
    let has_tax = |one: &Priced<'_>| one.line.tax.is_some_and(|tax| !tax.is_zero()) || one.line.tax_kind.is_some();
    if entry.tax == TaxMode::NoTax || !priced.iter().any(has_tax) {
        return Ok(priced);
    }
    let codes = means::codes(quickbooks, at, entry.book).await?;
    for one in &mut priced {
        one.code = Some(means::code(&codes, one.line.tax_kind.as_deref(), one.net, one.line.tax)?.clone());
    }
    Ok(priced)
}

fn wire_line(entry: &Entry, of: &Priced<'_>, booked_on: Ref) -> Result<WireLine, Fault> {
    let tax_code_ref = of.code.as_ref().map(|code| Ref { value: code.id.clone() });
    let plain =
        WireLine { description: Some(of.line.text.clone()), amount: Decimal::of(of.net), ..WireLine::default() };
    Ok(match entry.book {
        Book::Sales => {
            // QuickBooks multiplies as well, and takes no other amount than that.
            let is_as_it_is = of.line.amount() == Some(of.net);
            let (quantity, unit) =
                if is_as_it_is { (of.line.quantity_thousandths, of.line.unit) } else { (ONE, of.net) };
            let detail = SalesItem {
                item_ref: Some(booked_on),
                unit_price: Decimal::of(unit),
                qty: Decimal::scaled(quantity, 3),
                tax_code_ref,
            };
            let kind = Some("SalesItemLineDetail".to_owned());
            WireLine { detail_type: kind, sales_item_line_detail: Some(detail), ..plain }
        }
        Book::Purchases => {
            let detail = Expense { account_ref: Some(booked_on), tax_code_ref };
            let kind = Some("AccountBasedExpenseLineDetail".to_owned());
            WireLine { detail_type: kind, account_based_expense_line_detail: Some(detail), ..plain }
        }
    })
}

/// The taxes to the cent, added up by rate; none where QuickBooks has to work them out.
fn tax_detail(priced: &[Priced<'_>], currency: Currency) -> Result<Option<TaxDetail>, Fault> {
    let no_sum = |_| Fault::Never("no_amount", "the taxes have no sum".to_owned());
    let mut rates: BTreeMap<&str, (&Code, Money, Money)> = BTreeMap::new();
    for one in priced {
        let (Some(code), Some(tax)) = (&one.code, one.line.tax) else { return Ok(None) };
        // What several rates make up is for QuickBooks to take apart.
        let Some(rate) = &code.rate else { return Ok(None) };
        let (_, net, sum) = rates.entry(&rate.id).or_insert((code, Money::zero(currency), Money::zero(currency)));
        (*net, *sum) = (net.plus(one.net).map_err(no_sum)?, sum.plus(tax).map_err(no_sum)?);
    }
    let total = Money::sum(currency, rates.values().map(|(.., sum)| *sum)).map_err(no_sum)?;
    let line = |(code, net, sum): &(&Code, Money, Money)| {
        let rate = code.rate.as_ref();
        let detail = TaxLine {
            tax_rate_ref: rate.and_then(|rate| Ref::to(&rate.id)),
            percent_based: Some(true),
            tax_percent: rate.and_then(|rate| Decimal::scaled(rate.percent, means::PERCENT_DIGITS)),
            net_amount_taxable: Decimal::of(*net),
        };
        let kind = Some("TaxLineDetail".to_owned());
        WireLine { amount: Decimal::of(*sum), detail_type: kind, tax_line_detail: Some(detail), ..WireLine::default() }
    };
    Ok(Some(TaxDetail { total_tax: Decimal::of(total), tax_line: rates.values().map(line).collect() }))
}

/// What QuickBooks has, in the port's words.
pub fn booked(book: Book, txn: &Txn, payments: Vec<Payment>) -> Result<Booked, Fault> {
    let broken = |what: &str| Fault::Later(None, format!("an entry of QuickBooks' has no {what} that can be read"));
    let currency = currency_of(txn)?;
    let money = |amount: &Option<Decimal>, what| match amount {
        Some(amount) => amount.money(currency).ok_or_else(|| broken(what)),
        None => Ok(Money::zero(currency)),
    };
    let (total, due) = (money(&txn.total_amt, "TotalAmt")?, money(&txn.balance, "Balance")?);
    let status = match (is_voided(txn) || is_gone(txn), due.is_zero()) {
        (true, _) => EntryStatus::Voided,
        (false, true) => EntryStatus::Paid,
        (false, false) => EntryStatus::Open,
    };
    let id = txn.id.clone().ok_or_else(|| broken("Id"))?;
    Ok(Booked {
        entry_id: EntryId { book, id }.to_string(),
        number: txn.doc_number.clone().unwrap_or_default(),
        status,
        total,
        paid: total.minus(due).map_err(|_| broken("Balance"))?,
        due,
        payments,
    })
}

/// The currency of an entry.
pub fn currency_of(txn: &Txn) -> Result<Currency, Fault> {
    let code = txn.currency_ref.as_ref().map(|code| code.value.as_str()).unwrap_or_default();
    code.parse().map_err(|_| Fault::Later(None, "an entry of QuickBooks' has no currency that can be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Txn {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_entry_is_known_by_its_kind_and_its_id() {
        let id: EntryId = "invoice-130".parse().unwrap();
        assert_eq!(id, EntryId { book: Book::Sales, id: "130".to_owned() });
        assert_eq!(EntryId { book: Book::Purchases, id: "7".to_owned() }.to_string(), "bill-7");
        for broken in ["130", "payment-1", "bill-", ""] {
            assert!(matches!(broken.parse::<EntryId>(), Err(Fault::Never(GONE, _))), "{broken}");
        }
    }

    #[test]
    fn paid_is_a_balance_of_nothing_and_voided_a_word() {
        let status = |text| booked(Book::Sales, &read(text), vec![]).unwrap().status;
        let open = r#"{"Id":"1","TotalAmt":12.5,"Balance":2.5,"CurrencyRef":{"value":"EUR"}}"#;
        assert_eq!(status(open), EntryStatus::Open);
        assert_eq!(booked(Book::Sales, &read(open), vec![]).unwrap().paid.minor(), 1_000);
        let paid =
            r#"{"Id":"1","TotalAmt":12.5,"Balance":0,"CurrencyRef":{"value":"EUR"},"PrivateNote":"voided before"}"#;
        assert_eq!(status(paid), EntryStatus::Paid);
        let voided = r#"{"Id":"1","TotalAmt":0,"Balance":0,"CurrencyRef":{"value":"EUR"},"PrivateNote":"Voided"}"#;
        assert_eq!(status(voided), EntryStatus::Voided);
        let broken = r#"{"Id":"1","TotalAmt":0.001,"Balance":0,"CurrencyRef":{"value":"EUR"}}"#;
        assert!(booked(Book::Sales, &read(broken), vec![]).is_err());
    }
}
