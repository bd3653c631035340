//! The audit trail as a file, oldest first, read and sent piece by piece.

use super::entry::AuditEntry;
use super::filter::{After, AuditFilter, Order};
use crate::reply::fault;
use ::web::{Admission, Problem, code};
use actix_web::web::Bytes;
use futures::stream::{self, Stream};
use kernel::TenantId;
use serde_json::{Value, json};
use sqlx::PgPool;

/// Entries that are read at once.
const PIECE: usize = 500;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object per line.
    Ndjson,
    /// RFC 4180, with a line of names first.
    Csv,
}

impl Format {
    pub(crate) const NAMES: [&str; 2] = ["ndjson", "csv"];

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ndjson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    fn head(self) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => line(COLUMNS.iter().map(|name| (*name).to_owned())),
        }
    }

    fn write(self, entry: &AuditEntry) -> Result<String, serde_json::Error> {
        match self {
            Self::Ndjson => Ok(serde_json::to_string(entry)? + "\n"),
            Self::Csv => {
                let values = json!(entry);
                Ok(line(COLUMNS.iter().map(|name| cell(&values[name]))))
            }
        }
    }
}

/// The columns of a CSV file: the fields of an entry, in their order.
const COLUMNS: [&str; 17] = [
    "id",
    "at",
    "outcome",
    "permission",
    "actor_kind",
    "actor",
    "api_key_id",
    "aggregate_type",
    "aggregate_ids",
    "event_type",
    "reason",
    "detail",
    "correlation_id",
    "client_address",
    "count",
    "first_at",
    "last_at",
];

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// A line of RFC 4180. What a spreadsheet would take for a formula gets an apostrophe in front (OWASP CSV injection).
fn line(cells: impl Iterator<Item = String>) -> String {
    let cells = cells.map(|cell| {
        let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell };
        match cell.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell,
        }
    });
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

struct Export {
    pool: PgPool,
    /// Who says when a piece may be read; a slow reader holds no place between them.
    admission: Option<(Admission, TenantId)>,
    filter: AuditFilter,
    format: Format,
    after: Option<After>,
    begun: bool,
    ended: bool,
}

impl Export {
    async fn piece(&mut self) -> Result<Bytes, Problem> {
        let _permit = match &self.admission {
            Some((admission, tenant)) => Some(admission.admit(*tenant).await?),
            None => None,
        };
        let read = self.filter.read(&self.pool, Order::OldestFirst, self.after, PIECE).await;
        let entries = read.map_err(|error| fault(&error))?;
        self.ended = entries.len() < PIECE;
        self.after = entries.last().map(|entry| (entry.at, entry.id));
        let mut text = if self.begun { String::new() } else { self.format.head() };
        self.begun = true;
        for entry in &entries {
            let line = self.format.write(entry);
            text.push_str(&line.map_err(|_| Problem::new(&code::FAULT, "an entry cannot be written"))?);
        }
        Ok(text.into())
    }
}

/// All entries that a filter selects, oldest first; the limit of its pages does not count. `pool` connects as `ubos_query`.
/// After an error there is nothing more, so a file that ends with a whole line may still lack some: its reader sees the error.
pub fn export(
    pool: PgPool,
    admission: Option<(Admission, TenantId)>,
    filter: AuditFilter,
    format: Format,
) -> impl Stream<Item = Result<Bytes, Problem>> {
    let after = filter.after;
    let export = Export { pool, admission, filter, format, after, begun: false, ended: false };
    stream::unfold(export, |mut export| async move {
        if export.ended {
            return None;
        }
        let piece = export.piece().await;
        export.ended |= piece.is_err();
        Some((piece, export))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Outcome;
    use chrono::DateTime;
    use uuid::Uuid;

    #[test]
    fn x_10_a_cell_is_never_a_formula_and_never_two_cells() {
        let hostile = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", "a,b", "say \"hi\"", "two\nlines", "plain"];
        let written = line(hostile.iter().map(|cell| (*cell).to_owned()));
        let expected = "'=cmd|' /C calc'!A0,'+1,'-1,'@SUM(1),'\tx,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",plain\r\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_csv_file_has_every_field_of_an_entry() {
        let entry = AuditEntry {
            id: Uuid::nil(),
            at: DateTime::UNIX_EPOCH,
            outcome: Outcome::Denied,
            permission: String::new(),
            actor_kind: String::new(),
            actor: String::new(),
            api_key_id: None,
            aggregate_type: String::new(),
            aggregate_ids: vec![],
            event_type: None,
            reason: None,
            detail: String::new(),
            correlation_id: Uuid::nil(),
            client_address: None,
            count: 1,
            first_at: DateTime::UNIX_EPOCH,
            last_at: DateTime::UNIX_EPOCH,
        };
        let values = json!(entry);
        let fields: Vec<&String> = values.as_object().unwrap().keys().collect();
        assert_eq!(fields, COLUMNS);
    }
}
