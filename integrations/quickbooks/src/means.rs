//! What of the company's own an entry is booked with: its accounts, its items, and its kinds of tax.

use crate::wire::{Account, Item, Ref, TaxCode, TaxRate};
use crate::{PAGE, Quickbooks};
use kernel::Money;
use ports::{Book, Fault, Place};

/// Decimals of a percentage that are read.
pub const PERCENT_DIGITS: u32 = 4;
/// One minor unit, as taxes are compared: times a hundred percent with all decimals.
const MINOR: i128 = 100 * 10_i128.pow(PERCENT_DIGITS);

/// A rate of tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    pub id: String,
    /// With four decimals.
    pub percent: i64,
}

/// A kind of tax, and its rate if it has one alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    pub id: String,
    pub name: String,
    pub rate: Option<Rate>,
}

/// The account of this number; else of this name; else of this id.
pub async fn account(quickbooks: &Quickbooks, at: Place, named: &str) -> Result<Account, Fault> {
    let accounts: Vec<Account> = quickbooks.query(at, "Account", &format!("maxresults {PAGE}")).await?;
    let is_named =
        |one: &Account| one.name.eq_ignore_ascii_case(named) || one.fully_qualified_name.eq_ignore_ascii_case(named);
    let found = accounts.iter().find(|one| one.acct_num == named);
    let found = found.or_else(|| accounts.iter().find(|one| is_named(one)));
    let found = found.or_else(|| accounts.iter().find(|one| one.id == named));
    found.cloned().ok_or_else(|| Fault::Never("no_account", format!("QuickBooks has no account {named}")))
}

/// A service that is booked on this account, made if there is none: lines of invoices are of items, and these know the account.
pub async fn item(quickbooks: &Quickbooks, at: Place, account: &Account) -> Result<Ref, Fault> {
    let asked = format!("where Type = 'Service' maxresults {PAGE}");
    let items: Vec<Item> = quickbooks.query(at, "Item", &asked).await?;
    let income = Ref { value: account.id.clone() };
    let found = items.iter().find(|one| one.income_account_ref.as_ref() == Some(&income));
    if let Some(id) = found.and_then(|one| one.id.clone()) {
        return Ok(Ref { value: id });
    }
    let wanted = Item {
        name: Some(format!("UBOS {}", account.name.replace(':', " "))),
        kind: Some("Service".to_owned()),
        income_account_ref: Some(income),
        ..Item::default()
    };
    // One that was taken away since is not answered again.
    let key = format!("item/{}/{}", account.id, items.len());
    let made: Item = quickbooks.write(at, "Item", &key, None, &wanted).await?;
    made.id.map(|value| Ref { value }).ok_or_else(|| Fault::Unknown("QuickBooks names no item".to_owned()))
}

/// The kinds of tax that there are for what is sold or bought.
pub async fn codes(quickbooks: &Quickbooks, at: Place, book: Book) -> Result<Vec<Code>, Fault> {
    let all = format!("maxresults {PAGE}");
    let rates: Vec<TaxRate> = quickbooks.query(at, "TaxRate", &all).await?;
    let codes: Vec<TaxCode> = quickbooks.query(at, "TaxCode", &all).await?;
    let code = |one: TaxCode| {
        let list = match book {
            Book::Sales => one.sales_tax_rate_list,
            Book::Purchases => one.purchase_tax_rate_list,
        };
        let list = list.map(|list| list.tax_rate_detail).unwrap_or_default();
        let rate = match list.as_slice() {
            [only] => rates.iter().find(|rate| rate.id == only.tax_rate_ref.value),
            _ => None,
        };
        let rate = rate.and_then(|rate| {
            let percent = rate.rate_value.as_ref()?.times_ten_to(PERCENT_DIGITS)?;
            Some(Rate { id: rate.id.clone(), percent })
        });
        Code { id: one.id, name: one.name, rate }
    };
    Ok(codes.into_iter().map(code).collect())
}

/// The kind of tax of a line: the one that is named, else the one whose rate comes to this tax.
pub fn code<'c>(codes: &'c [Code], named: Option<&str>, net: Money, tax: Option<Money>) -> Result<&'c Code, Fault> {
    if let Some(named) = named {
        let found = codes.iter().find(|one| one.name.eq_ignore_ascii_case(named) || one.id == named);
        return found.ok_or_else(|| Fault::Never("no_tax_code", format!("QuickBooks has no kind of tax {named}")));
    }
    let missing = |of: String| Fault::Never("no_tax_code", format!("QuickBooks has no kind of tax that comes to {of}"));
    let tax = tax.ok_or_else(|| missing("what nobody said".to_owned()))?;
    let off = |percent: i64| (i128::from(tax.minor()) * MINOR - i128::from(net.minor()) * i128::from(percent)).abs();
    // A firm rounds line by line or the whole, which is a minor unit off at most.
    let fitting = codes.iter().filter_map(|one| Some((one, one.rate.as_ref()?.percent)));
    let fitting = fitting.filter(|(_, percent)| off(*percent) <= MINOR);
    let found = fitting.min_by_key(|(_, percent)| (off(*percent), *percent));
    found.map(|(one, _)| one).ok_or_else(|| missing(format!("{} on {} in minor units", tax.minor(), net.minor())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap()).unwrap()
    }

    fn known() -> Vec<Code> {
        let code = |id: &str, name: &str, percent: Option<i64>| Code {
            id: id.to_owned(),
            name: name.to_owned(),
            rate: percent.map(|percent| Rate { id: format!("r{id}"), percent: percent * 10_000 }),
        };
        vec![
            code("1", "20.0% S", Some(20)),
            code("2", "19.0%", Some(19)),
            code("3", "Exempt", Some(0)),
            code("4", "Federal and state", None),
        ]
    }

    fn found(named: Option<&str>, net: i64, tax: i64) -> Result<String, &'static str> {
        match code(&known(), named, euro(net), Some(euro(tax))) {
            Ok(code) => Ok(code.name.clone()),
            Err(Fault::Never(why, _)) => Err(why),
            Err(_) => Err("?"),
        }
    }

    #[test]
    fn the_kind_of_tax_is_the_one_that_is_named_or_the_one_that_comes_to_the_tax() {
        assert_eq!(found(Some("exempt"), 1_000, 200), Ok("Exempt".to_owned()));
        assert_eq!(found(Some("4"), 1_000, 200), Ok("Federal and state".to_owned()));
        assert_eq!(found(Some("7%"), 1_000, 70), Err("no_tax_code"));
        assert_eq!(found(None, 1_001, 200), Ok("20.0% S".to_owned()));
        assert_eq!(found(None, 1_001, 201), Ok("20.0% S".to_owned()));
        assert_eq!(found(None, -999, -200), Ok("20.0% S".to_owned()));
        assert_eq!(found(None, 10_000, 1_900), Ok("19.0%".to_owned()));
        assert_eq!(found(None, 10_000, 0), Ok("Exempt".to_owned()));
        assert_eq!(found(None, 0, 0), Ok("Exempt".to_owned()));
        assert_eq!(found(None, 10_000, 700), Err("no_tax_code"));
    }
}
