//! Connections on real servers, against the lab.

mod books;
mod browser;
mod calls;
mod common;
mod door;
mod grants;
mod papers;
