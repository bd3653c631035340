//! What is for the firm alone, whatever rights a portal user has: work that has not begun, and notes between colleagues.

mod projects;

use kernel::Principal;
use projects::WITHIN;

/// Of a table, the columns that portal users do not see, and which rows they do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    table: &'static str,
    columns: &'static [&'static str],
    rows: &'static str,
}

impl Within {
    /// What of a table this reader does not see; none if all of it may be seen.
    pub fn of(group: &str, table: &str, reader: Principal) -> Option<Self> {
        let is_it =
            |within: &&Self| within.table.strip_prefix(group).and_then(|rest| rest.strip_prefix('.')) == Some(table);
        WITHIN.iter().find(is_it).copied().filter(|_| matches!(reader, Principal::PortalUser { .. }))
    }

    /// Is this column for the firm alone?
    pub fn hides(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// The condition on the row `r`.
    pub fn sql(&self) -> &'static str {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{PortalUserId, UserId};

    #[test]
    fn what_is_hidden_is_there_and_only_from_portal_users() {
        let guest = Principal::PortalUser { id: PortalUserId::default() };
        let staff = Principal::User { id: UserId::default() };
        for within in WITHIN {
            let (group, name) = within.table.split_once('.').unwrap();
            let (_, table, resource) = projections::resources()
                .find(|(found, table, _)| (found.name, table.name()) == (group, name))
                .unwrap_or_else(|| panic!("there is no table {}", within.table));
            for column in within.columns {
                let found = table.columns().iter().find(|found| found.name == *column).unwrap();
                assert!(found.nullable && found.kind == projections::Kind::Text, "{column} is shown as null");
                assert!(
                    !resource.filter.contains(column) && !resource.sort.contains(column),
                    "{column} is told by lists"
                );
            }
            assert!(Within::of(group, name, guest).is_some() && Within::of(group, name, staff).is_none());
        }
    }
}
