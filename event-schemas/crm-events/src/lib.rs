//! What did happen in the crm context: the event enums other crates may read.

mod client;
mod contact;

pub use client::{ClientEvent, ClientKind, ClientStatus};
pub use contact::ContactEvent;
