//! What people can see of a text, and what two texts are compared by.

use crate::length::{bounded, line};
use crate::{FieldCode, InvalidValue};
use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// A name in NFC, refused if it holds what nobody sees or nothing that anybody does.
pub(crate) fn name(text: &str, limit: usize) -> Result<String, InvalidValue> {
    let text = line(&nfc(text), limit)?;
    let letters: Vec<char> = text.chars().collect();
    let hidden = |(at, c): (usize, &char)| is_ignorable(*c) && !joins(&letters, at);
    if text.contains(['\u{2028}', '\u{2029}']) {
        return Err(InvalidValue::new(FieldCode::NotOneLine, "expected one line without control characters"));
    }
    if letters.iter().enumerate().any(hidden) || !letters.iter().any(|c| is_seen(*c)) {
        return Err(InvalidValue::new(FieldCode::NotVisible, "expected text without invisible characters"));
    }
    Ok(text)
}

/// Free text in NFC, refused if it holds what turns the direction of writing around: it reads as what it is not.
pub(crate) fn text(text: &str, limit: usize) -> Result<String, InvalidValue> {
    let text = bounded(&nfc(text), limit)?;
    if text.contains(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(InvalidValue::new(FieldCode::NotVisible, "expected text without controls of its direction"));
    }
    Ok(text)
}

/// In NFC, so that `é` is one spelling.
pub fn nfc(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// What numbers that others give their papers are compared by: without compatibility forms (NFKC), case, spaces, dashes and what
/// nobody sees. `2027-14`, ` 2027–14 ` and `２０２７ 14` are one; of a text that is nothing else, its dashes stay.
pub fn reference_key(text: &str) -> String {
    let compatible = ComposingNormalizerBorrowed::new_nfkc().normalize(&folded(text)).into_owned();
    let spaced: String = folded(&compatible).chars().filter(|c| !c.is_whitespace()).collect();
    let dash = |c: char| {
        let category = CodePointMapData::<GeneralCategory>::new().get(c);
        category == GeneralCategory::DashPunctuation || matches!(c, '\u{2212}' | '\u{2043}' | '\u{02d7}')
    };
    let bare: String = spaced.chars().filter(|c| !dash(*c)).collect();
    if bare.is_empty() { spaced } else { bare }
}

/// Without case and joiners: what two names are compared by.
pub(crate) fn folded(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
    nfc(&CaseMapper::new().fold_string(&nfc(&seen)))
}

/// Is it one of those that are drawn as nothing (bidi controls are among them)?
pub(crate) fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Persian, the Indic scripts and emoji are spelt with joiners and variation selectors, behind and between letters.
fn joins(letters: &[char], at: usize) -> bool {
    let sees =
        |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| !c.is_ascii() && !c.is_whitespace());
    let before = at.checked_sub(1);
    match letters[at] {
        '\u{200c}' | '\u{200d}' => sees(before) && sees(Some(at + 1)),
        '\u{fe0e}' | '\u{fe0f}' => sees(before) && before.is_some_and(|at| !is_ignorable(letters[at])),
        _ => false,
    }
}

fn is_seen(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let alone = !matches!(
        category,
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark | GeneralCategory::Unassigned
    );
    // U+2800 is a Braille pattern without dots.
    alone && !c.is_whitespace() && !c.is_control() && !is_ignorable(c) && c != '\u{2800}'
}

#[cfg(test)]
mod tests {
    use crate::{FieldCode, Name, Text};

    #[test]
    fn a_name_of_nothing_visible_is_refused() {
        for wrong in [
            "\u{200b}",
            "\u{2060}",
            "\u{3164}",
            "\u{202e}gnp.exe",
            "\u{2066}a\u{2069}",
            "a\u{200b}b",
            "\u{feff}a",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0041}",
            "\u{301}",
            "a\u{200d}b",
            "\u{200f}a",
            "a\u{ad}b",
        ] {
            assert_eq!(wrong.parse::<Name>().unwrap_err().code, FieldCode::NotVisible, "{wrong:?}");
        }
    }

    #[test]
    fn free_text_has_one_spelling_and_one_direction() {
        assert_eq!("Cafe\u{301}\r\n\tund Tee".parse::<Text>().unwrap().as_str(), "Café\r\n\tund Tee");
        for wrong in ["\u{202e}fdp.exe", "a\u{202a}b", "\u{2066}a\u{2069}"] {
            assert_eq!(wrong.parse::<Text>().unwrap_err().code, FieldCode::NotVisible, "{wrong:?}");
        }
        // Marks that belong to a script's writing stay.
        assert!("\u{200f}שלום\u{200e} ok".parse::<Text>().is_ok());
    }

    #[test]
    fn joiners_stay_where_scripts_and_emoji_need_them() {
        for right in ["می\u{200c}خواهم", "👩\u{200d}🚀", "❤\u{fe0f}", "क्\u{200d}ष", "日本"] {
            assert_eq!(right.parse::<Name>().unwrap().as_str(), right);
        }
    }

    #[test]
    fn references_that_differ_in_form_case_spaces_and_dashes_are_one() {
        let key = super::reference_key;
        for same in [
            "2027-14",
            " 2027–14 ",
            "2027 14",
            "2027—14",
            "２０２７－１４",
            "2027\u{2212}14",
            "2027\u{ad}-14",
            "202714",
        ] {
            assert_eq!(key(same), "202714", "{same:?}");
        }
        assert_eq!(key("Re/Ⅳ"), key("RE/IV"));
        assert_eq!((key("---").as_str(), key("–").as_str()), ("---", "–"));
        for other in ["2027/14", "2027.14", "2027-15", "2027-014"] {
            assert_ne!(key(other), "202714", "{other:?}");
        }
    }

    #[test]
    fn names_that_look_the_same_are_compared_as_one() {
        let folded = |text: &str| text.parse::<Name>().unwrap().folded();
        assert_eq!("Cafe\u{301}".parse::<Name>().unwrap().as_str(), "Café");
        assert_eq!(folded("CAFÉ"), folded("Cafe\u{301}"));
        assert_eq!(folded("STRASSE"), folded("Straße"));
        assert_ne!(folded("Ada"), folded("Eve"));
    }
}
