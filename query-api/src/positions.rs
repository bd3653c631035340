//! Reading one's own writes: wait until a group has read the log up to a position.

use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Pause between two looks at the checkpoints while somebody waits.
const PAUSE: Duration = Duration::from_millis(4);

/// The checkpoints, read by one task for everybody who waits; nobody waits, nothing is read.
#[derive(Debug, Clone)]
pub struct Positions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The newest look; every look is published, so that a waiter sees one that began after it came.
    seen: watch::Sender<HashMap<String, i64>>,
    waiting: AtomicUsize,
    wanted: Notify,
}

impl Positions {
    /// Starts the reader; it ends with the last clone.
    pub fn start(pool: PgPool) -> Self {
        let shared =
            Arc::new(Shared { seen: watch::Sender::default(), waiting: AtomicUsize::new(0), wanted: Notify::new() });
        let weak = Arc::downgrade(&shared);
        tokio::spawn(async move {
            while let Some(shared) = weak.upgrade() {
                if shared.waiting.load(Ordering::Acquire) == 0 {
                    // Wakes up now and then to see whether anybody is left who could ask.
                    drop(tokio::time::timeout(Duration::from_secs(1), shared.wanted.notified()).await);
                    continue;
                }
                match look(&pool).await {
                    Ok(seen) => drop(shared.seen.send_replace(seen)),
                    Err(error) => tracing::warn!(error = %error, "checkpoints cannot be read"),
                }
                drop(tokio::time::timeout(PAUSE, shared.wanted.notified()).await);
            }
        });
        Self(shared)
    }

    /// Waits until `group` has read `position`, but not for one that no event has.
    pub async fn reached(&self, group: &str, position: i64, patience: Duration) -> Result<(), Missed> {
        let waiter = Waiter::new(&self.0);
        let mut seen = self.0.seen.subscribe();
        seen.mark_unchanged();
        self.0.wanted.notify_one();
        let mut at = None;
        let mut first = true;
        let reached = async {
            while seen.changed().await.is_ok() {
                let seen = seen.borrow_and_update();
                at = seen.get(group).copied();
                if at.is_some_and(|at| at >= position) {
                    return Ok(());
                }
                // The first look may have begun before the position was given out.
                if !std::mem::take(&mut first) && seen.get(HEAD).is_some_and(|head| *head < position) {
                    return Err(Missed::Unknown(at));
                }
            }
            Ok(())
        };
        let in_time = tokio::time::timeout(patience, reached).await;
        drop(waiter);
        in_time.unwrap_or(Err(Missed::Behind(at)))
    }
}

/// Why somebody waited for nothing; with where the group was, if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Patience ended.
    Behind(Option<i64>),
    /// The log ends before the position.
    Unknown(Option<i64>),
}

/// What the end of the log is called among the groups, of which none has an empty name.
const HEAD: &str = "";

/// Counts while it lives, also when the request is given up.
struct Waiter<'a>(&'a Shared);

impl<'a> Waiter<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn look(pool: &PgPool) -> Result<HashMap<String, i64>, sqlx::Error> {
    // A replica may be behind, and does not know where the log ends.
    let sql = "select group_name, position from projections.checkpoints where slot = 'live'
               union all select '', h.position from eventstore.head h where not pg_is_in_recovery()";
    Ok(sqlx::query_as::<_, (String, i64)>(sql).fetch_all(pool).await?.into_iter().collect())
}
