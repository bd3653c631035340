//! The ledger in step, on real servers and against the lab.

mod bills;
mod common;
mod invoices;
