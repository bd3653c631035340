//! The service over HTTP, on a real log.

mod bad_input;
mod bills;
mod common;
mod contacts;
mod overload;
mod parts;
mod patches;
mod values;
mod wrong_fields;
