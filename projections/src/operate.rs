//! Operator verbs that look and mend: status, plan, parked, retry.

use crate::engine::{Batch, Mode, Target, decode, stage};
use crate::group::Group;
use crate::groups;
use crate::rebuild::{RebuildOptions, passes};
use crate::report::{GroupStatus, ParkedStream, Plan, RetryReport, Status};
use anyhow::{Context, Result};
use event_store::Log;
use kernel::TenantId;
use sqlx::PgPool;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Positions that `plan` folds to measure the rate.
const SAMPLE: i64 = 20_000;

/// How far every group is.
pub async fn status(pool: &PgPool) -> Result<Status> {
    let head = Log::new(pool.clone()).head().await?;
    let mut statuses = vec![];
    for group in groups() {
        let row: Option<(i64, i64, i32, i64, bool, bool, bool)> = sqlx::query_as(
            "select c.position, c.position - c.events, c.version,
                    (select count(*) from projections.parked p where p.group_name = c.group_name and p.slot = 'live'),
                    exists (select from projections.checkpoints n where n.group_name = c.group_name and n.slot = 'next'),
                    exists (select from projections.checkpoints n where n.group_name = c.group_name and n.slot = 'previous'),
                    exists (select from pg_locks l
                            where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                              and l.database = (select oid from pg_database where datname = current_database())
                              and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended($2, 0))
             from projections.checkpoints c where c.group_name = $1 and c.slot = 'live'",
        )
        .bind(group.name)
        .bind(crate::worker::lease_name(group))
        .fetch_optional(pool)
        .await?;
        let (position, missing_events, version, parked, rebuilding, can_roll_back, led) =
            row.with_context(|| format!("group {} has no checkpoint: run the migrations", group.name))?;
        statuses.push(GroupStatus {
            group: group.name.to_owned(),
            tables: table_names(group),
            position,
            // The head was read first, so a busy group may be past it.
            lag_events: (head - position).max(0),
            missing_events,
            parked,
            led,
            replay_needed: needs_replay(group, position, version),
            rebuilding,
            can_roll_back,
        });
    }
    Ok(Status { head, groups: statuses })
}

/// A group that has read nothing has no rows of an older shape, whatever its checkpoint was born with.
fn needs_replay(group: &Group, position: i64, version: i32) -> bool {
    position > 0 && version != group.version
}

fn table_names(group: &Group) -> Vec<String> {
    group.tables.iter().map(|table| format!("{}.{}", group.name, table.name())).collect()
}

/// What a replay of a group would do, with a rate that is measured on the newest events, in memory.
pub async fn plan(log: &Log, group: &'static Group, options: &RebuildOptions) -> Result<Plan> {
    let pool = log.pool();
    let head = log.head().await?;
    let types = group.streams();
    let (events, streams) = log.count(head, types.as_deref()).await?;
    let (position, version, bytes): (i64, i32, i64) = sqlx::query_as(
        "select c.position, c.version, (select coalesce(sum(pg_total_relation_size(format('%I.%I', t.group_name, t.table_name)::regclass)), 0)::bigint
                            from projections.tables t where t.group_name = c.group_name)
         from projections.checkpoints c where c.group_name = $1 and c.slot = 'live'",
    )
    .bind(group.name)
    .fetch_one(pool)
    .await?;
    let started = Instant::now();
    let sample = match &types {
        Some(types) => log.read_types((head - SAMPLE).max(0), head, types).await?,
        None => log.read((head - SAMPLE).max(0), SAMPLE).await?,
    };
    let mut folds = group.folds();
    for event in sample.iter().filter_map(|raw| decode(raw).ok()) {
        // Streams whose beginning is older than the sample cannot be folded; trying takes the same time.
        drop(stage(group, &mut folds, &event));
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = (sample.len() >= 1_000).then(|| sample.len() as f64 / seconds);
    Ok(Plan {
        group: group.name.to_owned(),
        tables: table_names(group),
        head,
        events,
        streams,
        passes: passes(group, streams, options),
        bytes,
        rate,
        seconds: rate.map(|rate| events as f64 / rate),
        replay_needed: needs_replay(group, position, version),
    })
}

/// The streams that are parked, of one group or of all.
pub async fn parked(pool: &PgPool, group: Option<&Group>) -> Result<Vec<ParkedStream>> {
    let rows = sqlx::query_as(
        "select group_name, tenant_id, aggregate_id, aggregate_type, table_name, row_id, first_position, last_position,
                event_count, error, attempts, parked_at
         from projections.parked
         where slot = 'live' and ($1::text is null or group_name = $1)
         order by first_position, group_name",
    );
    Ok(rows.bind(group.map(|g| g.name)).fetch_all(pool).await?)
}

/// Applies the events of parked streams again, from the first that failed: of one stream, or of all of the group.
pub async fn retry(log: &Log, group: &'static Group, aggregate: Option<Uuid>) -> Result<RetryReport> {
    let mut report = RetryReport::default();
    for stream in parked(log.pool(), Some(group)).await? {
        if aggregate.is_none_or(|only| only == stream.aggregate_id) {
            match retry_stream(log, group, &stream).await? {
                None => report.cleared.push(stream.aggregate_id),
                Some(error) => report.parked.push((stream.aggregate_id, error)),
            }
        }
    }
    Ok(report)
}

async fn retry_stream(log: &Log, group: &'static Group, stream: &ParkedStream) -> Result<Option<String>> {
    let target = Target::live(group);
    let mut tx = event_store::begin(log.pool()).await?;
    let position = target.lock(&mut tx).await?;
    let gone: Option<i64> = sqlx::query_scalar(
        "delete from projections.parked
         where group_name = $1 and slot = 'live' and tenant_id = $2 and aggregate_id = $3 returning first_position",
    )
    .bind(group.name)
    .bind(stream.tenant_id)
    .bind(stream.aggregate_id)
    .fetch_optional(&mut *tx)
    .await?;
    // Somebody else was quicker.
    let Some(first) = gone else { return Ok(None) };
    let events = log.read_stream(TenantId(stream.tenant_id), stream.aggregate_id, first - 1, position).await?;
    let events: Vec<_> = events.into_iter().map(Arc::new).collect();
    let mut batch = Batch::new(target, HashSet::new(), group.folds());
    batch.fold(&mut tx, &events).await?;
    batch.write(&mut tx, Mode::StreamByStream).await?;
    batch.note_parked(&mut tx).await?;
    let error = batch.parking().values().next().map(|parking| parking.error.clone());
    if error.is_some() {
        sqlx::query(
            "update projections.parked set attempts = $4 + 1, parked_at = $5
             where group_name = $1 and slot = 'live' and tenant_id = $2 and aggregate_id = $3",
        )
        .bind(group.name)
        .bind(stream.tenant_id)
        .bind(stream.aggregate_id)
        .bind(stream.attempts)
        .bind(stream.parked_at)
        .execute(&mut *tx)
        .await?;
    }
    // Whoever keeps rows in memory sees by it that the tables have changed.
    sqlx::query("update projections.checkpoints set updated_at = now() where group_name = $1 and slot = 'live'")
        .bind(group.name)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(error)
}
