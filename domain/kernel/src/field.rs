//! What can be wrong with a field of an input: a closed list of codes, each with its parameters.

use crate::input::nearest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// The codes, their wire names and what they mean.
macro_rules! codes {
    ($($name:ident = $code:literal [$($parameter:literal),*], $meaning:literal;)*) => {
        /// What is wrong with one field. The list is closed, so that a client can have a sentence of its own for each;
        /// `docs/api.md` explains them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FieldCode {
            $(#[doc = $meaning] $name,)*
        }

        impl FieldCode {
            /// Every code.
            pub const ALL: &'static [FieldCode] = &[$(Self::$name),*];

            /// Its wire name: `too_long`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// The parameters that may come with it.
            pub fn parameters(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($parameter),*],)* }
            }
        }
    };
}

codes! {
    Required = "required" [], "The field must be there.";
    Unknown = "unknown" ["nearest"], "There is no such field; `nearest` is one that is spelt nearly so.";
    Duplicate = "duplicate" [], "It is there twice: a key of an object, a parameter, an item of a list.";
    WrongType = "wrong_type" ["expected", "found"], "The value has another JSON type than the one that is expected.";
    NotOneOf = "not_one_of" ["options", "nearest"], "The value is none of the options.";
    TooShort = "too_short" ["min"], "The text has fewer characters than this.";
    TooLong = "too_long" ["max"], "The text has more characters than this.";
    TooFew = "too_few" ["min"], "The list has fewer items than this.";
    TooMany = "too_many" ["max"], "The list has more items than this.";
    OutOfRange = "out_of_range" ["min", "max"], "The number, date or time lies outside of these bounds, which belong to the range.";
    NotANumber = "not_a_number" [], "The text of a parameter is no number.";
    NotABoolean = "not_a_boolean" [], "The text of a parameter is neither `true` nor `false`.";
    NotAnId = "not_an_id" [], "The text is no UUID.";
    NotAnEmail = "not_an_email" [], "The text is no e-mail address.";
    NotAPhone = "not_a_phone" [], "The text is no telephone number.";
    NotADate = "not_a_date" [], "The text is no day of the calendar such as `2026-03-01`.";
    NotATime = "not_a_time" [], "The text is no moment such as `2026-03-01T09:00:00Z`.";
    NotATimeOfDay = "not_a_time_of_day" [], "The text is no time of day such as `09:30`.";
    NotATimeZone = "not_a_time_zone" [], "The text is no IANA time zone such as `Europe/Berlin`.";
    NotAnAmount = "not_an_amount" [], "The text is no amount with as many decimals as its currency has at most, such as `12.50`.";
    NotAQuantity = "not_a_quantity" [], "The text is no quantity with at most six places, such as `2.5`.";
    NotAPercentage = "not_a_percentage" [], "The text is no percentage with at most four places, such as `5.5`.";
    NotACurrency = "not_a_currency" [], "The text is no ISO 4217 currency such as `EUR`.";
    NotACountry = "not_a_country" [], "The text is no ISO 3166-1 country such as `DE`.";
    NotAVatId = "not_a_vat_id" [], "The text is no VAT number with its country in front, such as `DE123456789`.";
    NotAnIban = "not_an_iban" [], "The text is no IBAN, or its check digits are wrong.";
    NotABic = "not_a_bic" [], "The text is no BIC such as `COBADEFF`.";
    NotALanguage = "not_a_language" [], "The text is no language such as `de` or `en-GB`.";
    NotAPostalCode = "not_a_postal_code" [], "The text is no postal code such as `10115` or `SW1A 1AA`.";
    NotAKey = "not_a_key" [], "The text is no key such as `onboarding_project`.";
    NotAPattern = "not_a_pattern" [], "The text is no pattern of permissions such as `crm.*`.";
    NotAUrl = "not_a_url" [], "The text is no address such as `https://login.example.com`.";
    NotAHash = "not_a_hash" [], "The text is no SHA-256 in lower-case hexadecimal.";
    NotAnExpression = "not_an_expression" [], "The text is no expression of a workflow.";
    NotVisible = "not_visible" [], "The text holds characters that nobody sees, or none that anybody does.";
    NotOneLine = "not_one_line" [], "The text holds line breaks or other control characters.";
    NulCharacter = "nul_character" [], "The text holds U+0000.";
    NotAllowed = "not_allowed" [], "The text holds something that must not stand there.";
    Rejected = "rejected" ["rejection"], "The value contradicts a rule of the record; `rejection` is its code.";
}

impl fmt::Display for FieldCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FieldCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for FieldCode {
    fn schema_name() -> Cow<'static, str> {
        "FieldCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
        json_schema!({ "type": "string", "enum": codes })
    }
}

/// Why a text, number or list is not the value it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidValue {
    /// Out of the closed list.
    pub code: FieldCode,
    /// The bounds that were missed, the options there are; what [`FieldCode::parameters`] names.
    pub parameters: Map<String, Value>,
    /// What was expected, for a developer.
    pub message: String,
}

impl InvalidValue {
    /// Without parameters.
    pub fn new(code: FieldCode, message: impl Into<String>) -> Self {
        Self { code, parameters: Map::new(), message: message.into() }
    }

    /// The same with a parameter.
    pub fn with(mut self, parameter: &str, value: impl Into<Value>) -> Self {
        debug_assert!(self.code.parameters().contains(&parameter), "{} has no parameter {parameter}", self.code);
        self.parameters.insert(parameter.to_owned(), value.into());
        self
    }

    /// A text of too few characters.
    pub fn too_short(min: usize) -> Self {
        let characters = if min == 1 { "character" } else { "characters" };
        Self::new(FieldCode::TooShort, format!("expected at least {min} {characters}")).with("min", min)
    }

    /// A text of too many characters.
    pub fn too_long(max: usize) -> Self {
        Self::new(FieldCode::TooLong, format!("expected at most {max} characters")).with("max", max)
    }

    /// A value of another JSON type.
    pub fn wrong_type(expected: &str, found: &str) -> Self {
        let article = if expected.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        Self::new(FieldCode::WrongType, format!("expected {article} {expected}, found {found}"))
            .with("expected", expected)
            .with("found", found)
    }

    /// A text that is none of the options.
    pub fn not_one_of(text: &str, options: &[&str]) -> Self {
        let wrong = Self::new(FieldCode::NotOneOf, format!("expected one of {}", options.join(", ")));
        let wrong = wrong.with("options", options.to_vec());
        match nearest(text, options.iter().copied()) {
            Some(near) => wrong.with("nearest", near),
            None => wrong,
        }
    }

    /// A number, date or time outside of a range; both ends belong to it.
    pub fn out_of_range<T: Into<Value> + fmt::Display>(min: T, max: T) -> Self {
        let message = format!("expected a value from {min} to {max}");
        Self::new(FieldCode::OutOfRange, message).with("min", min).with("max", max)
    }
}

/// What is wrong with one field of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, thiserror::Error)]
#[error("{}: {message}", .parameter.as_ref().unwrap_or(.pointer))]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body; empty for the body as a whole, and for a parameter.
    pub pointer: String,
    /// The query parameter that is wrong, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Out of a closed list.
    pub code: FieldCode,
    /// What the code speaks of: `{"max": 200}`.
    pub parameters: Map<String, Value>,
    /// What was expected, for a developer.
    pub message: String,
}

impl FieldError {
    /// An error at `pointer`, without parameters.
    pub fn new(pointer: impl Into<String>, code: FieldCode, message: impl Into<String>) -> Self {
        Self::of(pointer, InvalidValue::new(code, message))
    }

    /// A wrong value at `pointer`.
    pub fn of(pointer: impl Into<String>, wrong: InvalidValue) -> Self {
        let InvalidValue { code, parameters, message } = wrong;
        Self { pointer: pointer.into(), parameter: None, code, parameters, message }
    }

    /// A wrong value of a query parameter.
    pub fn of_parameter(name: impl Into<String>, wrong: InvalidValue) -> Self {
        Self { parameter: Some(name.into()), ..Self::of("", wrong) }
    }

    /// A value at `pointer` that contradicts a rule, which has a code of its own.
    pub fn rejected(pointer: impl Into<String>, rejection: &str, message: impl Into<String>) -> Self {
        Self::of(pointer, InvalidValue::new(FieldCode::Rejected, message).with("rejection", rejection))
    }
}

/// Everything that is wrong with an input; at least one thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// None if nothing is wrong.
    pub fn new(errors: Vec<FieldError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// Each of them, in the order of the fields.
    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.0.iter()
    }

    /// The same as a list.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }
}

impl From<FieldError> for FieldErrors {
    fn from(error: FieldError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A sentence names a few; the list has all of them.
        for (index, error) in self.0.iter().take(3).enumerate() {
            write!(f, "{}{error}", if index > 0 { "; " } else { "" })?;
        }
        if self.0.len() > 3 { write!(f, "; and {} more", self.0.len() - 3) } else { Ok(()) }
    }
}

impl std::error::Error for FieldErrors {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = FieldCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), FieldCode::ALL.len());
    }
}
