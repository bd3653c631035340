//! The parameters of a query string, taken out one by one, and everything that is wrong with them.

use crate::value::checked;
use ::web::{Problem, code};
use actix_web::HttpRequest;
use actix_web::web::Query;
use credentials::shortened;
use kernel::{FieldCode, FieldError, FieldErrors, InvalidValue, nearest};
use projections::Column;
use std::collections::BTreeMap;

/// Wrong parameters that are told at once, as many as wrong fields of a body.
const WRONG_MAX: usize = 100;
/// Characters of a name that is told again.
const NAME_MAX: usize = 200;

/// What was given, as far as nobody has asked for it.
#[derive(Debug)]
pub(crate) struct Given {
    values: BTreeMap<String, Vec<String>>,
    /// What was asked for, so that a misspelt name can be told the right one.
    known: Vec<String>,
    wrong: Vec<FieldError>,
}

/// The names and values of a request's query string.
pub(crate) fn pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, Problem> {
    let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let unreadable =
        |error| Problem::new(&code::INVALID_PARAMETER, format!("the query string cannot be read: {error}"));
    Ok(pairs.map_err(unreadable)?.into_inner())
}

/// Refuses every parameter: what is asked for here takes none.
pub(crate) fn none(request: &HttpRequest) -> Result<(), Problem> {
    Given::of(&pairs(request)?).nothing_else("there are no parameters here")
}

impl Given {
    /// Nothing of it asked for yet.
    pub fn of(pairs: &[(String, String)]) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            values.entry(name.clone()).or_default().push(value.clone());
        }
        Self { values, known: vec![], wrong: vec![] }
    }

    /// Every value of a parameter; none if it is not there.
    pub fn all(&mut self, name: &str) -> Vec<String> {
        self.known.push(name.to_owned());
        self.values.remove(name).unwrap_or_default()
    }

    /// A parameter that is there once or not at all.
    pub fn once(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.refuse(name, InvalidValue::new(FieldCode::Duplicate, "expected once"));
            return None;
        }
        values.pop()
    }

    /// The same, read.
    pub fn read<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, InvalidValue>) -> Option<T> {
        let text = self.once(name)?;
        read(&text).map_err(|wrong| self.refuse(name, wrong)).ok()
    }

    /// The values of a column; what is none of its values is refused, each once.
    pub fn of_column(&mut self, name: &str, column: &Column, texts: &[&str]) -> Vec<String> {
        let mut values = vec![];
        for text in texts {
            match checked(column, text) {
                Ok(value) => values.push(value),
                // Of several it must be told which.
                Err(wrong) if texts.len() > 1 => {
                    let message = format!("{}: {}", shortened(text), wrong.message);
                    self.refuse(name, InvalidValue { message, ..wrong });
                }
                Err(wrong) => self.refuse(name, wrong),
            }
        }
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Notes that a parameter is wrong.
    pub fn refuse(&mut self, name: &str, wrong: InvalidValue) {
        let error = FieldError::of_parameter(name.chars().take(NAME_MAX).collect::<String>(), wrong);
        if self.wrong.len() < WRONG_MAX && !self.wrong.contains(&error) {
            self.wrong.push(error);
        }
    }

    /// Ends with everything that is wrong: what nobody asked for is, too.
    pub fn nothing_else(mut self, instead: &str) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.values).into_keys().take(WRONG_MAX) {
            let wrong = InvalidValue::new(FieldCode::Unknown, instead);
            let near = nearest(&name, self.known.iter().map(String::as_str)).map(str::to_owned);
            self.refuse(&name, near.into_iter().fold(wrong, |wrong, near| wrong.with("nearest", near)));
        }
        let Some(first) = self.wrong.first().and_then(|wrong| wrong.parameter.clone()) else { return Ok(()) };
        let detail = FieldErrors::new(self.wrong.clone()).map_or_else(String::new, |errors| errors.to_string());
        let problem = Problem::new(&code::INVALID_PARAMETER, detail).with("parameter", first);
        Err(self.wrong.into_iter().fold(problem, Problem::field))
    }
}
