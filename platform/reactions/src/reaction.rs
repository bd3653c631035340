//! What a reaction says of itself.

use crate::backoff::Retry;
use chrono::{DateTime, Utc};
use event_store::RawEvent;
use kernel::TenantId;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// The code of a job that was tried for as long as its [`Retry`] says.
pub const EXHAUSTED: &str = "exhausted";
/// Characters of a lane's name.
const LANE_MAX: usize = 200;

/// Something that is done because of an event. One file, and one line where the engine is put together.
pub trait Reaction: Send + Sync + 'static {
    /// `email.invitation`: names its jobs, its checkpoint and its metrics, so it never changes.
    const NAME: &'static str;
    /// The kinds of event that ask for it: `user.invited`. None if its jobs come from elsewhere, through [`put`](crate::put).
    const ON: &'static [&'static str];
    /// Where it begins when it is new in an installation.
    const START: StartAt = StartAt::Now;
    /// When what could not be done is tried again, and for how long.
    const RETRY: Retry = Retry::TWO_DAYS;
    /// What becomes of a job that cannot be done.
    const ON_FAILURE: OnFailure = OnFailure::Park;
    /// Jobs in work at once in one process, in however many lanes.
    const AT_ONCE: usize = 4;
    /// How long one try may take; after that nobody knows what became of it.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// The lanes in which the event asks for a job; none if it asks for none after all. It sees the event and nothing else.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.aggregate_id)]
    }

    /// Does it. May be called again for the same job, with the same key.
    fn perform(&self, job: &Job) -> impl Future<Output = Outcome> + Send;

    /// Asks the receiver, by the job's key, what became of a try that nobody knows the end of. If the receiver sees for itself that
    /// a key comes again, there is nothing to ask.
    fn look_up(&self, job: &Job) -> impl Future<Output = Found> + Send {
        let _ = job;
        async { Found::Nothing }
    }

    /// Called before a job is given up, for whoever has to know: why, as a code and in words. If it fails, the job is tried again
    /// instead.
    fn given_up(&self, job: &Job, code: &str, why: &str) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (job, code, why);
        async { Ok(()) }
    }
}

/// Where a reader begins that is new in an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// With the log's first event.
    Beginning,
    /// With the next one: nothing is done because of what was long ago.
    Now,
}

/// One receiver: its jobs are done in turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    pub(crate) name: String,
    pub(crate) width: u16,
    pub(crate) budget: Option<Budget>,
    /// When the job is due, if not at once.
    pub(crate) due: Option<DateTime<Utc>>,
}

/// How often a lane may be used: a job each `every`, and `burst` of them at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The time that one job takes of it.
    pub every: Duration,
    /// How much of it is saved up, in jobs.
    pub burst: u16,
}

impl Lane {
    /// The lane with this name, within the firm and the reaction: a connection, an endpoint, whoever an email is for. One job at a
    /// time, none overtakes another, no other bound.
    pub fn of(name: impl fmt::Display) -> Self {
        let name: String = name.to_string().chars().filter(|c| !c.is_control()).take(LANE_MAX).collect();
        Self { name, width: 1, budget: None, due: None }
    }

    /// So many at once: its first `width` jobs may be in work, in no order among them.
    #[must_use]
    pub fn wide(self, width: u16) -> Self {
        Self { width: width.max(1), ..self }
    }

    /// Not more often than this, in all processes together.
    #[must_use]
    pub fn within(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// The job is not due before this; whoever does it looks whether it is still wanted then. None of its lane overtakes it, so what
    /// is due at different times waits in different lanes.
    #[must_use]
    pub fn at(self, due: DateTime<Utc>) -> Self {
        Self { due: Some(due), ..self }
    }
}

/// A job that is in work.
#[derive(Debug)]
pub struct Job {
    /// What operators know it by.
    pub id: i64,
    /// The firm.
    pub tenant: TenantId,
    /// The lane's name.
    pub lane: String,
    /// What the receiver knows it by, the same at every try.
    pub key: String,
    /// The event that asks for it, if one does, as it is now: without what was erased.
    pub event: Option<RawEvent>,
    /// The stream that it is about.
    pub subject: Option<Uuid>,
    /// How often it was tried, this time included.
    pub attempt: u32,
    /// Was it said before why it could not be done?
    pub has_failed: bool,
    /// Did its lane's last try fail? Then this one has a room that is kept for such lanes.
    pub is_probe: bool,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done, or there is nothing to do.
    Done,
    /// It is too early, and was no try: it comes again then.
    Early(DateTime<Utc>),
    /// Not now: the receiver is away or busy. If it says when to come again (`Retry-After`), the lane waits so long.
    Later(Option<Duration>, String),
    /// Not now, but so long after this, as the reaction has a schedule of its own. It is a try that failed, like [`Outcome::Later`], and
    /// the lane goes on with what is due.
    After(Duration, String),
    /// Nobody knows: it is looked up before anything is sent again.
    Unknown(String),
    /// Nothing is of use before somebody mends this connection. Costs no attempt; the lane waits for [`release`](crate::release), or
    /// looks again after an hour.
    Blocked(String),
    /// Trying again changes nothing: a code and why.
    Never(&'static str, String),
}

/// What became of a try that nobody knew the end of.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The receiver has it.
    Done,
    /// The receiver does not have it, or knows keys: it may be done again.
    Nothing,
    /// The receiver cannot say now.
    Unclear(String),
}

/// What becomes of a job that cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It waits for an operator, and its lane goes on without it.
    Park,
    /// It waits for an operator, and its lane waits behind it: where what comes later makes no sense without it.
    Stop,
    /// It ends. Nobody wants it any more.
    Drop,
}
