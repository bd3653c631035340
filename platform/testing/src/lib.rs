//! A fresh world for every test: databases from a template, subjects of their own.
//!
//! The servers are real and shared by all tests of a run; `cargo xtask test` starts them and says where they are.

mod database;
mod issuer;
mod nats;
mod objects;
mod smtp;

pub use database::TestDatabase;
pub use issuer::{AUDIENCE, ISSUER, Issuer, claims, key_set};
pub use nats::TestNats;
pub use objects::TestObjects;
pub use smtp::SmtpSink;

use std::time::{Duration, Instant};

/// Waits until it is so, for as long as a busy machine may take.
pub async fn eventually(mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "never so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The OpenID provider of this run, at which anybody may register a client.
pub fn oidc_url() -> String {
    from_xtask("UBOS_TEST_OIDC_URL")
}

/// The Redis of this run; keys are the tests' own to keep apart.
pub fn redis_url() -> String {
    from_xtask("UBOS_TEST_REDIS_URL")
}

/// The value of an environment variable that `cargo xtask test` sets.
fn from_xtask(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with `cargo xtask test`"))
}
