//! A process dies at each place between two durable steps, and another one goes on: nothing is lost, doubled or overtaken.

use crate::common::{World, eventually};
use chrono::TimeDelta;
use event_store::{Log, RawEvent};
use messaging::PolledLog;
use reactions::{Engine, EngineOptions, Found, Job, Lane, Outcome, Reaction, Retry, StartAt, State};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where the process that is to die finds the database, and the file.
const DYING: &str = "UBOS_TEST_DYING_REACTIONS";

/// Writes each key into a file so long after its event, once more each time; but it can be asked what stands there.
struct WriteDown(PathBuf, TimeDelta);

impl WriteDown {
    fn keys(&self) -> Vec<String> {
        std::fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Reaction for WriteDown {
    const NAME: &'static str = "test.write_down";
    const ON: &'static [&'static str] = &["tally.added"];
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry::FOR_EVER;

    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.aggregate_id).at(event.recorded_at + self.1)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0).unwrap();
        // In one piece, whoever else writes.
        file.write_all(format!("{}\n", job.key).as_bytes()).unwrap();
        Outcome::Done
    }

    async fn look_up(&self, job: &Job) -> Found {
        if self.keys().contains(&job.key) { Found::Done } else { Found::Nothing }
    }
}

async fn run(log: Log, file: PathBuf, after: TimeDelta, stop: CancellationToken) {
    let options = EngineOptions { lease: Duration::from_millis(400), poll_every: Duration::from_millis(20) };
    let engine = Engine::with_options(log.clone(), options).with(WriteDown(file, after));
    engine.run(Arc::new(PolledLog(log)), stop).await;
}

/// What the process does that is to die; in any other it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_dies() {
    let Ok(told) = std::env::var(DYING) else { return };
    let [url, after, file] = told.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let pool = sqlx::PgPool::connect(url).await.unwrap();
    let after = TimeDelta::milliseconds(after.parse().unwrap());
    run(Log::new(pool), file.into(), after, CancellationToken::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_between_two_steps_leaves_no_double_and_no_gap() {
    for point in ["reaction.noted", "reaction.committed", "reaction.taken", "reaction.performed", "reaction.settled"] {
        for (nth, after) in [(1, 0), (3, 0), (1, 150)] {
            let world = World::new().await;
            let folder = std::env::temp_dir().join(format!("ubos-reactions-{}", uuid::Uuid::now_v7()));
            std::fs::create_dir(&folder).unwrap();
            let file = folder.join("keys");
            world.tally(1, 4).await;
            let dead = CancellationToken::new();
            // Noting comes once a batch, so there is more until it has died of it.
            let adding = async {
                while !dead.is_cancelled() {
                    world.tally(1, 1).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let dying = async {
                let told = format!("{} {after} {}", world.database.url("ubos_worker"), file.display());
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["--exact", "crashes::the_process_that_dies"]).env(DYING, told);
                command.env("UBOS_CRASH_AT", format!("{point}:{nth}")).stdout(Stdio::null()).stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                eventually("the process does not die", async || child.try_wait().unwrap().is_some()).await;
                // A test that fails ends with a code; this one must not have ended by itself.
                assert_eq!(child.wait().unwrap().code(), None, "{point}");
                dead.cancel();
            };
            tokio::join!(dying, adding);
            let stop = CancellationToken::new();
            let done = async {
                let all = || world.keys();
                eventually("not every job is done", async || world.count(State::Done).await == all().await.len()).await;
                stop.cancel();
            };
            let after = TimeDelta::milliseconds(after);
            tokio::join!(run(world.log(), file.clone(), after, stop.clone()), done);
            let (mut written, mut asked): (Vec<_>, Vec<_>) =
                (WriteDown(file, after).keys(), world.keys().await.into_iter().collect());
            written.sort();
            asked.sort();
            assert_eq!(written, asked, "{point}:{nth}");
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}
