//! Every domain's read tables.

use crate::group::Group;
use crate::table::{Resource, Table};
use crate::{crm, files, identity, portal, projects, scheduling, timeline, workflow};
use std::sync::LazyLock;

/// Every group.
pub fn groups() -> &'static [Group] {
    static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
        vec![
            crm::group(),
            files::group(),
            identity::group(),
            portal::group(),
            projects::group(),
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
