//! The runs in work: so many at once, wherever they come from.
//!
//! A few tasks drive them all, so many runs each. What they wait for is the log: when a commit answers many of them, they
//! all decide their next segment before the appender gets its turn again, and so share the next commit too. In tasks of their
//! own, the first one would take a commit for itself, and the others would wait for it. With one task for all, the
//! appender would wait for the slowest; with a few, one commits while the others prepare.
//!
//! How long a run takes is how many are in work divided by how many end in a second, whoever's they are. Many at once share
//! commits, so a firm that is alone has all the room; beside another firm's runs it has a part, and neither waits long.

use crate::tasks::{Noted, Task};
use crate::worker::Worker;
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use uuid::Uuid;

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
    firms: Mutex<Firms>,
}

/// Whose runs were begun last.
#[derive(Debug, Default)]
struct Firms {
    last: Option<Uuid>,
    /// When a run of another firm than the one before was begun.
    changed: Option<Instant>,
}

/// So long after another firm's run the room is not one firm's alone.
const SHARED_FOR: Duration = Duration::from_secs(5);
/// The part of the room that there is while several firms have runs. Measured: docs/adr/0041.
const SHARED_PART: usize = 4;

impl Firms {
    fn begins(&mut self, firm: Uuid, now: Instant) {
        let before = self.last.replace(firm);
        if before.is_some_and(|before| before != firm) {
            self.changed = Some(now);
        }
    }

    fn are_several(&self, now: Instant) -> bool {
        self.changed.is_some_and(|changed| now.saturating_duration_since(changed) < SHARED_FOR)
    }
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
        let inner = Inner { worker, rooms, size, drivers, backlog, freed, firms: Mutex::default() };
        Self(Arc::new(inner))
    }

    pub fn worker(&self) -> &Worker {
        &self.0.worker
    }

    /// How many runs there may be in work just now.
    pub fn size(&self) -> usize {
        let several = self.0.firms.lock().are_several(Instant::now());
        if several { self.0.size.div_ceil(SHARED_PART) } else { self.0.size }
    }

    /// How many more runs there is room for.
    pub fn free(&self) -> usize {
        let in_work = self.0.size - self.0.rooms.available_permits();
        self.size().saturating_sub(in_work)
    }

    /// Room for a run, if there is any.
    pub fn room(&self) -> Option<Room> {
        if self.free() == 0 { None } else { self.0.rooms.clone().try_acquire_owned().ok() }
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
        self.0.firms.lock().begins(task.tenant, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_shared_from_the_second_firm_on_and_for_a_while_after_it() {
        let (now, mut firms) = (Instant::now(), Firms::default());
        let [one, other] = [1, 2].map(Uuid::from_u128);
        firms.begins(one, now);
        firms.begins(one, now);
        assert!(!firms.are_several(now), "one firm has all the room");
        firms.begins(other, now);
        let (soon, later) = (now + SHARED_FOR / 2, now + SHARED_FOR);
        assert!(firms.are_several(soon));
        assert!(!firms.are_several(later), "the other is gone");
        firms.begins(other, later);
        assert!(!firms.are_several(later), "it is the one firm now");
    }
}
