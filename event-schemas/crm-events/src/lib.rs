//! What did happen in the crm context: the event enums other crates may read.

mod client;

pub use client::{ClientEvent, ClientKind, ClientStatus};
