//! Catching up: a batch is folded in memory while the one before it is being written.

use crate::engine::{Batch, Rows, Target, range, write};
use crate::table::Upserts;
use anyhow::{Context, Result};
use crash_points::Point;
use event_store::RawEvent;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Instant;

/// As `projections.advance` sets it for the statements of a batch: they take arrays, so their plans are kept, and must do
/// for a table of any size.
const LOOKING_UP: &str =
    "select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)";

/// A batch that is folded and not written.
pub(crate) struct Folded {
    /// What it is made of.
    pub events: Vec<Arc<RawEvent>>,
    batch: Batch,
    changes: Vec<Upserts>,
}

impl Folded {
    /// Where the checkpoint will be.
    pub fn upto(&self) -> i64 {
        self.events.last().map_or(0, |event| event.position)
    }
}

impl Target {
    /// Folds the events that follow a batch which may not be written yet, because `rows` holds all that it changed.
    /// Answers the rows after it too.
    pub(crate) async fn fold(self, pool: PgPool, events: Vec<Arc<RawEvent>>, rows: Rows) -> Result<(Folded, Rows)> {
        let mut batch = Batch::new(self, rows.parked, rows.folds);
        let mut tx = event_store::begin(&pool).await?;
        sqlx::query(LOOKING_UP).execute(&mut *tx).await?;
        batch.fold(&mut tx, &events).await?;
        tx.rollback().await?;
        let changes = batch.changes(None)?;
        let rows = batch.settle();
        Ok((Folded { events, batch, changes }, rows))
    }

    /// Writes it, if the checkpoint is where the batch begins and `written_by` is who put it there. Answers who has moved
    /// it; none if somebody else came between: then nothing was done, and what was folded counts for nothing.
    pub(crate) async fn write(self, pool: &PgPool, folded: Folded, written_by: &str) -> Result<Option<String>> {
        let started = Instant::now();
        let (after, upto) = range(&folded.events)?;
        let mut tx = event_store::begin(pool).await?;
        let turn = self.advance(&mut tx, after, upto).await?;
        let Some(moved_by) = turn.moved_by.filter(|_| turn.written_by == written_by) else { return Ok(None) };
        crash_points::reach(Point::ProjectionAdvanced);
        write(&mut tx, self, folded.changes).await?;
        folded.batch.note_parked(&mut tx).await?;
        crash_points::reach(Point::ProjectionWritten);
        tx.commit().await.context("committing a batch")?;
        crash_points::reach(Point::ProjectionCommitted);
        self.observe(&folded.events, started);
        Ok(Some(moved_by))
    }
}
