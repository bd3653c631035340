//! The runs in work: so many at once, wherever they come from.

use crate::tasks::Task;
use crate::worker::Worker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

/// Room for one run.
pub(crate) type Room = OwnedSemaphorePermit;

/// Works on runs, each in a task of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Crew(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    worker: Worker,
    rooms: Arc<Semaphore>,
    working: TaskTracker,
    /// Runs are due that nobody has taken. While they are, everybody's new runs queue behind them, in turn.
    backlog: AtomicBool,
    freed: Notify,
}

impl Crew {
    pub fn new(worker: Worker, runs_at_once: usize) -> Self {
        let rooms = Arc::new(Semaphore::new(runs_at_once.min(Semaphore::MAX_PERMITS)));
        let inner = Inner { worker, rooms, working: TaskTracker::new(), backlog: false.into(), freed: Notify::new() };
        Self(Arc::new(inner))
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
    /// start, and if it never comes, the run is somebody else's.
    pub fn work(&self, task: Task, room: Room, noted: Option<oneshot::Receiver<()>>) {
        let crew = self.clone();
        self.0.working.spawn(async move {
            let _held = crew.0.worker.tasks.hold(&task);
            let run = task.run;
            if let Err(error) = crew.0.worker.work(task, noted).await {
                tracing::warn!(run_id = %run, error = format!("{error:#}"), "a run waits for its lease to end");
            }
            drop(room);
            crew.0.freed.notify_one();
        });
    }

    /// Until every run in work has been let go of.
    pub async fn finish(&self) {
        self.0.working.close();
        self.0.working.wait().await;
    }
}
