//! What selects rows: a column, how it compares, and the values that were asked for, any of which will do.

use crate::given::Given;
use kernel::{FieldCode, InvalidValue};
use projections::{Column, Kind};

/// Values of one parameter at most.
pub(crate) const VALUES_MAX: usize = 100;
/// Is one of the values in the column's list?
const HOLDS: &str = "?|";

/// One condition on a row.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub column: String,
    pub operator: &'static str,
    pub kind: Kind,
    /// Checked, sorted, each once; at least one.
    pub values: Vec<String>,
}

/// What a filter parameter of a column is called, and how it compares. Ranges include their beginning and not their end, so
/// that one day's end is the next one's beginning. A list is asked for what it holds: `tags` by `tag`.
pub(crate) fn filters_of(column: &Column) -> Vec<(String, &'static str)> {
    match column.kind {
        Kind::Time | Kind::Date => {
            vec![(format!("{}_from", column.name), ">="), (format!("{}_before", column.name), "<")]
        }
        Kind::Json => vec![(column.name.trim_end_matches('s').to_owned(), HOLDS)],
        _ => vec![(column.name.clone(), "=")],
    }
}

/// May several values be asked for at once?
pub(crate) fn takes_several(column: &Column) -> bool {
    matches!(column.kind, Kind::Text | Kind::Uuid | Kind::Integer | Kind::Json)
}

/// Takes the conditions on a column out of what was given.
pub(crate) fn take(column: &Column, given: &mut Given) -> Vec<Condition> {
    let mut conditions = vec![];
    for (parameter, operator) in filters_of(column) {
        let several = takes_several(column);
        let texts = if several { given.all(&parameter) } else { given.once(&parameter).into_iter().collect() };
        let texts: Vec<&str> = match several && !column.is_name() {
            true => texts.iter().flat_map(|text| text.split(',')).collect(),
            false => texts.iter().map(String::as_str).collect(),
        };
        if texts.len() > VALUES_MAX {
            let wrong = InvalidValue::new(FieldCode::TooMany, format!("expected at most {VALUES_MAX} values"));
            given.refuse(&parameter, wrong.with("max", VALUES_MAX));
            continue;
        }
        let values = given.of_column(&parameter, column, &texts);
        if !values.is_empty() {
            conditions.push(Condition { column: column.name.clone(), operator, kind: column.kind, values });
        }
    }
    conditions
}

impl Condition {
    /// As a cursor remembers it.
    pub fn said(&self) -> String {
        let lengths: Vec<String> = self.values.iter().map(|value| format!("{}:{value}", value.len())).collect();
        format!("{}{}{}", self.column, self.operator, lengths.join(","))
    }

    /// The values as one argument: itself if there is one, else a list of them.
    pub fn argument(&self, argument: &mut impl FnMut(&str) -> String) -> (String, bool) {
        let sql = self.kind.sql();
        match self.values.as_slice() {
            [value] => (format!("{}::{sql}", argument(value)), false),
            values => (format!("{}::{sql}[]", argument(&array(values))), true),
        }
    }

    /// The condition on what `left` says.
    pub fn sql(&self, left: &str, argument: &mut impl FnMut(&str) -> String) -> String {
        if self.operator == HOLDS {
            return format!("{left} {HOLDS} {}::text[]", argument(&array(&self.values)));
        }
        match self.argument(argument) {
            (value, false) => format!("{left} {} {value}", self.operator),
            // One statement for any number of values, so that its plan is kept.
            (values, true) => format!("{left} = any ({values})"),
        }
    }
}

/// As PostgreSQL writes an array.
fn array(values: &[String]) -> String {
    let quoted = values.iter().map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_array_would_misread_is_quoted() {
        let values = ["a,b", "c\"d", "e\\f", "{}", "NULL", ""].map(str::to_owned);
        assert_eq!(array(&values), r#"{"a,b","c\"d","e\\f","{}","NULL",""}"#);
    }
}
