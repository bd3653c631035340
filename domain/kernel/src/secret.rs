//! Secrets that somebody entrusts to us: the password of a mailbox, the token of a provider.

use crate::{FieldCode, InvalidValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What is shown in a secret's place.
const MASK: &str = "********";
/// Characters of a secret at most; a key in PEM has some thousand.
const LENGTH_MAX: usize = 10_000;

/// A secret as somebody sends it. It goes into the vault and nowhere else, so it is in no event: whatever prints it or writes it
/// as JSON shows a mask, nothing reads it back, and its memory is wiped when it is dropped. [`Secret::expose`] is the one way to it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself; reading it is a choice.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl FromStr for Secret {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "" => Err(InvalidValue::too_short(1)),
            // It was shown to somebody who sends it back, and would take the real one's place.
            MASK => Err(InvalidValue::new(FieldCode::NotAllowed, "expected the secret itself and not its mask")),
            text if text.chars().count() > LENGTH_MAX => Err(InvalidValue::too_long(LENGTH_MAX)),
            text if text.contains('\0') => {
                Err(InvalidValue::new(FieldCode::NulCharacter, "expected text without NUL characters"))
            }
            text => Ok(Self(text.into())),
        }
    }
}

crate::input_texts!(Secret);

/// In a time that does not tell where they differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.expose().as_bytes(), other.expose().as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true, "minLength": 1, "maxLength": LENGTH_MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_input;
    use proptest::prelude::*;

    #[test]
    fn what_was_shown_in_its_place_is_no_secret() {
        let code = |text: &str| text.parse::<Secret>().unwrap_err().code;
        assert_eq!(code(MASK), FieldCode::NotAllowed);
        assert_eq!(code(""), FieldCode::TooShort);
        assert_eq!(code("a\0b"), FieldCode::NulCharacter);
        assert_eq!(code(&"x".repeat(LENGTH_MAX + 1)), FieldCode::TooLong);
        let errors = read_input::<Secret>("7").unwrap_err().into_vec();
        assert_eq!(errors[0].code, FieldCode::WrongType);
    }

    proptest! {
        /// Whatever is printed or written, the secret is not in it, nor is how long it is.
        #[test]
        fn a_secret_is_seen_nowhere(text in "[a-zA-Z0-9+/=]{9,60}") {
            let secret: Secret = read_input(&serde_json::to_string(&text).unwrap()).unwrap();
            prop_assert_eq!(secret.expose(), &text);
            let shown = [format!("{secret}"), format!("{secret:?}"), format!("{:?}", Some(&secret)), serde_json::to_string(&secret).unwrap()];
            for shown in shown {
                prop_assert!(!shown.contains(&text), "{}", shown);
                prop_assert!(shown.chars().count() < 20, "{}", shown);
            }
            let (longer, other) = (format!("{text}x"), format!("-{}", &text[1..]));
            prop_assert_eq!(&secret, &text.parse().unwrap());
            prop_assert_ne!(&secret, &longer.parse().unwrap());
            prop_assert_ne!(&secret, &other.parse().unwrap());
        }
    }
}
