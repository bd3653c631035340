//! Stateful stand-ins of the providers in one program: what is asked of them is done, kept, shown and said again by webhook, and goes
//! wrong when somebody wants it to ([`Fault`]).
//!
//! Whatever is asked and answered is held against the providers' own descriptions, where these are ([`Descriptions`]). The lab is for
//! development and tests; it believes everybody.

mod amounts;
mod control;
mod data;
mod describe;
mod docusign;
mod dropbox_sign;
mod dropbox_words;
mod faults;
mod memory;
mod oauth;
mod pages;
mod quickbooks;
mod serve;
mod signing;
mod state;
mod webhooks;
mod xero;

pub use describe::Descriptions;
pub use faults::{Fault, What};
pub use state::{Lab, Mood, Said};

/// The client that the lab knows at both providers.
pub const CLIENT_ID: &str = "ubos-lab";
/// Its secret.
pub const CLIENT_SECRET: &str = "a secret of the lab";
/// What webhooks are signed with.
pub const WEBHOOK_KEY: &str = "a webhook key of the lab";
/// The organisation at Xero.
pub const XERO_TENANT: &str = "70784a63-d24b-46a9-a4db-0e70a274b056";
/// The account at Dropbox Sign.
pub const DROPBOX_SIGN_ACCOUNT: &str = "5008b25c7f67153e57d5a357b1687968068fb465";
/// The company at QuickBooks.
pub const QUICKBOOKS_REALM: &str = "9130347246091234";
/// The account at DocuSign.
pub const DOCUSIGN_ACCOUNT: &str = "0b1f4f0e-8b6f-4a53-9d0e-6a1f1c2d3e4f";
