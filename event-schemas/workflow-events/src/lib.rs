//! What did happen in the workflow context: the event enums other crates may read, and the machines that say where a run and a
//! step stand after each.

mod definition;
mod path;
mod run;
mod status;
mod wait;

pub use definition::DefinitionEvent;
pub use path::{InvalidPath, StepPath};
pub use run::{FailureClass, Parent, Renamed, RunEvent, Trigger, TriggerKind};
pub use status::{ApprovalStatus, DefinitionStatus, RunProgress, RunStatus, StepStatus};
pub use wait::{ApprovalOutcome, ApprovalTerms, Awaited, Deadline, Wait};
