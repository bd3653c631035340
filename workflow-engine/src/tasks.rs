//! The queue of runs that want attention, in Postgres: also the timers, and what many workers share.

use crate::bounds::Incident;
use crate::document::Policy;
use chrono::{DateTime, Utc};
use kernel::{Aggregate as _, DefinitionId, Name, Personal};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, Transaction};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;
use workflow::{Run, Shared, StepPath};
use workflow_events::{Parent, RunEvent, Trigger};

/// Runs let go of in one statement, at most.
const CLOSED_AT_ONCE: usize = 500;

/// A run that this worker holds.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub tenant: Uuid,
    pub run: Uuid,
    pub due_at: DateTime<Utc>,
    pub wakes: i64,
    pub start: Option<Start>,
    /// Where the log has an event that cancels what the run did, also if it has ended.
    pub cancel_position: Option<i64>,
}

/// How a run starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub definition_id: DefinitionId,
    pub definition: Name,
    pub definition_version: u32,
    pub definition_hash: String,
    pub document: Shared<Value>,
    pub steps: Vec<StepPath>,
    /// Some step says how it is taken back.
    pub compensates: bool,
    pub trigger: Trigger,
    /// The run whose event it starts from, or that calls it, if one does.
    pub caused_by: Option<Uuid>,
    /// What it is for, and what becomes of it when another run for the same goes on.
    pub correlation: Option<Correlated>,
    /// The step that waits for its end.
    pub parent: Option<Parent>,
    /// Why it shall stand still at once.
    pub incident: Option<Incident>,
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Correlated {
    pub key: String,
    pub policy: Policy,
}

impl Start {
    /// The key that only one run may have at a time.
    pub fn correlation_key(&self) -> Option<String> {
        let exclusive = |correlated: &&Correlated| correlated.policy != Policy::Allow;
        self.correlation.as_ref().filter(exclusive).map(|correlated| correlated.key.clone())
    }

    /// The run as it begins.
    pub fn run(&self, depth: u32) -> Run {
        let mut run = Run::default();
        run.apply(&RunEvent::Started {
            definition_id: self.definition_id,
            definition: self.definition.clone(),
            definition_version: self.definition_version,
            definition_hash: self.definition_hash.clone(),
            document: Value::Null,
            steps: self.steps.clone(),
            compensates: self.compensates,
            trigger: self.trigger.clone(),
            depth,
            correlation_key: self.correlation_key().map(Personal::new),
            parent: self.parent.clone(),
        });
        run.document = self.document.clone();
        run
    }
}

/// A run has come into the queue under our lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Nobody can have started it before.
    New,
    /// It has started before: its trigger has come again.
    Known,
}

/// What becomes of a task when the worker lets go of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// The run has ended.
    Done,
    /// The run goes on at this time.
    At(DateTime<Utc>),
    /// The run waits; a timer or an event wakes it.
    Waiting(Option<DateTime<Utc>>),
    /// The run stands still until an operator acts.
    Parked,
}

/// What events mean for a run, at one moment.
#[derive(Debug)]
pub(crate) struct Looked {
    /// How far the intake has read.
    checkpoint: i64,
    conditions: Vec<Condition>,
}

/// A condition on events that the intake knows of.
#[derive(Debug)]
pub(crate) struct Condition {
    /// The step that waits; nothing for one under which the run is cancelled.
    pub step: String,
    /// Which of the things that it waits for.
    pub name: String,
    pub reason: Option<String>,
    /// The event that met it.
    pub matched: Option<Value>,
    /// The last event that may meet it and that the intake has not read.
    unread: Option<i64>,
}

impl Looked {
    /// How far the intake must read before everything is known that was in the log at this moment.
    pub fn open(&self) -> Option<i64> {
        self.conditions.iter().filter_map(|condition| condition.unread).max()
    }

    pub fn has_read(&self, position: i64) -> bool {
        self.checkpoint >= position
    }

    /// Why the run shall be cancelled, if an event says so.
    pub fn cancelled(&self) -> Option<Name> {
        let met = self.conditions.iter().find(|met| met.step.is_empty() && met.matched.is_some())?;
        // What was given as a reason must not keep the run from ending.
        let reason = |text: &str| text.parse().ok();
        met.reason.as_deref().and_then(reason).or_else(|| reason("an event ended it"))
    }

    /// What the intake knows of the step that waits; nothing if it does not know yet that it does.
    pub fn of_step(&self, step: &str) -> Vec<&Condition> {
        self.conditions.iter().filter(|condition| condition.step == step).collect()
    }
}

/// One process's view of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    pub pool: PgPool,
    /// Names this process in leases.
    pub me: Uuid,
    pub lease: Duration,
    /// Says that a run may be due that nobody has taken.
    pub woken: Arc<Notify>,
    ended: mpsc::UnboundedSender<Ended>,
    /// The runs in work. A run that could not be let go of is not among them, so that its lease ends.
    held: Arc<Mutex<HashSet<Uuid>>>,
}

/// A run in work; not any more when this is dropped, however that comes.
#[derive(Debug)]
pub(crate) struct Held {
    run: Uuid,
    held: Arc<Mutex<HashSet<Uuid>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.lock().remove(&self.run);
    }
}

type Taken = (Uuid, Uuid, DateTime<Utc>, i64, Option<Json<Start>>, Option<i64>);

/// A run that has ended, or somebody who waits until those before it are let go of.
#[derive(Debug)]
enum Ended {
    Run(Uuid, Uuid, i64),
    Flush(oneshot::Sender<()>),
}

impl Ended {
    fn run(&self) -> Option<(Uuid, Uuid)> {
        match self {
            Ended::Run(tenant, run, _) => Some((*tenant, *run)),
            Ended::Flush(_) => None,
        }
    }
}

impl Tasks {
    /// The queue as a new process sees it.
    pub fn new(pool: PgPool, lease: Duration) -> Self {
        // Unbounded, because what waits in it has been a run in work, and those are bounded.
        let (ended, ending) = mpsc::unbounded_channel();
        let tasks = Self { pool, me: Uuid::now_v7(), lease, woken: Arc::default(), ended, held: Arc::default() };
        tokio::spawn(close(tasks.pool.clone(), tasks.me, tasks.woken.clone(), ending));
        tasks
    }

    /// Marks a run as being in work, so that its lease is renewed.
    pub fn hold(&self, task: &Task) -> Held {
        self.held.lock().insert(task.run);
        Held { run: task.run, held: self.held.clone() }
    }

    /// Takes up to `at_most` due runs, tenants in turn.
    pub async fn take(&self, at_most: usize) -> Result<Vec<Task>, sqlx::Error> {
        let taken: Vec<Taken> = sqlx::query_as(
            "select tenant_id, run_id, due_at, wakes, start, cancel_position from engine.take($1, $2, $3)",
        )
        .bind(self.me)
        .bind(interval(self.lease))
        .bind(i32::try_from(at_most).unwrap_or(i32::MAX))
        .fetch_all(&self.pool)
        .await?;
        let task = |(tenant, run, due_at, wakes, start, cancel_position): Taken| {
            let start = start.map(|Json(start)| start);
            Task { tenant, run, due_at, wakes, start, cancel_position }
        };
        Ok(taken.into_iter().map(task).collect())
    }

    /// Keeps the runs in work for another lease. One that somebody changes just now is left until the next time: to wait for it
    /// with others in hand would be half of a deadlock.
    pub async fn renew(&self) -> Result<(), sqlx::Error> {
        let held: Vec<Uuid> = self.held.lock().iter().copied().collect();
        let sql = "with held as materialized (
                       select tenant_id, run_id from engine.tasks where lease = $1 and run_id = any($3) for update skip locked
                   )
                   update engine.tasks t set due_at = clock_timestamp() + $2 from held
                   where t.tenant_id = held.tenant_id and t.run_id = held.run_id";
        sqlx::query(sql).bind(self.me).bind(interval(self.lease)).bind(held).execute(&self.pool).await?;
        Ok(())
    }

    /// Lets go of a run. If it was woken meanwhile, it is due at once; if another has taken it, nothing happens.
    ///
    /// A run that has ended is let go of together with others, a little later: until then its lease keeps others away,
    /// and whoever should take it after that finds nothing to do.
    pub async fn let_go(&self, task: &Task, next: &Next) -> Result<(), sqlx::Error> {
        let (state, due_at) = match next {
            Next::Done => {
                // Nobody listens only if the runtime is ending.
                drop(self.ended.send(Ended::Run(task.tenant, task.run, task.wakes)));
                return Ok(());
            }
            Next::At(at) => ("due", Some(*at)),
            Next::Waiting(until) => ("waiting", *until),
            Next::Parked => ("parked", None),
        };
        let sql = "update engine.tasks
                   set lease = null, state = case when wakes = $4 then $5 else 'due' end,
                       start = case when $7 then null else start end,
                       due_at = case when wakes = $4 then $6 else clock_timestamp() end
                   where tenant_id = $1 and run_id = $2 and lease = $3";
        let started = task.start.is_none();
        sqlx::query(sql)
            .bind(task.tenant)
            .bind(task.run)
            .bind(self.me)
            .bind(task.wakes)
            .bind(state)
            .bind(due_at)
            .bind(started)
            .execute(&self.pool)
            .await?;
        self.woken.notify_one();
        Ok(())
    }

    /// Returns when every run that has ended is let go of.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.ended.send(Ended::Flush(done)).is_ok() {
            // Dropped without an answer only if the runtime is ending.
            drop(flushed.await);
        }
    }

    /// Gives back everything that this process still holds.
    pub async fn give_back(&self) -> Result<(), sqlx::Error> {
        let sql = "update engine.tasks set due_at = clock_timestamp(), lease = null where lease = $1";
        sqlx::query(sql).bind(self.me).execute(&self.pool).await?;
        Ok(())
    }

    /// How long until the next run is due; none if none will be.
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        sqlx::query_scalar("select min(due_at) from engine.tasks").fetch_one(&self.pool).await
    }

    /// What events mean for this run, as of now.
    pub async fn look(&self, task: &Task) -> Result<Looked, sqlx::Error> {
        type Row = (i64, Option<String>, Option<String>, Option<String>, Option<Value>, Option<i64>);
        let sql = "select checkpoint, step, name, reason, matched, unread from engine.look($1, $2)";
        let rows: Vec<Row> = sqlx::query_as(sql).bind(task.tenant).bind(task.run).fetch_all(&self.pool).await?;
        let checkpoint = rows.first().map_or(0, |(checkpoint, ..)| *checkpoint);
        let condition = |(_, step, name, reason, matched, unread): Row| {
            Some(Condition { step: step?, name: name?, reason, matched, unread })
        };
        Ok(Looked { checkpoint, conditions: rows.into_iter().filter_map(condition).collect() })
    }

    /// Forgets under what a run would have been cancelled, because it is not started.
    pub async fn forget(&self, task: &Task) -> Result<(), sqlx::Error> {
        let sql = "delete from engine.waits where tenant_id = $1 and run_id = $2";
        sqlx::query(sql).bind(task.tenant).bind(task.run).execute(&self.pool).await?;
        Ok(())
    }

    /// Counts a run that follows from another; answers how many have followed from the same request, and in the firm within
    /// an hour.
    pub async fn follow(&self, tenant: Uuid, chain: Uuid, chain_max: u32) -> Result<(u64, u64), sqlx::Error> {
        let sql = "select of_chain, of_firm from engine.follow($1, $2, $3)";
        let counted = sqlx::query_as(sql).bind(tenant).bind(chain).bind(i64::from(chain_max));
        let (of_chain, of_firm): (i64, i64) = counted.fetch_one(&self.pool).await?;
        Ok((of_chain.unsigned_abs(), of_firm.unsigned_abs()))
    }

    /// Has a run to start as soon as somebody has room for it; nothing if it is there already.
    pub async fn start(&self, tenant: Uuid, run: Uuid, start: &Start) -> Result<(), sqlx::Error> {
        let sql = "insert into engine.tasks (tenant_id, run_id, due_at, start) values ($1, $2, clock_timestamp(), $3)
                   on conflict do nothing";
        sqlx::query(sql).bind(tenant).bind(run).bind(Json(start)).execute(&self.pool).await?;
        self.woken.notify_one();
        Ok(())
    }

    /// The definition with this id as new runs follow it: name, version, hash, document, and whether new runs start.
    pub async fn definition(&self, tenant: Uuid, id: Uuid) -> Result<Option<Latest>, sqlx::Error> {
        let sql = "select name, version, hash, document, not paused and not retired from engine.definitions
                   where tenant_id = $1 and definition_id = $2";
        sqlx::query_as(sql).bind(tenant).bind(id).fetch_optional(&self.pool).await
    }

    /// Whether a run for the same thing that came earlier has not ended.
    pub async fn is_behind(&self, tenant: Uuid, start: &Start) -> Result<bool, sqlx::Error> {
        let Some(correlated) = &start.correlation else { return Ok(false) };
        let sql = "select exists (select from engine.tasks
                   where tenant_id = $1 and start -> 'correlation' ->> 'key' = $2
                     and (start ->> 'definition_id')::uuid = $3 and (start -> 'trigger' ->> 'position')::bigint < $4)";
        sqlx::query_scalar(sql)
            .bind(tenant)
            .bind(&correlated.key)
            .bind(start.definition_id.0)
            .bind(start.trigger.position)
            .fetch_one(&self.pool)
            .await
    }

    /// Makes the run due that waits for the end of one for the same thing.
    pub async fn wake_next(&self, tenant: Uuid, definition: Uuid, key: &str) -> Result<(), sqlx::Error> {
        let sql = "update engine.tasks t set due_at = clock_timestamp(), wakes = t.wakes + 1
                   where t.tenant_id = $1 and t.lease is null and t.start -> 'correlation' ->> 'key' = $2
                     and (t.start ->> 'definition_id')::uuid = $3";
        sqlx::query(sql).bind(tenant).bind(key).bind(definition).execute(&self.pool).await?;
        self.woken.notify_one();
        Ok(())
    }

    /// Makes a run due now.
    pub async fn wake(&self, tenant: Uuid, run: Uuid) -> Result<(), sqlx::Error> {
        let mut tx = event_store::begin(&self.pool).await?;
        wake(&mut tx, tenant, run).await?;
        tx.commit().await?;
        self.woken.notify_one();
        Ok(())
    }

    /// How many live runs are in which state, and how many are due and not held.
    pub async fn count(&self) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
        let sql = "select state, count(*), count(*) filter (where due_at <= now()) from engine.tasks group by state";
        sqlx::query_as(sql).fetch_all(&self.pool).await
    }
}

/// A definition: name, version, hash, document, and whether new runs start.
pub(crate) type Latest = (String, i32, String, Value, bool);

/// Lets go of runs that have ended, all that have come meanwhile at once.
async fn close(pool: PgPool, me: Uuid, woken: Arc<Notify>, mut ending: mpsc::UnboundedReceiver<Ended>) {
    let mut batch = vec![];
    while ending.recv_many(&mut batch, CLOSED_AT_ONCE).await > 0 {
        // In the order in which the intake wakes runs: neither waits for the other while it is waited for.
        batch.sort_by_key(Ended::run);
        let (mut tenants, mut runs, mut wakes, mut flushes) = (vec![], vec![], vec![], vec![]);
        for ended in batch.drain(..) {
            match ended {
                Ended::Run(tenant, run, seen) => {
                    tenants.push(tenant);
                    runs.push(run);
                    wakes.push(seen);
                }
                Ended::Flush(done) => flushes.push(done),
            }
        }
        if !runs.is_empty() {
            let closed = sqlx::query_scalar("select engine.close($1, $2, $3, $4)");
            let closed = closed.bind(me).bind(&tenants).bind(&runs).bind(&wakes).fetch_one(&pool).await;
            match closed {
                Ok(0_i64) => {}
                Ok(_) => woken.notify_one(),
                Err(error) => {
                    tracing::warn!(runs = runs.len(), error = %error, "runs that have ended wait for their lease to end");
                }
            }
        }
        flushes.into_iter().for_each(|done| done.send(()).unwrap_or_default());
    }
}

/// Makes a run due now, or as soon as whoever holds it lets go.
pub(crate) async fn wake(tx: &mut Transaction<'_, Postgres>, tenant: Uuid, run: Uuid) -> Result<(), sqlx::Error> {
    let sql = "insert into engine.tasks as t (tenant_id, run_id, due_at) values ($1, $2, clock_timestamp())
               on conflict (tenant_id, run_id) do update
               set wakes = t.wakes + 1, state = 'due',
                   due_at = case when t.lease is null then clock_timestamp() else t.due_at end";
    sqlx::query(sql).bind(tenant).bind(run).execute(&mut **tx).await?;
    Ok(())
}

/// Makes a run due because an event cancels it, whether or not it has ended.
pub(crate) async fn wake_cancelled(
    tx: &mut Transaction<'_, Postgres>,
    tenant: Uuid,
    run: Uuid,
    position: i64,
) -> Result<(), sqlx::Error> {
    wake(tx, tenant, run).await?;
    let sql = "update engine.tasks set cancel_position = coalesce(cancel_position, $3)
               where tenant_id = $1 and run_id = $2";
    sqlx::query(sql).bind(tenant).bind(run).bind(position).execute(&mut **tx).await?;
    Ok(())
}

pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::TestDatabase;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lease_is_renewed_without_waiting_for_a_run_that_somebody_changes() {
        let database = TestDatabase::create().await;
        let (pool, superuser) = (database.worker().await, database.superuser().await);
        let tasks = Tasks::new(pool.clone(), Duration::from_secs(60));
        let [tenant, changed, other] = [1, 2, 3].map(Uuid::from_u128);
        for run in [changed, other] {
            let sql = "insert into engine.tasks (tenant_id, run_id, due_at) values ($1, $2, clock_timestamp())";
            sqlx::query(sql).bind(tenant).bind(run).execute(&superuser).await.unwrap();
        }
        let taken = tasks.take(2).await.unwrap();
        let _held: Vec<Held> = taken.iter().map(|task| tasks.hold(task)).collect();
        sqlx::query("update engine.tasks set due_at = 'epoch'").execute(&superuser).await.unwrap();
        let mut change = event_store::begin(&superuser).await.unwrap();
        let sql = "update engine.tasks set wakes = wakes + 1 where run_id = $1";
        sqlx::query(sql).bind(changed).execute(&mut *change).await.unwrap();
        // It would wait for the change, which ends after it.
        tokio::time::timeout(Duration::from_secs(30), tasks.renew()).await.unwrap().unwrap();
        change.commit().await.unwrap();
        let sql = "select run_id from engine.tasks where due_at > clock_timestamp()";
        let renewed: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&superuser).await.unwrap();
        assert_eq!(renewed, [other]);
    }
}
