//! `ubos webhooks …`: how the endpoints of firms are.

use crate::connect::worker_pool;
use crate::output::{Done, Output, Table};
use anyhow::Result;
use clap::Subcommand;
use runtime::settings::Settings;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

/// What can be done about endpoints.
#[derive(Debug, Subcommand)]
pub enum WebhooksVerb {
    /// Lists endpoints, those that have failed longest first, with what waits for each.
    List {
        /// Only this firm's.
        #[arg(long)]
        tenant: Option<Uuid>,
        /// Only those that take nothing at the moment.
        #[arg(long)]
        failing: bool,
    },
}

/// One endpoint. Its address is the firm's own business, and may hold a secret.
#[derive(Debug, Serialize, FromRow)]
struct Listed {
    tenant_id: Uuid,
    endpoint_id: Uuid,
    status: String,
    host: String,
    failures: i32,
    failing_since: Option<chrono::DateTime<chrono::Utc>>,
    last_error: Option<String>,
    waiting: i64,
}

/// Does it.
pub async fn operate(settings: &Settings, verb: WebhooksVerb, out: &Output) -> Result<Done> {
    let WebhooksVerb::List { tenant, failing } = verb;
    let sql = "
        select e.tenant_id, e.endpoint_id, e.status, split_part(e.url, '/', 3) as host, e.failures, e.failing_since, e.last_error,
               (select count(*) from reactions.jobs j
                where j.tenant_id = e.tenant_id and j.reaction = 'webhooks.delivery' and j.ended_at is null
                  and split_part(j.lane, '/', 1) = e.endpoint_id::text) as waiting
        from webhooks.endpoints e
        where ($1::uuid is null or e.tenant_id = $1) and (not $2 or e.failures > 0) and e.status <> 'removed'
        order by e.failing_since nulls last, e.tenant_id, e.endpoint_id limit 1000";
    let pool = worker_pool(settings).await?;
    let rows: Vec<Listed> = sqlx::query_as(sql).bind(tenant).bind(failing).fetch_all(&pool).await?;
    let mut table =
        Table::new(&["FIRM", "ENDPOINT", "STATUS", "HOST", "FAILURES", "LAST ERROR", "WAITING"], "no endpoints");
    for row in &rows {
        table.row([
            row.tenant_id.to_string(),
            row.endpoint_id.to_string(),
            row.status.clone(),
            row.host.clone(),
            row.failures.to_string(),
            row.last_error.clone().unwrap_or_default(),
            row.waiting.to_string(),
        ]);
    }
    out.say(table);
    Done::with(rows)
}
