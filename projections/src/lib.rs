//! Read models and the only code allowed to write them: one file owns one table.
//!
//! A read model is a pure fold of the log: the same events give the same rows, always. So it can be batched, rebuilt
//! beside the live one, and compared with it. [`groups`] lists every table.

// What `#[read_model]` writes calls us by our name.
extern crate self as projections;

mod ahead;
mod column;
mod copy;
mod engine;
mod group;
mod groups;
mod index;
mod model;
mod operate;
mod rebuild;
mod refold;
mod replay;
mod report;
mod row;
mod schema;
mod shown;
mod table;
mod worker;

pub mod crm;
pub mod files;
pub mod identity;
pub mod portal;
pub mod projects;
pub mod scheduling;
pub mod timeline;
pub mod workflow;

pub use column::{Column, Kind};
pub use engine::{Applied, Kept, Target};
pub use group::{Group, Slot};
pub use groups::{group, groups, resources};
pub use index::{Index, indexes, is_indexed};
pub use model::{Away, Beside, Envelope, Event, Fold, FoldError, PartOf, ReadModel, Tie};
pub use operate::{parked, plan, retry, status};
pub use rebuild::{Built, OnProgress, Progress, RebuildOptions, Stage};
pub use refold::{Refolded, refold};
pub use replay::{ReplayOptions, replay, rollback, verify};
pub use report::{
    Comparison, GroupStatus, ParkedStream, Plan, ReplayReport, RetryReport, Status, TableComparison, VerifyReport,
};
pub use row::Row;
pub use schema::{missing, unneeded};
pub use shown::Shown;
pub use table::{Resource, Table, Upserts};
pub use worker::run;
pub use workflow::unfinished_runs;
