//! The runs in work: so many at once, wherever they come from.
//!
//! A few tasks drive them all, so many runs each. What they wait for is the log: when a commit answers many of them, they
//! all decide their next segment before the appender gets its turn again, and so share the next commit too. In tasks of their
//! own, the first one would take a commit for itself, and the others would wait for it. With one task for all, the
//! appender would wait for the slowest; with a few, one commits while the others prepare.

use crate::tasks::{Noted, Task};
use crate::worker::Worker;
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Room for one run.
pub(crate) type Room = OwnedSemaphorePermit;

/// Works on runs, each in a task of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Crew(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    worker: Worker,
    rooms: Arc<Semaphore>,
    size: usize,
    drivers: Vec<Driver>,
    /// Runs are due that nobody has taken. While they are, everybody's new runs queue behind them, in turn.
    backlog: AtomicBool,
    freed: Arc<Notify>,
}

/// Runs that one task drives.
const RUNS_PER_DRIVER: usize = 24;

/// A task that drives runs.
#[derive(Debug)]
struct Driver {
    /// Never longer than there are rooms.
    new: mpsc::UnboundedSender<New>,
    driving: Arc<AtomicUsize>,
}

/// A run to work on; it comes with its room.
#[derive(Debug)]
struct New {
    task: Task,
    noted: Option<oneshot::Receiver<Noted>>,
    room: Room,
}

impl Crew {
    pub fn new(worker: Worker, runs_at_once: usize) -> Self {
        let size = runs_at_once.min(Semaphore::MAX_PERMITS);
        let (rooms, backlog) = (Arc::new(Semaphore::new(size)), false.into());
        let freed = Arc::new(Notify::new());
        let drivers = (0..size.div_ceil(RUNS_PER_DRIVER)).map(|_| Driver::start(&worker, &freed)).collect();
        Self(Arc::new(Inner { worker, rooms, size, drivers, backlog, freed }))
    }

    pub fn worker(&self) -> &Worker {
        &self.0.worker
    }

    /// How many more runs there is room for.
    pub fn free(&self) -> usize {
        self.0.rooms.available_permits()
    }

    /// Room for a run, if there is any.
    pub fn room(&self) -> Option<Room> {
        self.0.rooms.clone().try_acquire_owned().ok()
    }

    /// Room for a run that nobody has noted yet; none while others have been due before it.
    pub fn room_for_new(&self) -> Option<Room> {
        let full = self.0.backlog.load(Ordering::Acquire) || self.0.worker.stopping.is_cancelled();
        if full { None } else { self.room() }
    }

    pub fn set_backlog(&self, backlog: bool) {
        self.0.backlog.store(backlog, Ordering::Release);
    }

    /// Until a run has been let go of.
    pub async fn freed(&self) {
        self.0.freed.notified().await;
    }

    /// Works on a run. `noted` comes when it is in the queue under our lease; until then it must not get further than its
    /// first segment, and if it never comes, the run is somebody else's.
    pub fn work(&self, task: Task, room: Room, noted: Option<oneshot::Receiver<Noted>>) {
        let has_room = |driver: &&Driver| driver.driving.load(Ordering::Acquire) < RUNS_PER_DRIVER;
        // The first with room, so that few runs share one; if all look full, one of them is about to have some.
        let Some(driver) = self.0.drivers.iter().find(has_room).or(self.0.drivers.first()) else { return };
        driver.driving.fetch_add(1, Ordering::AcqRel);
        // Nobody takes it only if the runtime is ending.
        drop(driver.new.send(New { task, noted, room }));
    }

    /// Until every run in work has been let go of.
    pub async fn finish(&self) {
        let all = u32::try_from(self.0.size).unwrap_or(u32::MAX);
        // Closed only if the runtime is ending.
        drop(self.0.rooms.acquire_many(all).await);
    }
}

impl Driver {
    fn start(worker: &Worker, freed: &Arc<Notify>) -> Self {
        let (new, coming) = mpsc::unbounded_channel();
        let driving = Arc::new(AtomicUsize::new(0));
        let (worker, freed, counted) = (worker.clone(), freed.clone(), driving.clone());
        let ended = move || {
            counted.fetch_sub(1, Ordering::AcqRel);
            freed.notify_one();
        };
        // Its turn ends when all its runs have had their move, not after a share of them.
        tokio::spawn(tokio::task::unconstrained(drive(worker, coming, ended)));
        Self { new, driving }
    }
}

/// Works on every run that comes, all at once.
async fn drive(worker: Worker, mut coming: mpsc::UnboundedReceiver<New>, ended: impl Fn()) {
    let mut working = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            new = coming.recv() => match new {
                Some(new) => working.push(work(&worker, new)),
                None => break,
            },
            Some(()) = working.next() => ended(),
        }
    }
    while working.next().await.is_some() {}
}

async fn work(worker: &Worker, new: New) {
    let New { task, noted, room } = new;
    let _held = worker.tasks.hold(&task);
    let run = task.run;
    // A run that panics must not end the others.
    match AssertUnwindSafe(worker.work(task, noted)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(run_id = %run, error = format!("{error:#}"), "a run waits for its lease to end");
        }
        Err(_) => tracing::error!(run_id = %run, "a run met a defect of ours and waits for its lease to end"),
    }
    drop(room);
}
