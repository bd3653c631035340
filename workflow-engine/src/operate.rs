//! What operators do with runs.

use crate::document::Document;
use chrono::{DateTime, Utc};
use event_store::{CommandBus, ExecuteError, Executed, Log, Request};
use kernel::{Actor, Name, TenantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;
use workflow::run::RunCommand;
use workflow::{Run, RunStatus, StepPath};
use workflow_events::{DefinitionEvent, Renamed};

/// Which runs to list; the newest first.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only those that stand there.
    pub status: Option<RunStatus>,
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
    pub status: RunStatus,
    /// When the event was committed that started it.
    pub started_at: DateTime<Utc>,
    /// What it stands still for.
    pub error: Option<String>,
}

/// Runs as the log has them, the newest first. Live ones are found in the engine's queue, ended ones among the streams.
pub async fn runs(bus: &CommandBus, pool: &PgPool, filter: &RunFilter) -> Result<Vec<RunLine>, RunsError> {
    let live = matches!(filter.status, Some(status) if !status.has_ended());
    // Version 5 ids have no order, so pages go by the place where the run began.
    let sql = if live {
        "select s.tenant_id, s.aggregate_id, s.first_position from engine.tasks t
         join eventstore.streams s
           on s.tenant_id = t.tenant_id and s.aggregate_id = t.run_id and s.aggregate_type = 'workflow.run'
         where ($1::uuid is null or t.tenant_id = $1) and s.first_position < $2
         order by s.first_position desc limit $3"
    } else {
        "select s.tenant_id, s.aggregate_id, s.first_position from eventstore.streams s
         where s.aggregate_type = 'workflow.run' and ($1::uuid is null or s.tenant_id = $1) and s.first_position < $2
         order by s.first_position desc limit $3"
    };
    let wanted = usize::try_from(filter.limit.unwrap_or(50)).unwrap_or(0);
    let (mut lines, mut before) = (vec![], i64::MAX);
    while lines.len() < wanted {
        let page = sqlx::query_as(sql).bind(filter.tenant.map(|tenant| tenant.0)).bind(before).bind(PAGE);
        let page: Vec<(Uuid, Uuid, i64)> = page.fetch_all(pool).await?;
        let loads = page.iter().map(|(tenant, id, _)| bus.store().load::<Run>(TenantId(*tenant), *id));
        let found = futures::future::try_join_all(loads).await?;
        for ((tenant, id, _), (run, _)) in page.iter().zip(found) {
            let line = line(*tenant, *id, &run);
            if lines.len() < wanted && filter.status.is_none_or(|status| status == line.status) {
                lines.push(line);
            }
        }
        match page.last() {
            Some((.., position)) => before = *position,
            None => break,
        }
    }
    Ok(lines)
}

/// Runs of one page.
const PAGE: i64 = 200;

/// Why runs cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The queue or the streams cannot be read.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
    /// A run cannot be loaded.
    #[error("a run cannot be loaded")]
    Load(#[from] ExecuteError),
}

fn line(tenant_id: Uuid, run_id: Uuid, run: &Run) -> RunLine {
    RunLine {
        run_id,
        tenant_id,
        workflow: run.definition.as_ref().map(ToString::to_string).unwrap_or_default(),
        status: run.status(),
        started_at: run.trigger.as_ref().map(|trigger| trigger.recorded_at.utc()).unwrap_or_default(),
        error: run.incident().map(|(_, code, message)| format!("{code}: {message}")),
    }
}

/// One run as the log has it.
pub async fn show(bus: &CommandBus, tenant: TenantId, run_id: Uuid) -> Result<Run, ExecuteError> {
    match bus.store().load::<Run>(tenant, run_id).await? {
        (_, 0) => Err(ExecuteError::NotFound),
        (run, _) => Ok(run),
    }
}

/// What an operator asks of a run.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Try again what it stands still at.
    Retry {
        /// Which step, if it stands still at several.
        step: Option<StepPath>,
    },
    /// Go on without a step.
    Skip {
        /// Which step, if it stands still at several.
        step: Option<StepPath>,
        /// What later steps see as its result.
        output: Value,
    },
    /// Try a step again with other input.
    AmendInput {
        /// Which step, if it stands still at several.
        step: Option<StepPath>,
        /// The command's fields.
        parameters: Value,
    },
    /// Take a step again, and everything after it.
    RerunFrom {
        /// From which step on.
        step: StepPath,
    },
    /// End before the last step.
    Cancel {
        /// What it has done stays.
        keep: bool,
    },
    /// Take back what it has done.
    Compensate,
}

/// What an operator asks, and why.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The firm.
    pub tenant: TenantId,
    /// The run.
    pub run: Uuid,
    /// Why, for the history.
    pub reason: Name,
}

/// Has an operator's verb done.
pub async fn ask(bus: &CommandBus, asked: Asked, verb: Verb) -> Result<Executed, ExecuteError> {
    let Asked { tenant, run, reason } = asked;
    let command = match verb {
        Verb::Retry { step } => RunCommand::Retry { step, reason },
        Verb::Skip { step, output } => RunCommand::Skip { step, output, reason },
        Verb::AmendInput { step, parameters } => RunCommand::AmendInput { step, parameters, reason },
        Verb::RerunFrom { step } => RunCommand::RerunFrom { step, reason },
        Verb::Cancel { keep } => RunCommand::Cancel { keep, reason },
        Verb::Compensate => RunCommand::Compensate { reason },
    };
    act(bus, tenant, run, command).await
}

/// Has a parked run try its steps again.
pub async fn retry(bus: &CommandBus, tenant: TenantId, run: Uuid, reason: Name) -> Result<Executed, ExecuteError> {
    ask(bus, Asked { tenant, run, reason }, Verb::Retry { step: None }).await
}

/// Has a parked run go on without its step; later steps see `output` as its result.
pub async fn skip(
    bus: &CommandBus,
    tenant: TenantId,
    run: Uuid,
    output: Value,
    reason: Name,
) -> Result<Executed, ExecuteError> {
    ask(bus, Asked { tenant, run, reason }, Verb::Skip { step: None, output }).await
}

/// Ends a run before its last step.
pub async fn cancel(bus: &CommandBus, tenant: TenantId, run: Uuid, reason: Name) -> Result<Executed, ExecuteError> {
    ask(bus, Asked { tenant, run, reason }, Verb::Cancel { keep: false }).await
}

/// Has a parked run follow another version of its definition, which was checked when it was published. Steps that are called
/// something else there are named in `renamed`.
pub async fn move_to(
    bus: &CommandBus,
    log: &Log,
    asked: Asked,
    version: u32,
    renamed: Vec<Renamed>,
) -> Result<Executed, MoveError> {
    let Asked { tenant, run, reason } = asked;
    let (state, _) = bus.store().load::<Run>(tenant, run).await?;
    let events = log.read_stream(tenant, state.definition_id.0, 0, i64::MAX).await?;
    let published =
        events.iter().find_map(|event| {
            match catalogue::AnyEvent::read(
                &event.aggregate_type,
                &event.event_type,
                event.event_version,
                event.payload.get(),
            ) {
                Ok(catalogue::AnyEvent::Definition(DefinitionEvent::Published {
                    version: of, hash, document, ..
                })) if of == version => Some((hash, document)),
                _ => None,
            }
        });
    let (definition_hash, document) = published.ok_or(MoveError::NoSuchVersion(version))?;
    let parsed = Document::read(&document).map_err(|_| MoveError::NoSuchVersion(version))?;
    let command = RunCommand::MoveTo {
        definition_version: version,
        definition_hash,
        document,
        steps: parsed.steps(),
        compensates: parsed.compensates(),
        renamed,
        reason,
    };
    Ok(act(bus, tenant, run, command).await?)
}

/// Why a run does not follow another version.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The definition has no such version.
    #[error("the run's definition has no version {0} that can be read")]
    NoSuchVersion(u32),
    /// The log refused or could not be reached.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The log cannot be read.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
}

async fn act(bus: &CommandBus, tenant: TenantId, run_id: Uuid, command: RunCommand) -> Result<Executed, ExecuteError> {
    let request = Request::new(tenant, Actor::System { name: "operator".to_owned() });
    bus.store().execute::<Run>(Some(run_id), command, &request).await
}

/// Empties what the engine has noted for later of events of these streams: how to start runs, and what runs waited for.
/// Answers how many notes that were.
pub async fn forget(pool: &PgPool, tenant: TenantId, streams: &[Uuid]) -> anyhow::Result<u64> {
    let texts: Vec<String> = streams.iter().map(Uuid::to_string).collect();
    let mut emptied = 0;
    for sql in [
        "update engine.tasks set start = jsonb_set(start, '{trigger,payload}', 'null')
         where tenant_id = $1 and (run_id = any($2) or start -> 'trigger' ->> 'aggregate_id' = any($3))
           and start -> 'trigger' -> 'payload' <> 'null'",
        "update engine.waits set matched = jsonb_set(matched, '{payload}', 'null')
         where tenant_id = $1 and (run_id = any($2) or matched ->> 'aggregate_id' = any($3))
           and matched -> 'payload' <> 'null'",
    ] {
        emptied += sqlx::query(sql).bind(tenant.0).bind(streams).bind(&texts).execute(pool).await?.rows_affected();
    }
    Ok(emptied)
}
