//! Rows as PostgreSQL reads them: a text per column, and lines of these for COPY.

use crate::column::{Column, Kind};
use kernel::TenantId;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::io::Write;

/// The row's fields in their order, which is the columns', as the texts that PostgreSQL's types are read from.
pub(crate) fn texts<R: Serialize>(row: &R, columns: &[Column]) -> serde_json::Result<Vec<Option<String>>> {
    let row = serde_json::to_string(row)?;
    let Fields(fields) = serde_json::from_str(&row)?;
    let texts = fields.into_iter().zip(columns).map(|(field, column)| match field.get() {
        "null" => Ok(None),
        // In a jsonb column a text is JSON too: a workflow's condition, for example.
        text if text.starts_with('"') && column.kind != Kind::Json => serde_json::from_str(text).map(Some),
        // Numbers and booleans read the same as JSON and as PostgreSQL text; lists and objects are jsonb.
        other => Ok(Some(other.to_owned())),
    });
    texts.collect()
}

/// The values of an object without their names, in their order. A map of them would be made and hashed for every row.
struct Fields<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row's fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut values = vec![];
                while let Some((IgnoredAny, value)) = map.next_entry()? {
                    values.push(value);
                }
                Ok(Fields(values))
            }
        }

        deserializer.deserialize_map(Values)
    }
}

/// Appends one line: tenant, position, then the row's fields.
pub(crate) fn row<R: Serialize>(
    text: &mut Vec<u8>,
    tenant: &TenantId,
    position: i64,
    row: &R,
    columns: &[Column],
) -> serde_json::Result<()> {
    // Writing to memory cannot fail.
    drop(write!(text, "{tenant}\t{position}"));
    for value in texts(row, columns)? {
        text.push(b'\t');
        match value {
            Some(value) => escape(text, &value),
            None => text.extend_from_slice(b"\\N"),
        }
    }
    text.push(b'\n');
    Ok(())
}

fn escape(text: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copy_would_misread_is_escaped() {
        #[derive(Serialize)]
        struct Sample {
            text: &'static str,
            none: Option<i64>,
            yes: bool,
            list: Vec<&'static str>,
            json: &'static str,
        }
        let column = |name: &str, kind| Column {
            name: name.to_owned(),
            kind,
            nullable: true,
            values: vec![],
            schema: serde_json::Value::Null,
        };
        let columns = [
            column("text", Kind::Text),
            column("none", Kind::Integer),
            column("yes", Kind::Boolean),
            column("list", Kind::Json),
            column("json", Kind::Json),
        ];
        let mut text = vec![];
        let sample = Sample { text: "a\tb\nc\\N", none: None, yes: true, list: vec!["x\"y\t"], json: "a == 'b'" };
        row(&mut text, &TenantId::default(), 7, &sample, &columns).unwrap();
        let expected =
            format!("{}\t7\ta\\tb\\nc\\\\N\t\\N\ttrue\t[\"x\\\\\"y\\\\t\"]\t\"a == 'b'\"\n", TenantId::default());
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
