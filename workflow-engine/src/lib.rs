//! The process manager: interprets workflow definitions over the event stream.
//!
//! A *definition* is a document, checked when it is published and never changed afterwards. The *intake* reads the log in
//! order and notes which runs shall start or go on; *workers* take those runs, execute one step after the other through the
//! same commands that people use, and record each as an event of the run. Nothing is replayed as code: a run is what its
//! events say, so a worker may die at any point and another goes on.

mod actions;
mod bounds;
mod check;
mod children;
mod crew;
mod denials;
mod document;
mod engine;
mod expression;
mod hand;
mod hot;
mod intake;
mod meter;
mod operate;
mod plan;
mod publish;
mod recipients;
mod references;
mod schedules;
mod schema;
mod scope;
mod tasks;
mod template;
mod turn;
mod waits;
mod worker;

pub use actions::Action;
pub use bounds::Bounds;
pub use check::{Problem, check, read};
pub use document::{Document, Retry};
pub use engine::{Engine, EngineOptions};
pub use expression::{EXPRESSION_CHARS_MAX, ExpressionError};
pub use messaging::{Events, PolledLog};
pub use operate::{
    Asked, MoveError, RunFilter, RunLine, RunsError, Verb, ask, cancel, forget, move_to, retry, runs, show, skip,
};
pub use publish::{PublishError, Published, definition_id, publish, publish_within, shipped};
pub use schema::definition_schema;
pub use template::fill_in;
pub use workflow::{Run, RunStatus, Step, StepPath};
pub use workflow_events::Renamed;

#[cfg(test)]
extern crate self as workflow_engine;
#[cfg(test)]
#[path = "../tests/it/common.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod common;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod properties;
