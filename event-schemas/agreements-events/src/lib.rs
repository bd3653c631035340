//! What did happen in the agreements context: the event enums other crates may read, and how a template is filled in.

mod contract;
mod fields;
mod merge;
mod proposal;
mod template;

pub use contract::{
    ContractEvent, ContractRecipient, ContractStatus, Party, PartyRole, RecipientId, RecipientRole, RecipientStatus,
    Sha256,
};
pub use fields::{FieldKey, FieldKind, FieldValue, MergeField, MergeValue};
pub use merge::{MergeFault, TemplateContent, TemplateKind};
pub use proposal::{Offer, OfferedLine, ProposalEvent, ProposalStatus, Signer, Totals};
pub use template::{TemplateEvent, TemplateVersion};
