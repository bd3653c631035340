//! Has contracts signed by whoever collects signatures for the firm, and keeps what was signed.
//!
//! A contract that is to be signed becomes a paper with places to sign and goes out as an envelope, once: that it is asked for is noted
//! before it is, so an answer that gets lost is looked up and never sent again. How an envelope stands is asked of the provider, whenever
//! it or a sweep says that something may have changed, and becomes commands that say nothing twice. What everybody signed is fetched
//! with the provider's certificate and kept among the files before the contract is signed. Which provider that is, is the firm's
//! connection to say; all of them are one port.

mod book;
mod desk;
mod document;
mod hints;
mod paper;
mod say;
mod sending;
mod standing;

pub use desk::{Collectors, Desk, Wanted};
pub use hints::Envelopes;

use crate::document::Documents;
use crate::sending::Sending;
use reactions::Engine;

/// Adds the reactions that have contracts signed.
pub fn with(engine: Engine, desk: &Desk) -> Engine {
    engine.with(Sending(desk.clone())).with(Documents(desk.clone()))
}
