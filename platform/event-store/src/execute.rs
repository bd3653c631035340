//! The one path a command takes: load, decide, append, and again if somebody was faster.

use crate::append::{Appender, Message};
use crate::cache::{Cache, Cached};
use crate::claims::{self, ClaimRow, Holder, Wish};
use crate::kind::{Change, Changes, State, StreamKind, json, typed};
use crate::load::{Loaded, Loader, StreamKey};
use crate::overlay::Overlay;
use crate::pending::{AppendError, NewEvent, NewSnapshot, Outcome, Pending, StreamChange};
use crate::sealing::{Sealing, keys_failed};
use crate::unit_command::{Decider, UnitCommand};
use crate::{ExecuteError, Executed, IdempotencyKey, Log, Request, TimeZones, answer, peers, wake::Waker};
use anyhow::anyhow;
use kernel::{
    Aggregate, Claim, ClaimChange, Context, FieldCode, FieldError, Issuer, Metadata, Parts, Reach, Reference,
    ReferenceBy, TenantId,
};
use metrics::{counter, histogram};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;
use vault::{Subject, Vault, VaultError};

/// How often a command is decided again after somebody was faster.
pub(crate) const CONFLICTS_MAX: u32 = 3;

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

/// A state to decide on.
pub(crate) struct Known {
    pub state: State,
    pub version: i64,
    pub position: i64,
    pub snapshot_version: i64,
    pub subject: Arc<Subject>,
    pub from_cache: bool,
}

/// What a command came to, before it is written down.
pub(crate) struct Decided {
    pub changes: Changes,
    pub parts: Parts,
    /// What it wants to be carried out together with.
    pub companions: Vec<UnitCommand>,
    /// The scopes of claims whose holders it looked at.
    pub looked_at: Vec<&'static str>,
}

/// A decision that is written down.
pub(crate) struct Draft {
    pub state: State,
    pub subject: Arc<Subject>,
    /// Of the first stream; whoever puts several together says which.
    pub events: Vec<NewEvent>,
    pub wishes: Vec<(Wish, Claim)>,
    pub snapshot: Option<NewSnapshot>,
    pub key_of_stream: Option<(u32, Vec<u8>)>,
}

/// What one try came to.
enum Attempt {
    Done(Executed),
    /// Somebody was faster.
    Conflict,
    /// It is so already, as far as this process remembers.
    Remembered,
    /// It needs others that it is carried out together with.
    NotAlone,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("cached_streams", &self.0.cache.len()).finish_non_exhaustive()
    }
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
    /// answers the version and position that are there. Like a refusal, that is only said on what the log says now.
    pub async fn execute<A: Aggregate>(
        &self,
        id: Option<Uuid>,
        command: A::Command,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        self.execute_command(UnitCommand::new::<A>(id, command), request).await
    }

    /// The same for a command whose type nobody says.
    pub(crate) async fn execute_command(
        &self,
        command: UnitCommand,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let started = Instant::now();
        let name = command.entry().name;
        let result = self.decide_and_append(command, request).await;
        let outcome = result.as_ref().map_or_else(ExecuteError::label, |_| "done");
        histogram!("command_duration_seconds", "command" => name).record(started.elapsed());
        count(name, outcome);
        result
    }

    /// The aggregate's state and version (0 if it does not exist), as the log has it.
    pub async fn load<A: Aggregate>(&self, tenant: TenantId, id: Uuid) -> Result<(A, i64), ExecuteError> {
        let kind = StreamKind::of::<A>();
        let known = self.load_fresh(kind, kind.stream(tenant, id)).await?;
        Ok((typed::<A>(&known.state)?.clone(), known.version))
    }

    /// A reader of the log that the store writes to. `pool` connects as `ubos_worker`: the store's own connections see nothing
    /// unless they name a firm.
    pub fn log(&self, pool: PgPool) -> Log {
        Log::unsealing(pool, self.0.vault.clone())
    }

    /// The aggregate that holds a claim, if one does.
    pub async fn holder(&self, tenant: TenantId, claim: &Claim) -> Result<Option<Uuid>, ExecuteError> {
        let value = self.kept_as(tenant, claim).await?;
        self.logged_holder(tenant, claim.scope, value).await
    }

    /// As what the log keeps a claim's value.
    async fn kept_as(&self, tenant: TenantId, claim: &Claim) -> Result<String, ExecuteError> {
        match &self.0.vault {
            Some(vault) if claim.personal => {
                let keys = vault.sealing(tenant.0).await.map_err(keys_failed)?;
                keys.lookup(claim.scope, &claim.value).map_err(keys_failed)
            }
            _ => Ok(claim.value.clone()),
        }
    }

    async fn logged_holder(&self, tenant: TenantId, scope: &str, value: String) -> Result<Option<Uuid>, ExecuteError> {
        let sql = "select aggregate_id from eventstore.holders($1, $2, $3)";
        let row = sqlx::query_scalar(sql)
            .bind(vec![tenant.0])
            .bind(vec![scope])
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

    async fn decide_and_append(&self, command: UnitCommand, request: &Request) -> Result<Executed, ExecuteError> {
        if self.is_closed() {
            return Err(ExecuteError::Overloaded);
        }
        let decider = command.decider.as_ref();
        let kind = decider.kind();
        let reach = reach(decider.entry().name, request)?;
        let (stream, is_fresh) = target(decider, request)?;
        let mut known = if is_fresh { Known::nothing(kind) } else { self.load_cached(kind, stream).await? };
        let mut conflicts = 0;
        loop {
            let error = match self.attempt(&known, stream, decider, request, &reach).await {
                Ok(Attempt::Done(executed)) => return Ok(executed),
                Ok(Attempt::Remembered) => {
                    known = self.load_fresh(kind, stream).await?;
                    continue;
                }
                Ok(Attempt::NotAlone) => return self.execute_with_companions(command, request).await,
                Ok(Attempt::Conflict) => {
                    counter!("append_conflicts_total").increment(1);
                    conflicts += 1;
                    if conflicts > CONFLICTS_MAX {
                        return Err(ExecuteError::Conflict);
                    }
                    known = self.load_fresh(kind, stream).await?;
                    continue;
                }
                Err(error) => error,
            };
            if !error.is_refusal() {
                return Err(error);
            }
            // A refusal is only given on what the log says now, and never to the repeat of something that was done.
            if known.from_cache {
                known = self.load_fresh(kind, stream).await?;
                continue;
            }
            return match &request.idempotency {
                Some(key) => first(self.answer_of(request.tenant, key).await?.ok_or(error)?),
                None => Err(error),
            };
        }
    }

    /// Decides without writing anything down. What earlier commands of a unit left is in `overlay`.
    pub(crate) async fn decide(
        &self,
        known: &Known,
        stream: StreamKey,
        decider: &dyn Decider,
        request: &Request,
        reach: &Reach,
        mut overlay: Option<&mut Overlay>,
    ) -> Result<Decided, ExecuteError> {
        let (state, entry) = (&known.state, decider.entry());
        // Before anything else that tells what is there. What is decided on is what is asked, so nothing can change between.
        if *reach != Reach::Everything
            && !reach.covers(&decider.scope(state, stream.aggregate_id)?, request.actor.principal())
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
        let references = decider.references(state)?;
        let mut ctx =
            Context::new(request.tenant, request.actor.clone(), request.now, stream.aggregate_id, request.command_id);
        ctx.secret.clone_from(&request.secret);
        ctx.brought_by = request.brought_by;
        if let Some(zones) = &self.0.time_zones {
            ctx.time_zone = zones.time_zone(request.tenant).await.map_err(ExecuteError::Unavailable)?;
        }
        ctx.providers.clone_from(&self.0.providers);
        if let Some(held) = &request.permissions {
            ctx.permissions = held.clone();
        }
        let mut looked_at = vec![];
        self.fill_references(&mut ctx, request.tenant, references, &mut looked_at, overlay.as_deref_mut()).await?;
        let further = decider.further_references(state, &ctx)?;
        self.fill_references(&mut ctx, request.tenant, further, &mut looked_at, overlay).await?;
        let companions = decider.companions(state, &ctx)?;
        let changes = decider.decide(state, &ctx)?;
        Ok(Decided { changes, parts: ctx.parts(), companions, looked_at })
    }

    /// One try.
    async fn attempt(
        &self,
        known: &Known,
        stream: StreamKey,
        decider: &dyn Decider,
        request: &Request,
        reach: &Reach,
    ) -> Result<Attempt, ExecuteError> {
        let (kind, name) = (decider.kind(), decider.entry().name);
        let Decided { changes, parts, companions, looked_at } =
            self.decide(known, stream, decider, request, reach, None).await?;
        if !companions.is_empty() {
            return Ok(Attempt::NotAlone);
        }
        let id = stream.aggregate_id;
        // With a key, the append compares the versions.
        if changes.events.is_empty() && request.idempotency.is_none() {
            if known.from_cache {
                return Ok(Attempt::Remembered);
            }
            let (version, position) = (known.version, known.position);
            return Ok(Attempt::Done(Executed { id, version, position, created: false, replayed: false, parts }));
        }
        let Draft { state, subject, events, wishes, snapshot, key_of_stream } =
            self.draft(kind, known, stream, name, changes, request).await?;
        let stored = (!parts.is_empty()).then(|| parts.to_string());
        let (has_new_key, count) = (key_of_stream.is_some(), events.len() as i64);
        let snapshot_version = snapshot.as_ref().map_or(known.snapshot_version, |s| s.version);
        let version = known.version + count;
        let change = change(known, stream, version, snapshot, key_of_stream);
        let claims = claims::rows_of(wishes);
        let (pending, answer) =
            pending(request.tenant, vec![change], events, claims, request.idempotency.clone(), stored);
        let scopes: Vec<&'static str> = pending.claims.iter().map(|row| row.claim.scope).collect();
        match self.append(pending, answer).await? {
            Outcome::Appended { after } => {
                if let Some(vault) = self.0.vault.as_ref().filter(|_| has_new_key) {
                    vault.keep(stream.tenant, stream.aggregate_id, subject.clone());
                }
                let position = if count == 0 { known.position } else { after + count };
                let cached = Cached { state, version, position, snapshot_version, subject, advance: kind.advance };
                self.0.cache.insert(stream, cached);
                let created = known.version == 0;
                Ok(Attempt::Done(Executed { id, version, position, created, replayed: false, parts }))
            }
            replayed @ Outcome::Replayed { .. } => first(answer::replayed(replayed)?).map(Attempt::Done),
            Outcome::KeyReused => Err(ExecuteError::KeyReused),
            // Whoever looked at the holder before deciding looks again.
            Outcome::Claimed { row, .. } if scopes.get(row).is_some_and(|scope| looked_at.contains(scope)) => {
                Ok(Attempt::Conflict)
            }
            Outcome::Claimed { row, holder } => Err(claimed(scopes.get(row).copied().unwrap_or_default(), holder)),
            Outcome::Conflict => {
                self.0.cache.forget(&stream);
                Ok(Attempt::Conflict)
            }
        }
    }

    /// Folds the decided events, collects their claims and writes everything down for the appender, sealed where personal.
    pub(crate) async fn draft(
        &self,
        kind: &StreamKind,
        known: &Known,
        stream: StreamKey,
        command: &str,
        changes: Changes,
        request: &Request,
    ) -> Result<Draft, ExecuteError> {
        let Changes { events, state, concerns } = changes;
        let vault = self.0.vault.as_ref();
        let mut sealing = Sealing::new(vault, (kind.is_personal)(), stream, known.subject.clone()).await?;
        let (mut wishes, mut written) = (vec![], Vec::with_capacity(events.len()));
        for (event, sequence) in events.into_iter().zip(known.version + 1..) {
            let Change { entry, payload, claims, forbidden } = event;
            if holds_nul(&payload) || claims.iter().any(claims_nul) {
                let message = "expected text without NUL characters";
                return Err(ExecuteError::Invalid(FieldError::new("", FieldCode::NulCharacter, message).into()));
            }
            wishes.extend(forbidden.into_iter().map(|claim| (Wish::Free, claim)));
            for change in claims {
                wishes.push(match sealing.claim(change)? {
                    ClaimChange::Take(claim) => (Wish::Take, claim),
                    ClaimChange::Release(claim) => (Wish::Release, claim),
                });
            }
            written.push(NewEvent {
                stream: 0,
                sequence,
                event_id: Uuid::now_v7(),
                event_type: entry.event_type,
                event_version: i32::try_from(entry.version).unwrap_or(i32::MAX),
                payload: sealing.event(entry, sequence, payload)?,
                metadata: String::new(),
            });
        }
        let version = known.version + written.len() as i64;
        let snapshot = if version - known.snapshot_version >= kind.snapshot_every {
            let state_version = kind.state_version;
            let state = sealing.state(version, state_version, (kind.write)(&state)?)?;
            Some(NewSnapshot { version, state_version, state })
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
            unit: None,
        };
        if let Some((last, others)) = written.split_last_mut() {
            let metadata = json(&metadata)?;
            others.iter_mut().for_each(|event| event.metadata.clone_from(&metadata));
            last.metadata = metadata;
        }
        let (subject, key_of_stream) = (sealing.subject, sealing.fresh);
        Ok(Draft { state, subject, events: written, wishes, snapshot, key_of_stream })
    }

    pub(crate) async fn load_cached(&self, kind: &StreamKind, stream: StreamKey) -> Result<Known, ExecuteError> {
        if let Some(cached) = self.0.cache.get(&stream) {
            let Cached { state, version, position, snapshot_version, subject, .. } = cached;
            return Ok(Known { state, version, position, snapshot_version, subject, from_cache: true });
        }
        self.load_fresh(kind, stream).await
    }

    pub(crate) async fn load_fresh(&self, kind: &StreamKind, stream: StreamKey) -> Result<Known, ExecuteError> {
        let loaded = self.history(stream, kind.state_version).await?;
        let (history, subject) = (&loaded.history, loaded.subject.clone());
        let state = (kind.fold)(history).map_err(|e| ExecuteError::Fault(e.into()))?;
        let snapshot_version = history.snapshot.as_ref().map_or(0, |(version, _)| *version);
        let (version, position) = (history.version, history.position);
        if version > 0 {
            let (state, subject) = (state.clone(), subject.clone());
            let cached = Cached { state, version, position, snapshot_version, subject, advance: kind.advance };
            self.0.cache.insert(stream, cached);
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
        looked_at: &mut Vec<&'static str>,
        mut overlay: Option<&mut Overlay>,
    ) -> Result<(), ExecuteError> {
        for reference in references {
            let id = match &reference.by {
                ReferenceBy::Id(id) => Some(*id),
                ReferenceBy::Claim(claim) => {
                    looked_at.push(claim.scope);
                    self.holder_now(tenant, claim, overlay.as_deref()).await?
                }
            };
            let mut found = None;
            if let Some(id) = id {
                let stream = StreamKey { tenant: tenant.0, aggregate_type: reference.stream, aggregate_id: id };
                found = match overlay.as_deref().and_then(|overlay| overlay.state(&stream)) {
                    Some(state) => Some((id, state)),
                    None => {
                        let loaded = self.history(stream, reference.state_version).await?;
                        if let Some(overlay) = overlay.as_deref_mut() {
                            overlay.seen(stream, loaded.history.version);
                        }
                        let fold = || (reference.fold)(&loaded.history).map_err(|e| ExecuteError::Fault(e.into()));
                        if loaded.history.version > 0 { Some((id, fold()?)) } else { None }
                    }
                };
            }
            ctx.insert_reference(reference.stream, reference.key(), found);
        }
        Ok(())
    }

    /// Who holds a claim after what a unit has done so far.
    async fn holder_now(
        &self,
        tenant: TenantId,
        claim: &Claim,
        overlay: Option<&Overlay>,
    ) -> Result<Option<Uuid>, ExecuteError> {
        let value = self.kept_as(tenant, claim).await?;
        let Some(overlay) = overlay else { return self.logged_holder(tenant, claim.scope, value).await };
        let released = match overlay.claims.holder(claim.scope, &value) {
            Holder::Stream(stream) => return Ok(overlay.id(stream)),
            Holder::Nobody => return Ok(None),
            Holder::Logged(released) => released,
        };
        let logged = self.logged_holder(tenant, claim.scope, value).await?;
        Ok(logged.filter(|holder| !released.iter().any(|stream| overlay.id(*stream) == Some(*holder))))
    }

    /// What an earlier request with this key was answered, if there was one.
    pub(crate) async fn answer_of(
        &self,
        tenant: TenantId,
        key: &IdempotencyKey,
    ) -> Result<Option<Vec<Executed>>, ExecuteError> {
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
                answer::replayed(Outcome::Replayed { id, version, position, created, parts }).map(Some)
            }
        }
    }

    pub(crate) async fn append(
        &self,
        pending: Box<Pending>,
        answer: oneshot::Receiver<Result<Outcome, AppendError>>,
    ) -> Result<Outcome, ExecuteError> {
        self.0.queue.try_send(Message::Append(pending)).map_err(|_| ExecuteError::Overloaded)?;
        settled(answer.await)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.0.vault.as_ref()
    }
}

impl Known {
    pub(crate) fn nothing(kind: &StreamKind) -> Self {
        let (state, subject) = ((kind.nothing)(), Arc::default());
        Self { state, version: 0, position: 0, snapshot_version: 0, subject, from_cache: false }
    }
}

/// How far the actor's permission for this command reaches.
pub(crate) fn reach(command: &str, request: &Request) -> Result<Reach, ExecuteError> {
    // None is UBOS itself.
    match request.permissions.as_ref().map_or(Reach::Everything, |held| held.reach(command)) {
        Reach::Nothing => Err(ExecuteError::Denied),
        reach => Ok(reach),
    }
}

/// The stream that a command goes to. Nobody else can know an id that is made with the command, so then there is nothing to load.
pub(crate) fn target(decider: &dyn Decider, request: &Request) -> Result<(StreamKey, bool), ExecuteError> {
    let creates = decider.entry().creates;
    let id = match decider.id() {
        Some(id) => id,
        None if creates => request.command_id,
        None => return Err(ExecuteError::NotFound),
    };
    Ok((decider.kind().stream(request.tenant, id), creates && id == request.command_id))
}

/// What the append does to the stream that was decided on.
pub(crate) fn change(
    known: &Known,
    stream: StreamKey,
    version: i64,
    snapshot: Option<NewSnapshot>,
    key_of_stream: Option<(u32, Vec<u8>)>,
) -> StreamChange {
    let StreamKey { aggregate_type, aggregate_id, .. } = stream;
    let (expected, position) = (known.version, known.position);
    StreamChange { aggregate_type, aggregate_id, expected, version, position, snapshot, key_of_stream }
}

type Answered = oneshot::Receiver<Result<Outcome, AppendError>>;

/// Everything that the appender needs, and where it answers.
pub(crate) fn pending(
    tenant: TenantId,
    streams: Vec<StreamChange>,
    events: Vec<NewEvent>,
    claims: Vec<ClaimRow>,
    key: Option<IdempotencyKey>,
    parts: Option<String>,
) -> (Box<Pending>, Answered) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Pending { tenant: tenant.0, streams, events, claims, key, parts, reply }), answer)
}

fn settled(answer: Result<Result<Outcome, AppendError>, oneshot::error::RecvError>) -> Result<Outcome, ExecuteError> {
    match answer {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(AppendError::Unavailable(error))) => Err(ExecuteError::Unavailable(error)),
        Ok(Err(AppendError::Fault(error))) => Err(ExecuteError::Fault(error)),
        Err(_) => Err(ExecuteError::Unavailable(anyhow!("the appender has ended"))),
    }
}

/// Somebody else holds what is to be unique, or a flag is up.
pub(crate) fn claimed(scope: &str, holder: Uuid) -> ExecuteError {
    match kernel::Flag::named(scope) {
        Some(flag) => ExecuteError::Rejected { code: flag.name, message: flag.message, invalid: None },
        None => ExecuteError::Claimed { scope: scope.to_owned(), holder },
    }
}

/// The answer to the command that was sent, before those of its companions.
pub(crate) fn first(executed: Vec<Executed>) -> Result<Executed, ExecuteError> {
    executed.into_iter().next().ok_or_else(|| ExecuteError::Fault(anyhow!("a stored answer of nothing")))
}

/// Counts what became of a command, for whoever puts a [`crate::Unit`] together command by command.
pub fn count_command(command: &'static str, outcome: Result<(), &ExecuteError>) {
    count(command, outcome.map_or_else(ExecuteError::label, |()| "done"));
}

pub(crate) fn count(command: &'static str, outcome: &'static str) {
    counter!("commands_total", "command" => command, "outcome" => outcome).increment(1);
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
