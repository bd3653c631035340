//! A worker is killed at every point at which it waits for something, and another one goes on.

use crate::EngineOptions;
use crate::bounds::Bounds;
use crate::common::World;
use crate::tasks::{Task, Tasks};
use crate::worker::Worker;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn worker(world: &World) -> Worker {
    let tasks = Tasks::new(world.pool.clone(), Duration::from_millis(1));
    Worker::new(world.bus.clone(), tasks, Bounds::default(), CancellationToken::new(), watch::Sender::new(0))
}

/// The next due run.
async fn take(world: &World, worker: &Worker) -> Task {
    let mut taken = None;
    let take = async || {
        taken = worker.tasks.take(1).await.unwrap().pop();
        taken.is_some()
    };
    world.eventually("no run is due", take).await;
    taken.unwrap()
}

/// Lets a future make so many moves and drops it. Whether it came to its end.
pub(crate) async fn moves(future: impl Future<Output = ()>, at_most: usize) -> bool {
    let mut future = pin!(future);
    let mut made = 0;
    std::future::poll_fn(|context| {
        made += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if made >= at_most => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Workers that die, one in each round: at the first move, at the second and so on until one survives, and again from the
/// first. How many moves there are depends on how many answers come between two of them.
struct Deaths {
    rounds: usize,
    after_moves: usize,
    died: usize,
}

impl Deaths {
    fn new() -> Self {
        Self { rounds: 1, after_moves: 1, died: 0 }
    }

    /// Whether there is another round.
    fn goes_on(&mut self, survived: bool) -> bool {
        assert!(self.rounds < 1_000, "a run has fewer moves than that");
        self.rounds += 1;
        self.died += usize::from(!survived);
        self.after_moves = if survived { 1 } else { self.after_moves + 1 };
        !survived || self.died < 5
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_leaves_no_double_and_no_gap() {
    let world = World::office(true).await;
    // Only the intake of this engine works: it may hold no run.
    let engine = world.engine_with(EngineOptions { runs_at_once: 0, ..EngineOptions::default() });
    let mut deaths = Deaths::new();
    loop {
        let round = deaths.rounds;
        world.book(i64::try_from(round).unwrap(), &format!("ada{round}@example.com")).await;
        let (dying, next) = (worker(&world), worker(&world));
        let task = take(&world, &dying).await;
        let survived = moves(Box::pin(async { dying.work(task, None).await.unwrap() }), deaths.after_moves).await;
        // Its lease has ended. What it sent may still be on its way to the log.
        let ended = async || {
            if let Some(task) = next.tasks.take(1).await.unwrap().pop() {
                next.work(task, None).await.unwrap();
            }
            world.is_idle().await && world.count("run.succeeded").await >= round
        };
        world.eventually("the run does not end", ended).await;
        assert_eq!(
            world.made().await,
            [round; 7],
            "killed after {} moves: {:#?}",
            deaths.after_moves,
            world.summary().await
        );
        assert_eq!(world.count("run.started").await, round);
        assert_eq!(world.count("step.failed").await, 0);
        if !deaths.goes_on(survived) {
            break;
        }
    }
    engine.stop().await;
}

/// How often each thing was made, and how often it was taken back: invitation, folder, project.
async fn made_and_taken_back(world: &World) -> ([usize; 3], [usize; 3]) {
    let [.., invited, folder, project] = world.made().await;
    let mut back = [0; 3];
    for (count, event_type) in
        back.iter_mut().zip(["portal_user.invitation_revoked", "folder.archived", "project.cancelled"])
    {
        *count = world.count(event_type).await;
    }
    ([invited, folder, project], back)
}

/// Works on whatever is due until the intake has read the log and nothing is left.
async fn finish(world: &World) {
    let next = worker(world);
    let over = async || {
        while let Some(task) = next.tasks.take(1).await.unwrap().pop() {
            next.work(task, None).await.unwrap();
        }
        next.tasks.flush().await;
        world.intake().await >= world.log.head().await.unwrap() && world.is_idle().await
    };
    world.eventually("something is left over", over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_after_its_worker_died_anywhere_leaves_nothing_open() {
    let world = World::office(true).await;
    let engine = world.engine_with(EngineOptions { runs_at_once: 0, ..EngineOptions::default() });
    let mut deaths = Deaths::new();
    loop {
        let round = deaths.rounds;
        let booked = world.book(i64::try_from(round).unwrap(), &format!("ada{round}@example.com")).await;
        let dying = worker(&world);
        let task = take(&world, &dying).await;
        let survived = moves(Box::pin(async { dying.work(task, None).await.unwrap() }), deaths.after_moves).await;
        // What it sent may still be on its way to the log.
        let cancel = serde_json::json!({ "by": "invitee" });
        world.send("scheduling.appointment.cancel", Some(booked.id), cancel).await.unwrap();
        finish(&world).await;
        let (made, back) = made_and_taken_back(&world).await;
        assert_eq!(made, back, "killed after {} moves: {:#?}", deaths.after_moves, world.summary().await);
        assert_eq!(world.count("step.failed").await, 0);
        if !deaths.goes_on(survived) {
            break;
        }
    }
    assert!(world.count("project.cancelled").await > 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_while_it_takes_back_leaves_no_double_and_no_gap() {
    let world = World::office(true).await;
    let engine = world.engine_with(EngineOptions { runs_at_once: 0, ..EngineOptions::default() });
    let mut deaths = Deaths::new();
    loop {
        let round = deaths.rounds;
        let booked = world.book(i64::try_from(round).unwrap(), &format!("ada{round}@example.com")).await;
        world.eventually("no run starts", async || world.count("appointment.booked").await == round).await;
        take_and_finish(&world).await;
        let cancel = serde_json::json!({ "by": "invitee" });
        world.send("scheduling.appointment.cancel", Some(booked.id), cancel).await.unwrap();
        let dying = worker(&world);
        let task = take(&world, &dying).await;
        let survived = moves(Box::pin(async { dying.work(task, None).await.unwrap() }), deaths.after_moves).await;
        finish(&world).await;
        assert_eq!(
            made_and_taken_back(&world).await,
            ([round; 3], [round; 3]),
            "killed after {} moves",
            deaths.after_moves
        );
        assert_eq!(world.count("run.compensated").await, round);
        if !deaths.goes_on(survived) {
            break;
        }
    }
    engine.stop().await;
}

/// Takes the next run that is due to its end.
async fn take_and_finish(world: &World) {
    let first = worker(world);
    let task = take(world, &first).await;
    first.work(task, None).await.unwrap();
    finish(world).await;
}
