//! Definitions, runs and their steps, with the columns that operators and screens know.

mod run_steps;
mod runs;
mod unfinished;
mod workflows;

pub use run_steps::{RunStepRow, StepStatus, step_row_id};
pub use runs::{RunRow, RunStatus};
pub use unfinished::unfinished_runs;
pub use workflows::WorkflowRow;
