//! Connections on real servers, against the lab.

mod books;
mod browser;
mod common;
mod door;
mod grants;
mod papers;
