//! Kills, pauses and restarts.

use super::{Done, Goal, Injector, Killable, blocking};
use crate::copies::{Copy, Slot};
use crate::servers::Shared;
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;

impl Injector {
    pub async fn kill(&self, target: &str, down: Duration, done: &mut Done) -> Result<()> {
        match target {
            "postgres" => {
                let _alone = self.locks.postgres.lock().await;
                self.kill_server(&self.servers.postgres, target, down, done).await
            }
            "replica" => {
                let _alone = self.locks.replica.lock().await;
                self.kill_server(&self.servers.replica, target, down, done).await
            }
            "redis" => {
                let _alone = self.locks.redis.lock().await;
                self.kill_server(&self.servers.redis, target, down, done).await
            }
            nats if nats.starts_with("nats") => {
                let _alone = self.locks.nats.lock().await;
                self.kill_server(&self.nats_node(nats)?.1, target, down, done).await
            }
            copy => {
                let copy = self.copy(copy, done).await?;
                self.kill_copy(&copy, down, done).await
            }
        }
    }

    async fn kill_copy(&self, copy: &Arc<Copy>, down: Duration, done: &mut Done) -> Result<()> {
        let mut slot = copy.lock().await;
        let leads = self.leads(copy).await;
        let before = self.relay_state().await.ok();
        let watch = self.watch();
        blocking(|| slot.kill())?;
        let restarted = async {
            tokio::time::sleep(down).await;
            self.start(copy, &mut slot, &[]).await
        };
        let standby = async {
            match before.filter(|_| leads) {
                Some(before) => self.standby(watch, &copy.name, before).await,
                None => None,
            }
        };
        let (ready, first_ok, standby) = tokio::join!(restarted, self.first_ok(watch, &copy.name), standby);
        done.note("ready_seconds", ready?);
        done.note("first_ok_seconds", first_ok?);
        if leads {
            done.note("standby_publishes_seconds", standby);
        }
        done.recovered = Some(self.evidence.now());
        Ok(())
    }

    /// Starts a copy, waits until it is ready and says how long that took.
    pub async fn start(&self, copy: &Copy, slot: &mut Slot, environment: &[(&str, &str)]) -> Result<f64> {
        let watch = self.watch();
        copy.spawn(slot, environment)?;
        let seconds = copy.ready(slot).await?.as_secs_f64();
        self.measured(watch, Goal::Ready, &copy.name, seconds);
        Ok(seconds)
    }

    /// Whether it is the relay that leads. A database that is away cannot tell.
    async fn leads(&self, copy: &Copy) -> bool {
        self.leading_relay().await.is_ok_and(|leader| leader.as_ref() == Some(&copy.name))
    }

    async fn kill_server<T: Killable + Send + 'static>(
        &self,
        server: &Shared<T>,
        target: &str,
        down: Duration,
        done: &mut Done,
    ) -> Result<()> {
        let watch = self.watch();
        blocking(|| server.lock().kill())?;
        let server = server.clone();
        let restarted = async {
            tokio::time::sleep(down).await;
            // On a thread of its own, so that the measurement goes on meanwhile.
            tokio::task::spawn_blocking(move || server.lock().restart()).await??;
            anyhow::Ok(watch.seconds())
        };
        let (restarted, first_ok) = tokio::join!(restarted, self.first_ok(watch, target));
        done.note("server_ready_seconds", restarted?);
        done.note("first_ok_seconds", first_ok?);
        done.recovered = Some(self.evidence.now());
        Ok(())
    }

    pub async fn pause(&self, target: &str, lasts: Duration, done: &mut Done) -> Result<()> {
        match target {
            "postgres" => {
                let _alone = self.locks.postgres.lock().await;
                blocking(|| self.servers.postgres.lock().signal("STOP"))?;
                tokio::time::sleep(lasts).await;
                blocking(|| self.servers.postgres.lock().signal("CONT"))
            }
            nats if nats.starts_with("nats") => {
                let _alone = self.locks.nats.lock().await;
                let (_, node) = self.nats_node(nats)?;
                blocking(|| node.lock().signal("STOP"))?;
                tokio::time::sleep(lasts).await;
                blocking(|| node.lock().signal("CONT"))
            }
            copy => {
                let copy = self.copy(copy, done).await?;
                let mut slot = copy.lock().await;
                let leads = self.leads(&copy).await;
                let before = self.relay_state().await.ok();
                let watch = self.watch();
                slot.signal("STOP")?;
                if let Some(before) = before.filter(|_| leads) {
                    let standby = self.standby(watch, &format!("{} paused", copy.name), before).await;
                    done.note("standby_publishes_seconds", standby);
                }
                tokio::time::sleep(lasts.saturating_sub(Duration::from_secs_f64(watch.seconds()))).await;
                slot.signal("CONT")
            }
        }
    }

    pub async fn restart(&self, target: &str, done: &mut Done) -> Result<()> {
        match target {
            "postgres" => {
                let _alone = self.locks.postgres.lock().await;
                restart_server(&self.servers.postgres)?;
            }
            nats if nats.starts_with("nats") => {
                let _alone = self.locks.nats.lock().await;
                restart_server(&self.nats_node(nats)?.1)?;
            }
            copy => {
                let copy = self.copy(copy, done).await?;
                let mut slot = copy.lock().await;
                let gone = blocking(|| slot.stop())?;
                done.note("ended", format!("{gone:?}"));
                done.note("ready_seconds", self.start(&copy, &mut slot, &[]).await?);
            }
        }
        done.recovered = Some(self.evidence.now());
        Ok(())
    }
}

fn restart_server<T: Killable>(server: &Shared<T>) -> Result<()> {
    blocking(|| {
        let mut server = server.lock();
        server.stop()?;
        server.restart()
    })
}
