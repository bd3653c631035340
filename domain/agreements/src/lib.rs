//! Templates, proposals and contracts.
//!
//! A *template* is Markdown with fields; a *proposal* or a *contract* says what was made of it then, whatever becomes of the template.
//! A *proposal* is an offer that the client accepts or declines; it does not change once it is sent, another takes its place. A
//! *contract* comes from an accepted proposal, from a template, or is written freely; its *recipients* sign it, get a copy or look at
//! it, in their order.

pub mod contract;
mod paper;
pub mod proposal;
pub mod template;

pub use contract::Contract;
pub use proposal::Proposal;
pub use template::Template;
