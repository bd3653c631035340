//! Clients and contacts, as lists and cards show them.

mod clients;
mod contacts;

use crate::group::Group;

pub use clients::ClientRow;
pub use contacts::{ContactClient, ContactRow};

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("crm", 1, "Clients and contacts: the golden record of whom the firm serves.")
        .with::<ClientRow>()
        .with::<ContactRow>()
}
