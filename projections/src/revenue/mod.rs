//! What clients owe and what vendors are owed, as lists show it.

// What clients owe.

// What vendors are owed.

use crate::group::Group;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("revenue", 1, "What clients owe the firm, what it owes its vendors, and what was paid of it.")
}
