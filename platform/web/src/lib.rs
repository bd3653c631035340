//! What the two APIs do the same way: problems, tokens, permissions, bodies, limits, admission, request ids, OpenAPI.

mod admission;
mod auth;
mod body;
mod caller;
mod client_address;
mod current;
mod draining;
mod front;
mod limits;
mod observe;
pub mod openapi;
mod preconditions;
mod problem;
mod request_info;
mod security_headers;
mod server;
pub mod session;
mod work;

pub use admission::{Admission, AdmissionSettings, Permit};
pub use auth::{Keys, Verifier, VerifierSettings};
pub use body::{BodyLimits, JsonBody, read_json};
pub use caller::Caller;
pub use client_address::{ForwardedHeader, TrustedProxies};
pub use current::may_say_of_this;
pub use draining::Draining;
pub use front::{Front, HeadLimits, may_log_in};
pub use limits::{Limits, Quota, Quotas};
pub use observe::observe;
pub use preconditions::{entity_tag, expected_versions, is_known};
pub use problem::{CODES, Problem, ProblemCode, code, not_found_handler};
pub use request_info::RequestInfo;
pub use security_headers::strict_transport;
pub use server::{ServerSettings, Stopper, listen};
pub use session::{Session, SessionSettings, Sessions};
pub use work::Working;
