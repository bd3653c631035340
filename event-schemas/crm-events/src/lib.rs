//! What did happen in the crm context: the event enums other crates may read.

mod client;
mod contact;
mod deal;
mod engagement;
mod pipeline;
mod probability;

pub use client::{AddressKind, ClientEvent, ClientKind, ClientStatus};
pub use contact::ContactEvent;
pub use deal::{DealEvent, DealStatus};
pub use engagement::{EngagementEvent, EngagementStatus};
pub use pipeline::{PipelineEvent, PipelineId, Stage};
pub use probability::Probability;
