//! Builds the tables of a group anew, beside the live ones: pages of the log are folded in memory by several threads,
//! each with its own streams, and written by COPY; indexes come last.

use crate::engine::{Applied, Parking, Target, decode, is_data_error, stage};
use crate::group::{Group, Slot};
use crate::table::Key;
use anyhow::{Context, Result, bail};
use event_store::{Log, RawEvent};
use futures::{StreamExt, TryStreamExt};
use kernel::TenantId;
use sqlx::postgres::types::Oid;
use sqlx::{Connection, PgConnection, PgPool};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// COPYs into one table at once, each on a connection of its own.
const WRITERS_MAX: usize = 4;

/// Events per transaction where rows are not copied.
const BATCH: i64 = 5_000;

/// How a rebuild goes about it.
#[derive(Debug, Clone)]
pub struct RebuildOptions {
    /// Threads that fold.
    pub shards: usize,
    /// Positions per page of the log.
    pub page: i64,
    /// Streams in memory at most; a group with more of them is built in several passes over the log.
    pub streams_max: i64,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { shards: cores.clamp(1, 8), page: 4_000, streams_max: 1_000_000 }
    }
}

/// What a replay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Folding the log into new tables.
    Building,
    /// Making their indexes.
    Indexing,
    /// Applying what was appended meanwhile.
    Following,
    /// Comparing them with the live ones.
    Verifying,
    /// Putting them in the place of the live ones.
    Switching,
}

/// How far a replay is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Progress {
    /// Which group.
    pub group: &'static str,
    /// What it is doing.
    pub stage: Stage,
    /// Events done in this stage.
    pub done: i64,
    /// Events to do.
    pub total: i64,
    /// Events per second since the stage began.
    pub rate: f64,
    /// Seconds until the stage ends at this rate.
    pub eta_seconds: Option<f64>,
}

impl Progress {
    pub(crate) fn new(group: &'static Group, stage: Stage, done: i64, total: i64, since: Instant) -> Self {
        let elapsed = since.elapsed().as_secs_f64().max(1e-6);
        let rate = done as f64 / elapsed;
        let eta_seconds = (rate > 0.0).then(|| (total - done).max(0) as f64 / rate);
        Self { group: group.name, stage, done, total, rate, eta_seconds }
    }
}

/// Called as a replay goes on.
pub type OnProgress<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// What a build came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Built {
    /// The log was read up to here.
    pub position: i64,
    /// Events that were folded.
    pub events: i64,
    /// Seconds for reading, folding and writing.
    pub seconds: f64,
    /// Seconds for indexes.
    pub index_seconds: f64,
}

/// One thread's share.
struct Shard {
    input: mpsc::Sender<Vec<RawEvent>>,
    thread: JoinHandle<Result<(i64, BTreeMap<Key, Parking>)>>,
}

/// Fills `<group>_next` with the log up to its present head. Whatever was there before is dropped.
///
/// A COPY says only that it was refused, so when one is, everything is built again as the live tables are: slower, and
/// what cannot be written parks its own stream alone.
pub(crate) async fn build(
    log: &Log,
    group: &'static Group,
    options: &RebuildOptions,
    progress: OnProgress<'_>,
) -> Result<Built> {
    match build_by_copy(log, group, options, progress).await {
        Err(error) if is_data_error(&error) => {
            tracing::warn!(group = group.name, error = %format!("{error:#}"), "a row was refused, building stream by stream");
            build_in_batches(log, group, progress).await
        }
        built => built,
    }
}

/// The way of the live tables, from the log's beginning.
async fn build_in_batches(log: &Log, group: &'static Group, progress: OnProgress<'_>) -> Result<Built> {
    let (started, pool) = (Instant::now(), log.pool());
    let head = log.head().await?;
    let (events, _) = log.count(head, group.streams().as_deref()).await.context("counting events")?;
    begin(pool, group).await.context("making empty tables")?;
    sqlx::query("select projections.finish_build($1, 0)").bind(group.name).execute(pool).await?;
    let target = Target { group, slot: Slot::Next };
    let mut at = 0;
    while at < head {
        progress(&Progress::new(group, Stage::Building, at, head, started));
        let page = log.read(at, (head - at).min(BATCH)).await.context("reading the log")?;
        let page: Vec<_> = page.into_iter().map(Arc::new).collect();
        at = match target.apply(pool, &page).await? {
            Applied::At(position) => position,
            Applied::Elsewhere(_) => bail!("another replay has begun"),
        };
    }
    Ok(Built { position: head, events, seconds: started.elapsed().as_secs_f64(), index_seconds: 0.0 })
}

async fn build_by_copy(
    log: &Log,
    group: &'static Group,
    options: &RebuildOptions,
    progress: OnProgress<'_>,
) -> Result<Built> {
    let (started, pool) = (Instant::now(), log.pool());
    let head = log.head().await?;
    let types = group.streams();
    let (total, streams) = log.count(head, types.as_deref()).await.context("counting events")?;
    let tables = begin(pool, group).await.context("making empty tables")?;
    let passes = passes(group, streams, options);
    let mut events = 0;
    for pass in 0..passes {
        let done = events;
        let mut report = |count: i64| {
            let mut now = Progress::new(group, Stage::Building, done + count / passes, total, started);
            now.total = total;
            progress(&now);
        };
        let pass = Pass { group, tables: &tables, pass, passes, types: types.clone(), head };
        events += pass.run(pool, log, options, &mut report).await?;
    }
    // Positions are dense and nothing is ever deleted, so a fold that saw fewer events than there are is a defect.
    if events != total {
        bail!("{events} events were folded, but the log has {total} of {}", group.name);
    }
    let seconds = started.elapsed().as_secs_f64();
    let indexing = Instant::now();
    progress(&Progress::new(group, Stage::Indexing, 0, 0, indexing));
    let mut tx = event_store::begin(pool).await?;
    sqlx::raw_sql("set local statement_timeout = 0; set local maintenance_work_mem = '256MB'")
        .execute(&mut *tx)
        .await?;
    let finish = sqlx::query("select projections.finish_build($1, $2)").bind(group.name).bind(head);
    finish.execute(&mut *tx).await.context("making indexes")?;
    tx.commit().await?;
    Ok(Built { position: head, events, seconds, index_seconds: indexing.elapsed().as_secs_f64() })
}

/// Makes empty tables, in the order of the group's, and says which ones they are: an attempt that comes later makes
/// others of the same names.
async fn begin(pool: &PgPool, group: &Group) -> sqlx::Result<Vec<Oid>> {
    let mut tx = event_store::begin(pool).await?;
    let begin = sqlx::query("select projections.begin_rebuild($1, $2)").bind(group.name).bind(group.version);
    begin.execute(&mut *tx).await?;
    let mut tables = vec![];
    for table in &group.tables {
        tables.push(oid(&mut tx, &next_table(group, table.name())).await?);
    }
    tx.commit().await?;
    Ok(tables)
}

async fn oid(connection: &mut PgConnection, table: &str) -> sqlx::Result<Oid> {
    sqlx::query_scalar("select $1::regclass::oid").bind(table).fetch_one(connection).await
}

fn next_table(group: &Group, table: &str) -> String {
    format!("{}.{table}", Slot::Next.schema(group))
}

/// How often the log is read, so that memory stays bounded. Rows that are written once are not kept at all.
pub(crate) fn passes(group: &Group, streams: i64, options: &RebuildOptions) -> i64 {
    if group.tables.iter().all(|table| table.append_only()) {
        return 1;
    }
    (streams + options.streams_max - 1).div_euclid(options.streams_max.max(1)).max(1)
}

struct Pass<'a> {
    group: &'static Group,
    tables: &'a [Oid],
    pass: i64,
    passes: i64,
    types: Option<Vec<String>>,
    head: i64,
}

impl Pass<'_> {
    async fn run(
        &self,
        pool: &PgPool,
        log: &Log,
        options: &RebuildOptions,
        report: &mut (dyn FnMut(i64) + Send),
    ) -> Result<i64> {
        // Dropped with this future, so that what is cut off stops writing.
        let mut writers = JoinSet::new();
        let mut texts: Vec<Vec<_>> = vec![];
        for _ in 0..options.shards.clamp(1, WRITERS_MAX) {
            let mut of_tables = vec![];
            for (table, oid) in self.tables.iter().enumerate() {
                let (text, pieces) = mpsc::channel(8);
                writers.spawn(write(pool.clone(), self.group, table, *oid, pieces));
                of_tables.push(text);
            }
            texts.push(of_tables);
        }
        let texts_of = |shard: usize| texts[shard % texts.len()].clone();
        let shards: Vec<Shard> = (0..options.shards.max(1)).map(|n| shard(self.group, texts_of(n))).collect();
        drop(texts);
        let fed = self.feed(log, options, &shards, report).await;
        let mut parked = BTreeMap::new();
        let mut events = 0;
        let mut failed = fed.err();
        for Shard { input, thread } in shards {
            drop(input);
            match thread.await.context("a folding thread")? {
                Ok((count, parking)) => {
                    events += count;
                    parked.extend(parking);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // The writer's error comes first: it is why a shard could not go on.
        while let Some(writer) = writers.join_next().await {
            writer.context("a writing task")??;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        park(pool, self.group, &parked).await?;
        Ok(events)
    }

    /// Reads pages ahead, as many at a time as there are shards, and deals their events out by stream.
    async fn feed(
        &self,
        log: &Log,
        options: &RebuildOptions,
        shards: &[Shard],
        report: &mut (dyn FnMut(i64) + Send),
    ) -> Result<()> {
        let page = options.page.max(1);
        let starts = (0..self.head).step_by(usize::try_from(page)?);
        let pages = futures::stream::iter(starts).map(|after| {
            let (log, types, upto) = (log.clone(), self.types.clone(), (after + page).min(self.head));
            tokio::spawn(async move {
                match types {
                    Some(types) => log.read_types(after, upto, &types).await,
                    None => log.read(after, upto - after).await,
                }
            })
        });
        let mut pages = pages.buffered(shards.len());
        let mut read = 0;
        let mut reported = Instant::now();
        while let Some(events) = pages.try_next().await? {
            let events = events.context("reading the log")?;
            read += events.len() as i64;
            let mut shares: Vec<Vec<RawEvent>> = shards.iter().map(|_| vec![]).collect();
            for event in events {
                let hash = spread(event.aggregate_id.as_u128());
                if hash.rem_euclid(self.passes as u64) == self.pass as u64 {
                    let share = (hash / self.passes as u64) as usize % shares.len();
                    shares[share].push(event);
                }
            }
            for (shard, share) in shards.iter().zip(shares) {
                if !share.is_empty() && shard.input.send(share).await.is_err() {
                    bail!("a folding thread ended early");
                }
            }
            if reported.elapsed() > Duration::from_millis(100) {
                report(read);
                reported = Instant::now();
            }
        }
        report(read);
        Ok(())
    }
}

/// Evens out the bits of a UUID, whose version 7 begins with a time.
fn spread(id: u128) -> u64 {
    let folded = (id as u64) ^ ((id >> 64) as u64);
    folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
}

/// A thread that decodes and folds its streams, then writes them out.
fn shard(group: &'static Group, texts: Vec<mpsc::Sender<Vec<u8>>>) -> Shard {
    let (input, mut pages) = mpsc::channel::<Vec<RawEvent>>(4);
    let thread = tokio::task::spawn_blocking(move || {
        let mut folds = group.folds();
        let mut parking: BTreeMap<Key, Parking> = BTreeMap::new();
        let mut events = 0;
        while let Some(page) = pages.blocking_recv() {
            events += page.len() as i64;
            for raw in page {
                apply(group, &mut folds, raw, &mut parking);
            }
            for ((table, fold), text) in group.tables.iter().zip(&mut folds).zip(&texts) {
                if table.append_only() {
                    fold.drain(&mut |piece| text.blocking_send(piece).is_ok())?;
                }
            }
        }
        for (fold, text) in folds.iter_mut().zip(&texts) {
            fold.drain(&mut |piece| text.blocking_send(piece).is_ok())?;
        }
        Ok((events, parking))
    });
    Shard { input, thread }
}

fn apply(
    group: &'static Group,
    folds: &mut [Box<dyn crate::table::Folding>],
    raw: RawEvent,
    parking: &mut BTreeMap<Key, Parking>,
) {
    let stream: Key = (raw.tenant_id, raw.aggregate_id);
    if let Some(parked) = parking.get_mut(&stream) {
        parked.last = raw.position;
        parked.count += 1;
        return;
    }
    let noted = Parking { count: 1, ..Parking::at(raw.position, &raw.aggregate_type) };
    let failed = match decode(&raw) {
        Err(error) => Some((None, None, error.to_string())),
        Ok(event) => stage(group, folds, &event).err().map(|(table, row, error)| (Some(table), Some(row), error)),
    };
    if let Some((table, row, error)) = failed {
        parking.insert(stream, Parking { table, row, error, ..noted });
    }
}

/// Writes one table by COPY, from start to end.
///
/// # Errors
/// When the table is no longer the one that this build began with: then a later attempt has taken over.
async fn write(
    pool: PgPool,
    group: &'static Group,
    table: usize,
    oid_at_begin: Oid,
    mut pieces: mpsc::Receiver<Vec<u8>>,
) -> Result<()> {
    let table = &group.tables[table];
    let columns: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    let name = next_table(group, table.name());
    let sql = format!("copy {name} (tenant_id, position, {}) from stdin", columns.join(", "));
    // Opened by the first piece: a connection is not held while a big fold goes on in memory.
    let Some(first) = pieces.recv().await else { return Ok(()) };
    // One of its own, because a COPY may take longer than the pool's statements may.
    let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
    sqlx::query("set statement_timeout = 0").execute(&mut connection).await?;
    let copied = async {
        let mut tx = connection.begin().await?;
        sqlx::query(&format!("lock table {name} in row exclusive mode")).execute(&mut *tx).await?;
        if oid(&mut tx, &name).await? != oid_at_begin {
            bail!("another replay has begun");
        }
        let mut copy = tx.copy_in_raw(&sql).await?;
        copy.send(first).await?;
        while let Some(piece) = pieces.recv().await {
            copy.send(piece).await?;
        }
        copy.finish().await?;
        Ok(tx.commit().await?)
    };
    copied.await.with_context(|| format!("copying into {name}"))?;
    connection.close().await?;
    Ok(())
}

async fn park(pool: &PgPool, group: &Group, parked: &BTreeMap<Key, Parking>) -> Result<()> {
    let mut connection = pool.acquire().await?;
    for ((TenantId(tenant), aggregate), parking) in parked {
        parking.note(&mut connection, group, Slot::Next, *tenant, *aggregate).await?;
    }
    Ok(())
}
