//! Clients and contacts, deals and engagements, as lists and cards show them.

mod clients;
mod contacts;
mod deals;
mod engagements;
mod pipelines;

use crate::group::Group;

pub use clients::{ClientAddress, ClientRow};
pub use contacts::{ContactClient, ContactRow};
pub use deals::DealRow;
pub use engagements::EngagementRow;
pub use pipelines::PipelineRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("crm", 1, "Clients, contacts, deals and engagements: the golden record of whom the firm serves.")
        .with::<ClientRow>()
        .with::<ContactRow>()
        .with::<PipelineRow>()
        .with::<DealRow>()
        .with::<EngagementRow>()
}
