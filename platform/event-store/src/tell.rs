//! What a command's answer tells besides ids, version and position, and what stands in no event.

use crate::Executed;
use futures::future::BoxFuture;
use kernel::TenantId;
use serde_json::Value;

/// Tells it for the commands that declare `#[tells]`. It is asked after the events are in the log, and again for each repeat of the
/// command with its key: what it tells may be good for a short time only, and is stored nowhere.
pub trait Tell: Send + Sync {
    /// The commands for which it knows what to tell: `files.file.begin_upload`.
    fn commands(&self) -> &'static [&'static str];

    /// What is told about a command that was done, now or when it came before.
    fn tell<'a>(&'a self, tenant: TenantId, executed: &'a Executed) -> BoxFuture<'a, anyhow::Result<Value>>;
}
