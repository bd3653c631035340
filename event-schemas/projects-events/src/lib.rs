//! What did happen in the projects context: the event enums other crates may read.

mod billing;
mod ids;
mod priority;
mod project;
mod status;
mod template;
mod time_entry;

pub use billing::{BATCH_MAX, BUDGET_MARKS, TimeLimit, UnbilledBatch, UnbilledLine, UserRate};
pub use ids::{MilestoneId, TaskId, TimeEntryId};
pub use priority::Priority;
pub use project::{NewMilestone, NewTask, ProjectEvent};
pub use status::{MilestoneStatus, ProjectStatus, TaskStatus};
pub use template::{ProjectTemplateEvent, ProjectTemplateId, TemplateMilestone, TemplateTask};
pub use time_entry::{TimeEntryEvent, TimeEntryStatus, TimeWorked};
