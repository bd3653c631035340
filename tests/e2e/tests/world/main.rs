//! The whole product as processes, with servers of its own.

mod api_fuzz;
mod erasure;
mod hardening;
mod journeys;
mod operators;
mod restore;
mod subscribers;
mod tls;
