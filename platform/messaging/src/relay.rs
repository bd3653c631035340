//! One leader publishes the log to JetStream; standbys wait for its lock.

use crate::histories::Histories;
use crate::lease::{Cursor, Lease};
use crate::links::{Links, RelayOptions, Rewind};
use crate::publish::Publisher;
use anyhow::Result;
use async_nats::Client;
use crash_points::Point;
use event_store::Log;
use metrics::gauge;
use sqlx::PgPool;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Publishes the log to JetStream while it leads.
#[derive(Debug)]
pub struct Relay {
    log: Log,
    nats: Client,
    options: RelayOptions,
}

impl Relay {
    /// A relay that reads `log` as `ubos_worker`.
    pub fn new(log: Log, nats: Client, options: RelayOptions) -> Self {
        Self { log, nats, options }
    }

    /// Leads or stands by until `stop` is cancelled; then waits for what is in flight and lets the next one lead.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let connect = self.log.pool().connect_options();
        gauge!("relay_leader").set(0.0);
        while !stop.is_cancelled() {
            match Lease::try_acquire(&connect, &self.options.holder).await {
                Ok(Some((lease, cursor))) => {
                    tracing::info!(epoch = lease.epoch, position = cursor.position, "relay leads");
                    gauge!("relay_leader").set(1.0);
                    crash_points::reach(Point::RelayElected);
                    let ended = Box::pin(self.lead(lease, cursor, &stop)).await;
                    // From now on the next leader measures.
                    for name in ["relay_leader", "relay_lag_events", "relay_oldest_unpublished_seconds"] {
                        gauge!(name).set(0.0);
                    }
                    if let Err(error) = ended {
                        tracing::warn!(error = format!("{error:#}"), "relay leads no longer");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(error = format!("{error:#}"), "relay cannot try to lead"),
            }
            let pause = Duration::from_millis(rand::random_range(700..1_000));
            drop(tokio::time::timeout(pause, stop.cancelled()).await);
        }
        Ok(())
    }

    /// Everything a leader does, until asked to stop or the lease is lost; then whatever is being published is dropped.
    async fn lead(&self, mut lease: Lease, cursor: Cursor, stop: &CancellationToken) -> Result<()> {
        let (acked, acked_seen) = watch::channel((cursor.position, cursor.stream_sequence));
        let (rewind, rewinds) = mpsc::channel(1);
        let (reseed_wanted, reseed) = watch::channel(cursor.reseed_from);
        let links = Links { acked, rewind, reseed };
        let histories = Histories::load(self.log.pool()).await?;
        let mut publisher = Publisher::new(&self.log, &self.nats, &self.options, histories, cursor, links);
        let observed = acked_seen.clone();
        tokio::select! {
            lost = self.keep(&mut lease, acked_seen.clone(), rewinds, reseed_wanted) => lost?,
            ended = publisher.run(stop) => ended?,
            () = observe(&self.log, observed) => {}
        }
        let (position, sequence) = *acked_seen.borrow();
        lease.advance(position, sequence).await?;
        lease.release().await;
        Ok(())
    }

    /// Stores the cursor and says "still here". Ends only with an error: the lease is lost.
    async fn keep(
        &self,
        lease: &mut Lease,
        mut acked: watch::Receiver<(i64, u64)>,
        mut rewinds: mpsc::Receiver<Rewind>,
        reseed: watch::Sender<Option<i64>>,
    ) -> Result<()> {
        /// Well within the time after which a lease is stale.
        const HEARTBEAT: Duration = Duration::from_secs(1);
        loop {
            tokio::select! {
                biased;
                Some(Rewind { cursor, lost, done }) = rewinds.recv() => {
                    lease.rewind(&cursor, lost).await?;
                    reseed.send_replace(None);
                    // The publisher waits for this before it publishes; if it has gone, so have we.
                    done.send(()).ok();
                    continue;
                }
                changed = acked.changed() => if changed.is_err() { std::future::pending::<()>().await },
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            let (position, sequence) = *acked.borrow_and_update();
            let wanted = lease.advance(position, sequence).await?;
            if wanted.is_some() {
                reseed.send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
            }
            tokio::select! {
                biased;
                Some(Rewind { cursor, lost, done }) = rewinds.recv() => {
                    lease.rewind(&cursor, lost).await?;
                    reseed.send_replace(None);
                    done.send(()).ok();
                }
                () = tokio::time::sleep(self.options.store_every) => {}
            }
        }
    }
}

/// Measures, and does the log's housekeeping, which is the leader's because there is only one.
async fn observe(log: &Log, acked: watch::Receiver<(i64, u64)>) {
    const CHORES_EVERY_TICKS: u32 = 60;
    let mut tick = 0;
    loop {
        let position = acked.borrow().0;
        if let Ok(head) = log.head().await {
            gauge!("relay_lag_events").set((head - position).max(0) as f64);
            let oldest = if head > position { log.find(position + 1).await.ok().flatten() } else { None };
            let age = oldest.map_or(0.0, |event| (chrono::Utc::now() - event.recorded_at).as_seconds_f64());
            gauge!("relay_oldest_unpublished_seconds").set(age.max(0.0));
        }
        if tick % CHORES_EVERY_TICKS == 0
            && let Err(error) = chores(log.pool()).await
        {
            tracing::warn!(error = %error, "housekeeping of the log failed, trying again in a minute");
        }
        tick += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn chores(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("select eventstore.ensure_partitions()").execute(pool).await?;
    sqlx::query("select eventstore.forget_answers(interval '48 hours')").execute(pool).await?;
    sqlx::query("select eventstore.relay_merge_marks()").execute(pool).await?;
    let letters: i64 = sqlx::query_scalar("select count(*) from eventstore.dead_letters").fetch_one(pool).await?;
    gauge!("relay_dead_letters").set(letters as f64);
    Ok(())
}
