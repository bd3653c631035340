//! Writes down who was refused and which keys are in use, once a second, all at once.

use anyhow::Result;
use chrono::{DateTime, Utc};
use credentials::{KeysInUse, Noted, Refusals};
use kernel::{ApiKeyId, Principal, TenantId};
use metrics::counter;
use serde::Serialize;
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// How seldom it tries while PostgreSQL does not take what it writes, a replica for instance.
const RETRY_MAX: Duration = Duration::from_secs(64);
/// How often it forgets what is too old.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How long the end of a process may take.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// Refusals that wait while they cannot be written.
const WAITING_MAX: usize = 10_000;

/// A row of `audit.refusals`.
#[derive(Debug, Clone, Serialize)]
struct Row {
    tenant_id: TenantId,
    id: Uuid,
    permission: &'static str,
    aggregate_type: &'static str,
    aggregate_ids: Vec<Uuid>,
    actor_kind: &'static str,
    actor: Uuid,
    api_key_id: Option<ApiKeyId>,
    reason: String,
    detail: String,
    correlation_id: Uuid,
    client_address: Option<String>,
    count: u64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

impl From<Noted> for Row {
    fn from(noted: Noted) -> Self {
        let Noted { first, count, targets, first_at, last_at } = noted;
        let (actor_kind, actor) = match first.who.principal {
            Principal::User { id } => ("user", id.0),
            Principal::ServiceAccount { id } => ("service_account", id.0),
            Principal::PortalUser { id } => ("portal_user", id.0),
        };
        Self {
            tenant_id: first.who.tenant,
            id: Uuid::now_v7(),
            permission: first.permission,
            aggregate_type: first.aggregate_type,
            aggregate_ids: targets,
            actor_kind,
            actor,
            api_key_id: first.who.api_key,
            reason: first.reason,
            detail: first.detail,
            correlation_id: first.correlation_id,
            client_address: first.client_address.map(|address| address.to_string()),
            count,
            first_at,
            last_at,
        }
    }
}

/// The task that writes. Whoever drops it loses what it has not written; [`Witness::stop`] does not.
#[derive(Debug)]
pub struct Witness {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Witness {
    /// Starts writing. `pool` connects as `ubos_command`, or as `ubos_query` where nothing is refused that changes something.
    pub fn start(pool: PgPool, refusals: Option<Refusals>, keys: KeysInUse) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut writer = Writer { pool, refusals, keys, waiting: vec![], forgot: None };
            let mut pause = EVERY;
            while tokio::time::timeout(pause, &mut stopped).await.is_err() {
                pause = match writer.write(false).await {
                    Ok(()) => EVERY,
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "refusals and uses of keys cannot be written");
                        (pause * 2).min(RETRY_MAX)
                    }
                };
            }
            match tokio::time::timeout(LAST_PATIENCE, writer.write(true)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error = format!("{error:#}"), "the last refusals are not written"),
                Err(_) => tracing::warn!("the last refusals are not written: PostgreSQL takes too long"),
            }
        });
        Self { stop, task }
    }

    /// Writes what there is and ends.
    pub async fn stop(self) {
        // It hears this also if it has ended.
        drop(self.stop);
        drop(self.task.await);
    }
}

struct Writer {
    pool: PgPool,
    refusals: Option<Refusals>,
    keys: KeysInUse,
    /// What PostgreSQL has not taken yet.
    waiting: Vec<Row>,
    forgot: Option<Instant>,
}

impl Writer {
    async fn write(&mut self, last: bool) -> Result<()> {
        let now = Utc::now();
        if let Some(refusals) = &self.refusals {
            let noted = if last { refusals.rest() } else { refusals.due(now) };
            self.waiting.extend(noted.into_iter().map(Row::from));
            if self.waiting.len() > WAITING_MAX {
                let lost: u64 = self.waiting.drain(WAITING_MAX..).map(|row| row.count).sum();
                counter!("audit_refusals_dropped_total").increment(lost);
            }
        }
        if !self.waiting.is_empty() {
            let rows = serde_json::to_string(&self.waiting)?;
            sqlx::query("select audit.note_refusals($1::jsonb)").bind(rows).execute(&self.pool).await?;
            self.waiting.clear();
        }
        let used = if last { self.keys.rest() } else { self.keys.due(now) };
        if !used.is_empty() {
            // What is lost when this fails is a minute of a time that is no more exact than that.
            let tenants: Vec<Uuid> = used.iter().map(|(tenant, ..)| tenant.0).collect();
            let keys: Vec<Uuid> = used.iter().map(|(_, key, _)| key.0).collect();
            let times: Vec<DateTime<Utc>> = used.iter().map(|(.., at)| *at).collect();
            let sql = "select audit.note_api_key_uses($1, $2, $3)";
            sqlx::query(sql).bind(tenants).bind(keys).bind(times).execute(&self.pool).await?;
        }
        if self.refusals.is_some() && self.forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY) {
            sqlx::query("select audit.forget_refusals()").execute(&self.pool).await?;
            self.forgot = Some(Instant::now());
        }
        Ok(())
    }
}
