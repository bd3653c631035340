//! The columns of a read table, as its row type declares them.

use serde_json::Value;

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

impl Column {
    /// The column of a field with this schema.
    pub(crate) fn of(name: String, schema: Value) -> Self {
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
        Self { name, kind, nullable, values, schema }
    }
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
