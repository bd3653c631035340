//! Attacks the whole product under load and writes down what everybody saw, for a checker that shares no code with us.
//!
//! Two copies of every role run as processes of their own, with a TCP proxy between each and its servers. Clients that
//! behave send commands and questions; a seeded schedule kills, pauses, cuts off, fills and damages. Afterwards
//! everything must come to rest by itself, and the evidence is handed over.

mod converge;
mod copies;
mod durable;
mod evidence;
mod inject;
mod load;
mod mailbox;
mod proxy;
mod report;
mod run;
mod schedule;
mod servers;
mod subscriber;
mod volume;

pub use run::{Options, run};
