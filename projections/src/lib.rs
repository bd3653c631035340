//! Read models and the only code allowed to write them: one file owns one table.
//!
//! A read model is a pure fold of the log: the same events give the same rows, always. So it can be batched, rebuilt
//! beside the live one, and compared with it. [`groups()`] lists every table.

// What `#[read_model]` writes calls us by our name.
extern crate self as projections;

mod ahead;
mod column;
mod copy;
mod engine;
mod group;
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

pub mod agreements;
pub mod communications;
pub mod connections;
pub mod crm;
pub mod files;
pub mod identity;
pub mod portal;
pub mod projects;
pub mod revenue;
pub mod scheduling;
pub mod timeline;
pub mod workflow;

pub use column::{Column, Kind};
pub use engine::{Applied, Kept, Target};
pub use group::{Group, Slot};
pub use index::{Index, indexes, is_indexed};
pub use model::{Away, Beside, Envelope, Event, Fold, FoldError, PartOf, ReadModel, Tie};
pub use operate::{parked, plan, retry, status};
pub use rebuild::{Built, OnProgress, Progress, RebuildOptions, Stage};
pub use refold::{Refolded, refold};
pub use replay::{ReplayOptions, replay, rollback, verify};
pub use report::{
    Comparison, GroupStatus, ParkedStream, Plan, ReplayReport, RetryReport, Status, TableComparison, VerifyReport,
};
pub use revenue::{Books, BooksDifference, books};
pub use row::Row;
pub use schema::{missing, unneeded};
pub use shown::Shown;
pub use table::{Resource, Table, Upserts};
pub use worker::run;
pub use workflow::unfinished_runs;

use std::sync::LazyLock;

/// Every domain's read tables.
pub fn groups() -> &'static [Group] {
    static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
        vec![
            agreements::group(),
            communications::group(),
            connections::group(),
            crm::group(),
            files::group(),
            identity::group(),
            portal::group(),
            projects::group(),
            revenue::group(),
            scheduling::group(),
            timeline::group(),
            workflow::group(),
        ]
    });
    &GROUPS
}

/// The group of this name.
pub fn group(name: &str) -> Option<&'static Group> {
    groups().iter().find(|group| group.name == name)
}

/// Every table's API, with its group and its columns.
pub fn resources() -> impl Iterator<Item = (&'static Group, &'static dyn Table, Resource)> {
    groups().iter().flat_map(|group| group.tables.iter().map(move |table| (group, table.as_ref(), table.resource())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_read_model_is_in_a_group_and_every_group_on_the_list() {
        let listed: Vec<String> = groups()
            .iter()
            .flat_map(|group| group.tables.iter().map(|table| format!("{}.{}", group.name, table.name())))
            .collect();
        for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let source = fs::read_to_string(&path).unwrap();
            for declared in source.split("\n#[read_model(").skip(1) {
                let name = declared.split('"').nth(1).unwrap();
                assert!(listed.iter().any(|table| table == name), "{name} is in no group: {}", path.display());
            }
        }
    }
}
