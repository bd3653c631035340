//! Files on a real store and a real log.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod deadlines;
mod desk;
mod downloads;
mod refusals;
mod requests;
mod scans;
mod uploads;
