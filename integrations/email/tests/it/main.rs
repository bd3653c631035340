//! Emails to a server that speaks SMTP, and whom they can go to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod addresses;
mod appointments;
mod file_requests;
mod mailer;
mod messages;
mod outgoing;
