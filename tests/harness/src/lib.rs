//! The product in a test's own process: both services over HTTP, logins and emails, on a database of the test's own.
//!
//! `TestApp::new().await` is the product as it is set up; [`Setup`] says what is otherwise. [`History`] writes a log by hand,
//! for whoever reads events that nobody would decide today.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which may fail loudly")]

mod answer;
mod app;
mod ask;
mod firm;
mod history;
mod operation;
mod outside;
mod setup;

pub use answer::{Answer, send};
pub use app::TestApp;
pub use ask::Shown;
pub use firm::{Firm, Session};
pub use history::{History, client, crm, read_as, renamed, tagged, tenant};
pub use operation::Operation;
pub use outside::Outside;
pub use setup::{APP, PORTAL, PROVIDERS, PUBLIC, Setup};
pub use testing::eventually;
