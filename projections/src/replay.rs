//! Replay: build beside the live tables, follow until level, compare, switch in one transaction, keep the old ones.
//!
//! Killed at any point, nothing but unread side tables is left behind, and the next attempt drops those first.

use crate::engine::{Applied, Kept, Mode, Target, decode, guarded};
use crate::group::{Group, Slot};
use crate::rebuild::{Built, OnProgress, Progress, RebuildOptions, Stage, build};
use crate::report::{Comparison, ParkedStream, ReplayReport, TableComparison, VerifyReport};
use anyhow::{Context, Result, bail};
use crash_points::Point;
use event_store::{Log, RawEvent};
use kernel::TenantId;
use sqlx::{Connection, PgConnection, PgPool};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Events per transaction while following.
const PAGE: i64 = 10_000;
/// Waiting for readers of a table to finish is given up after this, so that new readers do not queue behind it.
const LOCK_PATIENCE: &str = "set local lock_timeout = '1s'";
/// How often a switch is attempted.
const ATTEMPTS: u32 = 20;
/// Differing rows that a report names per table and tenant.
const NAMED_ROWS_MAX: i64 = 10;

/// How a replay goes about it.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// The build.
    pub rebuild: RebuildOptions,
    /// Switch although rows differ and no fold is newer than the live rows.
    pub accept_differences: bool,
}

/// Rebuilds a group and puts the result in the place of its live tables. `log` connects as `ubos_worker`.
///
/// If rows differ although the folds have not changed since the live ones were written, nothing is switched: the
/// report says which rows, and the new tables stay for a look.
pub async fn replay(
    log: &Log,
    group: &'static Group,
    options: &ReplayOptions,
    progress: OnProgress<'_>,
) -> Result<ReplayReport> {
    let (started, pool) = (Instant::now(), log.pool());
    let lock = exclusive(pool, group).await?;
    let built = build(log, group, &options.rebuild, progress).await?;
    crash_points::reach(Point::ReplayBuilt);
    let comparison = level_and_compare(log, group, progress).await?;
    crash_points::reach(Point::ReplayVerified);
    let older: i32 =
        sqlx::query_scalar("select version from projections.checkpoints where group_name = $1 and slot = 'live'")
            .bind(group.name)
            .fetch_one(pool)
            .await?;
    let expected = older != group.version;
    let switched = comparison.equal() || expected || options.accept_differences;
    if switched {
        progress(&Progress::new(group, Stage::Switching, 0, 0, Instant::now()));
        switch(log, group, Slot::Next).await?;
    }
    lock.close().await?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(ReplayReport { group: group.name, built, comparison, differences_expected: expected, switched, seconds })
}

/// Compares the live tables with a fresh replay, which is dropped again.
pub async fn verify(
    log: &Log,
    group: &'static Group,
    options: &RebuildOptions,
    progress: OnProgress<'_>,
) -> Result<VerifyReport> {
    let pool = log.pool();
    let lock = exclusive(pool, group).await?;
    let Built { events, .. } = build(log, group, options, progress).await?;
    let comparison = level_and_compare(log, group, progress).await?;
    sqlx::query("select projections.discard($1, 'next')").bind(group.name).execute(pool).await?;
    lock.close().await?;
    Ok(VerifyReport { group: group.name, events, comparison })
}

/// Puts the tables that the last replay replaced back, after they have read what was appended since.
pub async fn rollback(log: &Log, group: &'static Group, progress: OnProgress<'_>) -> Result<i64> {
    let pool = log.pool();
    let lock = exclusive(pool, group).await?;
    let previous = Target { group, slot: Slot::Previous };
    if previous.position(&mut *pool.acquire().await?).await?.is_none() {
        bail!("group {} has no previous tables: nothing was replayed", group.name);
    }
    follow(log, group, Slot::Previous, progress).await?;
    progress(&Progress::new(group, Stage::Switching, 0, 0, Instant::now()));
    let position = switch(log, group, Slot::Previous).await?;
    lock.close().await?;
    Ok(position)
}

/// One replay, verification or rollback per group at a time; the lock goes with its connection.
pub(crate) async fn exclusive(pool: &PgPool, group: &Group) -> Result<PgConnection> {
    let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
    let free: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("ubos.projections.replay.{}", group.name))
        .fetch_one(&mut connection)
        .await?;
    if !free {
        bail!("another replay, verification or rollback of {} is running", group.name);
    }
    Ok(connection)
}

async fn live_position(pool: &PgPool, group: &'static Group) -> Result<i64> {
    let position = Target::live(group).position(&mut *pool.acquire().await?).await?;
    position.with_context(|| format!("group {} has no checkpoint", group.name))
}

/// Applies what the live tables have read and the side tables have not.
async fn follow(log: &Log, group: &'static Group, slot: Slot, progress: OnProgress<'_>) -> Result<i64> {
    let (side, started, pool) = (Target { group, slot }, Instant::now(), log.pool());
    let position = side.position(&mut *pool.acquire().await?).await?;
    let mut at = position.with_context(|| format!("group {} has no {} tables", group.name, slot.name()))?;
    let from = at;
    loop {
        let live = live_position(pool, group).await?;
        progress(&Progress::new(group, Stage::Following, at - from, live - from, started));
        if at >= live {
            return Ok(at);
        }
        at = match side.apply(pool, &page(log, at, live.min(at + PAGE)).await?).await? {
            Applied::At(position) | Applied::Elsewhere(position) => position,
        };
    }
}

async fn page(log: &Log, after: i64, upto: i64) -> Result<Vec<Arc<RawEvent>>> {
    let events = log.read(after, upto - after).await.context("reading the log")?;
    Ok(events.into_iter().map(Arc::new).collect())
}

/// Brings the new tables to the live ones' position, holds the live ones there for as long as it takes to open a
/// snapshot that sees both, and compares within it while both go on.
async fn level_and_compare(log: &Log, group: &'static Group, progress: OnProgress<'_>) -> Result<Comparison> {
    let pool = log.pool();
    let (live, next) = (Target::live(group), Target { group, slot: Slot::Next });
    let (mut snapshot, position) = loop {
        let at = follow(log, group, Slot::Next, progress).await?;
        let mut hold = event_store::begin(pool).await?;
        let position = live.lock(&mut hold).await?;
        if position < at {
            // The new tables read as far as the log's head, and the live ones are not there yet.
            hold.rollback().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        if position > at {
            next.apply(pool, &page(log, at, position).await?).await?;
        }
        let mut snapshot = event_store::begin_with(pool, "begin isolation level repeatable read read only").await?;
        let seen: Vec<i64> = sqlx::query_scalar(
            "select position from projections.checkpoints where group_name = $1 and slot in ('live', 'next')",
        )
        .bind(group.name)
        .fetch_all(&mut *snapshot)
        .await?;
        hold.rollback().await?;
        if seen == [position, position] {
            break (snapshot, position);
        }
        snapshot.rollback().await?;
    };
    progress(&Progress::new(group, Stage::Verifying, 0, 0, Instant::now()));
    sqlx::query("set local statement_timeout = 0").execute(&mut *snapshot).await?;
    let (parked, streams) = parked(&mut snapshot, group).await?;
    let mut left_out = Excluded::default();
    for (tenant, stream) in streams {
        let events = log.read_stream(TenantId(tenant), stream, 0, position).await.context("reading the log")?;
        left_out.stream(group, tenant, stream, &events);
    }
    let mut tables = vec![];
    for table in &group.tables {
        tables.push(compare(&mut snapshot, group, table.name(), &left_out).await?);
    }
    snapshot.rollback().await?;
    Ok(Comparison { position, tables, parked })
}

/// What the new tables could not apply, and the streams that either of the two has parked.
async fn parked(snapshot: &mut PgConnection, group: &Group) -> Result<(Vec<ParkedStream>, BTreeSet<(Uuid, Uuid)>)> {
    let fresh = sqlx::query_as(
        "select group_name, tenant_id, aggregate_id, aggregate_type, table_name, row_id, first_position, last_position,
                event_count, error, attempts, parked_at
         from projections.parked where slot = 'next' and group_name = $1 order by first_position",
    );
    let fresh = fresh.bind(group.name).fetch_all(&mut *snapshot).await?;
    let streams: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select tenant_id, aggregate_id from projections.parked where slot in ('live', 'next') and group_name = $1",
    )
    .bind(group.name)
    .fetch_all(&mut *snapshot)
    .await?;
    Ok((fresh, streams.into_iter().collect()))
}

/// Rows of parked streams, in whichever table.
#[derive(Default)]
struct Excluded {
    rows: BTreeSet<(Uuid, Uuid)>,
}

impl Excluded {
    /// The row of the stream's own id, and the others that its events touch as far as they can be read.
    fn stream(&mut self, group: &'static Group, tenant: Uuid, stream: Uuid, events: &[RawEvent]) {
        self.rows.insert((tenant, stream));
        let folds = group.folds();
        for event in events.iter().filter_map(|raw| decode(raw).ok()) {
            for (table, fold) in group.tables.iter().zip(&folds) {
                if table.wants(&event.aggregate_type) {
                    let keys = guarded(|| fold.keys(&event)).unwrap_or_default();
                    self.rows.extend(keys.into_iter().map(|row| (tenant, row)));
                }
            }
        }
    }
}

/// Row counts and order-independent checksums per tenant, then the rows of tenants whose sums differ.
async fn compare(
    snapshot: &mut PgConnection,
    group: &Group,
    table: &str,
    left_out: &Excluded,
) -> Result<TableComparison> {
    let (tenants_out, rows_out): (Vec<Uuid>, Vec<Uuid>) = left_out.rows.iter().copied().unzip();
    let compared = if rows_out.is_empty() {
        "true"
    } else {
        "(r.tenant_id, r.id) not in (select * from unnest($1::uuid[], $2::uuid[]))"
    };
    let (live, next) =
        (format!("{}.{table}", Slot::Live.schema(group)), format!("{}.{table}", Slot::Next.schema(group)));
    let sums = |name: &str| {
        format!(
            "select tenant_id, count(*) as n, sum(hash_record_extended(r, 0)::numeric) as s
             from {name} r where {compared} group by tenant_id"
        )
    };
    let sql = format!(
        "select coalesce(l.tenant_id, n.tenant_id), coalesce(l.n, 0), coalesce(n.n, 0), l.s is not distinct from n.s
         from ({}) l full join ({}) n on n.tenant_id = l.tenant_id",
        sums(&live),
        sums(&next)
    );
    let tenants: Vec<(Uuid, i64, i64, bool)> =
        sqlx::query_as(&sql).bind(&tenants_out).bind(&rows_out).fetch_all(&mut *snapshot).await?;
    let mut result = TableComparison {
        table: format!("{}.{table}", group.name),
        tenants: tenants.len() as i64,
        live_rows: tenants.iter().map(|t| t.1).sum(),
        rebuilt_rows: tenants.iter().map(|t| t.2).sum(),
        differing_tenants: 0,
        differing_rows: vec![],
    };
    for (tenant, ..) in tenants.iter().filter(|(_, l, n, same)| l != n || !same) {
        result.differing_tenants += 1;
        let sql = format!(
            "select coalesce(l.id, n.id)
             from (select * from {live} r where tenant_id = $3 and {compared}) l
                      full join (select * from {next} r where tenant_id = $3 and {compared}) n on n.id = l.id
             where row_to_json(l)::text is distinct from row_to_json(n)::text order by 1 limit $4"
        );
        let rows = sqlx::query_scalar(&sql).bind(&tenants_out).bind(&rows_out).bind(tenant).bind(NAMED_ROWS_MAX);
        let rows: Vec<Uuid> = rows.fetch_all(&mut *snapshot).await?;
        result.differing_rows.extend(rows.into_iter().map(|row| (*tenant, row)));
    }
    Ok(result)
}

/// Moves the side tables into the place of the live ones, at exactly the live ones' position.
async fn switch(log: &Log, group: &'static Group, source: Slot) -> Result<i64> {
    for attempt in 1.. {
        // What can be read before is read before, so that the live group is held for the rest only.
        follow(log, group, source, &mut |_| {}).await?;
        match try_switch(log, group, source).await {
            Err(error) if attempt < ATTEMPTS && is_lock_timeout(&error) => {
                tracing::info!(group = group.name, "tables are being read, trying again");
                tokio::time::sleep(Duration::from_millis(50 * u64::from(attempt))).await;
            }
            done => return done,
        }
    }
    unreachable!("the last attempt returns")
}

async fn try_switch(log: &Log, group: &'static Group, source: Slot) -> Result<i64> {
    let pool = log.pool();
    let (live, side) = (Target::live(group), Target { group, slot: source });
    let mut tx = event_store::begin(pool).await?;
    sqlx::query(LOCK_PATIENCE).execute(&mut *tx).await?;
    let (position, at) = (live.lock(&mut tx).await?, side.lock(&mut tx).await?);
    if at < position {
        side.apply_in(&mut tx, &page(log, at, position).await?, Mode::StreamByStream, &mut Kept::default()).await?;
    } else if at > position {
        bail!("the {} tables of {} are ahead of the live ones", source.name(), group.name);
    }
    let switch = sqlx::query("select projections.switch($1, $2)").bind(group.name).bind(source.name());
    switch.execute(&mut *tx).await.context("switching the tables")?;
    // This one must be on disk before anybody is told.
    sqlx::query("set local synchronous_commit = on").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(position)
}

fn is_lock_timeout(error: &anyhow::Error) -> bool {
    let database = error.chain().find_map(|c| c.downcast_ref::<sqlx::Error>()).and_then(|e| e.as_database_error());
    database.and_then(|e| e.code()).is_some_and(|code| code == "55P03" || code == "40P01")
}
