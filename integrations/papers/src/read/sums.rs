//! What a paper asks for, if its sums come to what it says.
//!
//! A tax is said for all that bears it, and a bill wants it by line: each line gets its part, so that the parts come to the tax that the paper
//! says, to the last cent. Where lines and taxes do not fit together, there is a line for each tax; where the totals do not, no bill.

use crate::read::decimal::divided;
use crate::read::{Decimal, Item, Paper, TaxItem, TaxKey, Unusable};
use chrono::NaiveDate;
use kernel::{Currency, Money};

/// Kinds of papers that give money back, in UNTDID 1001.
const CREDIT_NOTES: &[&str] =
    &["81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "502", "503", "532"];
/// Those that whoever pays has written.
const SELF_BILLED: &[&str] = &["389", "471", "500", "527"];

/// What a paper asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub number: String,
    /// Its day.
    pub issued_on: Option<NaiveDate>,
    /// Until when it is to be paid.
    pub due_on: Option<NaiveDate>,
    /// All of it, with tax and rounding.
    pub total: Money,
    /// The tax.
    pub tax: Money,
    /// What was paid before.
    pub prepaid: Money,
    /// What is left to be paid.
    pub due: Money,
    /// What it is for; with their taxes they come to the total. None if the paper says nothing but the total.
    pub lines: Vec<AskedLine>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedLine {
    /// What, if it says so.
    pub text: Option<String>,
    /// How much without tax.
    pub net: Money,
    /// The tax on it.
    pub tax: Option<Money>,
}

impl Paper {
    /// What it asks for.
    ///
    /// # Errors
    /// If it is no bill, or does not say what it asks for.
    pub fn bill(&self) -> Result<Asked, Unusable> {
        let kind = self.kind.as_deref().unwrap_or("380");
        if CREDIT_NOTES.contains(&kind) {
            return Err(Unusable::CreditNote);
        }
        if SELF_BILLED.contains(&kind) {
            return Err(Unusable::SelfBilled);
        }
        if let Some((what, said)) = self.wrong.first() {
            return Err(Unusable::Wrong(what, said.clone()));
        }
        let number = self.number.clone().ok_or(Unusable::Missing("number"))?;
        let currency = self.currency.ok_or(Unusable::Missing("currency"))?;
        if let Some(other) = &self.other_currency {
            return Err(Unusable::TwoCurrencies(currency.code().to_owned(), other.clone()));
        }
        let sums = Minor { paper: self, currency }.checked()?;
        if sums.total < 0 {
            return Err(Unusable::CreditNote);
        }
        if sums.total == 0 {
            return Err(Unusable::AsksForNothing);
        }
        let money = |minor: i64| Money::new(minor, currency).map_err(|_| too_large());
        let lines = lines(self, currency, &sums)?;
        Ok(Asked {
            number,
            issued_on: self.issued_on,
            due_on: self.due_on,
            total: money(sums.total)?,
            tax: money(sums.tax)?,
            prepaid: money(sums.prepaid)?,
            due: money(sums.due)?,
            lines,
        })
    }
}

fn too_large() -> Unusable {
    Unusable::Wrong("total", "more than can be counted".to_owned())
}

/// The paper's sums in minor units.
struct Minor<'p> {
    paper: &'p Paper,
    currency: Currency,
}

/// The same, and they agree.
struct Checked {
    net: i64,
    tax: i64,
    /// With what makes it a round sum.
    total: i64,
    rounding: i64,
    prepaid: i64,
    due: i64,
}

impl Minor<'_> {
    fn of(&self, amount: Option<Decimal>) -> Result<Option<i64>, Unusable> {
        let Some(amount) = amount else { return Ok(None) };
        amount.money(self.currency).map(|money| Some(money.minor())).ok_or_else(too_large)
    }

    fn same(&self, what: &str, comes_to: i64, says: i64) -> Result<(), Unusable> {
        if comes_to == says {
            return Ok(());
        }
        let show = |minor| Money::new(minor, self.currency).map(crate::xml::decimal).unwrap_or_default();
        Err(Unusable::SumsDiffer(format!("{what} {}, and it says {}", show(comes_to), show(says))))
    }

    fn checked(&self) -> Result<Checked, Unusable> {
        let said = &self.paper.sums;
        let tax = self.of(said.tax)?;
        let (net, total) = (self.of(said.net)?, self.of(said.total)?);
        let (prepaid, rounding) = (self.of(said.prepaid)?, self.of(said.rounding)?.unwrap_or(0));
        let due = self.of(said.due)?;
        let total = match (total, net, due) {
            (Some(total), ..) => total,
            (None, Some(net), _) => net.saturating_add(tax.unwrap_or(0)),
            (None, None, Some(due)) => due.saturating_sub(rounding).saturating_add(prepaid.unwrap_or(0)),
            (None, None, None) => return Err(Unusable::Missing("total")),
        };
        let net = net.unwrap_or_else(|| total.saturating_sub(tax.unwrap_or(0)));
        let tax_or_none = tax.unwrap_or(0);
        self.same("amounts and taxes come to", net.saturating_add(tax_or_none), total)?;
        self.lines(net)?;
        self.taxes(tax_or_none)?;
        let asked = total.saturating_add(rounding);
        let due = match (due, prepaid) {
            (Some(due), Some(prepaid)) => {
                self.same("after what was paid before it is", asked.saturating_sub(prepaid), due)?;
                due
            }
            // The smallest profile does not say what was paid before.
            (Some(due), None) if self.paper.lines.is_empty() && due <= asked => due,
            (Some(due), None) => {
                self.same("it comes to", asked, due)?;
                due
            }
            (None, prepaid) => asked.saturating_sub(prepaid.unwrap_or(0)),
        };
        let prepaid = prepaid.unwrap_or_else(|| asked.saturating_sub(due));
        Ok(Checked { net, tax: tax_or_none, total: asked, rounding, prepaid, due })
    }

    /// All lines, what is taken off and what is added, come to what is said without tax.
    fn lines(&self, net: i64) -> Result<(), Unusable> {
        let paper = self.paper;
        if paper.lines.is_empty() {
            return Ok(());
        }
        for (number, line) in (1..).zip(&paper.lines) {
            let (Some(net), Some((comes_to, off))) = (line.net, line.calculated) else { continue };
            // A cent or two more: who sells may round what is taken off by itself.
            if net.distance(comes_to) > off.plus(two(self.currency)) {
                let what = format!("quantity and price of line {number} come to");
                let minor = |amount| self.of(Some(amount)).map(|minor| minor.unwrap_or(0));
                self.same(&what, minor(comes_to)?, minor(net)?)?;
            }
        }
        let sum = |items: &[Item]| items.iter().filter_map(|item| item.net).fold(Decimal::ZERO, Decimal::plus);
        let of_lines = self.of(Some(sum(&paper.lines)))?.unwrap_or(0);
        if let Some(said) = self.of(paper.sums.lines)? {
            self.same("the lines come to", of_lines, said)?;
        }
        let adjusted = self.of(Some(sum(&paper.adjustments)))?.unwrap_or(0);
        self.same("lines, what is taken off and what is added come to", of_lines.saturating_add(adjusted), net)
    }

    /// The taxes come to their sum, and each is its rate of what it is on. Who rounds on each line may be off by half a unit for each.
    fn taxes(&self, tax: i64) -> Result<(), Unusable> {
        let paper = self.paper;
        if paper.taxes.is_empty() {
            return Ok(());
        }
        let off = 1 + i128::try_from(paper.lines.len() + paper.adjustments.len()).unwrap_or(0) / 2;
        let mut sum = 0_i64;
        for TaxItem { tax: (category, rate), net, amount } in &paper.taxes {
            let amount = self.of(*amount)?.unwrap_or(0);
            sum = sum.saturating_add(amount);
            let (Some(rate), Some(net)) = (rate, self.of(*net)?) else { continue };
            let comes_to = rate.percent_of(net).ok_or_else(too_large)?;
            if (comes_to - i128::from(amount)).abs() > off {
                let what = format!("the tax {category} comes to");
                self.same(&what, i64::try_from(comes_to).unwrap_or(i64::MAX), amount)?;
            }
        }
        self.same("the taxes come to", sum, tax)
    }
}

/// Two of the smallest units of a currency.
fn two(currency: Currency) -> Decimal {
    Decimal::minor(2, currency)
}

/// What it is for. All of it comes to the total.
fn lines(paper: &Paper, currency: Currency, sums: &Checked) -> Result<Vec<AskedLine>, Unusable> {
    let money = |minor: i64| Money::new(minor, currency).map_err(|_| too_large());
    let line = |(text, net, tax): Charged| Ok(AskedLine { text, net: money(net)?, tax: tax.map(money).transpose()? });
    let charged = by_line(paper, currency, sums).or_else(|| by_tax(paper, currency, sums));
    let charged = charged.unwrap_or_else(|| match sums.tax {
        0 => vec![],
        tax => vec![(None, sums.net, Some(tax))],
    });
    let is_said = !charged.is_empty();
    let mut lines = charged.into_iter().map(line).collect::<Result<Vec<_>, Unusable>>()?;
    if sums.rounding != 0 && is_said {
        lines.push(line((Some("Rounding".to_owned()), sums.rounding, None))?);
    }
    Ok(lines)
}

/// What, how much, and the tax on it.
type Charged = (Option<String>, i64, Option<i64>);

/// A line for each of the paper's, if they fit to its taxes.
fn by_line(paper: &Paper, currency: Currency, sums: &Checked) -> Option<Vec<Charged>> {
    let items: Vec<&Item> = paper.lines.iter().chain(&paper.adjustments).collect();
    if paper.lines.is_empty() {
        return None;
    }
    let nets: Vec<i64> = items.iter().map(|item| item.net?.money(currency).map(Money::minor)).collect::<Option<_>>()?;
    if nets.iter().map(|net| i128::from(*net)).sum::<i128>() != i128::from(sums.net) {
        return None;
    }
    let mut taxes: Vec<Option<i64>> = vec![None; items.len()];
    for TaxItem { tax, net, amount } in &paper.taxes {
        let bearing: Vec<usize> = (0..items.len()).filter(|at| is_same(&items[*at].tax, tax)).collect();
        let amount = amount.map_or(Some(0), |amount| amount.money(currency).map(Money::minor))?;
        let all: i128 = bearing.iter().map(|at| i128::from(nets[*at])).sum();
        if net.is_some_and(|net| net.money(currency).map(|net| i128::from(net.minor())) != Some(all)) {
            return None;
        }
        let (mut so_far, mut given) = (0_i128, 0_i64);
        for at in bearing {
            if taxes[at].is_some() {
                return None;
            }
            so_far += i128::from(nets[at]);
            // What is up to here, without what was given before: the last one ends at the tax itself.
            let up_to = if all == 0 { 0 } else { divided(so_far.checked_mul(amount.into())?, all)? };
            let up_to = i64::try_from(up_to).ok()?;
            taxes[at] = Some(up_to - given);
            given = up_to;
        }
        if given != amount {
            return None;
        }
    }
    let given: i128 = taxes.iter().flatten().map(|tax| i128::from(*tax)).sum();
    if given != i128::from(sums.tax) {
        return None;
    }
    let charged = items.iter().zip(nets).zip(taxes).map(|((item, net), tax)| (item.text.clone(), net, tax));
    Some(charged.collect())
}

/// A line for each tax, if they come to the sums.
fn by_tax(paper: &Paper, currency: Currency, sums: &Checked) -> Option<Vec<Charged>> {
    let minor = |amount: Option<Decimal>| amount?.money(currency).map(Money::minor);
    let charged: Option<Vec<Charged>> =
        paper.taxes.iter().map(|tax| Some((None, minor(tax.net)?, Some(minor(tax.amount).unwrap_or(0))))).collect();
    let charged = charged.filter(|charged| !charged.is_empty())?;
    let net: i128 = charged.iter().map(|(_, net, _)| i128::from(*net)).sum();
    let tax: i128 = charged.iter().filter_map(|(.., tax)| *tax).map(i128::from).sum();
    (net == i128::from(sums.net) && tax == i128::from(sums.tax)).then_some(charged)
}

/// No rate and a rate of nothing are the same.
fn is_same(one: &TaxKey, other: &TaxKey) -> bool {
    one.0 == other.0 && one.1.unwrap_or(Decimal::ZERO) == other.1.unwrap_or(Decimal::ZERO)
}
