//! A row as readers see it: the row type's fields in its order, each as the row type writes it.
//!
//! PostgreSQL sends the columns as they are. It could make the JSON itself, but then it would be made there, read here as
//! the row type and written again, three times the work for the same text.

use crate::within::Within;
use chrono::{DateTime, NaiveDate, Utc};
use projections::{Kind, Table};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::{Json, JsonRawValue};
use std::io::Write as _;
use uuid::Uuid;

/// What a statement selects from the table `r` for [`write`].
pub(crate) fn selection(table: &dyn Table, within: Option<Within>) -> String {
    let is_hidden = |name: &str| within.is_some_and(|within| within.hides(name));
    let column = |name: &str| if is_hidden(name) { "null::text".to_owned() } else { format!("r.{name}") };
    let columns = table.columns().iter().map(|found| column(&found.name));
    columns.chain(table.beside().iter().map(|beside| beside.sql.to_owned())).collect::<Vec<_>>().join(", ")
}

/// Appends the row as a JSON object.
///
/// # Errors
/// If the table has other columns than the row type; a replay of its group makes them anew.
pub(crate) fn write(body: &mut Vec<u8>, row: &PgRow, table: &dyn Table) -> sqlx::Result<()> {
    body.push(b'{');
    let columns = table.columns().iter().map(|column| (column.name.as_str(), column.kind));
    let beside = table.beside().iter().map(|beside| (beside.name, beside.kind));
    for (index, (name, kind)) in columns.chain(beside).enumerate() {
        // Writing to memory cannot fail, and names of columns need no escapes.
        drop(write!(body, "{}\"{}\":", if index == 0 { "" } else { "," }, name));
        match kind {
            Kind::Text => append(body, row.try_get::<Option<&str>, _>(index)?),
            Kind::Uuid => append(body, row.try_get::<Option<Uuid>, _>(index)?),
            Kind::Integer => append(body, row.try_get::<Option<i64>, _>(index)?),
            Kind::Boolean => append(body, row.try_get::<Option<bool>, _>(index)?),
            Kind::Time => append(body, row.try_get::<Option<DateTime<Utc>>, _>(index)?),
            Kind::Date => append(body, row.try_get::<Option<NaiveDate>, _>(index)?),
            Kind::Json => append(body, row.try_get::<Option<Json<&JsonRawValue>>, _>(index)?),
        }
    }
    body.push(b'}');
    Ok(())
}

fn append<T: Serialize>(body: &mut Vec<u8>, value: T) {
    // None of these types can fail to be written.
    drop(serde_json::to_writer(body, &value));
}
