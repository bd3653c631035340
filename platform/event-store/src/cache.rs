//! The states of streams as this process last saw them.
//!
//! They may be stale: the append finds out, and neither a refusal nor "already so" relies on them.

use crate::kind::{Advance, State};
use crate::load::StreamKey;
use kernel::Stored;
use parking_lot::RwLock;
use std::sync::Arc;
use uuid::Uuid;
use vault::Subject;

/// A stream's state.
#[derive(Clone)]
pub(crate) struct Cached {
    pub state: State,
    pub version: i64,
    pub position: i64,
    pub snapshot_version: i64,
    /// The stream's keys.
    pub subject: Arc<Subject>,
    pub advance: Advance,
}

/// Bounded, shared, cheap to clone.
#[derive(Clone)]
pub(crate) struct Cache {
    states: Arc<quick_cache::sync::Cache<StreamKey, Cached>>,
    /// The kinds of streams that were ever in it; a name from the database becomes one of these.
    kinds: Arc<RwLock<Vec<&'static str>>>,
}

impl Cache {
    pub fn new(streams_max: usize) -> Self {
        Self { states: Arc::new(quick_cache::sync::Cache::new(streams_max)), kinds: Arc::default() }
    }

    /// The state of a stream.
    pub fn get(&self, stream: &StreamKey) -> Option<Cached> {
        self.states.get(stream)
    }

    pub fn insert(&self, stream: StreamKey, cached: Cached) {
        let kind = stream.aggregate_type;
        if !self.kinds.read().contains(&kind) {
            let mut kinds = self.kinds.write();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        self.states.insert(stream, cached);
    }

    pub fn forget(&self, stream: &StreamKey) {
        self.states.remove(stream);
    }

    pub fn clear(&self) {
        self.states.clear();
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// The stream that the database calls so, if it is here.
    pub fn known(&self, tenant: Uuid, aggregate_type: &str, aggregate_id: Uuid) -> Option<(StreamKey, Cached)> {
        let kind = self.kinds.read().iter().copied().find(|kind| *kind == aggregate_type)?;
        let stream = StreamKey { tenant, aggregate_type: kind, aggregate_id };
        Some((stream, self.states.peek(&stream)?))
    }

    /// Folds what another process has written to a stream into its state here. `None` stands for an event that is too
    /// large to be sent along. Does nothing if the state is not the one just before it: then a command was faster, or
    /// something was missed and the append will find out.
    pub fn catch_up(&self, stream: StreamKey, cached: Cached, sequence: i64, position: i64, event: Option<&Stored>) {
        if cached.version + 1 != sequence {
            return;
        }
        match event.map(|event| (cached.advance)(&cached.state, event)) {
            Some(Ok(state)) => self.states.insert(stream, Cached { state, version: sequence, position, ..cached }),
            _ => self.forget(&stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::UnreadableEvent;

    const STREAM: StreamKey =
        StreamKey { tenant: Uuid::from_u128(1), aggregate_type: "test.count", aggregate_id: Uuid::from_u128(2) };

    fn count(state: &State) -> i64 {
        *state.downcast_ref::<i64>().unwrap_or(&-1)
    }

    /// Adds up the versions of the events, so that each of them shows.
    fn adding(state: &State, event: &Stored) -> Result<State, UnreadableEvent> {
        if event.payload == "garbage" {
            return Err(UnreadableEvent("garbage".to_owned()));
        }
        Ok(Arc::new(count(state) + i64::from(event.event_version)))
    }

    fn with(version: i64) -> Cache {
        let cache = Cache::new(10);
        let subject = Arc::default();
        let cached =
            Cached { state: Arc::new(7i64), version, position: 40, snapshot_version: 0, subject, advance: adding };
        cache.states.insert(STREAM, cached);
        cache.kinds.write().push(STREAM.aggregate_type);
        cache
    }

    fn event(payload: &str) -> Stored {
        Stored { event_type: "count.added".to_owned(), event_version: 3, payload: payload.to_owned() }
    }

    fn known(cache: &Cache) -> Option<(i64, i64, i64)> {
        let (_, cached) = cache.known(STREAM.tenant, "test.count", STREAM.aggregate_id)?;
        Some((cached.version, cached.position, count(&cached.state)))
    }

    fn catch_up(cache: &Cache, sequence: i64, event: Option<&Stored>) -> Option<(i64, i64, i64)> {
        let (stream, cached) = cache.known(STREAM.tenant, "test.count", STREAM.aggregate_id)?;
        cache.catch_up(stream, cached, sequence, 41, event);
        known(cache)
    }

    #[test]
    fn the_next_event_is_folded_and_any_other_is_left_alone() {
        let cache = with(5);
        assert_eq!(catch_up(&cache, 5, Some(&event("{}"))), Some((5, 40, 7)), "seen already");
        assert_eq!(catch_up(&cache, 7, Some(&event("{}"))), Some((5, 40, 7)), "something was missed");
        assert_eq!(catch_up(&cache, 6, Some(&event("{}"))), Some((6, 41, 10)));
    }

    #[test]
    fn what_cannot_be_folded_is_forgotten() {
        assert_eq!(catch_up(&with(5), 6, None), None, "too large to be sent along");
        assert_eq!(catch_up(&with(5), 6, Some(&event("garbage"))), None);
    }

    #[test]
    fn other_kinds_tenants_and_streams_are_not_known() {
        let cache = with(5);
        assert!(cache.known(STREAM.tenant, "test.other", STREAM.aggregate_id).is_none());
        assert!(cache.known(Uuid::nil(), "test.count", STREAM.aggregate_id).is_none());
        assert!(cache.known(STREAM.tenant, "test.count", Uuid::nil()).is_none());
    }
}
