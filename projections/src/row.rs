//! A row of a read table: what every row has, and what this table's fold says.

use crate::column::Column;
use crate::model::{Envelope, Event, FoldError, ReadModel};
use catalogue::Narrowed;
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::Deref;
use uuid::Uuid;

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    #[serde(flatten)]
    pub own: R,
}

/// What every row has: its first columns.
#[derive(Deserialize, JsonSchema)]
struct Common<I> {
    /// Its id.
    id: I,
    /// How many events it has; also its ETag.
    version: i64,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it changed last.
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
    ///
    /// # Errors
    /// When the JSON is of another shape.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        // To read what is flattened serde would keep a copy of everything first.
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

/// The sentences of these columns, where they are others than [`Common`] has.
fn sentences<R: ReadModel>() -> &'static [(&'static str, &'static str)] {
    match (R::APPEND_ONLY, R::PART_OF) {
        (true, _) => &[
            ("id", "The event's id."),
            ("version", "The record's version after it."),
            ("created_at", "When it happened."),
            ("updated_at", "The same; what happened does not change."),
        ],
        (false, Some(_)) => &[("version", "The version, when it changed last, of the record that it is a part of.")],
        (false, None) => &[],
    }
}

/// The schema of a row as it stands in its table: what every row has, then what is its own.
fn whole<R: ReadModel>(mut common: Schema, mut own: Schema) -> Schema {
    let mut properties = taken(&mut common);
    for (name, sentence) in sentences::<R>() {
        properties[*name]["description"] = (*sentence).into();
    }
    properties.extend(taken(&mut own));
    own.insert("properties".to_owned(), properties.into());
    own
}

/// The properties of an object's schema, whose place is kept.
fn taken(schema: &mut Schema) -> Map<String, Value> {
    let properties = schema.ensure_object().get_mut("properties").and_then(Value::as_object_mut);
    properties.map(std::mem::take).unwrap_or_default()
}

/// The JSON Schema of a row, whole.
pub(crate) fn schema<R: ReadModel>() -> Schema {
    whole::<R>(kernel::schema_of::<Common<R::Id>>(), kernel::schema_of::<R>())
}

/// The same with references to named types.
pub(crate) fn component<R: ReadModel>(generator: &mut SchemaGenerator) -> Schema {
    let common = Common::<R::Id>::json_schema(generator);
    whole::<R>(common, R::json_schema(generator))
}

/// The columns of a table in their order; `tenant_id` and `position` come before them in every table.
pub fn columns<R: ReadModel>() -> Vec<Column> {
    let properties = taken(&mut schema::<R>());
    properties.into_iter().map(|(name, schema)| Column::of(name, schema)).collect()
}
