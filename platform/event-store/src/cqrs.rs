//! Our store as `cqrs-es` knows one, so that whoever knows that framework can use it, and its suite can test ours.

use crate::claims::rows_of;
use crate::execute::{Known, change, claimed, pending};
use crate::kind::{StreamKind, changes, typed};
use crate::load::{StreamKey, WITHOUT_SNAPSHOT};
use crate::pending::Outcome;
use crate::{ExecuteError, Request, Store};
use anyhow::anyhow;
use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use kernel::{Aggregate, Root, RootEvent, read_event};
use std::collections::HashMap;
use uuid::Uuid;

/// A [`Store`] together with the request it serves; built per request, cheap.
#[derive(Debug, Clone)]
pub struct CqrsStore {
    store: Store,
    request: Request,
}

/// A loaded aggregate. `cqrs-es` mutates its copy while the command is handled; ours stays as loaded, for the claims.
#[derive(Debug)]
pub struct CqrsContext<A: Aggregate> {
    stream: StreamKey,
    known: Known,
    root: Root<A>,
}

impl CqrsStore {
    /// Our store for one request.
    pub fn new(store: Store, request: Request) -> Self {
        Self { store, request }
    }

    fn stream<A: Aggregate>(&self, id: &str) -> Result<StreamKey, AggregateError<A::Rejection>> {
        let id: Uuid = id.parse().map_err(|e| AggregateError::UnexpectedError(Box::new(e)))?;
        Ok(StreamKind::of::<A>().stream(self.request.tenant, id))
    }
}

impl<A: Aggregate> AggregateContext<Root<A>> for CqrsContext<A> {
    fn aggregate(&mut self) -> &mut Root<A> {
        &mut self.root
    }
}

impl<A: Aggregate> EventStore<Root<A>> for CqrsStore {
    type AC = CqrsContext<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Root<A>>>, AggregateError<A::Rejection>> {
        let loaded = self.store.history(self.stream::<A>(aggregate_id)?, WITHOUT_SNAPSHOT).await.map_err(refused)?;
        let envelopes = loaded.history.events.iter().zip(1..).map(|(event, sequence)| {
            let payload = read_event(&event.event_type, event.event_version, &event.payload);
            let payload = payload.map_err(|e| AggregateError::DeserializationError(Box::new(e)))?;
            Ok(envelope(aggregate_id, sequence, RootEvent(payload), HashMap::new()))
        });
        envelopes.collect()
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, AggregateError<A::Rejection>> {
        let stream = self.stream::<A>(aggregate_id)?;
        let known = self.store.load_fresh(StreamKind::of::<A>(), stream).await.map_err(refused)?;
        let root = Root(typed::<A>(&known.state).map_err(refused)?.clone());
        Ok(CqrsContext { stream, known, root })
    }

    async fn commit(
        &self,
        events: Vec<RootEvent<A::Event>>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Root<A>>>, AggregateError<A::Rejection>> {
        let CqrsContext { stream, known, .. } = context;
        let aggregate_id = stream.aggregate_id.to_string();
        let envelopes = events.iter().cloned().zip(known.version + 1..).map(|(event, sequence)| {
            envelope(&aggregate_id, usize::try_from(sequence).unwrap_or(0), event, metadata.clone())
        });
        let mut envelopes: Vec<_> = envelopes.collect();
        if envelopes.is_empty() {
            return Ok(envelopes);
        }
        let events: Vec<A::Event> = events.into_iter().map(|event| event.0).collect();
        let changes = changes::<A>(&known.state, stream.aggregate_id, &events).map_err(refused)?;
        let command = metadata.get("command").map_or(stream.aggregate_type, String::as_str);
        let kind = StreamKind::of::<A>();
        let draft = self.store.draft(kind, &known, stream, command, changes, &self.request).await.map_err(refused)?;
        let version = known.version + draft.events.len() as i64;
        let change = change(&known, stream, version, draft.snapshot, draft.key_of_stream);
        let claims = rows_of(draft.wishes);
        let scopes: Vec<&'static str> = claims.iter().map(|row| row.claim.scope).collect();
        let key = self.request.idempotency.clone();
        let (pending, answer) = pending(self.request.tenant, vec![change], draft.events, claims, key, None);
        match self.store.append(pending, answer).await.map_err(refused)? {
            Outcome::Appended { after } => {
                for (envelope, position) in envelopes.iter_mut().zip(after + 1..) {
                    envelope.metadata.insert("position".to_owned(), position.to_string());
                }
                Ok(envelopes)
            }
            Outcome::Replayed { .. } => Ok(vec![]),
            Outcome::Conflict => Err(AggregateError::AggregateConflict),
            Outcome::KeyReused => Err(refused(ExecuteError::KeyReused)),
            Outcome::Claimed { row, holder } => {
                Err(refused(claimed(scopes.get(row).copied().unwrap_or_default(), holder)))
            }
        }
    }
}

fn envelope<A: Aggregate>(
    aggregate_id: &str,
    sequence: usize,
    payload: RootEvent<A::Event>,
    metadata: HashMap<String, String>,
) -> EventEnvelope<Root<A>> {
    EventEnvelope { aggregate_id: aggregate_id.to_owned(), sequence, payload, metadata }
}

fn refused<E: std::error::Error>(error: ExecuteError) -> AggregateError<E> {
    match error {
        ExecuteError::Conflict => AggregateError::AggregateConflict,
        ExecuteError::Unavailable(e) => AggregateError::DatabaseConnectionError(e.into()),
        other => AggregateError::UnexpectedError(anyhow!(other).into()),
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("version", &self.version).finish_non_exhaustive()
    }
}
