//! What did happen in the workflow context: the event enums other crates may read.

mod definition;
mod run;

pub use definition::DefinitionEvent;
pub use run::{FailureClass, RunEvent, Trigger};
