//! Processes that end themselves at a named place between two durable steps.

use super::{Done, Injector, blocking};
use crate::copies::operator_with;
use anyhow::{Context, Result, bail, ensure};
use std::sync::Arc;
use std::time::Duration;

/// How long a crash point may take to be reached.
const PATIENCE: Duration = Duration::from_secs(15);
/// The stream is rebuilt from so many events before the log's end where a rebuild must be met.
const REBUILT: i64 = 5_000;

/// How often a replay is started that does not end as it should.
const REPLAYS_MAX: usize = 3;

/// Tells a process where to end.
const ORDER: &str = "UBOS_CRASH_AT";

impl Injector {
    /// One copy is started with the order to crash; the other is killed, so that the first has the work; then both are
    /// started without.
    pub async fn crash(&self, order: &str, done: &mut Done) -> Result<()> {
        let Some(role) = role_of(order) else { return self.crash_replay(order, done).await };
        let copies: Vec<_> = self.copies.iter().filter(|copy| copy.role == role).cloned().collect();
        let [doomed, other]: [Arc<_>; 2] = copies.try_into().ok().context("every role has two copies")?;
        // Who is elected dies of it: there the other one must be gone first, or nobody is elected.
        let mut doomed_slot = doomed.lock().await;
        let mut other_slot = other.lock().await;
        blocking(|| doomed_slot.kill())?;
        doomed.spawn(&mut doomed_slot, &[(ORDER, order)])?;
        // One that crashes before it is ready has done its part too.
        drop(doomed.ready(&mut doomed_slot).await);
        blocking(|| other_slot.kill())?;
        if order.starts_with("relay.rewinding") {
            // Noticed by whoever leads.
            sqlx::query("update eventstore.relay set reseed_from = greatest(1, position - $1)")
                .bind(REBUILT)
                .execute(&self.pool)
                .await?;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while doomed_slot.is_running() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let crashed = !doomed_slot.is_running();
        blocking(|| doomed_slot.kill())?;
        done.until = Some(self.evidence.now());
        self.start(&other, &mut other_slot, &[]).await?;
        self.start(&doomed, &mut doomed_slot, &[]).await?;
        done.recovered = Some(self.evidence.now());
        done.note("victim", doomed.name.clone());
        done.note("point", order);
        ensure!(crashed, "{} did not come to crash point {order} within {PATIENCE:?}", doomed.name);
        Ok(())
    }

    /// A replay is an operator's verb: it crashes, nobody notices, and it is simply started again.
    async fn crash_replay(&self, order: &str, done: &mut Done) -> Result<()> {
        done.note("point", order);
        self.replay(&[(ORDER, order)], None).await?;
        done.until = Some(self.evidence.now());
        self.replay(&[], Some(0)).await?;
        done.recovered = Some(self.evidence.now());
        Ok(())
    }

    /// Replays until it ends with `wanted`, none if it crashes. Late in a long run it takes so long that another fault may
    /// meet it; an operator would start it again.
    async fn replay(&self, environment: &[(&str, &str)], wanted: Option<i32>) -> Result<()> {
        let mut ends = vec![];
        while ends.len() < REPLAYS_MAX {
            let verb = ["projections", "replay", "crm"];
            let (code, text) = operator_with(&self.servers, &self.ubos, &verb, environment).await?;
            if code == wanted {
                return Ok(());
            }
            ends.push(format!("{code:?}: {text}"));
        }
        bail!("a replay should have ended with {wanted:?} but ended with {}", ends.join("\n"))
    }
}

/// Which role comes by a point; none for the operator's own.
fn role_of(order: &str) -> Option<&'static str> {
    match order.split('.').next().unwrap_or_default() {
        "relay" => Some("relay"),
        "projection" => Some("projections"),
        "workflow" | "intake" => Some("workflow"),
        "reaction" => Some("mailer"),
        "replay" => None,
        _ => Some("command-api"),
    }
}
