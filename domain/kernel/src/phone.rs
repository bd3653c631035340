//! Telephone numbers: E.164, by the numbering plans that libphonenumber's metadata describes.
//!
//! The crate's parser is not asked, because it takes a national prefix off where none is (`+7 800 …` is no `+7 00 …`).

use crate::{FieldCode, InvalidValue};
use phonenumber::Metadata;
use phonenumber::metadata::DATABASE;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Digits of a number, its country's code among them.
const DIGITS_MAX: usize = 15;

/// The one spelling of a number that its country's plan has.
pub(crate) fn number(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidValue::too_short(1));
    }
    let mut digits = String::new();
    for c in text.strip_prefix('+').ok_or_else(wrong)?.chars() {
        match c {
            '0'..='9' if digits.len() < 2 * DIGITS_MAX => digits.push(c),
            '-' | '(' | ')' | '.' | '/' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2010}'..='\u{2015}' => {}
            _ => return Err(wrong()),
        }
    }
    // No code begins with another, so only one of them can be the country's.
    for length in 1..=3.min(digits.len()) {
        let (code, national) = digits.split_at(length);
        let plans = code.parse().ok().filter(|code: &u16| *code > 0).and_then(|code| DATABASE.by_code(&code));
        if let Some(plans) = plans {
            let national = plans.iter().find_map(|plan| as_dialled_from_abroad(national, plan));
            let number = national.map(|national| format!("+{code}{national}"));
            return number.filter(|number| has_shape(number)).ok_or_else(wrong);
        }
    }
    Err(wrong())
}

/// Without the prefix that is dialled inside the country only, the `(0)` of many letterheads; none if the plan has no such
/// number. A zero that belongs to the number, as in Italy, stays.
fn as_dialled_from_abroad<'a>(national: &'a str, plan: &Metadata) -> Option<&'a str> {
    let without = plan.national_prefix().and_then(|prefix| national.strip_prefix(prefix));
    [Some(national), without].into_iter().flatten().find(|national| has(plan, national))
}

/// The crate itself is content with a number that only begins as one of the plan does.
fn has(plan: &Metadata, national: &str) -> bool {
    static WHOLE: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let pattern = plan.descriptors().general().national_number().as_str();
    let mut known = WHOLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(whole) = known.get(pattern) {
        return whole.is_match(national);
    }
    // Patterns of the metadata are laid out in lines.
    let Ok(whole) = Regex::new(&format!("(?x)^(?:{pattern})$")) else { return false };
    let found = whole.is_match(national);
    known.insert(pattern.to_owned(), whole);
    found
}

/// What was a number once stays one: plans change, and what has happened is read for ever.
pub(crate) fn of_the_log(text: &str) -> Result<String, InvalidValue> {
    if has_shape(text) { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn has_shape(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or("");
    (7..=DIGITS_MAX).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

fn wrong() -> InvalidValue {
    InvalidValue::new(FieldCode::NotAPhone, "expected a telephone number with its country's code such as +49 30 123456")
}

#[cfg(test)]
mod tests {
    use crate::{FieldCode, Phone};

    #[test]
    fn what_is_dialled_inside_a_country_only_is_taken_off() {
        for (written, number) in [
            ("+49 (0) 30 123456", "+4930123456"),
            ("+49030123456", "+4930123456"),
            ("+49 30/123-456", "+4930123456"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("+33 (0)1 42 68 53 00", "+33142685300"),
            ("+7 (8) 495 123-45-67", "+74951234567"),
            ("+36 06 1 234 5678", "+3612345678"),
            ("+1\u{a0}(202)\u{a0}555\u{2011}0143", "+12025550143"),
        ] {
            assert_eq!(written.parse::<Phone>().unwrap().as_str(), number, "{written}");
        }
    }

    #[test]
    fn what_only_looks_like_a_prefix_stays() {
        for number in ["+390612345678", "+78001234567", "+12025550143", "+4930123456", "+442079460000", "+80012345678"]
        {
            assert_eq!(number.parse::<Phone>().unwrap().as_str(), number);
        }
    }

    #[test]
    fn a_number_that_no_plan_has_is_refused() {
        for wrong in [
            "030 123456",
            "0049 30 123456",
            "+0000000",
            "+999123456789",
            "+1 555 0100",
            "+49",
            "+49 30 1",
            "+49 0",
            "+",
            "+1 2025 550 1434",
            "+4930123456 ext. 7",
            "+1 800 FLOWERS",
            "+49 30 123456\u{200b}",
            "tel:+4930123456",
            "+49+30123456",
        ] {
            assert_eq!(wrong.parse::<Phone>().unwrap_err().code, FieldCode::NotAPhone, "{wrong}");
        }
        assert_eq!(" ".parse::<Phone>().unwrap_err().code, FieldCode::TooShort);
    }

    #[test]
    fn the_one_spelling_is_its_own_and_any_digits_are_answered() {
        for number in (1..100_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            for length in 1..=18 {
                let written = format!("+{}", &format!("{number:020}")[20 - length..]);
                if let Ok(phone) = written.parse::<Phone>() {
                    assert_eq!(phone.as_str().parse::<Phone>().unwrap(), phone, "{written}");
                }
            }
        }
    }

    #[test]
    fn a_number_of_the_log_outlives_its_plan() {
        assert!(serde_json::from_str::<Phone>("\"+999123456789\"").is_ok());
        assert!(serde_json::from_str::<Phone>("\"+49 30 123456\"").is_err());
    }
}
