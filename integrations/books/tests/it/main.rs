//! The ledger in step, on real servers and against the lab.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod at_quickbooks;
mod bills;
mod common;
mod health;
mod invoices;
