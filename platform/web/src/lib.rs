//! What the two APIs do the same way: problems, tokens, permissions, bodies, request ids, OpenAPI.

mod auth;
mod body;
mod observe;
pub mod openapi;
mod problem;

pub use auth::{Caller, Keys, Verifier, VerifierSettings};
pub use body::{JsonBody, read_json};
pub use observe::{RequestInfo, observe};
pub use problem::{CODES, Problem, ProblemCode, code, not_found_handler};
