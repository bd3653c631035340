//! Through which connection a try goes: whoever makes the call says so, and the lane remembers it, so that it can be told what waits for
//! a connection, also where nothing is blocked.

use parking_lot::Mutex;
use std::fmt::Display;
use std::sync::Arc;

tokio::task_local! {
    static TRY: Through;
}

/// What was said in one try.
#[derive(Debug, Clone, Default)]
pub(crate) struct Through(Arc<Mutex<Option<String>>>);

impl Through {
    /// Does this, and hears what is said meanwhile.
    pub async fn hear<T>(&self, trying: impl Future<Output = T>) -> T {
        TRY.scope(self.clone(), trying).await
    }

    /// What was said last.
    pub fn said(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// Says that the job in work uses this connection. Nobody hears it outside of a job, or in a task of its own.
pub fn goes_through(connection: impl Display) {
    // Whoever calls a provider without a job has nothing that waits.
    let _ = TRY.try_with(|through| *through.0.lock() = Some(connection.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_try_is_known_by_the_connection_that_it_used_last_and_by_none_of_another_try() {
        let (one, other) = (Through::default(), Through::default());
        goes_through("nobody hears this");
        one.hear(async {
            goes_through("a");
            other.hear(async { tokio::task::yield_now().await }).await;
            goes_through("b");
        })
        .await;
        assert_eq!((one.said().as_deref(), other.said()), (Some("b"), None));
    }
}
