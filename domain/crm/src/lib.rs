//! Clients and contacts: who the firm does business with.
//!
//! CRM owns the golden record. Every other context stores a `client_id` or `contact_id` and nothing else about them.
//! A *client* is served, be it an organisation or one person; a *contact* is a person one talks to.

pub mod client;
pub mod contact;

pub use client::Client;
pub use contact::Contact;
