//! Reads what somebody sent, field by field, so that the answer names everything that is wrong and not the first of it.

use crate::{Date, FieldCode, FieldError, FieldErrors, InvalidValue, Timestamp};
use serde_json::{Map, Value};
use std::str::FromStr;
use uuid::Uuid;

/// Errors that one answer names at most.
const ERRORS_MAX: usize = 100;

/// A type of a command's field. `#[derive(kernel::Input)]` makes it for a struct with named fields, an enum of unit
/// variants and an enum that is tagged inside.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a command's body",
    note = "derive `kernel::Input`; a text type that is checked lists itself in `kernel::input_texts!`"
)]
pub trait Input: Sized {
    /// Reads it; what is wrong goes to `faults`, and the answer is none then.
    fn read(value: Value, faults: &mut Faults) -> Option<Self>;

    /// What it is if it was left out; none if it must not be.
    fn absent() -> Option<Self> {
        None
    }
}

/// Where in the input we are, and what was wrong so far.
#[derive(Debug, Default)]
pub struct Faults {
    place: Vec<Step>,
    errors: Vec<FieldError>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Field(&'static str),
    Item(usize),
}

/// Reads an input from JSON text.
///
/// # Errors
/// Everything that is wrong, a hundred errors at most.
pub fn read_input<T: Input>(text: &str) -> Result<T, FieldErrors> {
    let value = serde_json::from_str(text).map_err(|_| {
        FieldErrors::from(FieldError::of("", InvalidValue::wrong_type("object", "text that is no JSON")))
    })?;
    let mut faults = Faults::default();
    let read = T::read(value, &mut faults);
    match (read, FieldErrors::new(faults.errors)) {
        (Some(read), None) => Ok(read),
        (_, Some(errors)) => Err(errors),
        // A type that answers nothing and does not say why.
        (None, None) => Err(FieldError::of("", InvalidValue::new(FieldCode::NotAllowed, "not readable")).into()),
    }
}

impl Faults {
    /// Notes what is wrong with the value in hand.
    pub fn note(&mut self, wrong: InvalidValue) {
        self.note_at("", wrong);
    }

    /// Notes it and has nothing to answer.
    pub fn refuse<T>(&mut self, wrong: InvalidValue) -> Option<T> {
        self.note(wrong);
        None
    }

    fn note_at(&mut self, key: &str, wrong: InvalidValue) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let mut pointer = String::new();
        for step in &self.place {
            match step {
                Step::Field(name) => push_key(&mut pointer, name),
                Step::Item(index) => pointer.push_str(&format!("/{index}")),
            }
        }
        if !key.is_empty() {
            push_key(&mut pointer, key);
        }
        self.errors.push(FieldError::of(pointer, wrong));
    }

    fn within<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.place.push(step);
        let read = read(self);
        self.place.pop();
        read
    }

    /// The value as an object with no other fields than these.
    pub fn object(&mut self, value: Value, fields: &[&'static str]) -> Option<Map<String, Value>> {
        let object = self.any_object(value)?;
        self.known(&object, fields);
        Some(object)
    }

    /// The value as an object, whatever its fields.
    pub fn any_object(&mut self, value: Value) -> Option<Map<String, Value>> {
        match value {
            Value::Object(object) => Some(object),
            other => self.refuse(InvalidValue::wrong_type("object", kind_of(&other))),
        }
    }

    /// Notes the fields that are none of these.
    pub fn known(&mut self, object: &Map<String, Value>, fields: &[&'static str]) {
        for key in object.keys().filter(|key| !fields.contains(&key.as_str())) {
            if self.errors.len() >= ERRORS_MAX {
                return;
            }
            let message = format!("expected no such field; there is {}", listed(fields));
            let wrong = InvalidValue::new(FieldCode::Unknown, message);
            let wrong = match nearest(key, fields.iter().copied()) {
                Some(near) => wrong.with("nearest", near),
                None => wrong,
            };
            if key.is_empty() {
                // A pointer to the key that is empty ends in a slash.
                self.within::<()>(Step::Field(""), |faults| faults.refuse(wrong));
            } else {
                self.note_at(key, wrong);
            }
        }
    }

    /// A field.
    pub fn field<T: Input>(&mut self, object: &mut Map<String, Value>, name: &'static str) -> Option<T> {
        match object.remove(name) {
            Some(value) => self.within(Step::Field(name), |faults| T::read(value, faults)),
            None => T::absent().or_else(|| {
                self.within(Step::Field(name), |faults| {
                    faults.refuse(InvalidValue::new(FieldCode::Required, "expected this field"))
                })
            }),
        }
    }

    /// A field that may be left out.
    pub fn field_or<T: Input>(
        &mut self,
        object: &mut Map<String, Value>,
        name: &'static str,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        match object.remove(name) {
            Some(value) => self.within(Step::Field(name), |faults| T::read(value, faults)),
            None => Some(default()),
        }
    }

    /// The value as one of the names; answers which.
    pub fn one_of(&mut self, value: Value, names: &[&'static str]) -> Option<usize> {
        let text = self.text(value)?;
        let found = names.iter().position(|name| *name == text);
        found.or_else(|| self.refuse(InvalidValue::not_one_of(&text, names)))
    }

    /// The field that says which of the kinds an object is.
    pub fn tag(&mut self, object: &mut Map<String, Value>, tag: &'static str, names: &[&'static str]) -> Option<usize> {
        let value = object.remove(tag);
        self.within(Step::Field(tag), |faults| match value {
            Some(value) => faults.one_of(value, names),
            None => faults.refuse(InvalidValue::new(FieldCode::Required, "expected this field")),
        })
    }

    /// The value as text.
    pub fn text(&mut self, value: Value) -> Option<String> {
        match value {
            Value::String(text) if text.contains('\0') => {
                self.refuse(InvalidValue::new(FieldCode::NulCharacter, "expected text without NUL characters"))
            }
            Value::String(text) => Some(text),
            other => self.refuse(InvalidValue::wrong_type("string", kind_of(&other))),
        }
    }

    /// The value, if it has at most so many levels and no U+0000, so that it can be stored and read back.
    pub fn keepable(&mut self, value: Value, levels: usize) -> Option<Value> {
        match unkeepable(&value, levels) {
            Some(wrong) => self.refuse(wrong),
            None => Some(value),
        }
    }

    /// The value as a text type.
    pub fn parsed<T: FromStr<Err = InvalidValue>>(&mut self, value: Value) -> Option<T> {
        match self.text(value)?.parse() {
            Ok(parsed) => Some(parsed),
            Err(wrong) => self.refuse(wrong),
        }
    }
}

/// As JSON has it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn push_key(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

/// The options as a sentence has them.
pub(crate) fn listed(options: &[&str]) -> String {
    match options {
        [] => "none".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The option that is spelt nearly like the text, if one is: a third of its letters may differ.
pub fn nearest<'a>(text: &str, options: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LENGTH_MAX: usize = 64;
    if text.len() > LENGTH_MAX {
        return None;
    }
    // The same words in other letters, as camelCase or with hyphens, are as near as can be.
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let wanted: Vec<char> = plain(text);
    let near = options.into_iter().map(|option| (distance(&wanted, &plain(option)), option));
    let (far, option) = near.min_by_key(|(far, _)| *far)?;
    (far <= wanted.len().max(3) / 3 && far < option.chars().count()).then_some(option)
}

/// How many letters must be put in, taken out, exchanged or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// Text types whose parsing says what is wrong.
#[macro_export]
macro_rules! input_texts {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::Input for $name {
            fn read(value: $crate::__json::Value, faults: &mut $crate::Faults) -> Option<Self> {
                faults.parsed(value)
            }
        }
    )*};
}

/// Types that only the program itself sends, where the first error is enough.
#[macro_export]
macro_rules! input_as_deserialized {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::Input for $name {
            fn read(value: $crate::__json::Value, faults: &mut $crate::Faults) -> Option<Self> {
                // It may hold what somebody else's free value already is.
                match $crate::__json::from_value(faults.keepable(value, 100)?) {
                    Ok(read) => Some(read),
                    Err(_) => faults.refuse($crate::InvalidValue::new(
                        $crate::FieldCode::NotAllowed,
                        concat!("expected a ", stringify!($name)),
                    )),
                }
            }
        }
    )*};
}

impl<T: Input> Input for Option<T> {
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::read(value, faults).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Input> Input for Vec<T> {
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        let items = match value {
            Value::Array(items) => items,
            other => return faults.refuse(InvalidValue::wrong_type("array", kind_of(&other))),
        };
        // Every item is read, the ones after a wrong one too.
        let read: Vec<Option<T>> = items
            .into_iter()
            .enumerate()
            .map(|(index, item)| faults.within(Step::Item(index), |faults| T::read(item, faults)))
            .collect();
        read.into_iter().collect()
    }
}

/// How deeply free values may be nested. What stores and readers put around them still leaves room below the limit of 128 of
/// many JSON readers.
const LEVELS_MAX: usize = 64;

/// What keeps a value from being stored and read back, if anything does; it may have so many levels more.
fn unkeepable(value: &Value, levels: usize) -> Option<InvalidValue> {
    let nul = |text: &str| {
        let wrong = || InvalidValue::new(FieldCode::NulCharacter, "expected text without NUL characters");
        text.contains('\0').then(wrong)
    };
    let deeper = |value: &Value| match levels.checked_sub(1) {
        Some(left) => unkeepable(value, left),
        None => Some(InvalidValue::new(FieldCode::NotAllowed, "expected a value that is not nested as deeply")),
    };
    match value {
        Value::String(text) => nul(text),
        Value::Array(items) => items.iter().find_map(deeper),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| nul(name).or_else(|| deeper(value))),
        _ => None,
    }
}

impl Input for Value {
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        faults.keepable(value, LEVELS_MAX)
    }

    fn absent() -> Option<Self> {
        None
    }
}

impl Input for bool {
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(value),
            other => faults.refuse(InvalidValue::wrong_type("boolean", kind_of(&other))),
        }
    }
}

impl Input for String {
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        faults.text(value)
    }
}

/// Whole numbers.
macro_rules! integers {
    ($($name:ty),*) => {$(
        impl Input for $name {
            fn read(value: Value, faults: &mut Faults) -> Option<Self> {
                let Value::Number(number) = &value else {
                    return faults.refuse(InvalidValue::wrong_type("integer", kind_of(&value)));
                };
                let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
                // 1e300 is a whole number as well, and lies outside of every range.
                let huge = number.as_f64().is_some_and(|float| float.fract() == 0.0 && float.abs() >= 9e15);
                match whole.map(<$name>::try_from) {
                    Some(Ok(read)) => Some(read),
                    None if !huge => faults.refuse(InvalidValue::wrong_type("integer", "number")),
                    _ => faults.refuse(InvalidValue::out_of_range(<$name>::MIN, <$name>::MAX)),
                }
            }
        }
    )*};
}

integers!(u16, u32, u64, i64);

impl Input for Uuid {
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        let text = faults.text(value)?;
        text.parse().ok().or_else(|| {
            let example = "expected an id such as 01890a5d-ac96-774b-bcce-b302099a8057";
            faults.refuse(InvalidValue::new(FieldCode::NotAnId, example))
        })
    }
}

crate::input_texts!(Date, Timestamp);

#[cfg(test)]
mod tests;
