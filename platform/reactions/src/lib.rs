//! Does something because of an event: sends an email, calls a provider, erases somebody.
//!
//! An event becomes a *job* in the transaction that moves its [`Reaction`]'s checkpoint past it, so each event leads to each job
//! once, whoever is killed. A job waits in a *lane*: one receiver, whose jobs come in the order of their events and within its
//! budget. Jobs are taken under a lease, firms in turn, lanes in turn. What cannot be done now is tried again with full jitter or
//! when the receiver says; what cannot be done is parked with its reason, for `ubos jobs`.
//!
//! A try whose end nobody knows (no answer came, or its process died) is looked up before it is made again; a receiver that knows
//! [`Job::key`] sees each job once either way. What a job is about is read from its event when it is done, so no copy of it has to
//! be erased.

mod backoff;
mod engine;
mod intake;
mod line;
mod operate;
mod queue;
mod ramp;
mod reaction;
mod through;

pub use backoff::Retry;
pub use engine::{Engine, EngineOptions};
pub use intake::{Intake, catch_up};
pub use operate::{Filter, Line, Listed, Shown, State, drop, forget, lines, list, release, retry, show};
pub use queue::{NewJob, put};
pub use reaction::{Budget, EXHAUSTED, Found, Job, Lane, OnFailure, Outcome, Reaction, StartAt};
pub use through::goes_through;
