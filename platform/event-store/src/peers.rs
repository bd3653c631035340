//! Keeps the cache fresh while other processes append too.
//!
//! Every append says where the log stood before it. What lies between that and this process's own last append was written
//! by others, and is folded into the states in the cache. It is off every command's way: a command that is faster decides
//! on a stale state, and the append finds out.

use crate::cache::Cache;
use crate::seal::{self, Place};
use kernel::Stored;
use metrics::counter;
use sqlx::{PgPool, Row};
use std::time::Duration;
use tokio::sync::mpsc;

/// Positions that others have written: after the first number, up to the second.
pub(crate) type Foreign = (i64, i64);

/// Says that an operator has put something else in the place of an event.
const REPAIRED: &str = "event.repaired";

/// When others have written more than this meanwhile, as after a time without commands here, the cache is not worth it.
const FOREIGN_MAX: i64 = 2_000;

/// How long what others write is collected before it is read. Few commands are for a stream that somebody else has just
/// written to, and reading every batch of theirs by itself took two fifths of what the appends took.
const COLLECT: Duration = Duration::from_millis(10);

/// Follows until the appender has gone.
pub(crate) async fn follow(pool: PgPool, cache: Cache, mut written: mpsc::UnboundedReceiver<Foreign>) {
    while let Some(first) = written.recv().await {
        tokio::time::sleep(COLLECT).await;
        let mut ranges = vec![first];
        while let Ok(next) = written.try_recv() {
            ranges.push(next);
        }
        let events: i64 = ranges.iter().map(|(after, upto)| upto - after).sum();
        counter!("append_foreign_events_total").increment(events.unsigned_abs());
        if events > FOREIGN_MAX {
            cache.clear();
        } else if let Err(error) = catch_up(&pool, &cache, ranges).await {
            tracing::debug!(error = %error, "cannot see what others wrote, forgetting every state");
            cache.clear();
        }
    }
}

async fn catch_up(pool: &PgPool, cache: &Cache, ranges: Vec<Foreign>) -> Result<(), sqlx::Error> {
    let (after, upto): (Vec<i64>, Vec<i64>) = ranges.into_iter().unzip();
    let rows = sqlx::query(
        "select tenant_id, aggregate_type, aggregate_id, sequence, position, event_type, event_version, payload
         from eventstore.written($1, $2)",
    );
    for row in rows.bind(after).bind(upto).fetch_all(pool).await? {
        if row.try_get::<&str, _>(5)? == REPAIRED {
            // An event of long ago is another now, and no version tells.
            cache.clear();
        }
        let Some((stream, cached)) = cache.known(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) else { continue };
        let event_version = u32::try_from(row.try_get::<i32, _>(6)?).unwrap_or(1);
        let (payload, event_type): (Option<String>, String) = (row.try_get(7)?, row.try_get(5)?);
        let sequence = row.try_get(3)?;
        let place = Place { aggregate_type: stream.aggregate_type, sequence, event_type: &event_type, event_version };
        // One that was sealed with a key that is not known here is forgotten like one that is too large.
        let known = |payload: &String| seal::sealed_by(payload).is_none_or(|by| cached.subject.covers(by));
        let payload = payload.filter(known).and_then(|payload| seal::open(&cached.subject, place, &payload).ok());
        let event = payload.map(|payload| Stored { event_type: event_type.clone(), event_version, payload });
        cache.catch_up(stream, cached, sequence, row.try_get(4)?, event.as_ref());
    }
    Ok(())
}
