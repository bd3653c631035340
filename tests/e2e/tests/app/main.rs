//! Both services in this process, on real servers: who comes in, what they may do, who tries to get round it, and what the
//! database allows of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod agreements;
mod attacks;
mod communications;
mod portal;
mod revenue;
mod row_level_security;
