//! Both services in this process, on real servers: who comes in, what they may do, and who tries to get round it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod attacks;
mod portal;
