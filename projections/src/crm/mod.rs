//! Clients and contacts, as lists and cards show them.

mod clients;
mod contacts;

use crate::group::Group;

pub use clients::ClientRow;
pub use contacts::{ContactClient, ContactRow};

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("crm", 1).with::<ClientRow>().with::<ContactRow>()
}
