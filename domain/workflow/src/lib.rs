//! Workflow definitions and runs as aggregates.
//!
//! A *definition* says which event starts a *run* and which *steps* the run takes; its versions never change. A run keeps
//! a snapshot of the version it began on, so that nothing changes under it. Both are streams like every other: history,
//! retries and audit come for free. The engine that interprets them lives elsewhere and only sends commands.

pub mod definition;
pub mod run;
mod shared;

pub use definition::Definition;
pub use run::{Approval, Entry, Run, Step};
pub use shared::Shared;
pub use workflow_events::{DefinitionStatus, RunProgress, RunStatus, StepPath, StepStatus};

use kernel::Actor;

/// Runs and versions are written by the engine and the checked `ubos workflow publish`; people use the operator verbs.
fn is_engine(actor: &Actor) -> bool {
    matches!(actor, Actor::Workflow { .. } | Actor::System { .. })
}
