//! The service over HTTP, on a real log.

mod bad_input;
mod common;
mod overload;
mod values;
