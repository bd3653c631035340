//! The columns of a read table, as its row type declares them.

use crate::model::ReadModel;
use schemars::Schema;
use serde_json::{Map, Value, json};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A UUID.
    Uuid,
    /// A 64-bit integer.
    Integer,
    /// True or false.
    Boolean,
    /// A moment, UTC.
    Time,
    /// A day.
    Date,
    /// A list or an object.
    Json,
}

impl Kind {
    /// The PostgreSQL type.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Integer => "bigint",
            Self::Boolean => "boolean",
            Self::Time => "timestamptz",
            Self::Date => "date",
            Self::Json => "jsonb",
        }
    }
}

/// One column of a read table, as the row type declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the table and in JSON.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Can it be null?
    pub nullable: bool,
    /// The values it can have, if they are few and known.
    pub values: Vec<String>,
    /// Its JSON Schema.
    pub schema: Value,
}

impl Column {
    /// Is it what people call things? Then it is sorted and compared as they do.
    pub fn is_name(&self) -> bool {
        self.kind == Kind::Text && ["name", "title", "workflow_name"].contains(&self.name.as_str())
    }
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
    let own = schema.ensure_object().remove("properties");
    let own = own.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let common = common::<R>().map(|(name, schema)| (name.to_owned(), schema));
    schema.insert("properties".to_owned(), common.into_iter().chain(own).collect::<Map<_, _>>().into());
    schema
}

/// The columns of a table in their order; `tenant_id` and `position` come before them in every table.
pub fn columns<R: ReadModel>() -> Vec<Column> {
    let schema = Value::from(whole::<R>(kernel::schema_of::<R>()));
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    properties.into_iter().map(|(name, schema)| column(name, schema)).collect()
}

fn column(name: String, schema: Value) -> Column {
    let mut types: Vec<String> = vec![];
    let (mut values, mut nullable, mut format) = (vec![], false, None);
    gather(&schema, &mut types, &mut values, &mut nullable, &mut format);
    // A schema without a type allows anything, null included.
    nullable |= types.is_empty() && values.is_empty();
    let kind = match (types.first().map(String::as_str), format.as_deref()) {
        (Some("string"), Some("uuid")) => Kind::Uuid,
        (Some("string"), Some("date-time")) => Kind::Time,
        (Some("string"), Some("date")) => Kind::Date,
        (Some("string"), _) => Kind::Text,
        (Some("integer"), _) => Kind::Integer,
        (Some("boolean"), _) => Kind::Boolean,
        _ => Kind::Json,
    };
    Column { name, kind, nullable, values, schema }
}

/// Walks through the alternatives of a schema: an optional enum is `anyOf` of `oneOf` of constants.
fn gather(
    schema: &Value,
    types: &mut Vec<String>,
    values: &mut Vec<String>,
    nullable: &mut bool,
    format: &mut Option<String>,
) {
    let mut add = |name: &str| {
        if name == "null" {
            *nullable = true;
        } else {
            types.push(name.to_owned());
        }
    };
    match &schema["type"] {
        Value::String(name) => add(name),
        Value::Array(names) => names.iter().filter_map(|n| n.as_str()).for_each(add),
        _ => {}
    }
    if let Some(text) = schema["format"].as_str() {
        *format = Some(text.to_owned());
    }
    values.extend(schema["const"].as_str().map(str::to_owned));
    values.extend(schema["enum"].as_array().into_iter().flatten().filter_map(|v| v.as_str()).map(str::to_owned));
    for alternative in ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten() {
        gather(alternative, types, values, nullable, format);
    }
}
