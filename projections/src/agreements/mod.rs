//! Templates, proposals and contracts, as lists and papers show them.

mod contract_recipients;
mod contracts;
mod proposal_lines;
mod proposals;
mod template_versions;
mod templates;

use crate::group::Group;

pub use contract_recipients::ContractRecipientRow;
pub use contracts::ContractRow;
pub use proposal_lines::ProposalLineRow;
pub use proposals::ProposalRow;
pub use template_versions::TemplateVersionRow;
pub use templates::TemplateRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("agreements", 1, "Templates, and the proposals and contracts that are made of them.")
        .with::<TemplateRow>()
        .with::<TemplateVersionRow>()
        .with::<ProposalRow>()
        .with::<ProposalLineRow>()
        .with::<ContractRow>()
        .with::<ContractRecipientRow>()
}
