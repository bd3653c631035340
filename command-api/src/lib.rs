//! HTTP in, commands out.
//!
//! Ordinary commands have no code here: every mounted command is a route, an operation of the OpenAPI document and a
//! permission. The pipeline is the same for all: authenticate, tenant, permission, parse, decide, append, answer.

mod document;
mod respond;
mod routes;

pub use document::openapi;
pub use routes::{Api, configure};
