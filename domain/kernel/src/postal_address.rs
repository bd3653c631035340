//! Where letters go, and where somebody lives or works.

use crate::length::line;
use crate::{Country, FieldCode, InvalidValue, Name, PostalCode};
use iso3166_static::{Alpha2, Numeric};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A postal address with the parts that invoices (EN 16931, BG-5 and BG-8) and providers know. What it says of a country's own
/// rules is nothing: not every country has postal codes, and none is the same as the next one's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, crate::Input)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    /// Street and number, or a box.
    pub line1: Name,
    /// What goes on: a floor, a building.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<Name>,
    /// City, town or village.
    pub city: Name,
    /// State, province or county, where addresses have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// The postal code, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<PostalCode>,
    /// The country.
    pub country: Country,
}

/// A country that ISO 3166-1 knows.
pub(crate) fn country(text: &str) -> Result<String, InvalidValue> {
    // Letters that everybody may use for themselves (XX) parse, and have no number.
    let known = text.parse::<Alpha2>().ok().filter(|code| Numeric::try_from(*code).is_ok());
    match known {
        Some(code) if code.as_str() == text => Ok(text.to_owned()),
        _ => Err(InvalidValue::new(FieldCode::NotACountry, "expected an ISO 3166-1 country such as DE")),
    }
}

/// The one spelling of a postal code.
pub(crate) fn postal_code(text: &str) -> Result<String, InvalidValue> {
    let code = line(text, 16)?.to_ascii_uppercase();
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if code.len() > 1 && code.chars().all(inner) && ends(code.chars().next()) && ends(code.chars().last()) {
        Ok(code)
    } else {
        Err(InvalidValue::new(FieldCode::NotAPostalCode, "expected a postal code such as 10115 or SW1A 1AA"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Personal, read_input};
    use proptest::prelude::*;

    fn address() -> PostalAddress {
        let text = r#"{"line1":"Marylebone Road 12","city":"London","postal_code":" nw1 5lr ","country":"GB"}"#;
        read_input(text).unwrap()
    }

    #[test]
    fn an_address_is_read_in_one_spelling() {
        let written = r#"{"line1":"Marylebone Road 12","city":"London","postal_code":"NW1 5LR","country":"GB"}"#;
        assert_eq!(serde_json::to_string(&address()).unwrap(), written);
        assert_eq!(serde_json::from_str::<PostalAddress>(written).unwrap(), address());
    }

    #[test]
    fn everything_that_is_wrong_with_an_address_is_told_at_once() {
        let text = r#"{"line1":"","postal_code":"10115/2","country":"de","zip":"10115"}"#;
        let errors = read_input::<PostalAddress>(text).unwrap_err().into_vec();
        let told: Vec<_> = errors.iter().map(|error| (error.pointer.as_str(), error.code)).collect();
        let expected = [
            ("/zip", FieldCode::Unknown),
            ("/line1", FieldCode::TooShort),
            ("/city", FieldCode::Required),
            ("/postal_code", FieldCode::NotAPostalCode),
            ("/country", FieldCode::NotACountry),
        ];
        assert_eq!(told, expected);
        assert!(serde_json::from_str::<PostalAddress>(text).is_err());
    }

    #[test]
    fn a_country_is_one_that_iso_3166_knows() {
        for code in ["DE", "US", "GB", "SS", "CW", "AX"] {
            assert!(code.parse::<Country>().is_ok(), "{code}");
        }
        for code in ["UK", "XX", "ZZ", "AA", "DEU", "D", "", "d e", "276"] {
            assert_eq!(code.parse::<Country>().unwrap_err().code, FieldCode::NotACountry, "{code}");
        }
    }

    #[test]
    fn an_address_of_a_person_is_not_in_a_log() {
        assert!(!format!("{:?}", Personal::new(address())).contains("Marylebone"));
    }

    proptest! {
        /// Whatever is taken for a code is its own spelling, and one that the schema allows.
        #[test]
        fn a_postal_code_has_one_spelling(text in "[ 0-9a-zA-Z-]{0,20}|\\PC{0,20}") {
            if let Ok(code) = text.parse::<PostalCode>() {
                prop_assert_eq!(&code.as_str().parse::<PostalCode>().unwrap(), &code);
                let schema = serde_json::to_value(crate::schema_of::<PostalCode>()).unwrap();
                let pattern = regex::Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
                prop_assert!(pattern.is_match(code.as_str()), "{code}");
            }
            let _ = text.parse::<Country>();
        }

        #[test]
        fn an_address_reads_as_it_was_written(line1 in "[A-Za-z0-9 ]{0,20}[a-z]", region in proptest::option::of("[A-Z][a-z]{1,9}"), country in prop::sample::select(vec!["DE", "US", "HK"])) {
            let address = PostalAddress {
                line1: line1.parse().unwrap(),
                line2: None,
                city: "Town".parse().unwrap(),
                region: region.map(|region| region.parse().unwrap()),
                postal_code: None,
                country: country.parse().unwrap(),
            };
            let json = serde_json::to_string(&address).unwrap();
            prop_assert_eq!(serde_json::from_str::<PostalAddress>(&json).unwrap(), address.clone());
            prop_assert_eq!(read_input::<PostalAddress>(&json).unwrap(), address);
        }
    }
}
