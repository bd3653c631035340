//! The role `ubos workflow`: one intake, many workers, and a dispatcher between them.

use crate::bounds::Bounds;
use crate::crew::Crew;
use crate::intake::Intake;
use crate::schedules;
use crate::tasks::Tasks;
use crate::waits::Past;
use crate::worker::Worker;
use chrono::Utc;
use event_store::CommandBus;
use messaging::Events;
use metrics::gauge;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bounds of one engine process.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Runs that this process works on at once.
    pub runs_at_once: usize,
    /// How long a run stays with a process that does not answer any more.
    pub lease: Duration,
    /// The net under the wake-ups; also how soon another process's work is noticed.
    pub poll_every: Duration,
    /// How many runs may follow.
    pub bounds: Bounds,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            runs_at_once: 128,
            lease: Duration::from_secs(15),
            poll_every: Duration::from_secs(1),
            bounds: Bounds::default(),
        }
    }
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    stopping: CancellationToken,
    parts: Vec<JoinHandle<()>>,
    ended: watch::Receiver<u64>,
}

impl Engine {
    /// Starts intake and workers. `pool` connects as `ubos_worker`; `bus` holds every command that definitions may name.
    pub fn start(pool: PgPool, bus: CommandBus, events: Arc<dyn Events>, options: EngineOptions) -> Self {
        let stopping = CancellationToken::new();
        let tasks = Tasks::new(pool.clone(), options.lease);
        let (ending, ended) = watch::channel(0);
        let worker = Worker::new(bus, tasks.clone(), options.bounds.clone(), stopping.clone(), ending);
        let crew = Crew::new(worker, options.runs_at_once);
        let past = Past::new(crew.worker().bus.store().clone(), pool.clone());
        let bounds = options.bounds.clone();
        let intake = Intake { pool, events, crew: crew.clone(), past, bounds, stopping: stopping.clone() };
        let intake = tokio::spawn(intake.run());
        let parts = vec![
            tokio::spawn(dispatch(crew, options.clone(), intake)),
            tokio::spawn(schedules::follow(tasks.clone(), stopping.clone())),
            tokio::spawn(upkeep(tasks, options.lease / 3, stopping.clone())),
        ];
        Self { stopping, parts, ended }
    }

    /// How many runs this engine has brought to their end so far; for measurements.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.ended.clone()
    }

    /// Begins no further step, waits for the present ones, gives the runs back.
    pub async fn stop(self) {
        self.stopping.cancel();
        for part in self.parts {
            // A part that panicked has ended too; its panic was reported when it happened.
            drop(part.await);
        }
    }
}

/// After a run ended while others are due, so long may it take until a part of the room is free: a look at the queue for
/// each would cost a commit per run.
const GATHERING: Duration = Duration::from_millis(3);

/// Keeps as many due runs in work as there is room for.
async fn dispatch(crew: Crew, options: EngineOptions, intake: JoinHandle<()>) {
    let (worker, tasks) = (crew.worker(), &crew.worker().tasks);
    while !worker.stopping.is_cancelled() {
        let (mut pause, mut backlog) = (options.poll_every, false);
        match take(&crew).await {
            Ok(true) => backlog = true,
            Ok(false) => {
                if let Ok(Some(next)) = tasks.next_due().await {
                    // Due but not taken: another process has it in its hands just now.
                    let wait = (next - Utc::now()).to_std().unwrap_or_default().max(Duration::from_millis(5));
                    pause = pause.min(wait);
                }
            }
            Err(error) => tracing::warn!(error = %error, "due runs cannot be taken, trying again"),
        }
        crew.set_backlog(backlog);
        tokio::select! {
            () = worker.stopping.cancelled() => {}
            () = tasks.woken.notified(), if !backlog => {}
            () = crew.freed(), if backlog => {
                let enough = (crew.size() / 4).max(1);
                let gathered = async { while crew.free() < enough { crew.freed().await } };
                // Not enough came; then what is there is taken.
                drop(tokio::time::timeout(GATHERING, gathered).await);
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
    // Its last batch may bring runs under our lease. If it panicked, that was reported when it happened.
    drop(intake.await);
    crew.finish().await;
    tasks.flush().await;
    if let Err(error) = tasks.give_back().await {
        tracing::warn!(error = %error, "runs could not be given back and wait for their lease to end");
    }
}

/// Takes as many due runs as there is room for. Whether there may be more.
async fn take(crew: &Crew) -> Result<bool, sqlx::Error> {
    // Some stay for runs that are noted while we ask.
    let asked = crew.free().div_ceil(4) * 3;
    let rooms: Vec<_> = std::iter::from_fn(|| crew.room()).take(asked.max(1)).collect();
    if rooms.is_empty() {
        return Ok(true);
    }
    let taken = crew.worker().tasks.take(rooms.len()).await?;
    let more = taken.len() == rooms.len();
    for (task, room) in taken.into_iter().zip(rooms) {
        crew.work(task, room, None);
    }
    Ok(more)
}

/// Renews leases and counts.
async fn upkeep(tasks: Tasks, every: Duration, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        if let Err(error) = tasks.renew().await {
            tracing::warn!(error = %error, "leases cannot be renewed, trying again");
        }
        let Ok(counts) = tasks.count().await else { continue };
        let of = |state: &str| counts.iter().find(|(s, ..)| s == state).map_or((0, 0), |(_, all, due)| (*all, *due));
        for (status, state) in [("running", "due"), ("waiting", "waiting"), ("parked", "parked")] {
            gauge!("workflow_runs", "status" => status).set(of(state).0 as f64);
        }
        gauge!("workflow_tasks_due").set(counts.iter().map(|(.., due)| *due).sum::<i64>() as f64);
    }
}
