//! The fields that a template declares, and what they are filled in with.

use kernel::{Date, FieldCode, InvalidValue, Money, Name, Quantity, Text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Characters of a key at most.
const KEY_MAX: usize = 63;

/// What a template calls one of its fields: words with points between, `client.name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct FieldKey(String);

impl FieldKey {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if text.len() <= KEY_MAX && text.split('.').all(is_word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue::new(FieldCode::NotAKey, "expected a field's key such as client.name"))
        }
    }
}

impl fmt::Display for FieldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for FieldKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for FieldKey {
    fn schema_name() -> Cow<'static, str> {
        "FieldKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = "^[a-z][a-z0-9_]{0,20}(\\.[a-z][a-z0-9_]{0,19}){0,2}$";
        json_schema!({ "type": "string", "maxLength": KEY_MAX, "pattern": pattern, "examples": ["client.name"] })
    }
}

kernel::input_texts!(FieldKey);

/// What a field is filled in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text, which may have lines.
    Text,
    /// A number.
    Number,
    /// An amount of money.
    Money,
    /// A day.
    Date,
    /// Yes or no.
    Boolean,
}

/// A field that a template declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct MergeField {
    /// What the body calls it, between `{{` and `}}`.
    pub key: FieldKey,
    /// What it is filled in with.
    pub kind: FieldKind,
    /// What people who fill it in see.
    pub label: Name,
    /// Must it be filled in? One that need not be is nothing where it is left out.
    #[serde(default)]
    pub required: bool,
}

/// What a field is filled in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FieldValue {
    /// Text. None of it is taken for Markdown.
    Text {
        /// It.
        text: Text,
    },
    /// A number.
    Number {
        /// It.
        number: Quantity,
    },
    /// An amount of money.
    Money {
        /// It.
        money: Money,
    },
    /// A day.
    Date {
        /// It.
        date: Date,
    },
    /// Yes or no.
    Boolean {
        /// It.
        boolean: bool,
    },
}

/// One field, filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct MergeValue {
    /// Which field.
    pub key: FieldKey,
    /// With what.
    pub value: FieldValue,
}

impl FieldValue {
    /// Of which kind it is.
    pub fn kind(&self) -> FieldKind {
        match self {
            Self::Text { .. } => FieldKind::Text,
            Self::Number { .. } => FieldKind::Number,
            Self::Money { .. } => FieldKind::Money,
            Self::Date { .. } => FieldKind::Date,
            Self::Boolean { .. } => FieldKind::Boolean,
        }
    }

    /// As it stands in the paper: days and amounts as ISO 8601 and 4217 have them, which mean the same to every reader.
    pub fn written(&self) -> String {
        match self {
            Self::Text { text } => plain(text.as_str()),
            Self::Number { number } => number.to_string(),
            Self::Money { money } => money.to_string(),
            Self::Date { date } => date.to_string(),
            Self::Boolean { boolean } => (if *boolean { "yes" } else { "no" }).to_owned(),
        }
    }
}

/// The text so that Markdown shows it as it is: what it would take for its own is escaped, and lines stay lines of one paragraph.
fn plain(text: &str) -> String {
    let escaped = |line: &str| {
        line.trim().chars().fold(String::new(), |mut escaped, letter| {
            if letter.is_ascii_punctuation() && !matches!(letter, ',' | ';' | '?' | '%' | '\'' | '"') {
                escaped.push('\\');
            }
            escaped.push(letter);
            escaped
        })
    };
    // An empty line would end the paragraph, and what follows could begin anything.
    let lines = text.lines().map(escaped).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        FieldValue::Text { text: text.parse().unwrap() }.written()
    }

    #[test]
    fn nothing_of_a_text_is_taken_for_markdown() {
        assert_eq!(text("# Big *news* [x](http://y)"), r"\# Big \*news\* \[x\]\(http\:\/\/y\)");
        assert_eq!(text("1. one\n\n    code\n- two"), "1\\. one\\\ncode\\\n\\- two");
        assert_eq!(text("<script>{{ client.name }}</script>"), r"\<script\>\{\{ client\.name \}\}\<\/script\>");
        assert_eq!(text("Zoë, \"Ada\" & 50 %?"), r#"Zoë, "Ada" \& 50 %?"#);
    }

    #[test]
    fn amounts_days_and_answers_mean_the_same_to_every_reader() {
        let written = |json: &str| kernel::read_input::<FieldValue>(json).unwrap().written();
        assert_eq!(written(r#"{"kind":"money","money":{"minor":1250,"currency":"EUR"}}"#), "12.50 EUR");
        assert_eq!(written(r#"{"kind":"date","date":"2026-12-24"}"#), "2026-12-24");
        assert_eq!(written(r#"{"kind":"number","number":"2.50"}"#), "2.5");
        assert_eq!(written(r#"{"kind":"boolean","boolean":false}"#), "no");
    }

    #[test]
    fn a_key_is_words_with_points_between() {
        for good in ["client", "client.name", "a.b.c_2"] {
            assert!(good.parse::<FieldKey>().is_ok(), "{good}");
        }
        for wrong in ["", ".", "client.", ".name", "Client", "a b", "a..b", "a-b", "1a", &"x".repeat(64)] {
            assert_eq!(wrong.parse::<FieldKey>().unwrap_err().code, FieldCode::NotAKey, "{wrong}");
        }
    }
}
