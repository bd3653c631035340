//! Clients and contacts, deals and engagements: who the firm does business with, and what may and did come of it.
//!
//! CRM owns the golden record. Every other context stores a `client_id` or `contact_id` and nothing else about them.
//! A *client* is served, be it an organisation or one person; a *contact* is a person one talks to. A *deal* is what a client
//! may engage the firm for, and goes through the stages of a *pipeline*; an *engagement* is what the client has engaged it for.

pub mod client;
pub mod contact;
pub mod deal;
pub mod engagement;
pub mod pipeline;

pub use client::Client;
pub use contact::Contact;
pub use deal::Deal;
pub use engagement::Engagement;
pub use pipeline::Pipeline;
