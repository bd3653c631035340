//! What the firm has agreed with providers outside, and whether it still works.
//!
//! A *connection* leads to one account of the firm at one *provider*. It keeps its id when somebody agrees there again, so that
//! whatever was noted under that id stays good. Tokens are no part of it.

pub mod connection;

pub use connection::Connection;
