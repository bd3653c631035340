//! A row of a read table: what every row has, and what this table's fold says.

use crate::column::Column;
use crate::model::{Envelope, Event, FoldError, ReadModel};
use catalogue::Narrowed;
use chrono::{DateTime, Utc};
use schemars::Schema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Deref;
use uuid::Uuid;

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<R> {
    /// Its id.
    pub id: Uuid,
    /// How many events its stream had when it changed last.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What its own columns say.
    pub own: R,
}

/// What every row has, as a table holds it.
#[derive(Deserialize)]
struct Common {
    id: Uuid,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl<R: ReadModel> Row<R> {
    /// Ids of the rows that an event touches.
    pub fn keys(event: &Event) -> Vec<Uuid> {
        R::Event::narrowed(&event.payload).map_or_else(Vec::new, |change| R::keys(change, event))
    }

    /// The row after the event.
    ///
    /// # Errors
    /// When the event begins no row and there is none, or the row cannot be as the event says.
    pub fn after(id: Uuid, before: Option<Self>, event: &Event) -> Result<Self, FoldError> {
        let envelope = Envelope::new(id, event);
        let Some(change) = R::Event::narrowed(&event.payload) else { return before.ok_or_else(|| missing(event)) };
        let (created_at, own) = match before.filter(|_| !R::anew(change)) {
            Some(Self { created_at, mut own, .. }) => {
                own.apply(change, envelope)?;
                (created_at, own)
            }
            None => (event.recorded_at, R::begin(change, envelope).ok_or_else(|| missing(event))?),
        };
        Ok(Self { id, version: event.sequence, created_at, updated_at: event.recorded_at, own })
    }

    /// The row as a table holds it.
    pub(crate) fn read(json: &str) -> serde_json::Result<Self> {
        let Common { id, version, created_at, updated_at } = serde_json::from_str(json)?;
        Ok(Self { id, version, created_at, updated_at, own: serde_json::from_str(json)? })
    }
}

impl<R> Deref for Row<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.own
    }
}

/// The event needs a row that is not there.
fn missing(event: &Event) -> FoldError {
    FoldError(format!("{} for a row that does not exist", event.event_type))
}

/// So many columns every table begins with, after `tenant_id` and `position`.
pub(crate) const COMMON: usize = 4;

/// What every row has besides the fields of its row type, and what that is in one sentence.
fn common<R: ReadModel>() -> [(&'static str, Value); COMMON] {
    let (id, version, created_at, updated_at) = match (R::APPEND_ONLY, R::PART_OF) {
        (true, _) => {
            let same = "The same; what happened does not change.";
            ("The event's id.", "The record's version after it.", "When it happened.", same)
        }
        (false, Some(_)) => {
            let version = "The version, when it changed last, of the record that it is a part of.";
            ("Its id.", version, "When it was added.", "When it changed last.")
        }
        (false, None) => {
            ("Its id.", "How many events it has; also its ETag.", "When it was added.", "When it changed last.")
        }
    };
    [
        ("id", json!({ "description": id, "type": "string", "format": "uuid" })),
        ("version", json!({ "description": version, "type": "integer", "format": "int64" })),
        ("created_at", json!({ "description": created_at, "type": "string", "format": "date-time" })),
        ("updated_at", json!({ "description": updated_at, "type": "string", "format": "date-time" })),
    ]
}

/// The schema of a row as it stands in its table: what every row has, then the row type's fields.
pub(crate) fn whole<R: ReadModel>(mut schema: Schema) -> Schema {
    if let Some(properties) = schema.ensure_object().get_mut("properties").and_then(Value::as_object_mut) {
        let common = common::<R>().map(|(name, schema)| (name.to_owned(), schema));
        *properties = common.into_iter().chain(std::mem::take(properties)).collect();
    }
    schema
}

/// The columns of a table in their order; `tenant_id` and `position` come before them in every table.
pub fn columns<R: ReadModel>() -> Vec<Column> {
    let schema = Value::from(whole::<R>(kernel::schema_of::<R>()));
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    properties.into_iter().map(|(name, schema)| Column::of(name, schema)).collect()
}
