//! What one read table is: its row, its names, and the pure fold that makes the row.

use catalogue::AnyEvent;
use kernel::{Personal, Recorded};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use uuid::Uuid;

/// An event of any aggregate, with its envelope.
pub type Event = Recorded<AnyEvent>;

/// The row of one read table. A row belongs to one stream: only events of that stream touch it, so that streams can be
/// folded in parallel and parked one by one.
pub trait ReadModel: Serialize + DeserializeOwned + JsonSchema + Clone + PartialEq + Send + Sync + 'static {
    /// The table inside its group's schema: `crm.clients`.
    const TABLE: &'static str;
    /// Streams whose events touch it, `crm.client`; empty for every stream.
    const STREAMS: &'static [&'static str];
    /// Path under `/v1/`: `crm/clients`.
    const PATH: &'static str;
    /// The permission that a reader needs: `crm.client.read`.
    const READ: &'static str;
    /// One sentence for the API's documentation.
    const ABOUT: &'static str;
    /// Columns that lists can be filtered by.
    const FILTER: &'static [&'static str];
    /// Columns that lists can be sorted by; none of them may be null.
    const SORT: &'static [&'static str];
    /// How a row says what it belongs to. Without any only whoever may read everything reads it.
    const TIES: &'static [Tie] = &[];
    /// How a row says that it was put away, so that lists leave it out unless they are asked for it.
    const AWAY: Option<Away> = None;
    /// Rows are written once and never read back: a rebuild need not keep them in memory.
    const APPEND_ONLY: bool = false;

    /// Of which aggregate's read model a row is a part, where commands about it go to that aggregate.
    const PART_OF: Option<PartOf> = None;

    /// What readers see besides, that no event says.
    const BESIDE: &'static [Beside] = &[];

    /// Ids of the rows that an event touches: the aggregate's own, unless the stream holds several.
    fn keys(event: &Event) -> Vec<Uuid> {
        vec![event.aggregate_id]
    }

    /// The row after the event; none removes it. Looks at nothing else, so the same events always give the same rows.
    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError>;

    /// Notes which event touched the row last.
    fn stamp(&mut self, event: &Event);
}

/// How a row says that it was put away: archived, retired, withdrawn, disbanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The column, which is true then.
    Column(&'static str),
    /// The status that it has then.
    Status(&'static str),
    /// What it belongs to was archived: the column holds the id of a row of this table of the same group.
    Of {
        /// The column.
        column: &'static str,
        /// The table: `projects.projects`.
        table: &'static str,
    },
}

/// A value that is no fold of the log and stands in another table; null where that has none. Nothing is filtered or sorted by it.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// In one sentence.
    pub about: &'static str,
    /// The SQL that finds it for the row `r`.
    pub sql: &'static str,
}

/// Where the aggregate stands of which a row is a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartOf {
    /// The row's column with the aggregate's id.
    pub column: &'static str,
    /// The aggregate's own table, of the same group: `projects.projects`.
    pub table: &'static str,
}

/// How a row says what it belongs to, for readers whose rights are for single resources or for what is their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The column holds the client's id.
    Client(&'static str),
    /// The column is a list of objects; each `client_id` in it is a client's.
    Clients(&'static str),
    /// The column is a list of clients' ids.
    ClientIds(&'static str),
    /// The column holds the project's id.
    Project(&'static str),
    /// The column is a list of projects' ids.
    ProjectIds(&'static str),
    /// The column holds the id of a row of this table of the same group, whose `client_id` is the client's.
    ClientOf {
        /// The column.
        column: &'static str,
        /// The table: `projects.projects`.
        table: &'static str,
    },
    /// The column holds the id of the user whose own it is.
    User(&'static str),
    /// The column holds the id of the portal user whose own it is.
    PortalUser(&'static str),
}

impl Tie {
    /// The column of the row that it is about.
    pub fn column(self) -> &'static str {
        match self {
            Self::Client(column)
            | Self::Clients(column)
            | Self::ClientIds(column)
            | Self::Project(column)
            | Self::ProjectIds(column)
            | Self::ClientOf { column, .. }
            | Self::User(column)
            | Self::PortalUser(column) => column,
        }
    }
}

/// Implements [`ReadModel::stamp`] for a row with the columns `version` and `updated_at`.
macro_rules! stamped {
    () => {
        fn stamp(&mut self, event: &crate::model::Event) {
            self.version = event.sequence;
            self.updated_at = event.recorded_at;
        }
    };
}
pub(crate) use stamped;

/// A personal value as a column shows it that cannot be null because lists are sorted by it: empty once the person was
/// erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<T>(Personal<T>);

impl<T> Shown<T> {
    /// A value that is known.
    pub fn of(value: T) -> Self {
        Self(Personal::new(value))
    }
}

impl<T: AsRef<str>> Shown<T> {
    /// The text, empty if it was erased.
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

impl<T: Clone> From<&Personal<T>> for Shown<T> {
    fn from(value: &Personal<T>) -> Self {
        Self(value.clone())
    }
}

impl<T: AsRef<str>> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de, T: std::str::FromStr<Err: std::fmt::Display>> Deserialize<'de> for Shown<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Cow::<'de, str>::deserialize(deserializer)?.as_ref() {
            "" => Ok(Self(Personal::erased())),
            text => text.parse().map(Self::of).map_err(D::Error::custom),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Shown<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Shown{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        for narrower in ["minLength", "format"] {
            schema.remove(narrower);
        }
        schema.insert("x-personal".to_owned(), true.into());
        schema
    }
}

/// Why an event cannot be applied to a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FoldError(pub String);

impl FoldError {
    /// The event needs a row that is not there.
    pub fn missing(event: &Event) -> Self {
        Self(format!("{} for a row that does not exist", event.event_type))
    }
}

/// The row, or the error that it is missing.
pub(crate) fn existing<R>(row: Option<R>, event: &Event) -> Result<R, FoldError> {
    row.ok_or_else(|| FoldError::missing(event))
}

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
    pub schema: serde_json::Value,
}

/// The columns of a row type in the order of its fields; `tenant_id` and `position` come before them in every table.
pub fn columns<R: ReadModel>() -> Vec<Column> {
    let schema = serde_json::Value::from(kernel::schema_of::<R>());
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    properties.into_iter().map(|(name, schema)| column(name, schema)).collect()
}

fn column(name: String, schema: serde_json::Value) -> Column {
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
    schema: &serde_json::Value,
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
        serde_json::Value::String(name) => add(name),
        serde_json::Value::Array(names) => names.iter().filter_map(|n| n.as_str()).for_each(add),
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
