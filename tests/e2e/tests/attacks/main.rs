//! The attack list of `docs/security.md`, row by row: each test is named after its row, `t_01_…`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod canaries;
mod firms;
mod hostile_input;
mod races;
mod rights;
mod tenancy;
