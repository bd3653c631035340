//! Hears from the append that the log has grown.

use event_store::CHANNEL;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection that listens, in a task of its own. What it says is a hint, never the truth, so whoever waits also polls.
#[derive(Debug)]
pub(crate) struct Wake {
    receiver: watch::Receiver<Option<i64>>,
    _stop: DropGuard,
}

impl Wake {
    pub fn start(pool: &PgPool) -> Self {
        let (sender, receiver) = watch::channel(None);
        let stop = CancellationToken::new();
        // A listener keeps its connection for ever; it must not take one of the pool's.
        let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
        let own = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(5));
        let own = own.connect_lazy_with(options);
        let stopped = stop.clone();
        tokio::spawn(async move {
            while !stopped.is_cancelled() {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    ended = listen(&own, &sender) => {
                        tracing::debug!(error = ended.err().map(|e| e.to_string()), "not listening, polling meanwhile");
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            }
            own.close().await;
        });
        Self { receiver, _stop: stop.drop_guard() }
    }

    /// Waits for the log to grow, `patience` at most. Answers the newest position if it is known; otherwise ask the log.
    pub async fn wait(&mut self, patience: Duration) -> Option<i64> {
        match tokio::time::timeout(patience, self.receiver.changed()).await {
            Ok(Ok(())) => *self.receiver.borrow_and_update(),
            // A closed channel cannot be, because the task lives as long as this value.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The newest position that was heard of, if any; others may have been missed.
    pub fn newest(&self) -> Option<i64> {
        *self.receiver.borrow()
    }
}

async fn listen(pool: &PgPool, sender: &watch::Sender<Option<i64>>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // Whatever was said before is lost.
    sender.send_replace(None);
    // `None` is a lost connection.
    while let Some(notification) = listener.try_recv().await? {
        let position: Option<i64> = notification.payload().parse().ok();
        sender.send_modify(|newest| *newest = (*newest).max(position));
    }
    Ok(())
}
