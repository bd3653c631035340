//! Folds single streams anew, after what their events say has changed: somebody was erased.

use crate::engine::{Batch, Mode, Target};
use crate::group::{Group, Slot};
use crate::groups;
use crate::replay::exclusive;
use anyhow::{Context, Result, ensure};
use event_store::{Log, RawEvent};
use kernel::TenantId;
use sqlx::PgPool;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What was folded anew in one table that lists show or that the last replay left behind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refolded {
    /// `crm.contacts`.
    pub table: String,
    /// Rows of the streams that were folded.
    pub rows: u64,
}

/// Folds these streams anew, in every group that knows them, once the group has read the log up to `position`: then nothing
/// is under way any more that was read before. Tables that the last replay replaced are folded too, and those of one that
/// was cut off are dropped.
///
/// A row belongs to one stream, so folding that stream from its beginning gives the row that a replay of everything would.
/// Rows that are written once hold nothing personal and stay.
///
/// # Errors
/// When a group has not come so far within `patience`, or a replay of it does not end.
pub async fn refold(
    log: &Log,
    tenant: TenantId,
    streams: &[(String, Uuid)],
    position: i64,
    patience: Duration,
) -> Result<Vec<Refolded>> {
    let deadline = Instant::now() + patience;
    let mut refolded = vec![];
    for group in groups() {
        let wanted: HashSet<Uuid> =
            streams.iter().filter(|(kind, _)| of_rows(group, kind)).map(|(_, id)| *id).collect();
        if wanted.is_empty() {
            continue;
        }
        // No replay may bring back what it has read before.
        let lock = loop {
            match exclusive(log.pool(), group).await {
                Ok(lock) => break lock,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        sqlx::query("select projections.discard($1, 'next')").bind(group.name).execute(log.pool()).await?;
        wait(log.pool(), group, position, deadline).await?;
        for slot in [Slot::Live, Slot::Previous] {
            refolded.extend(refold_slot(log, Target { group, slot }, tenant, &wanted).await?);
        }
        drop(lock);
    }
    Ok(refolded)
}

/// Does the group keep rows of such streams that change?
fn of_rows(group: &Group, aggregate_type: &str) -> bool {
    group.tables.iter().any(|table| table.wants(aggregate_type) && !table.append_only())
}

async fn wait(pool: &PgPool, group: &'static Group, position: i64, deadline: Instant) -> Result<()> {
    loop {
        let at = Target::live(group).position(&mut *pool.acquire().await?).await?;
        let at = at.with_context(|| format!("group {} has no checkpoint", group.name))?;
        if at >= position {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "group {} has read the log to {at} and must reach {position}: start the projections, then do this again",
            group.name
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn refold_slot(log: &Log, target: Target, tenant: TenantId, streams: &HashSet<Uuid>) -> Result<Vec<Refolded>> {
    if target.position(&mut *log.pool().acquire().await?).await?.is_none() {
        return Ok(vec![]);
    }
    let mut tx = event_store::begin(log.pool()).await?;
    let position = target.lock(&mut tx).await?;
    let mut events: Vec<Arc<RawEvent>> = vec![];
    for stream in streams {
        let of_stream = log.read_stream(tenant, *stream, 0, position).await.context("reading the log")?;
        events.extend(of_stream.into_iter().map(Arc::new));
    }
    events.sort_unstable_by_key(|event| event.position);
    sqlx::query(
        "delete from projections.parked where group_name = $1 and slot = $2 and tenant_id = $3 and aggregate_id = any($4)",
    )
    .bind(target.group.name)
    .bind(target.slot.name())
    .bind(tenant.0)
    .bind(streams.iter().copied().collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    let mut batch = Batch::new(target, HashSet::new(), target.group.folds());
    batch.fold_anew(&events);
    let rows: Vec<u64> = batch.changes(None)?.iter().map(|changes| changes.tenants.len() as u64).collect();
    batch.write(&mut tx, Mode::StreamByStream).await?;
    batch.note_parked(&mut tx).await?;
    // Whoever keeps rows in memory sees by it that the tables have changed.
    sqlx::query("update projections.checkpoints set updated_at = now() where group_name = $1 and slot = $2")
        .bind(target.group.name)
        .bind(target.slot.name())
        .execute(&mut *tx)
        .await?;
    // This one must be on disk before anybody is told.
    sqlx::query("set local synchronous_commit = on").execute(&mut *tx).await?;
    tx.commit().await?;
    let tables = target.group.tables.iter().zip(rows).filter(|(table, rows)| *rows > 0 && !table.append_only());
    let refolded = tables.map(|(table, rows)| {
        let table = format!("{}.{}", target.slot.schema(target.group), table.name());
        Refolded { table, rows }
    });
    Ok(refolded.collect())
}
