//! How long a text may be, and that it is one line.

use crate::{FieldCode, InvalidValue};

/// A text of so many characters at most, without NUL, which PostgreSQL does not keep.
pub(crate) fn bounded(text: &str, limit: usize) -> Result<String, InvalidValue> {
    if text.chars().count() > limit {
        return Err(InvalidValue::too_long(limit));
    }
    if text.contains('\0') {
        return Err(InvalidValue::new(FieldCode::NulCharacter, "expected text without NUL characters"));
    }
    Ok(text.to_owned())
}

/// The same, trimmed, of one line and not empty.
pub(crate) fn line(text: &str, limit: usize) -> Result<String, InvalidValue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidValue::too_short(1));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidValue::new(FieldCode::NotOneLine, "expected one line without control characters"));
    }
    bounded(text, limit)
}
