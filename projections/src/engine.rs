//! One batch of events into the tables of one group: move the checkpoint, load the rows, fold in memory, write; all in
//! one transaction. Live reading, catching up, following a rebuild and retrying all come through here.

use crate::group::{Group, Slot};
use crate::model::Event;
use crate::table::{Folding, Key, Upserts};
use anyhow::{Context, Result, bail};
use crash_points::Point;
use event_store::RawEvent;
use kernel::TenantId;
use metrics::{counter, histogram};
use sqlx::{PgConnection, PgPool, Row};
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// The tables of one group in one slot.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Which group.
    pub group: &'static Group,
    /// Which of its tables.
    pub slot: Slot,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The checkpoint is here now.
    At(i64),
    /// Nothing was done: the checkpoint is somewhere else than the batch begins, so somebody else moved it.
    Elsewhere(i64),
}

/// What a reader keeps in memory from one batch to the next, so that it need not load what it has just written.
///
/// It counts only while nobody else has written: whoever changes the tables otherwise updates the checkpoint too, and
/// the transaction that wrote it last is then not ours.
#[derive(Default)]
pub struct Kept {
    pub(crate) rows: Rows,
    /// `xmin` of the checkpoint after our last batch; empty if nothing is kept.
    pub(crate) written_by: String,
}

/// Rows of every table of a group, and the streams that are parked.
#[derive(Default)]
pub(crate) struct Rows {
    pub folds: Vec<Box<dyn Folding>>,
    pub parked: HashSet<Key>,
    /// Is every row here that the last batch changed? Then the next can be folded before that one is written.
    pub whole: bool,
}

/// Characters of an error that are kept with a parked stream.
const ERROR_MAX: usize = 2_000;
/// Rows kept per table at most.
const KEPT_ROWS_MAX: usize = 50_000;

/// What a batch finds when it begins.
pub(crate) struct Turn {
    /// Where the checkpoint was.
    at: i64,
    /// The transaction that had written it.
    pub written_by: String,
    /// Ours, if it has moved the checkpoint.
    pub moved_by: Option<String>,
    parked: HashSet<Key>,
}

/// A stream that could not be applied in this batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parking {
    pub aggregate_type: String,
    pub table: Option<&'static str>,
    pub row: Option<Uuid>,
    pub first: i64,
    pub last: i64,
    pub count: i64,
    pub error: String,
}

impl Target {
    /// The tables that are read.
    pub fn live(group: &'static Group) -> Self {
        Self { group, slot: Slot::Live }
    }

    /// Where the checkpoint is; none if the slot is empty.
    pub async fn position(self, connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("select position from projections.checkpoints where group_name = $1 and slot = $2")
            .bind(self.group.name)
            .bind(self.slot.name())
            .fetch_optional(connection)
            .await
    }

    /// Notes whose rows these will be, while there are none: a checkpoint is made by a migration, which knows no folds.
    pub async fn claim_empty(self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let claim = "update projections.checkpoints set version = $3
                     where group_name = $1 and slot = $2 and position = 0 and version <> $3";
        sqlx::query(claim)
            .bind(self.group.name)
            .bind(self.slot.name())
            .bind(self.group.version)
            .execute(pool)
            .await
            .map(drop)
    }

    /// Applies the next events of the log: contiguous, beginning right after the checkpoint.
    pub async fn apply(self, pool: &PgPool, events: &[Arc<RawEvent>]) -> Result<Applied> {
        self.apply_keeping(pool, events, &mut Kept::default()).await
    }

    /// The same for a reader that keeps rows in memory.
    pub async fn apply_keeping(self, pool: &PgPool, events: &[Arc<RawEvent>], kept: &mut Kept) -> Result<Applied> {
        let started = Instant::now();
        let (after, upto) = range(events)?;
        if !events.iter().any(|event| self.group.wants(&event.aggregate_type)) {
            return self.skip(pool, after, upto).await;
        }
        let applied = match self.attempt(pool, events, Mode::Together, kept).await {
            Err(error) if is_data_error(&error) => {
                // One stream's rows are refused by the table; find out whose, and let the others through.
                tracing::warn!(group = self.group.name, error = %format!("{error:#}"), "a batch was refused, writing stream by stream");
                self.attempt(pool, events, Mode::StreamByStream, kept).await
            }
            other => other,
        }?;
        self.observe(events, started);
        Ok(applied)
    }

    pub(crate) fn observe(self, events: &[Arc<RawEvent>], started: Instant) {
        let labels = [("group", self.group.name)];
        histogram!("projection_batch_events", &labels).record(events.len() as f64);
        histogram!("projection_batch_seconds", &labels).record(started.elapsed().as_secs_f64());
        counter!("projection_events_total", &labels).increment(events.len() as u64);
    }

    async fn attempt(self, pool: &PgPool, events: &[Arc<RawEvent>], mode: Mode, kept: &mut Kept) -> Result<Applied> {
        // Whatever fails from here on leaves nothing to rely on.
        let mut rows = std::mem::take(kept);
        let mut tx = event_store::begin(pool).await?;
        let applied = self.apply_in(&mut tx, events, mode, &mut rows).await?;
        tx.commit().await.context("committing a batch")?;
        crash_points::reach(Point::ProjectionCommitted);
        *kept = rows;
        Ok(applied)
    }

    /// The same inside the caller's transaction, which holds the checkpoint's lock from here on.
    pub(crate) async fn apply_in(
        self,
        tx: &mut PgConnection,
        events: &[Arc<RawEvent>],
        mode: Mode,
        kept: &mut Kept,
    ) -> Result<Applied> {
        let (after, upto) = range(events)?;
        let turn = self.advance(tx, after, upto).await?;
        let Some(moved_by) = turn.moved_by else { return Ok(Applied::Elsewhere(turn.at)) };
        crash_points::reach(Point::ProjectionAdvanced);
        let Kept { rows, written_by } = std::mem::take(kept);
        let folds = if written_by == turn.written_by { rows.folds } else { self.group.folds() };
        let mut batch = Batch::new(self, turn.parked, folds);
        batch.fold(tx, events).await?;
        batch.write(tx, mode).await?;
        batch.note_parked(tx).await?;
        crash_points::reach(Point::ProjectionWritten);
        // What the tables refused stream by stream is not in them.
        if mode == Mode::Together {
            *kept = Kept { rows: batch.settle(), written_by: moved_by };
        }
        Ok(Applied::At(upto))
    }

    /// Locks the checkpoint, so that batches, retries and switches of one group come one after the other. Answers where it is.
    ///
    /// The commit need not wait for the disk: rows and checkpoint go together, and what a crash takes is read again.
    pub(crate) async fn lock(self, tx: &mut PgConnection) -> Result<i64> {
        let position = sqlx::query_scalar(
            "select position from projections.checkpoints, set_config('synchronous_commit', 'off', true)
             where group_name = $1 and slot = $2 for no key update of checkpoints",
        );
        let position = position.bind(self.group.name).bind(self.slot.name()).fetch_optional(tx).await?;
        position.with_context(|| self.missing())
    }

    /// Locks the checkpoint and moves it, if it is where the batch begins.
    pub(crate) async fn advance(self, tx: &mut PgConnection, after: i64, upto: i64) -> Result<Turn> {
        let row = sqlx::query(
            "select at, written_by, moved_by, parked_tenants, parked_aggregates
             from projections.advance($1, $2, $3, $4) where at is not null",
        );
        let row = row.bind(self.group.name).bind(self.slot.name()).bind(after).bind(upto).fetch_optional(tx).await?;
        let row = row.with_context(|| self.missing())?;
        let tenants: Option<Vec<Uuid>> = row.try_get(3)?;
        let aggregates: Option<Vec<Uuid>> = row.try_get(4)?;
        let parked = tenants.into_iter().flatten().map(TenantId).zip(aggregates.into_iter().flatten()).collect();
        Ok(Turn { at: row.try_get(0)?, written_by: row.try_get(1)?, moved_by: row.try_get(2)?, parked })
    }

    fn missing(self) -> String {
        format!("group {} has no {} tables", self.group.name, self.slot.name())
    }

    /// Moves past events that no table of the group wants, in one statement.
    async fn skip(self, pool: &PgPool, after: i64, upto: i64) -> Result<Applied> {
        let moved = sqlx::query(
            "update projections.checkpoints set position = $4, events = events + $4 - $3, updated_at = now()
             where group_name = $1 and slot = $2 and position = $3
             returning set_config('synchronous_commit', 'off', true)",
        );
        let moved = moved.bind(self.group.name).bind(self.slot.name()).bind(after).bind(upto).execute(pool).await?;
        if moved.rows_affected() == 1 {
            return Ok(Applied::At(upto));
        }
        let at = self.position(&mut *pool.acquire().await?).await?;
        Ok(Applied::Elsewhere(at.with_context(|| format!("group {} has no checkpoint", self.group.name))?))
    }
}

/// How changed rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One statement per table.
    Together,
    /// A savepoint per stream; a stream that the tables refuse is parked.
    StreamByStream,
}

/// Reads a stored event.
pub(crate) fn decode(event: &RawEvent) -> Result<Event, kernel::UnreadableEvent> {
    guarded(|| catalogue::decode(event.clone())).unwrap_or_else(|panic| Err(kernel::UnreadableEvent(panic)))
}

/// Runs what works on one event; a panic in it is an error like another, so that it stops that event's stream alone.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("panicked: {}", said.unwrap_or_default())
    })
}

/// The memory of one batch.
pub(crate) struct Batch {
    target: Target,
    folds: Vec<Box<dyn Folding>>,
    already_parked: HashSet<Key>,
    parking: BTreeMap<Key, Parking>,
    /// First event of every stream in the batch, its kind, and how many there were.
    streams: BTreeMap<Key, (i64, i64, i64, String)>,
}

impl Batch {
    /// `folds` may hold rows already; they are not loaded again.
    pub fn new(target: Target, already_parked: HashSet<Key>, folds: Vec<Box<dyn Folding>>) -> Self {
        Self { target, folds, already_parked, parking: BTreeMap::new(), streams: BTreeMap::new() }
    }

    /// Decodes, loads the rows that the events touch, and folds.
    pub async fn fold(&mut self, tx: &mut PgConnection, events: &[Arc<RawEvent>]) -> Result<()> {
        let wanted = events.iter().filter(|event| self.target.group.wants(&event.aggregate_type));
        let decoded: Vec<_> = wanted.map(|raw| (raw.clone(), decode(raw))).collect();
        for (table, fold) in self.target.group.tables.iter().zip(&mut self.folds) {
            let mut keys: HashSet<Key> = HashSet::new();
            for event in decoded.iter().filter_map(|(_, event)| event.as_ref().ok()) {
                if table.wants(&event.aggregate_type) && !table.append_only() {
                    // One that panics is met again when the event is applied, and parked there.
                    let touched = guarded(|| fold.keys(event)).unwrap_or_default();
                    let touched = touched.into_iter().map(|key| (event.tenant_id, key));
                    keys.extend(touched.filter(|key| !fold.holds(key)));
                }
            }
            load(tx, self.target, table.name(), fold.as_mut(), &keys).await?;
        }
        for (raw, event) in &decoded {
            self.apply(raw, event);
        }
        Ok(())
    }

    /// Folds whole streams from their beginning, whatever their rows are now.
    pub fn fold_anew(&mut self, events: &[Arc<RawEvent>]) {
        for raw in events.iter().filter(|event| self.target.group.wants(&event.aggregate_type)) {
            self.apply(raw, &decode(raw));
        }
    }

    fn apply(&mut self, raw: &RawEvent, event: &Result<Event, kernel::UnreadableEvent>) {
        let stream = (raw.tenant_id, raw.aggregate_id);
        if self.already_parked.contains(&stream) || self.parking.contains_key(&stream) {
            let parking = self.parking.entry(stream).or_insert_with(|| Parking::at(raw.position, &raw.aggregate_type));
            parking.last = raw.position;
            parking.count += 1;
            return;
        }
        let seen = self.streams.entry(stream);
        let seen = seen.or_insert_with(|| (raw.position, 0, 0, raw.aggregate_type.clone()));
        (seen.1, seen.2) = (raw.position, seen.2 + 1);
        let outcome = match event {
            Err(error) => Err((None, None, error.to_string())),
            Ok(event) => stage(self.target.group, &mut self.folds, event)
                .map_err(|(table, row, error)| (Some(table), Some(row), error)),
        };
        if let Err((table, row, error)) = outcome {
            let parking = Parking { table, row, error, count: 1, ..Parking::at(raw.position, &raw.aggregate_type) };
            self.parking.insert(stream, parking);
        }
    }

    /// What changed in each table, of all streams or of one.
    pub fn changes(&self, stream: Option<Key>) -> serde_json::Result<Vec<Upserts>> {
        self.folds.iter().map(|fold| fold.changes(stream)).collect()
    }

    /// Writes what changed.
    pub async fn write(&mut self, tx: &mut PgConnection, mode: Mode) -> Result<()> {
        if mode == Mode::Together {
            return write(tx, self.target, self.changes(None)?).await;
        }
        for (stream, (first, last, count, aggregate_type)) in &self.streams {
            sqlx::query("savepoint stream").execute(&mut *tx).await?;
            let written = match self.changes(Some(*stream)) {
                Ok(changes) => write(tx, self.target, changes).await,
                Err(error) => Err(error.into()),
            };
            match written {
                Ok(()) => {}
                Err(error) if is_data_error(&error) => {
                    sqlx::query("rollback to savepoint stream").execute(&mut *tx).await?;
                    let (mut last, mut count) = (*last, *count);
                    if let Some(earlier) = self.parking.get(stream) {
                        (last, count) = (earlier.last, count + earlier.count - 1);
                    }
                    let error = format!("{error:#}");
                    let aggregate_type = aggregate_type.clone();
                    let parking = Parking { aggregate_type, table: None, row: None, first: *first, last, count, error };
                    self.parking.insert(*stream, parking);
                }
                Err(error) => return Err(error),
            }
            sqlx::query("release savepoint stream").execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Records the streams that were parked in this batch, and counts the events of those that already were.
    pub async fn note_parked(&self, tx: &mut PgConnection) -> Result<()> {
        for ((tenant, aggregate), parking) in &self.parking {
            if !self.already_parked.contains(&(*tenant, *aggregate)) {
                tracing::error!(
                    group = self.target.group.name, slot = self.target.slot.name(), tenant = %tenant,
                    aggregate = %aggregate, position = parking.first, table = parking.table, error = parking.error,
                    "stream parked"
                );
                counter!("projection_parkings_total", "group" => self.target.group.name).increment(1);
            }
            parking.note(tx, self.target.group, self.target.slot, tenant.0, *aggregate).await?;
        }
        Ok(())
    }

    /// Its rows, taken for written, and the streams that are parked after it.
    pub fn settle(&mut self) -> Rows {
        let mut rows =
            Rows { folds: std::mem::take(&mut self.folds), parked: self.already_parked.clone(), whole: true };
        for (table, fold) in self.target.group.tables.iter().zip(&mut rows.folds) {
            // A row that is written once is never looked up.
            let kept = fold.settle(if table.append_only() { 0 } else { KEPT_ROWS_MAX });
            rows.whole &= kept || table.append_only();
        }
        rows.parked.extend(self.parking.keys().copied());
        rows
    }

    /// What could not be applied.
    pub fn parking(&self) -> &BTreeMap<Key, Parking> {
        &self.parking
    }
}

impl Parking {
    pub fn at(position: i64, aggregate_type: &str) -> Self {
        let aggregate_type = aggregate_type.to_owned();
        Self { aggregate_type, table: None, row: None, first: position, last: position, count: 0, error: String::new() }
    }

    /// Records it, or counts its events if the stream is parked already.
    pub async fn note(
        &self,
        connection: &mut PgConnection,
        group: &Group,
        slot: Slot,
        tenant: Uuid,
        aggregate: Uuid,
    ) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(
            "insert into projections.parked as p (group_name, slot, tenant_id, aggregate_id, aggregate_type,
                 table_name, row_id, first_position, last_position, event_count, error)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             on conflict (group_name, slot, tenant_id, aggregate_id) do update
                 set last_position = excluded.last_position, event_count = p.event_count + excluded.event_count",
        );
        let statement = statement.bind(group.name).bind(slot.name()).bind(tenant).bind(aggregate);
        let statement = statement.bind(&self.aggregate_type).bind(self.table).bind(self.row);
        // What an error quotes may be what the database could not hold in the first place.
        let error: String = self.error.replace('\0', "\u{fffd}").chars().take(ERROR_MAX).collect();
        let statement = statement.bind(self.first).bind(self.last).bind(self.count).bind(error);
        statement.execute(connection).await?;
        Ok(())
    }
}

/// Folds one event into every table of the group, or into none.
pub(crate) fn stage(
    group: &'static Group,
    folds: &mut [Box<dyn Folding>],
    event: &Event,
) -> Result<(), (&'static str, Uuid, String)> {
    let mut failed = None;
    for (table, fold) in group.tables.iter().zip(folds.iter_mut()) {
        if !table.wants(&event.aggregate_type) {
            continue;
        }
        let error = match guarded(|| fold.stage(event)) {
            Ok(Ok(())) => continue,
            Ok(Err((row, error))) => (row, error.to_string()),
            Err(panic) => (event.aggregate_id, panic),
        };
        failed = Some((table.name(), error.0, error.1));
        break;
    }
    for fold in folds {
        if failed.is_some() { fold.reject() } else { fold.accept(event) }
    }
    failed.map_or(Ok(()), Err)
}

async fn load(
    tx: &mut PgConnection,
    target: Target,
    table: &str,
    fold: &mut dyn Folding,
    keys: &HashSet<Key>,
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_unstable();
    let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) = keys.into_iter().map(|(tenant, id)| (tenant.0, *id)).unzip();
    // Each row by a subquery of its own, so that the plan, which is kept, is the same for a table of any size.
    let sql = format!(
        "select r.*
         from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
                  cross join lateral (
             select r.tenant_id, r.id, r.position, row_to_json(r)::text
             from {}.{table} r where r.tenant_id = k.tenant_id and r.id = k.id limit 1) r",
        target.slot.schema(target.group)
    );
    for row in sqlx::query(&sql).bind(tenants).bind(ids).fetch_all(tx).await? {
        let (tenant, id, position, json): (Uuid, Uuid, i64, &str) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let read = fold.load((TenantId(tenant), id), position, json);
        read.with_context(|| format!("reading row {id} of {}.{table}: replay the group", target.group.name))?;
    }
    Ok(())
}

/// Writes what changed in each table.
pub(crate) async fn write(tx: &mut PgConnection, target: Target, changes: Vec<Upserts>) -> Result<()> {
    let schema = target.slot.schema(target.group);
    for (table, upserts) in target.group.tables.iter().zip(changes) {
        let name = format!("{schema}.{}", table.name());
        if !upserts.tenants.is_empty() {
            let columns = table.columns();
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let sets: Vec<String> =
                names.iter().filter(|n| **n != "id").map(|n| format!("{n} = excluded.{n}")).collect();
            let numbered = || columns.iter().enumerate();
            let values: Vec<String> = numbered().map(|(n, column)| format!("c{n}::{}", column.kind.sql())).collect();
            let arrays: Vec<String> = numbered().map(|(n, _)| format!("${}::text[]", n + 3)).collect();
            let aliases: Vec<String> = numbered().map(|(n, _)| format!("c{n}")).collect();
            let sql = format!(
                "insert into {name} (tenant_id, position, {names})
                 select tenant_id, position, {values}
                 from unnest($1::uuid[], $2::bigint[], {arrays}) as r (tenant_id, position, {aliases})
                 on conflict (tenant_id, id) do update set position = excluded.position, {sets}",
                names = names.join(", "),
                values = values.join(", "),
                arrays = arrays.join(", "),
                aliases = aliases.join(", "),
                sets = sets.join(", "),
            );
            let mut statement = sqlx::query(&sql).bind(upserts.tenants).bind(upserts.positions);
            for column in upserts.columns {
                statement = statement.bind(column);
            }
            statement.execute(&mut *tx).await.with_context(|| format!("writing {name}"))?;
        }
    }
    Ok(())
}

/// The position before a batch and its last one. Positions are dense, so a batch without a gap is one whose length says so.
pub(crate) fn range(events: &[Arc<RawEvent>]) -> Result<(i64, i64)> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { bail!("an empty batch") };
    let (after, upto) = (first.position - 1, last.position);
    if upto - after != events.len() as i64 {
        bail!("events {}..{upto} of the log are not contiguous", first.position);
    }
    Ok((after, upto))
}

/// Was it the data that was refused, rather than the connection or the server? By PostgreSQL (classes 22 and 23, and 54 for
/// what is too large for an index or too deep), or on the way there.
pub(crate) fn is_data_error(error: &anyhow::Error) -> bool {
    let database =
        error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).and_then(|e| e.as_database_error());
    let refused = |code: &str| ["22", "23", "54"].iter().any(|class| code.starts_with(class));
    database.and_then(|e| e.code()).is_some_and(|code| refused(&code))
        || error.chain().any(|cause| cause.is::<serde_json::Error>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_error_of_its_event() {
        assert_eq!(guarded(|| 1), Ok(1));
        let at = 7;
        assert_eq!(guarded(|| -> i32 { panic!("no row at {at}") }), Err("panicked: no row at 7".to_owned()));
        assert_eq!(guarded(|| -> i32 { panic!("no row") }), Err("panicked: no row".to_owned()));
    }
}
