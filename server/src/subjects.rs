//! Erasing somebody: keys are destroyed, and whatever had been made of what they sealed is made anew without it
//! (docs/adr/0021). Every step may be repeated, so what was interrupted is simply done again.

use crate::connect::{self, bus, known, stream, worker_pool};
use crate::output::{Done, Output, say};
use crate::vault;
use ::vault::Vault;
use anyhow::{Context, Result, bail};
use async_nats::Client;
use catalogue::AnyEvent;
use clap::{Args, Subcommand};
use event_store::{CommandBus, Log, RawEvent, Request, says_personal};
use identity_events::ErasureEvent;
use kernel::{Actor, Name, TenantId};
use messaging::{Events, Purged, RelayOptions};
use projections::Refolded;
use reactions::{Engine, Job, Lane, Reaction, Retry, StartAt};
use runtime::settings::Settings;
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Within this time every process has forgotten a key that was destroyed, and what it had opened with it.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(1);
/// How long the projections may take to read the log to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it is looked again whether somebody else has carried out an erasure.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What can be done about subjects.
#[derive(Debug, Subcommand)]
pub enum SubjectsVerb {
    /// Erases somebody for good, and prints the proof. Interrupted, it is done again.
    Erase(EraseArguments),
    /// Lists every key that was ever destroyed, a line each: keep it outside the database, beside its backups.
    Destroyed,
    /// Destroys the keys of such a list once more, after an older backup was restored.
    DestroyAgain {
        /// What `ubos subjects destroyed` printed last.
        list: PathBuf,
    },
}

/// Whom, and why.
#[derive(Debug, Args)]
pub struct EraseArguments {
    /// The firm.
    #[arg(long)]
    tenant: Uuid,
    /// The id of a user, contact, client, portal user, appointment or whatever else speaks of one person.
    #[arg(long)]
    subject: Uuid,
    /// Why: a ticket or a paragraph, never the person's name.
    #[arg(long, default_value = "asked for")]
    reason: Name,
    /// Also erases what workflows have made of it.
    #[arg(long)]
    derived: bool,
}

/// A stream of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::FromRow)]
pub struct Stream {
    /// `crm.contact`.
    pub aggregate_type: String,
    /// Which one.
    pub aggregate_id: Uuid,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.aggregate_type, self.aggregate_id)
    }
}

/// What an erasure came to.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// The erasure.
    pub erasure_id: Uuid,
    /// Who was erased.
    pub subject_id: Uuid,
    /// The streams that were erased with them: their own, their sessions, the runs that were told of them.
    pub streams: Vec<Stream>,
    /// Streams that workflows have made of it and that were not erased, because nobody asked for it.
    pub not_erased: Vec<Stream>,
    /// Keys that are destroyed.
    pub keys: i64,
    /// Events of these streams, each of which was read again.
    pub events: u32,
    /// Those that were written before there was a vault, and still say something personal.
    pub plain_events: u32,
    /// Snapshots, claims and stored answers that were deleted.
    pub forgotten: i64,
    /// Waits of workflows and notes of jobs that were emptied.
    pub emptied: u64,
    /// Rows that were folded anew.
    pub rows: Vec<Refolded>,
    /// Messages that were deleted.
    pub messages: Vec<Purged>,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "erasure {} of {}", self.erasure_id, self.subject_id)?;
        for stream in &self.streams {
            writeln!(f, "  erased      {stream}")?;
        }
        writeln!(f, "  keys        {} destroyed", self.keys)?;
        writeln!(f, "  log         {} events read again, {} say something personal", self.events, self.plain_events)?;
        writeln!(f, "  beside it   {} snapshots, claims and stored answers deleted", self.forgotten)?;
        writeln!(f, "  notes       {} of workflows and jobs emptied", self.emptied)?;
        for Refolded { table, rows } in &self.rows {
            writeln!(f, "  rows        {rows} of {table} folded anew")?;
        }
        for Purged { stream, looked_at, deleted, rebuilt } in &self.messages {
            let how = if *rebuilt { "the stream was filled again" } else { "overwritten" };
            writeln!(f, "  messages    {deleted} of {looked_at} in {stream} deleted ({how})")?;
        }
        for stream in &self.not_erased {
            writeln!(f, "  NOT erased  {stream}, which a workflow has made of it (--derived)")?;
        }
        if self.plain_events > 0 {
            writeln!(f, "  NOT erased  {} events from before there was a vault", self.plain_events)?;
        }
        write!(f, "backups keep the destroyed keys until they are deleted; keep the list of `ubos subjects destroyed`")
    }
}

/// `ubos subjects …`
///
/// # Errors
/// When something is away; what was done stays done, and the same verb goes on.
pub async fn run(settings: &Settings, verb: SubjectsVerb, out: &Output) -> Result<Done> {
    // Said at once to whoever waits; the role waits for it, and the list of keys needs none.
    if !matches!(verb, SubjectsVerb::Destroyed) {
        drop(connect::nats_now(settings, settings.nats.relay()).await?);
    }
    let eraser = Eraser::connect(settings).await?;
    let done = match verb {
        SubjectsVerb::Erase(arguments) => {
            let EraseArguments { tenant, subject, reason, derived } = arguments;
            known(eraser.log.pool(), tenant).await?;
            let proof = eraser.order(TenantId(tenant), subject, &reason, derived).await?;
            out.report(&proof)
        }
        SubjectsVerb::Destroyed => {
            let keys = ::vault::destroyed(eraser.vault.pool()).await?;
            keys.iter().for_each(|key| say!(out, "{key}"));
            Done::with(keys.iter().map(ToString::to_string).collect::<Vec<_>>())
        }
        SubjectsVerb::DestroyAgain { list } => {
            let keys = backup::read_list(&list)?;
            let reapplied = ::vault::reapply(&eraser.vault, &keys).await?;
            say!(out, "{} keys destroyed again, {} were gone", reapplied.destroyed.len(), reapplied.gone);
            let mut proofs = vec![];
            let subjects: BTreeSet<(Uuid, Uuid)> = keys.iter().map(|key| (key.tenant_id, key.subject_id)).collect();
            for (tenant, subject) in subjects {
                // The log has gone back to before the erasure, and so have the rows.
                if !eraser.is_erased(tenant, subject).await? {
                    let reason = "erased before a backup was restored".parse()?;
                    let proof = eraser.order(TenantId(tenant), subject, &reason, false).await?;
                    say!(out, "{proof}");
                    proofs.push(proof);
                }
            }
            Done::with(json!({ "destroyed": reapplied.destroyed.len(), "gone": reapplied.gone, "proofs": proofs }))
        }
    };
    eraser.bus.store().drain().await;
    done
}

/// Does what was ordered over HTTP, or by an operator who was interrupted, until asked to stop. Nothing without a vault.
///
/// # Errors
/// When what it needs cannot be connected.
pub async fn work(
    settings: &Settings,
    pool: PgPool,
    vault: Option<Vault>,
    events: Arc<dyn Events>,
    stop: CancellationToken,
) -> Result<()> {
    let Some(vault) = vault else {
        stop.cancelled().await;
        return Ok(());
    };
    let eraser = Eraser::new(settings, pool, vault).await?;
    let (log, store) = (eraser.log.clone(), eraser.bus.store().clone());
    let erasure = Erasure { eraser, stop: stop.clone() };
    Engine::new(log).with(erasure).run(events, stop).await;
    store.drain().await;
    Ok(())
}

/// Erases whoever is ordered to be erased.
struct Erasure {
    eraser: Eraser,
    stop: CancellationToken,
}

impl Reaction for Erasure {
    const NAME: &'static str = "identity.erasure";
    const ON: &'static [&'static str] = &["erasure.requested"];
    const START: StartAt = StartAt::Beginning;
    /// It is owed by law, and needs nobody but us.
    const RETRY: Retry = Retry::FOR_EVER;
    const AT_ONCE: usize = 2;
    const PATIENCE: Duration = Duration::from_secs(1_800);

    /// One after the other in a firm: each folds rows anew.
    fn lanes(&self, _: &RawEvent) -> Vec<Lane> {
        vec![Lane::of("erasures")]
    }

    async fn perform(&self, job: &Job) -> reactions::Outcome {
        let Some(event) = &job.event else {
            return reactions::Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        // It may wait for read models that are built by the process that ends; whoever comes next begins it anew.
        let carried_out = tokio::select! {
            () = self.stop.cancelled() => return reactions::Outcome::Later(Some(LOOK_AGAIN), "stopped".to_owned()),
            carried_out = self.eraser.carry_out(event) => carried_out,
        };
        match carried_out {
            Ok(outcome) => outcome,
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(erasure = %event.aggregate_id, error = why, "an erasure is not complete, trying again");
                reactions::Outcome::Later(None, why)
            }
        }
    }
}

/// An erasure that was ordered.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Order {
    tenant_id: Uuid,
    id: Uuid,
    subject_id: Uuid,
    derived: bool,
}

/// The erasures of a subject that are not complete.
async fn orders(pool: &PgPool, tenant: TenantId, subject: Uuid) -> Result<Vec<Order>, sqlx::Error> {
    let sql = "
        select o.tenant_id, o.aggregate_id as id, (o.payload ->> 'subject_id')::uuid as subject_id,
               coalesce((o.payload ->> 'derived')::boolean, false) as derived
        from eventstore.events o
        where o.tenant_id = $1 and o.event_type = 'erasure.requested' and o.domain <> 'workflow'
          and o.payload ->> 'subject_id' = $2
          and not exists (select from eventstore.events c
                          where c.tenant_id = o.tenant_id and c.aggregate_id = o.aggregate_id and c.sequence > o.sequence
                            and c.event_type = 'erasure.completed')
        order by o.position";
    sqlx::query_as(sql).bind(tenant.0).bind(subject.to_string()).fetch_all(pool).await
}

/// The right to carry out one erasure: a session's advisory lock, gone with its connection.
struct Turn(PgConnection);

impl Turn {
    /// None if somebody else is at it.
    async fn take(pool: &PgPool, erasure: Uuid) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        let taken: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(format!("ubos.erasure.{erasure}"))
            .fetch_one(&mut connection)
            .await?;
        if taken {
            return Ok(Some(Self(connection)));
        }
        connection.close().await?;
        Ok(None)
    }

    /// The same for whoever waits at a prompt.
    async fn wait(pool: &PgPool, erasure: Uuid) -> Result<Self, sqlx::Error> {
        loop {
            match Self::take(pool, erasure).await? {
                Some(turn) => return Ok(turn),
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }
}

struct Eraser {
    log: Log,
    vault: Vault,
    bus: CommandBus,
    nats: Client,
    options: RelayOptions,
}

impl Eraser {
    async fn connect(settings: &Settings) -> Result<Self> {
        let pool = worker_pool(settings).await?;
        let Some(vault) = vault::open(settings, &pool)? else {
            bail!("settings: vault.key_file is not set, so nothing is sealed and nobody can be erased");
        };
        Self::new(settings, pool, vault).await
    }

    async fn new(settings: &Settings, pool: PgPool, vault: Vault) -> Result<Self> {
        let nats = connect::nats(settings, settings.nats.relay(), "ubos erasure").await?;
        let bus = bus(settings, pool.clone(), Some(vault.clone()))?;
        let log = vault::outgoing(pool, Some(vault.clone()));
        Ok(Self { log, vault, bus, nats, options: RelayOptions::new(stream(settings)) })
    }

    /// Carries out the order that is there and not done, or a fresh one.
    async fn order(&self, tenant: TenantId, subject: Uuid, reason: &Name, derived: bool) -> Result<Proof> {
        let pool = self.log.pool();
        let there = orders(pool, tenant, subject).await?.into_iter().find(|order| order.derived == derived);
        if let Some(order) = there {
            let turn = Turn::wait(pool, order.id).await?;
            return self.erase(&order, turn).await;
        }
        let known = "select exists (select from eventstore.streams where tenant_id = $1 and aggregate_id = $2)";
        let known: bool = sqlx::query_scalar(known).bind(tenant.0).bind(subject).fetch_one(pool).await?;
        if !known {
            bail!("the firm {tenant} has nobody and nothing with the id {subject}");
        }
        let id = Uuid::now_v7();
        // Before it is ordered, so that whoever is at a prompt gets the proof and not the role that would do it too.
        let turn = Turn::wait(pool, id).await?;
        let body = json!({ "subject_id": subject, "reason": reason.as_str(), "derived": derived });
        self.command("identity.erasure.request", tenant, id, &body).await?;
        self.erase(&Order { tenant_id: tenant.0, id, subject_id: subject, derived }, turn).await
    }

    /// Carries out an order of the log, unless it is done or somebody is at it.
    async fn carry_out(&self, event: &RawEvent) -> Result<reactions::Outcome> {
        let (tenant, id) = (event.tenant_id, event.aggregate_id);
        let AnyEvent::Erasure(ErasureEvent::Requested { subject_id, derived, .. }) =
            catalogue::decode(event.clone())?.payload
        else {
            bail!("{} orders nothing", event.event_type);
        };
        let Some(turn) = Turn::take(self.log.pool(), id).await? else {
            return Ok(reactions::Outcome::Later(Some(LOOK_AGAIN), "an operator is at it".to_owned()));
        };
        let stream = self.log.read_stream(tenant, id, 0, i64::MAX).await?;
        if stream.iter().any(|event| event.event_type == "erasure.completed") {
            turn.0.close().await?;
            return Ok(reactions::Outcome::Done);
        }
        let proof = self.erase(&Order { tenant_id: tenant.0, id, subject_id, derived }, turn).await?;
        tracing::info!(erasure = %id, keys = proof.keys, "somebody was erased");
        Ok(reactions::Outcome::Done)
    }

    /// Does the log say that the streams of this subject hold nothing any more?
    async fn is_erased(&self, tenant: Uuid, subject: Uuid) -> Result<bool> {
        let (_, plain) = self.read_again(TenantId(tenant), &[subject]).await?;
        let sql = "select exists (select from eventstore.events o
                       join eventstore.events c on c.tenant_id = o.tenant_id and c.aggregate_id = o.aggregate_id
                       where o.event_type = 'erasure.requested' and c.event_type = 'erasure.completed'
                         and o.tenant_id = $1 and o.payload ->> 'subject_id' = $2)";
        let completed: bool =
            sqlx::query_scalar(sql).bind(tenant).bind(subject.to_string()).fetch_one(self.log.pool()).await?;
        Ok(completed && plain == 0)
    }

    async fn command(&self, name: &str, tenant: TenantId, id: Uuid, body: &serde_json::Value) -> Result<()> {
        let info = *self.bus.command(name).with_context(|| format!("no command {name}"))?;
        let request = Request::new(tenant, Actor::System { name: "erasure".to_owned() });
        self.bus.execute(&info, Some(id), body.to_string(), request).await.with_context(|| name.to_owned())?;
        Ok(())
    }

    async fn erase(&self, order: &Order, turn: Turn) -> Result<Proof> {
        let (tenant, pool) = (TenantId(order.tenant_id), self.log.pool());
        let Found { streams, not_erased } = self.find(order).await?;
        let ids: Vec<Uuid> = streams.iter().map(|stream| stream.aggregate_id).collect();
        for id in &ids {
            self.vault.destroy(tenant.0, *id).await?;
        }
        let sql = "select count(*) from vault.destroyed_keys where tenant_id = $1 and subject_id = any($2)";
        let keys: i64 = sqlx::query_scalar(sql).bind(tenant.0).bind(&ids).fetch_one(pool).await?;
        tokio::time::sleep(FORGOTTEN_WITHIN).await;
        // What was decided meanwhile may have been written down once more.
        let forgotten: i64 =
            sqlx::query_scalar("select eventstore.forget($1, $2)").bind(tenant.0).bind(&ids).fetch_one(pool).await?;
        ::email::forget(pool, tenant, &ids).await?;
        let emptied =
            workflow_engine::forget(pool, tenant, &ids).await? + reactions::forget(pool, tenant, &ids).await?;
        let named: Vec<(String, Uuid)> =
            streams.iter().map(|stream| (stream.aggregate_type.clone(), stream.aggregate_id)).collect();
        let rows = projections::refold(&self.log, tenant, &named, self.log.head().await?, PATIENCE).await?;
        let about: HashSet<Uuid> = ids.iter().copied().collect();
        let messages = messaging::purge(&self.log, &self.nats, &self.options, tenant, &about).await?;
        let (events, plain_events) = self.read_again(tenant, &ids).await?;
        let proof = Proof {
            erasure_id: order.id,
            subject_id: order.subject_id,
            streams: streams.into_iter().collect(),
            not_erased: not_erased.into_iter().collect(),
            keys,
            events,
            plain_events,
            forgotten,
            emptied,
            rows,
            messages,
        };
        let body = json!({
            "streams": proof.streams.len(), "keys": keys, "events": events, "plain_events": plain_events,
            "rows": proof.rows.iter().map(|refolded| refolded.rows).sum::<u64>(),
            "messages": proof.messages.iter().map(|purged| purged.deleted).sum::<u64>(),
        });
        self.command("identity.erasure.complete", tenant, order.id, &body).await?;
        turn.0.close().await?;
        Ok(proof)
    }

    /// Everything that speaks of the subject: its own streams, the sessions of a user, and the runs that it set off or that
    /// have written to it, because they were told. What these runs have made besides goes with it only if asked for.
    async fn find(&self, order: &Order) -> Result<Found> {
        let (tenant, pool) = (order.tenant_id, self.log.pool());
        let own =
            "select aggregate_type, aggregate_id from eventstore.streams where tenant_id = $1 and aggregate_id = $2";
        let own: Vec<Stream> = sqlx::query_as(own).bind(tenant).bind(order.subject_id).fetch_all(pool).await?;
        let mut streams: BTreeSet<Stream> = own.into_iter().collect();
        loop {
            let before = streams.len();
            let ids: Vec<Uuid> = streams.iter().map(|stream| stream.aggregate_id).collect();
            let texts: Vec<String> = ids.iter().map(Uuid::to_string).collect();
            let told: Vec<Stream> = sqlx::query_as(TOLD).bind(tenant).bind(&ids).bind(&texts).fetch_all(pool).await?;
            streams.extend(told);
            let runs = streams.iter().filter(|stream| stream.aggregate_type == "workflow.run");
            let runs: Vec<String> = runs.map(|run| run.aggregate_id.to_string()).collect();
            let made: Vec<Stream> = sqlx::query_as(MADE).bind(tenant).bind(&runs).fetch_all(pool).await?;
            let made: BTreeSet<Stream> = made.into_iter().filter(speaks_of_persons).collect();
            if order.derived {
                streams.extend(made.iter().cloned());
            }
            if streams.len() == before {
                let not_erased = made.difference(&streams).cloned().collect();
                return Ok(Found { streams, not_erased });
            }
        }
    }

    /// Reads every event of these streams as everybody reads them now: how many there are, and how many of them still say
    /// something personal.
    async fn read_again(&self, tenant: TenantId, ids: &[Uuid]) -> Result<(u32, u32)> {
        let (mut events, mut plain) = (0, 0);
        for id in ids {
            for event in self.log.read_stream(tenant, *id, 0, i64::MAX).await? {
                let entry = catalogue::by_event_type(&event.event_type);
                events += 1;
                plain += u32::from(entry.is_some_and(|entry| says_personal(entry, event.payload.get())));
            }
        }
        Ok((events, plain))
    }
}

struct Found {
    streams: BTreeSet<Stream>,
    not_erased: BTreeSet<Stream>,
}

/// Sessions of these users, runs that these streams set off, and runs that have written to them; and what was said to them or about
/// them: notes, emails, notifications and follow-ups, and the threads with a client.
const TOLD: &str = "
    select e.aggregate_type, e.aggregate_id from eventstore.events e
    where e.tenant_id = $1 and e.domain = 'identity' and e.event_type = 'session.started'
      and e.payload ->> 'user_id' = any($3)
    union
    select e.aggregate_type, e.aggregate_id from eventstore.events e
    where e.tenant_id = $1
      and (e.event_type in ('note.added', 'follow_up.scheduled')
               and (e.payload -> 'about' ->> 'id' = any($3) or e.payload ->> 'client_id' = any($3))
           or e.event_type = 'email.queued'
               and (e.payload ->> 'contact_id' = any($3) or e.payload ->> 'user_id' = any($3)
                    or e.payload ->> 'portal_user_id' = any($3) or e.payload ->> 'client_id' = any($3))
           or e.event_type = 'notification.sent'
               and (e.payload ->> 'user_id' = any($3) or e.payload -> 'about' ->> 'id' = any($3))
           or e.event_type in ('thread.opened', 'comment.written') and e.payload ->> 'client_id' = any($3))
    union
    select e.aggregate_type, e.aggregate_id from eventstore.events e
    where e.tenant_id = $1 and e.event_type = 'run.started' and e.payload -> 'trigger' ->> 'aggregate_id' = any($3)
    union
    select s.aggregate_type, s.aggregate_id
    from eventstore.events e
             join eventstore.streams s
                  on s.tenant_id = e.tenant_id and s.aggregate_id::text = e.metadata -> 'actor' ->> 'run_id'
    where e.tenant_id = $1 and e.aggregate_id = any($2)";

/// What these runs have written to.
const MADE: &str = "
    select distinct e.aggregate_type, e.aggregate_id from eventstore.events e
    where e.tenant_id = $1 and e.metadata -> 'actor' ->> 'run_id' = any($2)";

/// Do events of this kind of stream say something personal?
fn speaks_of_persons(stream: &Stream) -> bool {
    let mut entries = catalogue::entries().filter(|entry| entry.stream == stream.aggregate_type);
    entries.any(event_store::is_personal_event)
}
