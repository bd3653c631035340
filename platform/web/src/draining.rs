//! Whether the process is about to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, when the process was asked to stop: from then on every answer ends its connection, so that clients and load
/// balancers move on before the listener closes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on answers carry `Connection: close`.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Has it begun?
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
