//! What the lines of a paper come to: net, taxes and total, by one rule of rounding that is written into the paper, so that every
//! place says the same sum.
//!
//! The net amount of a line is always rounded to minor units, half away from zero (EN 16931, BT-131). The rule is about taxes:
//! three lines of 10.01 at 20 % come to 36.03 if the tax of each line is rounded, and to 36.04 if that of their sum is.

use crate::{Currency, Money, MoneyFault, Percent, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where taxes are rounded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema, crate::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Once for each tax of the paper, as EN 16931 has it.
    #[default]
    PerDocument,
    /// On each line; the taxes of the paper are the sums of these.
    PerLine,
}

/// How a line is taxed, by the categories of EN 16931 (UNTDID 5305).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, crate::Input,
)]
#[serde(tag = "category", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tax {
    /// `S`: taxed at a rate, a reduced one too.
    Standard {
        /// The rate.
        rate: Percent,
    },
    /// `Z`: taxed at 0 %.
    ZeroRated {},
    /// `E`: exempt from tax.
    Exempt {},
    /// `AE`: the buyer owes the tax.
    ReverseCharge {},
    /// `K`: supplied within the European Union to a business.
    IntraCommunity {},
    /// `G`: exported, untaxed.
    Export {},
    /// `O`: not subject to the tax.
    OutsideScope {},
}

impl Tax {
    /// Its code in EN 16931: `S`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Standard { .. } => "S",
            Self::ZeroRated {} => "Z",
            Self::Exempt {} => "E",
            Self::ReverseCharge {} => "AE",
            Self::IntraCommunity {} => "K",
            Self::Export {} => "G",
            Self::OutsideScope {} => "O",
        }
    }

    /// Its rate; none if nothing is to be paid.
    pub fn rate(self) -> Option<Percent> {
        match self {
            Self::Standard { rate } => Some(rate),
            _ => None,
        }
    }

    /// The tax on an amount, rounded half away from zero.
    ///
    /// # Errors
    /// None, as a rate is at most the whole; the type of an amount wants it.
    pub fn on(self, net: Money) -> Result<Money, MoneyFault> {
        self.rate().map_or(Ok(Money::zero(net.currency())), |rate| net.scaled(rate.parts(), Percent::WHOLE))
    }
}

/// What quantities are counted in; each has its code in UN/ECE Recommendation 20, which electronic invoices want.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema, crate::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// One of it, whatever it is.
    #[default]
    One,
    /// A piece.
    Piece,
    /// A set of several.
    Set,
    /// A sum for the whole.
    LumpSum,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// Three months.
    Quarter,
    /// A year.
    Year,
    /// A page.
    Page,
    /// A kilometre.
    Kilometre,
    /// A square metre.
    SquareMetre,
    /// A kilogram.
    Kilogram,
}

impl Measure {
    /// Its code in UN/ECE Recommendation 20: `HUR`.
    pub fn code(self) -> &'static str {
        match self {
            Self::One => "C62",
            Self::Piece => "H87",
            Self::Set => "SET",
            Self::LumpSum => "LS",
            Self::Minute => "MIN",
            Self::Hour => "HUR",
            Self::Day => "DAY",
            Self::Week => "WEE",
            Self::Month => "MON",
            Self::Quarter => "QAN",
            Self::Year => "ANN",
            Self::Page => "ZP",
            Self::Kilometre => "KMT",
            Self::SquareMetre => "MTK",
            Self::Kilogram => "KGM",
        }
    }
}

/// A line as far as its amounts depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// How much.
    pub quantity: Quantity,
    /// What one costs, without tax.
    pub unit_price: Money,
    /// How it is taxed.
    pub tax: Tax,
}

/// What one line comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineAmounts {
    /// Without tax.
    pub net: Money,
    /// Its tax. Where taxes are rounded once for the paper, it is the line's part of that, which may differ by a minor unit from what
    /// its own tax would be; all lines together are the tax of the paper.
    pub tax: Money,
}

/// What one tax of a paper comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaxAmounts {
    /// Which tax.
    pub tax: Tax,
    /// What is taxed by it.
    pub net: Money,
    /// What it is.
    pub amount: Money,
}

/// What a whole paper comes to. Lines sum to `net`, taxes and the taxes of lines to `tax`, both of these to `total`, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amounts {
    /// The rule of rounding that was followed.
    pub rounding: Rounding,
    /// What each line comes to, in their order.
    pub lines: Vec<LineAmounts>,
    /// Each tax once.
    pub taxes: Vec<TaxAmounts>,
    /// All lines, without tax.
    pub net: Money,
    /// All taxes.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
}

/// Why lines come to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct AmountsFault {
    /// The line it lies in, from 0; none if it is all of them together.
    pub line: Option<usize>,
    /// What is wrong.
    pub fault: MoneyFault,
}

impl Amounts {
    /// What these lines come to in this currency. No lines come to nothing.
    ///
    /// # Errors
    /// If a line is of another currency, or an amount is too large.
    pub fn of(currency: Currency, rounding: Rounding, lines: &[Priced]) -> Result<Self, AmountsFault> {
        let all = |fault| AmountsFault { line: None, fault };
        // What each tax has been charged on so far, and how much of it.
        let mut taxes: BTreeMap<Tax, (Money, Money)> = BTreeMap::new();
        let mut priced = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let within = |fault| AmountsFault { line: Some(index), fault };
            let net = net(currency, line).map_err(within)?;
            let zero = Money::zero(currency);
            let (before, charged) = taxes.get(&line.tax).copied().unwrap_or((zero, zero));
            let so_far = before.plus(net).map_err(all)?;
            // What the tax of all lines so far is more than that of those before is this one's part of it: nothing is lost.
            let tax = match rounding {
                Rounding::PerDocument => line.tax.on(so_far).and_then(|due| due.minus(charged)),
                Rounding::PerLine => line.tax.on(net),
            };
            let tax = tax.map_err(within)?;
            taxes.insert(line.tax, (so_far, charged.plus(tax).map_err(all)?));
            priced.push(LineAmounts { net, tax });
        }
        let taxes: Vec<_> = taxes.into_iter().map(|(tax, (net, amount))| TaxAmounts { tax, net, amount }).collect();
        let net = Money::sum(currency, priced.iter().map(|line| line.net)).map_err(all)?;
        let tax = Money::sum(currency, taxes.iter().map(|tax| tax.amount)).map_err(all)?;
        let total = net.plus(tax).map_err(all)?;
        Ok(Self { rounding, lines: priced, taxes, net, tax, total })
    }
}

/// Quantity times price, in minor units.
fn net(currency: Currency, line: &Priced) -> Result<Money, MoneyFault> {
    if line.unit_price.currency() != currency {
        return Err(MoneyFault::TwoCurrencies);
    }
    line.unit_price.scaled(line.quantity.millionths(), Quantity::SCALE)
}

#[cfg(test)]
mod tests;
