//! Jobs that are for a time wait for it, whoever runs meanwhile.

use crate::common::{World, eventually};
use chrono::{DateTime, TimeDelta, Utc};
use event_store::RawEvent;
use messaging::PolledLog;
use reactions::{Engine, EngineOptions, Filter, Job, Lane, Outcome, Reaction, StartAt, State, retry};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// When each job was tried, and whether that was too early.
type Tries = Arc<Mutex<Vec<(DateTime<Utc>, bool)>>>;

/// Does nothing before its time.
struct Remind {
    after: TimeDelta,
    tries: Tries,
}

impl Reaction for Remind {
    const NAME: &'static str = "test.remind";
    const ON: &'static [&'static str] = &["tally.added"];
    const START: StartAt = StartAt::Beginning;

    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.event_id).at(event.recorded_at + self.after)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let due = job.event.as_ref().map(|event| event.recorded_at + self.after).unwrap();
        let is_early = Utc::now() < due;
        self.tries.lock().unwrap().push((due, is_early));
        if is_early { Outcome::Early(due) } else { Outcome::Done }
    }
}

fn engine(world: &World, after: TimeDelta) -> (Engine, Tries) {
    let tries = Tries::default();
    let options = EngineOptions { lease: Duration::from_secs(5), poll_every: Duration::from_secs(30) };
    let engine = Engine::with_options(world.log(), options).with(Remind { after, tries: tries.clone() });
    (engine, tries)
}

#[tokio::test]
async fn a_job_for_a_time_is_not_done_before_it_and_soon_after() {
    let world = World::new().await;
    let (engine, tries) = engine(&world, TimeDelta::milliseconds(1_500));
    world.tally(1, 3).await;
    let stop = CancellationToken::new();
    let done = async {
        eventually("not every job is done", async || world.count(State::Done).await == 3).await;
        stop.cancel();
    };
    // The net under the wake-ups is far longer than the wait: the line knows when the next job is due.
    tokio::join!(engine.run(Arc::new(PolledLog(world.log())), stop.clone()), done);
    let tries = tries.lock().unwrap().clone();
    assert!(tries.iter().all(|(_, is_early)| !is_early), "{tries:?}");
    assert_eq!(tries.len(), 3);
}

#[tokio::test]
async fn what_is_hastened_before_its_time_goes_back_without_having_been_tried() {
    let world = World::new().await;
    let (engine, tries) = engine(&world, TimeDelta::hours(1));
    world.tally(1, 1).await;
    world.round(&engine).await;
    assert!(tries.lock().unwrap().is_empty());
    for _ in 0..3 {
        let all = Filter { state: Some(State::Due), ..Filter::default() };
        assert_eq!(retry(world.log().pool(), &all).await.unwrap(), 1);
        world.round(&engine).await;
    }
    assert_eq!(tries.lock().unwrap().len(), 3);
    let jobs = world.jobs(State::Due).await;
    assert_eq!((jobs.len(), jobs[0].attempts), (1, 0), "{jobs:?}");
    let shown = reactions::show(world.log().pool(), jobs[0].id).await.unwrap().unwrap();
    let wait = shown.due_at.unwrap() - Utc::now();
    assert!(wait > TimeDelta::minutes(59) && wait <= TimeDelta::hours(1), "{wait}");
    assert_eq!(shown.tried_since, None);
}
