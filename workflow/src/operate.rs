//! What operators do with runs.

use chrono::{DateTime, Utc};
use event_store::{CommandBus, ExecuteError, Executed, Request};
use kernel::{Actor, Name, TenantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;
use workflow_domain::Run;
use workflow_domain::run::RunCommand;

/// Which runs to list; the newest first.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// `running`, `waiting`, `parked`, `succeeded` or `cancelled`.
    pub status: Option<String>,
    /// At most so many; 50 unless given.
    pub limit: Option<i64>,
}

/// One line of the list.
#[derive(Debug, Clone, Serialize)]
pub struct RunLine {
    /// The run.
    pub run_id: Uuid,
    /// The firm.
    pub tenant_id: Uuid,
    /// What its definition is called.
    pub workflow: String,
    /// Where it stands.
    pub status: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// What it stands still for, or stood still for last.
    pub error: Option<String>,
}

/// Runs from the read model `workflow.runs`; `pool` connects as `ubos_worker`.
pub async fn runs(pool: &PgPool, filter: &RunFilter) -> Result<Vec<RunLine>, sqlx::Error> {
    let sql = "select id, tenant_id, workflow_name, status, started_at, completed_at, error from workflow.runs
               where ($1::uuid is null or tenant_id = $1) and ($2::text is null or status = $2)
               order by started_at desc, id limit $3";
    let rows = sqlx::query(sql)
        .bind(filter.tenant.map(|tenant| tenant.0))
        .bind(&filter.status)
        .bind(filter.limit.unwrap_or(50))
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(RunLine {
                run_id: row.try_get("id")?,
                tenant_id: row.try_get("tenant_id")?,
                workflow: row.try_get("workflow_name")?,
                status: row.try_get("status")?,
                started_at: row.try_get("started_at")?,
                completed_at: row.try_get("completed_at")?,
                error: row.try_get("error")?,
            })
        })
        .collect()
}

/// One run as the log has it.
pub async fn show(bus: &CommandBus, tenant: TenantId, run_id: Uuid) -> Result<Run, ExecuteError> {
    match bus.store().load::<Run>(tenant, run_id).await? {
        (_, 0) => Err(ExecuteError::NotFound),
        (run, _) => Ok(run),
    }
}

/// Has a parked run try its step again.
pub async fn retry(bus: &CommandBus, tenant: TenantId, run_id: Uuid, reason: Name) -> Result<Executed, ExecuteError> {
    act(bus, tenant, run_id, RunCommand::Retry { reason }).await
}

/// Has a parked run go on without its step; later steps see `output` as its result.
pub async fn skip(
    bus: &CommandBus,
    tenant: TenantId,
    run_id: Uuid,
    output: Value,
    reason: Name,
) -> Result<Executed, ExecuteError> {
    act(bus, tenant, run_id, RunCommand::Skip { output, reason }).await
}

/// Ends a run before its last step.
pub async fn cancel(bus: &CommandBus, tenant: TenantId, run_id: Uuid, reason: Name) -> Result<Executed, ExecuteError> {
    act(bus, tenant, run_id, RunCommand::Cancel { reason }).await
}

async fn act(bus: &CommandBus, tenant: TenantId, run_id: Uuid, command: RunCommand) -> Result<Executed, ExecuteError> {
    let request = Request::new(tenant, Actor::System { name: "operator".to_owned() });
    bus.store().execute::<Run>(Some(run_id), command, &request).await
}
