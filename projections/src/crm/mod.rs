//! Clients and contacts, as lists and cards show them.

mod clients;
mod contacts;

pub use clients::ClientRow;
pub use contacts::{ContactClient, ContactRow};
