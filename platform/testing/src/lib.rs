//! A fresh world for every test: databases from a template, subjects of their own.
//!
//! The servers are real and shared by all tests of a run; `cargo xtask test` starts them and says where they are.

mod database;
mod issuer;
mod nats;

pub use database::TestDatabase;
pub use issuer::{Issuer, key_set};
pub use nats::TestNats;

/// The value of an environment variable that `cargo xtask test` sets.
fn from_xtask(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with `cargo xtask test`"))
}
