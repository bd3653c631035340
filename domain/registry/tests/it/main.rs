//! Every aggregate of every context, driven at random.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod claims;
mod concerns;
mod extremes;
mod properties;
mod ranges;
mod schemas;
