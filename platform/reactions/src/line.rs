//! The jobs of one reaction at work in one process: taken, done, settled.

use crate::queue::{Queue, Taken, Verdict, duration};
use crate::reaction::{EXHAUSTED, Found, Job, OnFailure, Outcome, Reaction};
use crate::through::Through;
use anyhow::{Context, Result};
use chrono::Utc;
use crash_points::Point;
use event_store::Log;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use kernel::TenantId;
use metrics::{counter, histogram};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Characters of a reason that are kept.
const WHY_MAX: usize = 2_000;
/// How often a blocked lane looks whether its connection was mended without a word.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// How soon the queue is asked again for a lane that another process has in its hands just now.
const SOON: Duration = Duration::from_millis(5);

/// What becomes of a try, as `reactions.settle` names it.
const OUTCOMES: [&str; 8] = ["done", "early", "later", "unknown", "blocked", "parked", "stopped", "dropped"];

/// Jobs of one kind of lane that are in work at once.
#[derive(Debug, Clone, Copy)]
struct Rooms {
    /// Is their lane's last try one that failed?
    of_ailing: bool,
    count: usize,
}

/// The rooms in which ailing lanes are tried, beside those of the others.
fn spare(at_once: usize) -> usize {
    (at_once / 4).max(1)
}

/// A reaction whose type the engine need not know.
pub(crate) trait AnyLine: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// Takes and does jobs until `stop`, and ends when those in work are settled.
    fn run(self: Arc<Self>, stop: CancellationToken) -> BoxFuture<'static, ()>;

    /// Does everything that is due, and ends when nothing is.
    fn drain(&self) -> BoxFuture<'_, Result<()>>;

    /// There may be something to do.
    fn wake(&self);

    /// Keeps the jobs in work for another lease.
    fn renew(&self) -> BoxFuture<'_, sqlx::Result<()>>;
}

/// A reaction with its queue.
pub(crate) struct ReactionLine<R> {
    pub reaction: Arc<R>,
    pub queue: Queue,
    pub log: Log,
    /// The net under the wake-ups; also how soon another process's work is noticed.
    pub poll_every: Duration,
    pub woken: Notify,
    pub woken_ailing: Notify,
    /// The jobs in work. One that could not be settled is not among them, so that its lease ends.
    pub held: Mutex<HashSet<i64>>,
}

impl<R: Reaction> AnyLine for ReactionLine<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // The first increase of a counter that was not there is seen by no `rate()`.
            for outcome in OUTCOMES {
                counter!("reaction_jobs_total", "reaction" => R::NAME, "outcome" => outcome).increment(0);
            }
            let well = self.clone().dispatch(Rooms { of_ailing: false, count: R::AT_ONCE }, &self.woken, &stop);
            let ailing =
                self.clone().dispatch(Rooms { of_ailing: true, count: spare(R::AT_ONCE) }, &self.woken_ailing, &stop);
            tokio::join!(well, ailing);
        })
    }

    fn drain(&self) -> BoxFuture<'_, Result<()>> {
        let one = move |ailing| async move {
            let mut done = 0_u64;
            while let Some(taken) = self.queue.take(ailing, 1).await?.pop() {
                self.work(taken, ailing).await?;
                done += 1;
            }
            anyhow::Ok(done)
        };
        Box::pin(async move {
            let (well, ailing) = (R::AT_ONCE, spare(R::AT_ONCE));
            // What was ailing may be well by then, or the other way round.
            while try_join_all((0..well + ailing).map(|room| one(room >= well))).await?.iter().sum::<u64>() > 0 {}
            Ok(())
        })
    }

    fn wake(&self) {
        self.woken.notify_one();
        self.woken_ailing.notify_one();
    }

    fn renew(&self) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move {
            let held: Vec<i64> = self.held.lock().iter().copied().collect();
            if held.is_empty() { Ok(()) } else { self.queue.renew(&held).await }
        })
    }
}

impl<R: Reaction> ReactionLine<R> {
    /// Keeps as many due jobs in work as there is room for.
    async fn dispatch(self: Arc<Self>, Rooms { of_ailing, count }: Rooms, woken: &Notify, stop: &CancellationToken) {
        let (rooms, freed) = (Arc::new(Semaphore::new(count)), Arc::new(Notify::new()));
        let working = TaskTracker::new();
        while !stop.is_cancelled() {
            let free: Vec<_> = std::iter::from_fn(|| rooms.clone().try_acquire_owned().ok()).collect();
            let mut pause = self.poll_every;
            if !free.is_empty() {
                let asked = free.len();
                match self.queue.take(of_ailing, asked).await {
                    Ok(taken) => {
                        let is_all = taken.len() < asked;
                        for (taken, room) in taken.into_iter().zip(free) {
                            let (line, freed) = (self.clone(), freed.clone());
                            working.spawn(async move {
                                let job = taken.id;
                                let done = line.work(taken, of_ailing).await.unwrap_or_else(|error| {
                                    let error = format!("{error:#}");
                                    tracing::warn!(reaction = R::NAME, job, error, "a job waits for its lease to end");
                                    false
                                });
                                drop(room);
                                freed.notify_one();
                                // Its lane has changed from one kind to the other.
                                if done == of_ailing {
                                    line.wake();
                                }
                            });
                        }
                        if is_all && let Ok(Some(next)) = self.queue.next_due(of_ailing).await {
                            pause = pause.min(next.max(SOON));
                        }
                    }
                    Err(error) => tracing::warn!(reaction = R::NAME, error = %error, "due jobs cannot be taken"),
                }
            }
            let is_full = rooms.available_permits() == 0;
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken.notified(), if !is_full => {}
                () = freed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        working.close();
        working.wait().await;
    }

    /// Does one job and notes what became of it; answers whether it is done. On a failure of ours its lease ends by itself.
    async fn work(&self, taken: Taken, is_probe: bool) -> Result<bool> {
        let _held = Held::hold(&self.held, taken.id);
        let started = Instant::now();
        let event = match taken.position {
            Some(position) => self.log.find(position).await.context("reading the event")?,
            None => None,
        };
        let job = Job {
            id: taken.id,
            tenant: TenantId(taken.tenant_id),
            lane: taken.lane.clone(),
            key: taken.key.clone(),
            event,
            subject: taken.subject_id,
            attempt: u32::try_from(taken.attempts).unwrap_or(1),
            has_failed: taken.why.is_some(),
            is_probe,
        };
        crash_points::reach(Point::ReactionTaken);
        let through = Through::default();
        let outcome = through.hear(self.attempt(&job, taken.in_doubt)).await;
        crash_points::reach(Point::ReactionPerformed);
        let verdict = self.judge(&job, &taken, outcome).await;
        counter!("reaction_jobs_total", "reaction" => R::NAME, "outcome" => verdict.outcome).increment(1);
        histogram!("reaction_job_duration_seconds", "reaction" => R::NAME).record(started.elapsed().as_secs_f64());
        let settled = self.queue.settle(job.id, taken.attempts, &verdict, through.said()).await.context("settling")?;
        if !settled {
            tracing::warn!(
                reaction = R::NAME,
                job = job.id,
                "a job took longer than its lease, another process has it"
            );
        }
        crash_points::reach(Point::ReactionSettled);
        Ok(verdict.outcome == "done")
    }

    /// One try, after a look at what became of the last one if nobody knows.
    async fn attempt(&self, job: &Job, in_doubt: bool) -> Outcome {
        let trying = async {
            if in_doubt {
                match self.reaction.look_up(job).await {
                    Found::Done => return Outcome::Done,
                    Found::Nothing => {}
                    Found::Unclear(why) => return Outcome::Unknown(why),
                }
            }
            self.reaction.perform(job).await
        };
        match tokio::time::timeout(R::PATIENCE, AssertUnwindSafe(trying).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                tracing::error!(reaction = R::NAME, job = job.id, "a job met a defect of ours");
                Outcome::Unknown("it met a defect of ours".to_owned())
            }
            Err(_) => Outcome::Unknown(format!("no end within {:?}", R::PATIENCE)),
        }
    }

    /// What is written down of an outcome.
    async fn judge(&self, job: &Job, taken: &Taken, outcome: Outcome) -> Verdict {
        let again = |outcome, said: Option<Duration>, why: String| Verdict {
            outcome,
            wait: R::RETRY.wait(job.attempt, said),
            holds_lane: said.is_some(),
            code: None,
            why: Some(short(&why)),
        };
        let (outcome, said, why) = match outcome {
            Outcome::Done => {
                return Verdict { outcome: "done", wait: Duration::ZERO, holds_lane: false, code: None, why: None };
            }
            Outcome::Early(due) => {
                let (wait, why) = ((due - Utc::now()).to_std().unwrap_or_default(), taken.why.clone());
                return Verdict { outcome: "early", wait, holds_lane: false, code: None, why };
            }
            Outcome::Blocked(connection) => {
                let (code, why) = (Some(connection), taken.why.clone());
                return Verdict { outcome: "blocked", wait: LOOK_AGAIN, holds_lane: true, code, why };
            }
            Outcome::Never(code, why) => return self.give_up(job, code, why, again).await,
            Outcome::After(wait, why) => {
                return Verdict { outcome: "later", wait, holds_lane: false, code: None, why: Some(short(&why)) };
            }
            Outcome::Later(said, why) => ("later", said, why),
            Outcome::Unknown(why) => ("unknown", None, why),
        };
        if R::RETRY.is_over(duration(&taken.tried_for)) {
            return self.give_up(job, EXHAUSTED, why, again).await;
        }
        again(outcome, said, why)
    }

    async fn give_up(
        &self,
        job: &Job,
        code: &str,
        why: String,
        again: impl Fn(&'static str, Option<Duration>, String) -> Verdict,
    ) -> Verdict {
        // What a receiver says may name a person.
        tracing::warn!(reaction = R::NAME, job = job.id, code, "a job is given up, `ubos jobs show` says why");
        if let Err(error) = self.reaction.given_up(job, code, &why).await {
            let error = format!("{error:#}");
            tracing::warn!(reaction = R::NAME, job = job.id, error, "whoever has to know cannot be told yet");
            return again("later", None, why);
        }
        let outcome = match R::ON_FAILURE {
            OnFailure::Park => "parked",
            OnFailure::Stop => "stopped",
            OnFailure::Drop => "dropped",
        };
        let (code, why) = (Some(code.to_owned()), Some(short(&why)));
        Verdict { outcome, wait: Duration::ZERO, holds_lane: false, code, why }
    }
}

/// A job in work; not any more when this is dropped, however that comes.
struct Held<'a> {
    held: &'a Mutex<HashSet<i64>>,
    job: i64,
}

impl<'a> Held<'a> {
    fn hold(held: &'a Mutex<HashSet<i64>>, job: i64) -> Self {
        held.lock().insert(job);
        Self { held, job }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.held.lock().remove(&self.job);
    }
}

/// A reason as it is kept.
fn short(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(WHY_MAX).collect()
}
