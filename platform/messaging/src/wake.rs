//! Hears from the append that the log has grown.

use event_store::CHANNEL;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection that listens, in a task of its own. The value grows with the log, if nothing goes wrong; it is a wake-up,
/// never the truth, so whoever waits for it also polls.
#[derive(Debug)]
pub(crate) struct Wake {
    receiver: watch::Receiver<i64>,
    _stop: DropGuard,
}

impl Wake {
    pub fn start(pool: &PgPool) -> Self {
        let (sender, receiver) = watch::channel(0);
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

    /// Waits for the log to grow, `patience` at most.
    pub async fn wait(&mut self, patience: Duration) {
        // Elapsed is the poll; a closed channel cannot be, because the task lives as long as this value.
        drop(tokio::time::timeout(patience, self.receiver.changed()).await);
    }
}

async fn listen(pool: &PgPool, sender: &watch::Sender<i64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // Whatever was said before is lost: wake everybody once.
    sender.send_modify(|_| ());
    // `None` is a lost connection.
    while let Some(notification) = listener.try_recv().await? {
        sender.send_modify(|newest| *newest = (*newest).max(notification.payload().parse().unwrap_or(0)));
    }
    Ok(())
}
