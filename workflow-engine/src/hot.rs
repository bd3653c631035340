//! Records that many runs change at the same moment.
//!
//! Whoever has met with others at a record waits for a turn there, and whoever comes while somebody waits does, too. So the runs of
//! one process change it one after the other, instead of deciding all at once for all but one in vain.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

type Queue = Arc<tokio::sync::Mutex<()>>;

/// The records at which runs wait for each other, by firm and id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hot(Arc<Mutex<HashMap<(Uuid, Uuid), Queue>>>);

/// A run's turn at a record.
#[derive(Debug)]
pub(crate) struct Place {
    hot: Hot,
    record: (Uuid, Uuid),
    guard: Option<OwnedMutexGuard<()>>,
}

impl Hot {
    /// Whether runs wait for each other there.
    pub fn is_hot(&self, record: (Uuid, Uuid)) -> bool {
        self.0.lock().contains_key(&record)
    }

    /// Waits for a turn, if the run has met with others or somebody is there already.
    pub async fn turn(&self, record: (Uuid, Uuid), has_met: bool) -> Option<Place> {
        let queue = {
            let mut records = self.0.lock();
            match records.get(&record) {
                Some(queue) => queue.clone(),
                None if has_met => records.entry(record).or_default().clone(),
                None => return None,
            }
        };
        // What is dropped while it waits is in nobody's way: it takes its name from the list like any other.
        let mut place = Place { hot: self.clone(), record, guard: None };
        place.guard = Some(queue.lock_owned().await);
        Some(place)
    }
}

impl Place {
    pub fn is_at(&self, record: (Uuid, Uuid)) -> bool {
        self.record == record
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guard = None;
        let mut records = self.hot.0.lock();
        // The list's own one, and nobody who waits.
        if records.get(&self.record).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            records.remove(&self.record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RECORD: (Uuid, Uuid) = (Uuid::nil(), Uuid::max());

    #[tokio::test]
    async fn runs_wait_for_each_other_where_some_have_met_and_nowhere_else() {
        let hot = Hot::default();
        assert!(hot.turn(RECORD, false).await.is_none(), "nobody has met there");
        let first = hot.turn(RECORD, true).await;
        let mut second = Box::pin(hot.turn(RECORD, false));
        assert!(futures::poll!(second.as_mut()).is_pending());
        let mut third = Box::pin(hot.turn(RECORD, false));
        assert!(futures::poll!(third.as_mut()).is_pending());
        // Whoever gives up is in nobody's way.
        drop(second);
        drop(first);
        let third = tokio::time::timeout(Duration::from_secs(10), third).await.unwrap();
        assert!(third.is_some_and(|place| place.is_at(RECORD)));
        assert!(!hot.is_hot(RECORD), "it is over when the last one is gone");
    }
}
