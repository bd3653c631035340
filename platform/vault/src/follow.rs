//! Forgets keys that were destroyed, whoever destroyed them.

use crate::vault::Shared;
use metrics::counter;
use std::sync::Weak;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often the list of destroyed keys is asked for what is new; with the question itself it stays within a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// Without an answer for so long, nothing in memory is good.
const STALE_AFTER: Duration = Duration::from_millis(750);

/// Until the vault has gone.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut at: Option<i64> = None;
    let (mut answered, mut stale) = (Instant::now(), false);
    while let Some(shared) = shared.upgrade() {
        match shared.changes(at).await {
            Ok((serial, subjects)) => {
                (answered, stale) = (Instant::now(), false);
                if at.is_some_and(|at| serial < at) {
                    // A list that is shorter than it was is another one, restored from a backup.
                    shared.forget_all();
                } else if !subjects.is_empty() {
                    for (tenant, subject) in &subjects {
                        shared.subjects.remove(&(*tenant, *subject));
                    }
                    counter!("vault_keys_destroyed_total").increment(subjects.len() as u64);
                    shared.destroyed.send_modify(|count| *count += subjects.len() as u64);
                }
                at = Some(serial);
            }
            Err(error) => {
                tracing::warn!(error = %error, "what was destroyed cannot be read");
                if answered.elapsed() > STALE_AFTER && !stale {
                    stale = true;
                    shared.forget_all();
                }
            }
        }
        drop(shared);
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

impl Shared {
    /// How long the list of destroyed keys is, and whose keys came on it after `at`; none the first time, when nothing is
    /// in memory yet.
    async fn changes(&self, at: Option<i64>) -> Result<(i64, Vec<(Uuid, Uuid)>), sqlx::Error> {
        let sql = "select serial, tenant_id, subject_id from vault.destroyed_after($1)";
        let rows: Vec<(i64, Option<Uuid>, Option<Uuid>)> = sqlx::query_as(sql).bind(at).fetch_all(&self.pool).await?;
        let serial = rows.iter().map(|(serial, ..)| *serial).max().unwrap_or(0);
        Ok((serial, rows.into_iter().filter_map(|(_, tenant, subject)| tenant.zip(subject)).collect()))
    }

    fn forget_all(&self) {
        self.subjects.clear();
        self.tenants.clear();
        self.destroyed.send_modify(|count| *count += 1);
    }
}
