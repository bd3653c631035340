//! What a paper says in its own words, and how it writes amounts and days: by language.

use crate::invoice::Language;
use chrono::NaiveDate;
use kernel::{Measure, Money, Tax};
use serde::Serialize;

/// The words of an invoice.
#[derive(Debug, Serialize)]
pub(crate) struct Labels {
    pub invoice: &'static str,
    pub credit_note: &'static str,
    pub number: &'static str,
    pub issued_on: &'static str,
    pub due_on: &'static str,
    pub period: &'static str,
    pub delivered_on: &'static str,
    pub buyer_reference: &'static str,
    pub order_reference: &'static str,
    pub contract_reference: &'static str,
    pub preceding: &'static str,
    pub vat_id: &'static str,
    pub tax_number: &'static str,
    pub registration: &'static str,
    pub position: &'static str,
    pub what: &'static str,
    pub quantity: &'static str,
    pub unit_price: &'static str,
    pub tax_rate: &'static str,
    pub net: &'static str,
    pub net_total: &'static str,
    pub tax_on: &'static str,
    pub total: &'static str,
    pub prepaid: &'static str,
    pub due: &'static str,
    pub account: &'static str,
    pub reference: &'static str,
    pub page: &'static str,
    pub page_of: &'static str,
    pub signature: &'static str,
    pub signed_on: &'static str,
}

const EN: Labels = Labels {
    invoice: "Invoice",
    credit_note: "Credit note",
    number: "Number",
    issued_on: "Date",
    due_on: "Due on",
    period: "Period",
    delivered_on: "Delivered on",
    buyer_reference: "Your reference",
    order_reference: "Order",
    contract_reference: "Contract",
    preceding: "Corrects invoice",
    vat_id: "VAT number",
    tax_number: "Tax number",
    registration: "Registration",
    position: "No.",
    what: "Description",
    quantity: "Quantity",
    unit_price: "Unit price",
    tax_rate: "VAT",
    net: "Net",
    net_total: "Net total",
    tax_on: "on",
    total: "Total",
    prepaid: "Already paid",
    due: "Amount due",
    account: "Please pay to",
    reference: "Reference",
    page: "Page",
    page_of: "of",
    signature: "Signature",
    signed_on: "Date",
};

const DE: Labels = Labels {
    invoice: "Rechnung",
    credit_note: "Gutschrift",
    number: "Nummer",
    issued_on: "Datum",
    due_on: "Fällig am",
    period: "Zeitraum",
    delivered_on: "Geliefert am",
    buyer_reference: "Ihr Zeichen",
    order_reference: "Bestellung",
    contract_reference: "Vertrag",
    preceding: "Zu Rechnung",
    vat_id: "USt-IdNr.",
    tax_number: "Steuernummer",
    registration: "Registernummer",
    position: "Pos.",
    what: "Bezeichnung",
    quantity: "Menge",
    unit_price: "Einzelpreis",
    tax_rate: "USt.",
    net: "Netto",
    net_total: "Summe netto",
    tax_on: "auf",
    total: "Gesamtbetrag",
    prepaid: "Bereits gezahlt",
    due: "Zu zahlen",
    account: "Bitte zahlen Sie an",
    reference: "Verwendungszweck",
    page: "Seite",
    page_of: "von",
    signature: "Unterschrift",
    signed_on: "Datum",
};

impl Language {
    pub(crate) fn labels(self) -> &'static Labels {
        match self {
            Self::En => &EN,
            Self::De => &DE,
        }
    }

    /// As Typst names it, for hyphens and quotes.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// What stands between thousands, and before the decimals.
    fn marks(self) -> (char, char) {
        match self {
            Self::En => (',', '.'),
            Self::De => ('.', ','),
        }
    }

    /// `1,234.50 EUR`.
    pub(crate) fn amount(self, amount: Money) -> String {
        format!("{}\u{A0}{}", self.number(&crate::xml::decimal(amount)), amount.currency())
    }

    /// A decimal as people read it: `1,234.5`.
    pub(crate) fn number(self, decimal: &str) -> String {
        let (thousands, point) = self.marks();
        let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |digits| ("\u{2212}", digits));
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
        let mut text = sign.to_owned();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(thousands);
            }
            text.push(digit);
        }
        text.extend(fraction.into_iter().flat_map(|fraction| std::iter::once(point).chain(fraction.chars())));
        text
    }

    /// `31 January 2027`, `31.01.2027`.
    pub(crate) fn day(self, day: NaiveDate) -> String {
        match self {
            Self::En => day.format("%-d %B %Y").to_string(),
            Self::De => day.format("%d.%m.%Y").to_string(),
        }
    }

    /// `20 %`, or the category's word where there is no rate.
    pub(crate) fn tax(self, tax: Tax) -> String {
        let word = match (self, tax) {
            (_, Tax::Standard { rate }) => return format!("{}\u{A0}%", self.number(&rate.to_string())),
            (_, Tax::ZeroRated {}) => "0\u{A0}%",
            (Self::En, Tax::Exempt {}) => "exempt",
            (Self::De, Tax::Exempt {}) => "steuerfrei",
            (Self::En, Tax::ReverseCharge {}) => "reverse charge",
            (Self::De, Tax::ReverseCharge {}) => "Steuerschuldnerschaft des Leistungsempfängers",
            (Self::En, Tax::IntraCommunity {}) => "intra-community",
            (Self::De, Tax::IntraCommunity {}) => "innergemeinschaftlich",
            (Self::En, Tax::Export {}) => "export",
            (Self::De, Tax::Export {}) => "Ausfuhr",
            (Self::En, Tax::OutsideScope {}) => "not subject",
            (Self::De, Tax::OutsideScope {}) => "nicht steuerbar",
        };
        word.to_owned()
    }

    /// What is written after a quantity; nothing for what is simply counted.
    pub(crate) fn measure(self, measure: Measure) -> &'static str {
        match (self, measure) {
            (_, Measure::One | Measure::LumpSum) => "",
            (Self::En, Measure::Piece) => "pcs",
            (Self::De, Measure::Piece) => "Stk.",
            (Self::En, Measure::Set) => "set",
            (Self::De, Measure::Set) => "Satz",
            (_, Measure::Minute) => "min",
            (_, Measure::Hour) => "h",
            (Self::En, Measure::Day) => "d",
            (Self::De, Measure::Day) => "Tg.",
            (Self::En, Measure::Week) => "wk",
            (Self::De, Measure::Week) => "Wo.",
            (Self::En, Measure::Month) => "mo",
            (Self::De, Measure::Month) => "Mon.",
            (Self::En, Measure::Quarter) => "qtr",
            (Self::De, Measure::Quarter) => "Quart.",
            (Self::En, Measure::Year) => "yr",
            (Self::De, Measure::Year) => "J.",
            (Self::En, Measure::Page) => "p.",
            (Self::De, Measure::Page) => "S.",
            (_, Measure::Kilometre) => "km",
            (_, Measure::SquareMetre) => "m²",
            (_, Measure::Kilogram) => "kg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_as_the_language_has_it() {
        assert_eq!(Language::En.number("1234567.5"), "1,234,567.5");
        assert_eq!(Language::De.number("-1234.50"), "\u{2212}1.234,50");
        assert_eq!(Language::De.number("100"), "100");
        assert_eq!(Language::En.number("0.000001"), "0.000001");
    }
}
