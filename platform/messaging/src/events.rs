//! Where a reader gets the log from: the feed, or in tests and tools the log itself.

use crate::feed::Feed;
use event_store::{Log, RawEvent};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How often a log is asked that has no feed.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Where a reader gets the log from.
pub trait Events: Send + Sync + 'static {
    /// The events from `after + 1` on, without a gap, at most `max`; waits until there is at least one.
    fn read(&self, after: i64, max: usize) -> BoxFuture<'_, anyhow::Result<Vec<Arc<RawEvent>>>>;
}

impl Events for Feed {
    fn read(&self, after: i64, max: usize) -> BoxFuture<'_, anyhow::Result<Vec<Arc<RawEvent>>>> {
        Box::pin(self.read(after, max))
    }
}

/// The log itself, asked again and again; for tests and tools that have no feed.
#[derive(Debug, Clone)]
pub struct PolledLog(pub Log);

impl Events for PolledLog {
    fn read(&self, after: i64, max: usize) -> BoxFuture<'_, anyhow::Result<Vec<Arc<RawEvent>>>> {
        Box::pin(async move {
            loop {
                let events = self.0.read(after, i64::try_from(max)?).await?;
                if !events.is_empty() {
                    return Ok(events.into_iter().map(Arc::new).collect());
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        })
    }
}
