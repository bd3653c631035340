//! Files at the store: where their bytes go, what came, and what is taken away again.
//!
//! [`Places`] tells whoever begins an upload where to send it; command-api asks it. [`Keeper`] is made of four reactions:
//! `files.inspection` reads back what came and says what it is, `files.expiry` gives up what was not completed in time,
//! `files.discard` takes away what is no version, and `files.deadlines` reminds of requests for files and ends them. Bytes are a
//! version only after the first has said so.

mod deadlines;
mod discard;
mod expiry;
mod inspection;
mod kind;
mod places;
mod say;
mod scanner;

pub use places::Places;
pub use scanner::Scanner;

use crate::deadlines::Deadlines;
use crate::discard::Discard;
use crate::expiry::Expiry;
use crate::inspection::Inspection;
use anyhow::Result;
use event_store::{Log, Store};
use files_events::UploadId;
use kernel::TenantId;
use messaging::Events;
use objects::{Key, ObjectStore};
use reactions::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What the reactions work with.
#[derive(Clone)]
struct Office {
    store: Store,
    objects: ObjectStore,
    scanner: Option<Arc<Scanner>>,
    /// So long a request is good that sends bytes.
    requests_last: Duration,
}

/// Inspects, gives up and takes away.
pub struct Keeper(Engine);

impl Keeper {
    /// `log` connects as `ubos_worker`. Nothing is connected yet.
    pub fn new(
        log: Log,
        store: Store,
        objects: ObjectStore,
        scanner: Option<Scanner>,
        requests_last: Duration,
    ) -> Self {
        let office = Office { store, objects, scanner: scanner.map(Arc::new), requests_last };
        let engine = Engine::new(log);
        let engine = engine.with(Inspection(office.clone())).with(Expiry(office.clone())).with(Discard(office.clone()));
        Self(engine.with(Deadlines(office)))
    }

    /// The same with what else is done with files because of events.
    #[must_use]
    pub fn with(self, add: impl FnOnce(Engine) -> Engine) -> Self {
        Self(add(self.0))
    }

    /// Works until asked to stop; what it has begun it finishes.
    pub async fn run(&self, events: Arc<dyn Events>, stop: CancellationToken) {
        self.0.run(events, stop).await;
    }

    /// Takes in what the log has, and does everything that is due.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn round(&self) -> Result<()> {
        self.0.take_in().await?;
        self.0.perform_due().await
    }
}

/// Where the bytes of an upload are, and those of the version that it becomes.
pub fn key(tenant: TenantId, file: Uuid, upload: UploadId) -> Key {
    Key::of(tenant, "files", "file", file, upload)
}
