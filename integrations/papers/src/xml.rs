//! XML of elements and text, in the order in which it is written.

use chrono::NaiveDate;
use kernel::Money;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// Writes elements; what is not said is left out.
pub(crate) struct Xml(Writer<Vec<u8>>);

impl Xml {
    /// A document with one element, in which `fill` writes.
    pub fn document(root: &str, attributes: &[(&str, &str)], fill: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut xml = Self(Writer::new_with_indent(Vec::with_capacity(8_192), b' ', 1));
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        xml.element(root, attributes, fill);
        xml.0.into_inner()
    }

    /// An element with others inside.
    pub fn group(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.element(name, &[], fill);
    }

    /// An element with others inside, for something that may not be there.
    pub fn group_of<T>(&mut self, name: &str, value: Option<T>, fill: impl FnOnce(&mut Self, T)) {
        if let Some(value) = value {
            self.element(name, &[], |xml| fill(xml, value));
        }
    }

    /// An element with a text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.text_with(name, &[], text);
    }

    /// An element with a text, if there is one.
    pub fn text_of(&mut self, name: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// An element with attributes and a text.
    pub fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        let text: String = text.chars().filter(|c| is_char(*c)).collect();
        self.element(name, attributes, |xml| xml.event(Event::Text(BytesText::new(&text))));
    }

    /// An amount, with its currency in an attribute.
    pub fn amount_in(&mut self, name: &str, amount: Money) {
        self.text_with(name, &[("currencyID", amount.currency().code())], &decimal(amount));
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], fill: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
        fill(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn event(&mut self, event: Event<'_>) {
        #[expect(clippy::expect_used, reason = "a vector takes everything")]
        self.0.write_event(event).expect("a vector takes everything");
    }
}

/// What XML 1.0 may hold at all.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// An amount as a decimal, with as many digits as its currency has.
pub(crate) fn decimal(amount: Money) -> String {
    let exponent = amount.currency().exponent() as usize;
    let digits = format!("{:0>width$}", amount.minor().unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    let sign = if amount.is_negative() { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Millionths as a decimal, without zeros that say nothing.
pub(crate) fn quantity(millionths: i64) -> String {
    let digits = format!("{:0>7}", millionths.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 6);
    let fraction = fraction.trim_end_matches('0');
    let sign = if millionths < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A day as UN/CEFACT's format 102 has it: `20270131`.
pub(crate) fn day_102(day: NaiveDate) -> String {
    day.format("%Y%m%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let of = |minor, code: &str| decimal(Money::new(minor, code.parse().unwrap()).unwrap());
        assert_eq!(of(1_250, "EUR"), "12.50");
        assert_eq!(of(-5, "EUR"), "-0.05");
        assert_eq!(of(0, "EUR"), "0.00");
        assert_eq!(of(1_250, "JPY"), "1250");
        assert_eq!(of(1_250, "KWD"), "1.250");
    }

    #[test]
    fn quantities_have_no_zeros_that_say_nothing() {
        assert_eq!(quantity(2_500_000), "2.5");
        assert_eq!(quantity(-1), "-0.000001");
        assert_eq!(quantity(10_000_000), "10");
        assert_eq!(quantity(0), "0");
    }

    #[test]
    fn what_xml_cannot_hold_is_left_out_and_the_rest_is_escaped() {
        let xml = Xml::document("a", &[], |xml| xml.text("b", "<x>\u{1}&\u{FFFF}ü"));
        assert!(String::from_utf8(xml).unwrap().ends_with("<b>&lt;x&gt;&amp;ü</b>\n</a>"));
    }
}
