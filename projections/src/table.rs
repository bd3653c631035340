//! A read table as the engine sees it: rows in memory, folded by event, written column by column or as COPY text.

use crate::column::{Column, Kind};
use crate::copy;
use crate::model::{Away, Beside, Event, FoldError, PartOf, ReadModel, Tie};
use crate::row::{Row, columns, component, schema};
use kernel::TenantId;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::marker::PhantomData;
use std::sync::Arc;
use uuid::Uuid;

/// Bytes of COPY text that are sent at once.
const PIECE: usize = 256 << 10;

/// Which row: ids are unique within a tenant.
pub(crate) type Key = (TenantId, Uuid);

/// A read table of any row type.
pub trait Table: Send + Sync {
    /// The group and schema: `crm`.
    fn group(&self) -> &'static str;
    /// The table inside it: `clients`.
    fn name(&self) -> &'static str;
    /// Does an event of this kind of stream touch it?
    fn wants(&self, aggregate_type: &str) -> bool;
    /// The kinds of streams; empty for all.
    fn streams(&self) -> &'static [&'static str];
    /// Its columns in order.
    fn columns(&self) -> &[Column];
    /// What readers see besides its columns.
    fn beside(&self) -> &'static [Beside];
    /// How a row says that it was put away.
    fn away(&self) -> Option<Away>;
    /// Of which aggregate's read model a row is a part.
    fn part_of(&self) -> Option<PartOf>;
    /// Rows are written once.
    fn append_only(&self) -> bool;
    /// Path, permission, sentence, filters and sorts of its API.
    fn resource(&self) -> Resource;
    /// JSON Schema of a row as readers see it.
    fn schema(&self) -> Schema;
    /// The same with references to named types, and what a generated client calls it: `Client`.
    fn component(&self, generator: &mut SchemaGenerator) -> (String, Schema);
    /// An empty memory of its rows.
    fn fold(&self) -> Box<dyn Folding>;
}

/// What query-api needs to know about a table.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// Path under `/v1/`: `crm/clients`.
    pub path: &'static str,
    /// The permission that a reader needs.
    pub read: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Columns to filter by.
    pub filter: &'static [&'static str],
    /// Columns to sort by.
    pub sort: &'static [&'static str],
    /// How a row says what it belongs to.
    pub ties: &'static [Tie],
}

/// The table of one row type.
pub(crate) struct Of<R> {
    columns: Arc<[Column]>,
    row: PhantomData<fn() -> R>,
}

impl<R: ReadModel> Of<R> {
    pub fn new() -> Self {
        Self { columns: columns::<R>().into(), row: PhantomData }
    }
}

impl<R: ReadModel> Table for Of<R> {
    fn group(&self) -> &'static str {
        R::TABLE.split('.').next().unwrap_or_default()
    }

    fn name(&self) -> &'static str {
        R::TABLE.split('.').nth(1).unwrap_or_default()
    }

    fn wants(&self, aggregate_type: &str) -> bool {
        self.streams().is_empty() || self.streams().contains(&aggregate_type)
    }

    fn streams(&self) -> &'static [&'static str] {
        R::STREAMS
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn beside(&self) -> &'static [Beside] {
        R::BESIDE
    }

    fn away(&self) -> Option<Away> {
        R::AWAY
    }

    fn part_of(&self) -> Option<PartOf> {
        R::PART_OF
    }

    fn append_only(&self) -> bool {
        R::APPEND_ONLY
    }

    fn resource(&self) -> Resource {
        Resource { path: R::PATH, read: R::READ, about: R::ABOUT, filter: R::FILTER, sort: R::SORT, ties: R::TIES }
    }

    fn schema(&self) -> Schema {
        seen::<R>(schema::<R>())
    }

    fn component(&self, generator: &mut SchemaGenerator) -> (String, Schema) {
        let name = R::schema_name();
        let schema = seen::<R>(component::<R>(generator));
        (name.strip_suffix("Row").unwrap_or(&name).to_owned(), schema)
    }

    fn fold(&self) -> Box<dyn Folding> {
        let columns = self.columns.clone();
        Box::new(Memory::<R> { columns, cells: HashMap::new(), staged: vec![], changed: vec![] })
    }
}

/// The schema of a row with what readers see besides, and every member required: an answer has all of them.
fn seen<R: ReadModel>(mut schema: Schema) -> Schema {
    let Some(properties) = schema.ensure_object().get_mut("properties").and_then(Value::as_object_mut) else {
        return schema;
    };
    for beside in R::BESIDE {
        let mut value = json!({ "description": beside.about, "type": ["string", "null"] });
        if beside.kind == Kind::Time {
            value["format"] = json!("date-time");
        }
        properties.insert(beside.name.to_owned(), value);
    }
    let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
    schema.insert("required".to_owned(), names.into());
    schema
}

/// The rows of one table that a batch or a shard of a rebuild holds in memory.
pub trait Folding: Send + Sync {
    /// The rows that an event touches.
    fn keys(&self, event: &Event) -> Vec<Uuid>;
    /// Is the row in memory?
    fn holds(&self, key: &Key) -> bool;
    /// Puts a row in as the table holds it.
    fn load(&mut self, key: Key, position: i64, json: &str) -> serde_json::Result<()>;
    /// Computes the rows after an event without taking them over yet. The error names the row.
    fn stage(&mut self, event: &Event) -> Result<(), (Uuid, FoldError)>;
    /// Takes the staged rows over.
    fn accept(&mut self, event: &Event);
    /// Forgets the staged rows.
    fn reject(&mut self);
    /// Rows that changed, of all streams or of one.
    fn changes(&self, stream: Option<Key>) -> serde_json::Result<Upserts>;
    /// Takes everything for written, and forgets rows that are more than `rows_max`. Is every row that changed still here?
    fn settle(&mut self, rows_max: usize) -> bool;
    /// Hands the rows out as pieces of COPY text and forgets them; stops early when `sink` answers false.
    fn drain(&mut self, sink: &mut dyn FnMut(Vec<u8>) -> bool) -> serde_json::Result<()>;
}

/// Rows to write, column by column.
#[derive(Debug, Default)]
pub struct Upserts {
    /// Whose each row is.
    pub tenants: Vec<Uuid>,
    /// After which event each row is so.
    pub positions: Vec<i64>,
    /// The table's columns in their order; of each a text per row.
    pub columns: Vec<Vec<Option<String>>>,
}

struct Cell<R> {
    row: Row<R>,
    position: i64,
    stream: Uuid,
    changed: bool,
}

struct Memory<R> {
    columns: Arc<[Column]>,
    cells: HashMap<Key, Cell<R>>,
    staged: Vec<(Uuid, Row<R>)>,
    /// The cells that are not written yet, each once: most of what is kept was not touched by the batch at hand.
    changed: Vec<Key>,
}

impl<R: ReadModel> Folding for Memory<R> {
    fn keys(&self, event: &Event) -> Vec<Uuid> {
        Row::<R>::keys(event)
    }

    fn holds(&self, key: &Key) -> bool {
        self.cells.contains_key(key)
    }

    fn load(&mut self, key: Key, position: i64, json: &str) -> serde_json::Result<()> {
        let row = Row::read(json)?;
        self.cells.insert(key, Cell { row, position, stream: Uuid::nil(), changed: false });
        Ok(())
    }

    fn stage(&mut self, event: &Event) -> Result<(), (Uuid, FoldError)> {
        for key in Row::<R>::keys(event) {
            let before = self.cells.get(&(event.tenant_id, key)).map(|cell| cell.row.clone());
            let after = Row::after(key, before, event).map_err(|error| (key, error))?;
            self.staged.push((key, after));
        }
        Ok(())
    }

    fn accept(&mut self, event: &Event) {
        for (key, row) in self.staged.drain(..) {
            let key = (event.tenant_id, key);
            let cell = Cell { row, position: event.position, stream: event.aggregate_id, changed: true };
            let was_changed = match self.cells.entry(key) {
                Entry::Occupied(mut old) => old.insert(cell).changed,
                Entry::Vacant(place) => {
                    place.insert(cell);
                    false
                }
            };
            if !was_changed {
                self.changed.push(key);
            }
        }
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn changes(&self, stream: Option<Key>) -> serde_json::Result<Upserts> {
        let mut upserts = Upserts::default();
        let changed = self.changed.iter().filter_map(|key| Some((key, self.cells.get(key)?)));
        let mut cells: Vec<_> =
            changed.filter(|((tenant, _), cell)| stream.is_none_or(|of| of == (*tenant, cell.stream))).collect();
        // In the order of the primary key, neighbours share pages.
        cells.sort_unstable_by_key(|(key, _)| **key);
        upserts.columns = vec![Vec::with_capacity(cells.len()); self.columns.len()];
        for ((tenant, _), cell) in cells {
            upserts.tenants.push(tenant.0);
            upserts.positions.push(cell.position);
            for (column, text) in upserts.columns.iter_mut().zip(copy::texts(&cell.row, &self.columns)?) {
                column.push(text);
            }
        }
        Ok(upserts)
    }

    fn settle(&mut self, rows_max: usize) -> bool {
        if self.cells.len() > rows_max {
            // The rows of the last batch are the ones that come again soonest; if they alone are too many, none is kept.
            self.cells.retain(|_, cell| cell.changed);
        }
        let whole = self.cells.len() <= rows_max;
        if !whole {
            self.cells = HashMap::new();
        }
        for key in self.changed.drain(..) {
            if let Some(cell) = self.cells.get_mut(&key) {
                cell.changed = false;
            }
        }
        whole
    }

    fn drain(&mut self, sink: &mut dyn FnMut(Vec<u8>) -> bool) -> serde_json::Result<()> {
        let mut text = Vec::with_capacity(PIECE + PIECE / 4);
        self.changed.clear();
        let mut cells: Vec<_> = self.cells.drain().collect();
        cells.sort_unstable_by_key(|(key, _)| *key);
        for ((tenant, _), cell) in cells {
            copy::row(&mut text, &tenant, cell.position, &cell.row, &self.columns)?;
            if text.len() >= PIECE {
                let piece = std::mem::replace(&mut text, Vec::with_capacity(PIECE + PIECE / 4));
                if !sink(piece) {
                    return Ok(());
                }
            }
        }
        if !text.is_empty() {
            sink(text);
        }
        Ok(())
    }
}
