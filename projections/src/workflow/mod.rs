//! Definitions, runs and their steps, with the columns that operators and screens know.

mod approvals;
mod run_steps;
mod runs;
mod unfinished;
mod workflows;

use crate::group::Group;

pub use approvals::ApprovalRow;
pub use catalogue::workflow_events::{ApprovalStatus, DefinitionStatus, RunStatus, StepStatus};
pub use run_steps::{RunStepRow, step_row_id};
pub use runs::RunRow;
pub use unfinished::unfinished_runs;
pub use workflows::WorkflowRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("workflow", 1, "Definitions of workflows, and their runs.")
        .with::<WorkflowRow>()
        .with::<RunRow>()
        .with::<RunStepRow>()
        .with::<ApprovalRow>()
}
