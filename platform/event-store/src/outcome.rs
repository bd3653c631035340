//! What a command did, or why it did nothing.

use kernel::{FieldErrors, Parts};
use uuid::Uuid;

/// Commands in one unit at most, those that a command brings along included.
pub const UNIT_COMMANDS_MAX: usize = 64;
/// Events in one unit at most.
pub const UNIT_EVENTS_MAX: usize = 64;
/// Bytes of its events' payloads at most.
pub const UNIT_BYTES_MAX: usize = 256 * 1024;

/// What becomes of commands, as `commands_total` counts them.
pub const COMMAND_OUTCOMES: [&str; 14] = [
    "done",
    "invalid",
    "denied",
    "not_found",
    "already_exists",
    "rejected",
    "claimed",
    "version_mismatch",
    "conflict",
    "key_reused",
    "unit_too_large",
    "overloaded",
    "unavailable",
    "fault",
];

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The aggregate.
    pub id: Uuid,
    /// Its version now.
    pub version: i64,
    /// Position of its last event, or of the last that entered the log with it; a query that has seen this sees the command's
    /// effect.
    pub position: i64,
    /// A new aggregate was started.
    pub created: bool,
    /// The answer of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// The ids of the parts that it made.
    pub parts: Parts,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The body is not what the command expects.
    #[error("invalid input: {0}")]
    Invalid(FieldErrors),
    /// The actor does not hold the permission, which is the command's name.
    #[error("not permitted")]
    Denied,
    /// No such aggregate in this tenant.
    #[error("not found")]
    NotFound,
    /// A creation met an existing aggregate.
    #[error("already exists")]
    AlreadyExists,
    /// The aggregate refused. `invalid` is the pointer of the field at fault when the input itself is wrong.
    #[error("{message}")]
    Rejected {
        /// `crm.client.blocked`.
        code: &'static str,
        /// For the user.
        message: &'static str,
        /// JSON Pointer, empty for the whole body.
        invalid: Option<&'static str>,
    },
    /// Another aggregate holds a value that must be unique.
    #[error("{scope} is taken")]
    Claimed {
        /// `crm.client.email`.
        scope: String,
        /// Who holds it.
        holder: Uuid,
    },
    /// `If-Match` named another version.
    #[error("expected version {}, found {actual}", alternatives(expected))]
    VersionMismatch {
        /// What will do for the client; nothing if it named no version of this record.
        expected: Vec<i64>,
        /// What is so.
        actual: i64,
    },
    /// Others were faster, every time.
    #[error("too many concurrent changes")]
    Conflict,
    /// The idempotency key was used for another command.
    #[error("idempotency key reused for another request")]
    KeyReused,
    /// What was to enter the log together is more than may.
    #[error("a unit has at most {UNIT_COMMANDS_MAX} commands, {UNIT_EVENTS_MAX} events and {UNIT_BYTES_MAX} bytes")]
    UnitTooLarge,
    /// The queue is full; nothing was done.
    #[error("overloaded")]
    Overloaded,
    /// The log cannot be reached, or the outcome is unknown; safe to retry with the same key.
    #[error("event log unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// A defect of ours.
    #[error("fault")]
    Fault(#[source] anyhow::Error),
}

impl ExecuteError {
    /// A "no" that depends on the state it was decided on.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::AlreadyExists
                | Self::Rejected { .. }
                | Self::Claimed { .. }
                | Self::VersionMismatch { .. }
        )
    }

    /// For metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Rejected { .. } => "rejected",
            Self::Claimed { .. } => "claimed",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::Conflict => "conflict",
            Self::KeyReused => "key_reused",
            Self::UnitTooLarge => "unit_too_large",
            Self::Overloaded => "overloaded",
            Self::Unavailable(_) => "unavailable",
            Self::Fault(_) => "fault",
        }
    }
}

/// The versions as a sentence has them.
fn alternatives(versions: &[i64]) -> String {
    match versions {
        [] => "of another record".to_owned(),
        some => some.iter().map(i64::to_string).collect::<Vec<_>>().join(" or "),
    }
}
