//! Connections to providers, as lists show them.

mod connections;

use crate::group::Group;

pub use connections::ConnectionRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("connections", 1, "Connections to providers outside, and how they are.").with::<ConnectionRow>()
}
