//! The one path a command takes: load, decide, append, and again if somebody was faster.

use crate::append::{AppendError, Appender, Message, NewEvent, NewSnapshot, Outcome, Pending};
use crate::cache::{Cache, Cached, advance};
use crate::load::{Loaded, Loader, StreamKey};
use crate::sealing::Sealing;
use crate::{IdempotencyKey, Log, Request, TimeZones, peers, wake::Waker};
use anyhow::anyhow;
use kernel::{
    Aggregate, Claim, ClaimChange, Command, Context, Event, FieldCode, FieldError, FieldErrors, Issuer, Metadata,
    Parts, Reach, Reference, ReferenceBy, Rejection, TenantId,
};
use metrics::{counter, histogram};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;
use vault::{Subject, Vault, VaultError};

/// How often a command is decided again after somebody was faster.
const CONFLICTS_MAX: u32 = 3;

/// Bounds of one store; the defaults suit a command-api.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Commands in one append batch at most.
    pub batch_commands_max: usize,
    /// Commands that may wait for the appender; beyond it the answer is [`ExecuteError::Overloaded`].
    pub queue_commands_max: usize,
    /// Streams kept in memory.
    pub cached_streams_max: usize,
    /// Seals what is personal; without it nothing is sealed, and what is sealed cannot be read.
    pub vault: Option<Vault>,
    /// Knows where each firm's clocks hang; without it they all hang in UTC.
    pub time_zones: Option<Arc<dyn TimeZones>>,
    /// The providers at which people log in to this installation, by their `iss`; none where that is not known.
    pub providers: Option<Arc<[Issuer]>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            batch_commands_max: 128,
            queue_commands_max: 4096,
            cached_streams_max: 20_000,
            vault: None,
            time_zones: None,
            providers: None,
        }
    }
}

/// The write side. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    pool: PgPool,
    queue: mpsc::Sender<Message>,
    loader: Loader,
    cache: Cache,
    vault: Option<Vault>,
    time_zones: Option<Arc<dyn TimeZones>>,
    providers: Option<Arc<[Issuer]>>,
    closed: AtomicBool,
}

/// A typed state to decide on.
pub(crate) struct Known<A> {
    pub state: Arc<A>,
    pub version: i64,
    position: i64,
    snapshot_version: i64,
    subject: Arc<Subject>,
    from_cache: bool,
}

/// A decision that is written down for the appender.
pub(crate) struct Prepared<A> {
    state: A,
    subject: Arc<Subject>,
    pub pending: Box<Pending>,
    pub answer: oneshot::Receiver<Result<Outcome, AppendError>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("cached_streams", &self.0.cache.len()).finish_non_exhaustive()
    }
}

/// What becomes of commands, as `commands_total` counts them.
pub const COMMAND_OUTCOMES: [&str; 13] = [
    "done",
    "invalid",
    "denied",
    "not_found",
    "already_exists",
    "rejected",
    "claimed",
    "version_mismatch",
    "conflict",
    "key_reused",
    "overloaded",
    "unavailable",
    "fault",
];

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The aggregate.
    pub id: Uuid,
    /// Its version now.
    pub version: i64,
    /// Position of its last event; a query that has seen this sees the command's effect.
    pub position: i64,
    /// A new aggregate was started.
    pub created: bool,
    /// The answer of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// The ids of the parts that it made.
    pub parts: Parts,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The body is not what the command expects.
    #[error("invalid input: {0}")]
    Invalid(FieldErrors),
    /// The actor does not hold the permission, which is the command's name.
    #[error("not permitted")]
    Denied,
    /// No such aggregate in this tenant.
    #[error("not found")]
    NotFound,
    /// A creation met an existing aggregate.
    #[error("already exists")]
    AlreadyExists,
    /// The aggregate refused. `invalid` is the pointer of the field at fault when the input itself is wrong.
    #[error("{message}")]
    Rejected {
        /// `crm.client.blocked`.
        code: &'static str,
        /// For the user.
        message: &'static str,
        /// JSON Pointer, empty for the whole body.
        invalid: Option<&'static str>,
    },
    /// Another aggregate holds a value that must be unique.
    #[error("{scope} is taken")]
    Claimed {
        /// `crm.client.email`.
        scope: String,
        /// Who holds it.
        holder: Uuid,
    },
    /// `If-Match` named another version.
    #[error("expected version {}, found {actual}", alternatives(expected))]
    VersionMismatch {
        /// What will do for the client; nothing if it named no version of this record.
        expected: Vec<i64>,
        /// What is so.
        actual: i64,
    },
    /// Others were faster, every time.
    #[error("too many concurrent changes")]
    Conflict,
    /// The idempotency key was used for another command.
    #[error("idempotency key reused for another request")]
    KeyReused,
    /// The queue is full; nothing was done.
    #[error("overloaded")]
    Overloaded,
    /// The log cannot be reached, or the outcome is unknown; safe to retry with the same key.
    #[error("event log unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// A defect of ours.
    #[error("fault")]
    Fault(#[source] anyhow::Error),
}

impl Store {
    /// Starts the appender and the loader on `pool`, which connects as `ubos_command` (or `ubos_worker`). The appender
    /// holds a connection of its own besides the pool's.
    pub fn start(pool: PgPool, options: StoreOptions) -> Self {
        let waker = Waker::start(pool.clone());
        let (queue, receiver) = mpsc::channel(options.queue_commands_max);
        let connect = pool.connect_options().as_ref().clone();
        let (foreign, written) = mpsc::unbounded_channel();
        tokio::spawn(Appender::new(connect, receiver, options.batch_commands_max, waker, foreign).run());
        let StoreOptions { vault, time_zones, providers, .. } = options;
        let loader = Loader::start(pool.clone(), vault.clone());
        let cache = Cache::new(options.cached_streams_max);
        tokio::spawn(peers::follow(pool.clone(), cache.clone(), written));
        if let Some(vault) = &vault {
            tokio::spawn(forget_the_erased(vault.destroyed(), cache.clone()));
        }
        let shared =
            Shared { pool, queue, loader, cache, vault, time_zones, providers, closed: AtomicBool::new(false) };
        Self(Arc::new(shared))
    }

    /// Loads, decides, appends; reloads and decides again at most three times if somebody was faster.
    ///
    /// `id` is the target; for a creation `None` takes the command's id. A command whose decision is "already so"
    /// answers the version and position that are there.
    pub async fn execute<A: Aggregate>(
        &self,
        id: Option<Uuid>,
        command: A::Command,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let started = Instant::now();
        let name = command.entry().name;
        let result = self.decide_and_append::<A>(id, command, request).await;
        let outcome = result.as_ref().map_or_else(ExecuteError::label, |_| "done");
        histogram!("command_duration_seconds", "command" => name).record(started.elapsed());
        counter!("commands_total", "command" => name, "outcome" => outcome).increment(1);
        result
    }

    /// The aggregate's state and version (0 if it does not exist), as the log has it.
    pub async fn load<A: Aggregate>(&self, tenant: TenantId, id: Uuid) -> Result<(A, i64), ExecuteError> {
        let known = self.load_fresh::<A>(key::<A>(tenant, id)).await?;
        Ok((Arc::unwrap_or_clone(known.state), known.version))
    }

    /// A reader of the log that the store writes to. `pool` connects as `ubos_worker`: the store's own connections see nothing
    /// unless they name a firm.
    pub fn log(&self, pool: PgPool) -> Log {
        Log::unsealing(pool, self.0.vault.clone())
    }

    /// The aggregate that holds a claim, if one does.
    pub async fn holder(&self, tenant: TenantId, claim: &Claim) -> Result<Option<Uuid>, ExecuteError> {
        let value = match &self.0.vault {
            Some(vault) if claim.personal => {
                let keys = vault.sealing(tenant.0).await.map_err(keys_failed)?;
                keys.lookup(claim.scope, &claim.value).map_err(keys_failed)?
            }
            _ => claim.value.clone(),
        };
        let sql = "select aggregate_id from eventstore.holders($1, $2, $3)";
        let row = sqlx::query_scalar(sql)
            .bind(vec![tenant.0])
            .bind(vec![claim.scope])
            .bind(vec![value])
            .fetch_optional(&self.0.pool);
        row.await.map_err(|e| ExecuteError::Unavailable(e.into()))
    }

    /// Stops taking commands and returns when everything that was accepted is committed and answered.
    pub async fn drain(&self) {
        self.0.closed.store(true, Ordering::Release);
        let (done, flushed) = oneshot::channel();
        if self.0.queue.send(Message::Flush(done)).await.is_ok() {
            // The appender drops the sender only when it has ended, and then nothing is left to wait for.
            drop(flushed.await);
        }
    }

    async fn decide_and_append<A: Aggregate>(
        &self,
        id: Option<Uuid>,
        command: A::Command,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(ExecuteError::Overloaded);
        }
        // None is UBOS itself.
        let reach = request.permissions.as_ref().map_or(Reach::Everything, |held| held.reach(command.entry().name));
        if reach == Reach::Nothing {
            return Err(ExecuteError::Denied);
        }
        let creates = command.entry().creates;
        let id = match id {
            Some(id) => id,
            None if creates => request.command_id,
            None => return Err(ExecuteError::NotFound),
        };
        let stream = key::<A>(request.tenant, id);
        // Nobody else can know a fresh id, so there is nothing to load.
        let fresh_id = creates && id == request.command_id;
        let mut known = if fresh_id { Known::nothing() } else { self.load_cached::<A>(stream).await? };
        let mut conflicts = 0;
        loop {
            let error = match self.attempt(&known, stream, command.clone(), request, &reach).await {
                Ok(Some(executed)) => return Ok(executed),
                Ok(None) => {
                    counter!("append_conflicts_total").increment(1);
                    conflicts += 1;
                    if conflicts > CONFLICTS_MAX {
                        return Err(ExecuteError::Conflict);
                    }
                    known = self.load_fresh::<A>(stream).await?;
                    continue;
                }
                Err(error) => error,
            };
            if !error.is_refusal() {
                return Err(error);
            }
            // A refusal is only given on what the log says now, and never to the repeat of something that was done.
            if known.from_cache {
                known = self.load_fresh::<A>(stream).await?;
                continue;
            }
            return match &request.idempotency {
                Some(key) => self.answer_of(request.tenant, key).await?.ok_or(error),
                None => Err(error),
            };
        }
    }

    /// One try. `None` is a conflict.
    async fn attempt<A: Aggregate>(
        &self,
        known: &Known<A>,
        stream: StreamKey,
        command: A::Command,
        request: &Request,
        reach: &Reach,
    ) -> Result<Option<Executed>, ExecuteError> {
        let entry = command.entry();
        // Before anything else that tells what is there. What is decided on is what is asked, so nothing can change between.
        if *reach != Reach::Everything
            && !reach.covers(&known.state.scope(stream.aggregate_id, &command), request.actor.principal())
        {
            return Err(if entry.creates { ExecuteError::Denied } else { ExecuteError::NotFound });
        }
        match (entry.creates, known.version) {
            (false, 0) => return Err(ExecuteError::NotFound),
            (true, version) if version > 0 => return Err(ExecuteError::AlreadyExists),
            _ => {}
        }
        if let Some(expected) = &request.expected_versions
            && !expected.contains(&known.version)
        {
            return Err(ExecuteError::VersionMismatch { expected: expected.clone(), actual: known.version });
        }
        let references = known.state.references(&command);
        let mut ctx =
            Context::new(request.tenant, request.actor.clone(), request.now, stream.aggregate_id, request.command_id);
        ctx.secret.clone_from(&request.secret);
        if let Some(zones) = &self.0.time_zones {
            ctx.time_zone = zones.time_zone(request.tenant).await.map_err(ExecuteError::Unavailable)?;
        }
        ctx.providers.clone_from(&self.0.providers);
        if let Some(held) = &request.permissions {
            ctx.permissions = held.clone();
        }
        self.fill_references(&mut ctx, request.tenant, references).await?;
        let further = known.state.further_references(&command, &ctx);
        self.fill_references(&mut ctx, request.tenant, further).await?;
        let events = known.state.decide(command, &ctx).map_err(|rejection| {
            let entry = rejection.entry();
            ExecuteError::Rejected { code: entry.code, message: entry.message, invalid: entry.invalid }
        })?;
        if events.is_empty() && request.idempotency.is_none() {
            return Ok(Some(known.unchanged(stream.aggregate_id, ctx.parts())));
        }
        let parts = ctx.parts();
        let Prepared { state, subject, mut pending, answer } =
            self.prepare(known, stream, entry.name, events, request).await?;
        pending.parts = (!parts.is_empty()).then(|| parts.to_string());
        let has_new_key = pending.key_of_stream.is_some();
        let snapshot_version = pending.snapshot.as_ref().map_or(known.snapshot_version, |s| s.version);
        match self.0.queue.try_send(Message::Append(pending)) {
            Ok(()) => {}
            Err(_) => return Err(ExecuteError::Overloaded),
        }
        let outcome = answer.await.map_err(|_| ExecuteError::Unavailable(anyhow!("the appender has ended")))?;
        match outcome {
            Ok(Outcome::Appended { version, position, created }) => {
                let state = Arc::new(state);
                if let Some(vault) = self.0.vault.as_ref().filter(|_| has_new_key) {
                    vault.keep(stream.tenant, stream.aggregate_id, subject.clone());
                }
                let cached = Cached { state, version, position, snapshot_version, subject, advance: advance::<A> };
                self.0.cache.insert::<A>(stream, cached);
                let id = stream.aggregate_id;
                Ok(Some(Executed { id, version, position, created, replayed: false, parts }))
            }
            Ok(Outcome::Replayed { id, version, position, created, parts }) => {
                let parts = stored_parts(parts)?;
                Ok(Some(Executed { id, version, position, created, replayed: true, parts }))
            }
            Ok(Outcome::KeyReused) => Err(ExecuteError::KeyReused),
            Ok(Outcome::Claimed { scope, holder }) => Err(match kernel::Flag::named(&scope) {
                Some(flag) => ExecuteError::Rejected { code: flag.name, message: flag.message, invalid: None },
                None => ExecuteError::Claimed { scope, holder },
            }),
            Ok(Outcome::Conflict) => {
                self.0.cache.forget(&stream);
                Ok(None)
            }
            Err(AppendError::Unavailable(error)) => Err(ExecuteError::Unavailable(error)),
            Err(AppendError::Fault(error)) => Err(ExecuteError::Fault(error)),
        }
    }

    /// Folds the decided events, collects their claims and writes everything down for the appender, sealed where personal.
    pub(crate) async fn prepare<A: Aggregate>(
        &self,
        known: &Known<A>,
        stream: StreamKey,
        command: &str,
        events: Vec<A::Event>,
        request: &Request,
    ) -> Result<Prepared<A>, ExecuteError> {
        let mut sealing = Sealing::new::<A>(self.0.vault.as_ref(), stream, known.subject.clone()).await?;
        let mut state = (*known.state).clone();
        let (mut claims, mut forbidden, mut concerns) = (vec![], vec![], BTreeSet::new());
        let mut written = Vec::with_capacity(events.len());
        for (event, sequence) in events.iter().zip(known.version + 1..) {
            let mut changes = state.claims(event);
            changes.extend(state.flags(event).into_iter().map(|(flag, is_up)| {
                let claim = flag.of(stream.aggregate_id);
                if is_up { ClaimChange::Take(claim) } else { ClaimChange::Release(claim) }
            }));
            forbidden.extend(state.forbidden_by(stream.aggregate_id, event).into_iter().map(|(flag, id)| flag.of(id)));
            state.apply(event);
            concerns.extend(state.concerns(stream.aggregate_id, event));
            let (entry, payload) = (event.entry(), json(event)?);
            if holds_nul(&payload) || changes.iter().any(claims_nul) {
                let message = "expected text without NUL characters";
                return Err(ExecuteError::Invalid(FieldError::new("", FieldCode::NulCharacter, message).into()));
            }
            for change in changes {
                claims.push(sealing.claim(change)?);
            }
            written.push(NewEvent {
                event_id: Uuid::now_v7(),
                event_type: entry.event_type,
                event_version: i32::try_from(entry.version).unwrap_or(i32::MAX),
                payload: sealing.event(entry, sequence, payload)?,
            });
        }
        let version = known.version + written.len() as i64;
        let snapshot = if version - known.snapshot_version >= A::SNAPSHOT_EVERY {
            let state = sealing.state(version, A::STATE_VERSION, json(&state)?)?;
            Some(NewSnapshot { version, state_version: A::STATE_VERSION, state })
        } else {
            None
        };
        let metadata = Metadata {
            actor: request.actor.clone(),
            correlation_id: request.correlation_id,
            causation_id: request.causation_id,
            command: command.to_owned(),
            traceparent: request.traceparent.clone(),
            concerns: concerns.into_iter().collect(),
        };
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            tenant: stream.tenant,
            aggregate_type: stream.aggregate_type,
            aggregate_id: stream.aggregate_id,
            expected: known.version,
            position: known.position,
            metadata: json(&metadata)?,
            key: request.idempotency.clone(),
            events: written,
            claims,
            forbidden,
            snapshot,
            parts: None,
            key_of_stream: sealing.fresh,
            reply,
        };
        Ok(Prepared { state, subject: sealing.subject, pending: Box::new(pending), answer })
    }

    async fn load_cached<A: Aggregate>(&self, stream: StreamKey) -> Result<Known<A>, ExecuteError> {
        if let Some((state, cached)) = self.0.cache.get::<A>(&stream) {
            let Cached { version, position, snapshot_version, subject, .. } = cached;
            return Ok(Known { state, version, position, snapshot_version, subject, from_cache: true });
        }
        self.load_fresh(stream).await
    }

    pub(crate) async fn load_fresh<A: Aggregate>(&self, stream: StreamKey) -> Result<Known<A>, ExecuteError> {
        let loaded = self.history(stream, A::STATE_VERSION).await?;
        let (history, subject) = (&loaded.history, loaded.subject.clone());
        let state = Arc::new(history.fold::<A>().map_err(|e| ExecuteError::Fault(e.into()))?);
        let snapshot_version = history.snapshot.as_ref().map_or(0, |(version, _)| *version);
        let (version, position) = (history.version, history.position);
        if version > 0 {
            let (state, subject) = (state.clone(), subject.clone());
            let cached = Cached { state, version, position, snapshot_version, subject, advance: advance::<A> };
            self.0.cache.insert::<A>(stream, cached);
        }
        Ok(Known { state, version, position, snapshot_version, subject, from_cache: false })
    }

    pub(crate) async fn history(&self, stream: StreamKey, state_version: i32) -> Result<Arc<Loaded>, ExecuteError> {
        let loaded = self.0.loader.load(stream, state_version).await;
        loaded.map_err(|e| {
            let error = anyhow!("loading {}: {e}", stream.aggregate_type);
            // What does not open now never will; everything else may.
            match &*e {
                sqlx::Error::Decode(cause) if matches!(cause.downcast_ref(), Some(VaultError::Broken)) => {
                    ExecuteError::Fault(error)
                }
                _ => ExecuteError::Unavailable(error),
            }
        })
    }

    async fn fill_references(
        &self,
        ctx: &mut Context,
        tenant: TenantId,
        references: Vec<Reference>,
    ) -> Result<(), ExecuteError> {
        for reference in references {
            let id = match &reference.by {
                ReferenceBy::Id(id) => Some(*id),
                ReferenceBy::Claim(claim) => self.holder(tenant, claim).await?,
            };
            let mut found = None;
            if let Some(id) = id {
                let stream = StreamKey { tenant: tenant.0, aggregate_type: reference.stream, aggregate_id: id };
                let loaded = self.history(stream, reference.state_version).await?;
                if loaded.history.version > 0 {
                    let state = (reference.fold)(&loaded.history).map_err(|e| ExecuteError::Fault(e.into()))?;
                    found = Some((id, state));
                }
            }
            ctx.insert_reference(reference.stream, reference.key(), found);
        }
        Ok(())
    }

    /// What an earlier request with this key was answered, if there was one.
    async fn answer_of(&self, tenant: TenantId, key: &IdempotencyKey) -> Result<Option<Executed>, ExecuteError> {
        type Row = (Vec<u8>, Uuid, i64, i64, bool, Option<String>);
        let sql =
            "select fingerprint, aggregate_id, version, position, created, parts from eventstore.answer($1, $2, $3)";
        let row: Option<Row> = sqlx::query_as(sql)
            .bind(tenant.0)
            .bind(&key.scope)
            .bind(&key.key)
            .fetch_optional(&self.0.pool)
            .await
            .map_err(|e| ExecuteError::Unavailable(e.into()))?;
        match row {
            None => Ok(None),
            Some((fingerprint, ..)) if fingerprint != key.fingerprint => Err(ExecuteError::KeyReused),
            Some((_, id, version, position, created, parts)) => {
                let parts = stored_parts(parts)?;
                Ok(Some(Executed { id, version, position, created, replayed: true, parts }))
            }
        }
    }

    pub(crate) async fn append_raw(
        &self,
        pending: Box<Pending>,
        answer: oneshot::Receiver<Result<Outcome, AppendError>>,
    ) -> Result<Outcome, ExecuteError> {
        self.0.queue.send(Message::Append(pending)).await.map_err(|_| ExecuteError::Overloaded)?;
        match answer.await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(AppendError::Unavailable(error))) => Err(ExecuteError::Unavailable(error)),
            Ok(Err(AppendError::Fault(error))) => Err(ExecuteError::Fault(error)),
            Err(_) => Err(ExecuteError::Unavailable(anyhow!("the appender has ended"))),
        }
    }
}

impl<A: Aggregate> Known<A> {
    fn nothing() -> Self {
        let (state, subject) = (Arc::new(A::default()), Arc::default());
        Self { state, version: 0, position: 0, snapshot_version: 0, subject, from_cache: false }
    }

    fn unchanged(&self, id: Uuid, parts: Parts) -> Executed {
        Executed { id, version: self.version, position: self.position, created: false, replayed: false, parts }
    }
}

/// The versions as a sentence has them.
fn alternatives(versions: &[i64]) -> String {
    match versions {
        [] => "of another record".to_owned(),
        some => some.iter().map(i64::to_string).collect::<Vec<_>>().join(" or "),
    }
}

impl ExecuteError {
    /// A "no" that depends on the state it was decided on.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::AlreadyExists
                | Self::Rejected { .. }
                | Self::Claimed { .. }
                | Self::VersionMismatch { .. }
        )
    }

    /// For metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Rejected { .. } => "rejected",
            Self::Claimed { .. } => "claimed",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::Conflict => "conflict",
            Self::KeyReused => "key_reused",
            Self::Overloaded => "overloaded",
            Self::Unavailable(_) => "unavailable",
            Self::Fault(_) => "fault",
        }
    }
}

/// Forgets every state when somebody was erased, because it may say what nobody may know any more. Once more a little
/// later, for what was being decided meanwhile.
async fn forget_the_erased(mut destroyed: watch::Receiver<u64>, cache: Cache) {
    const DECIDED_WITHIN: Duration = Duration::from_millis(500);
    while destroyed.changed().await.is_ok() {
        cache.clear();
        tokio::time::sleep(DECIDED_WITHIN).await;
        cache.clear();
    }
}

pub(crate) fn keys_failed(error: impl Into<anyhow::Error>) -> ExecuteError {
    ExecuteError::Unavailable(error.into())
}

pub(crate) fn key<A: Aggregate>(tenant: TenantId, id: Uuid) -> StreamKey {
    StreamKey { tenant: tenant.0, aggregate_type: A::Event::STREAM, aggregate_id: id }
}

/// The parts as a stored answer keeps them.
fn stored_parts(text: Option<String>) -> Result<Parts, ExecuteError> {
    let parts = text.map(|text| text.parse().map_err(|e: serde_json::Error| ExecuteError::Fault(e.into())));
    parts.transpose().map(Option::unwrap_or_default)
}

fn json(value: &impl serde::Serialize) -> Result<String, ExecuteError> {
    serde_json::to_string(value).map_err(|e| ExecuteError::Fault(e.into()))
}

/// PostgreSQL cannot store U+0000, and one such command would poison its batch.
fn holds_nul(payload: &str) -> bool {
    fn walk(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => text.contains('\0'),
            serde_json::Value::Array(items) => items.iter().any(walk),
            serde_json::Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || walk(value)),
            _ => false,
        }
    }
    payload.contains("\\u0000") && serde_json::from_str(payload).is_ok_and(|value| walk(&value))
}

fn claims_nul(change: &ClaimChange) -> bool {
    let (ClaimChange::Take(claim) | ClaimChange::Release(claim)) = change;
    claim.value.contains('\0')
}
