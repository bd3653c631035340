//! What the two APIs do the same way: problems, tokens, permissions, bodies, limits, admission, request ids, OpenAPI.

mod admission;
mod api_key;
mod auth;
mod body;
mod client_address;
mod directory;
mod draining;
mod front;
mod limits;
mod observe;
pub mod openapi;
pub mod portal_link;
mod preconditions;
mod problem;
mod said;
mod security_headers;
mod server;
pub mod session;
mod trail;

pub use admission::{Admission, AdmissionSettings, Permit};
pub use api_key::ShownKey;
pub use auth::{Caller, Keys, Verifier, VerifierSettings};
pub use body::{BodyLimits, JsonBody, read_json};
pub use client_address::{ForwardedHeader, TrustedProxies};
pub use directory::{Credential, Directory, NoDirectory, Standing};
pub use draining::Draining;
pub use front::{Front, HeadLimits};
pub use limits::{Limits, Quota, Quotas};
pub use observe::{RequestInfo, may_say_of_this, observe};
pub use preconditions::{entity_tag, expected_versions, is_known};
pub use problem::{CODES, Problem, ProblemCode, code, not_found_handler};
pub use said::{may_say, shortened};
pub use security_headers::strict_transport;
pub use server::{ServerSettings, Stopper, Working, listen};
pub use session::{Session, SessionSettings, Sessions};
pub use trail::{KeysInUse, Noted, Refusal, Refusals, Who};
