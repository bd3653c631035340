//! Tells readers in other processes that the log has grown.
//!
//! A NOTIFY inside the append would serialise commits (it takes a global lock and halved throughput when measured), so
//! one task sends it afterwards on its own connection, at most one in flight; whatever was committed meanwhile shares
//! the next. A lost one is harmless: readers also poll slowly.

use sqlx::PgPool;
use std::time::Duration;
use tokio::sync::watch;

/// The channel that relays and feeds listen on; the payload is the newest position.
pub const CHANNEL: &str = "ubos_events";

/// Pause between two NOTIFYs, so that a busy log costs a few hundred of them per second at most.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, Clone)]
pub(crate) struct Waker(watch::Sender<i64>);

impl Waker {
    pub fn start(pool: PgPool) -> Self {
        let (sender, mut receiver) = watch::channel(0);
        tokio::spawn(async move {
            while receiver.changed().await.is_ok() {
                let position = *receiver.borrow_and_update();
                // A wake-up need not be on the disk, and its sync would stand in the way of the next append's.
                let sent = sqlx::query("select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)");
                let sent = sent.bind(CHANNEL).bind(position.to_string());
                if let Err(error) = sent.execute(&pool).await {
                    tracing::debug!(error = %error, "wake-up not sent, readers will poll");
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self(sender)
    }

    #[cfg(test)]
    pub fn detached() -> Self {
        Self(watch::channel(0).0)
    }

    /// The log ends at `position` or later.
    pub fn wake(&self, position: i64) {
        if position > 0 {
            self.0.send_replace(position);
        }
    }
}
