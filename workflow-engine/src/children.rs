//! Runs that other runs start, wait for and end.

use crate::bounds::Incident;
use crate::document::{Document, RUN_CALLED};
use crate::intake::correlated;
use crate::publish::definition_id;
use crate::schema::problems;
use crate::tasks::Start;
use crate::turn::{Failure, Turn, classify};
use kernel::{DefinitionId, Name, RunId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;
use workflow::run::RunCommand;
use workflow::{Entry, Run, RunStatus};
use workflow_events::{Parent, Trigger, TriggerKind};

/// What a step fails with whose run did not succeed.
const CHILD_ENDED: &str = "called_run_ended";

/// Has a run of another workflow to start, and answers its id; again and again it is the same run.
pub(crate) async fn start(turn: &Turn<'_>, workflow: &Name, input: Value) -> Result<Uuid, Failure> {
    let (tenant, run) = (turn.standing.tenant, turn.standing.id_of(&turn.path));
    let id = definition_id(tenant, workflow.as_str());
    let away = |_| Failure::retryable("unavailable", "the engine's tables could not be read");
    let found = turn.tasks.definition(tenant.0, id.0).await.map_err(away)?;
    let (name, version, hash, document, active) =
        found.ok_or_else(|| Failure::terminal("unknown_workflow", format!("there is no workflow {workflow:?}")))?;
    let unreadable = || Failure::terminal("workflow_unreadable", "the workflow cannot be read");
    let parsed = Document::read(&document).map_err(|_| unreadable())?;
    let Some(called) = parsed.trigger.called.as_ref().filter(|_| active) else {
        return Err(Failure::terminal("workflow_not_callable", "its trigger does not say `called`, or it is paused"));
    };
    if let Some(schema) = &called.input {
        let validator = jsonschema::validator_for(schema).map_err(|_| unreadable())?;
        if let Some((path, _, message)) = problems(&validator, &input).into_iter().next() {
            return Err(Failure::terminal("invalid_input", format!("{path}: {message}")));
        }
    }
    let head = turn.bus.store().log(turn.tasks.pool.clone()).head().await.map_err(away)?;
    let before = turn.standing.run.trigger.as_deref();
    let trigger = Trigger {
        kind: TriggerKind::Run,
        event_id: run,
        event_type: RUN_CALLED.to_owned(),
        event_version: 1,
        position: head,
        aggregate_type: "workflow.run".to_owned(),
        aggregate_id: turn.standing.run_id,
        recorded_at: Timestamp::of_clock(chrono::Utc::now()),
        correlation_id: before.map_or(run, |trigger| trigger.correlation_id),
        traceparent: before.and_then(|trigger| trigger.traceparent.clone()),
        concerns: before.map(|trigger| trigger.concerns.clone()).unwrap_or_default(),
        payload: input.into(),
    };
    let (correlation, incident) = match correlated(&parsed, &trigger) {
        Ok(correlation) => (correlation, None),
        Err(error) => (None, Some(Incident::new("correlation_failed", error.message))),
    };
    let start = Start {
        definition_id: DefinitionId(id.0),
        definition: name.parse().map_err(|_| unreadable())?,
        definition_version: u32::try_from(version).map_err(|_| unreadable())?,
        definition_hash: hash,
        document: document.into(),
        steps: parsed.steps(),
        compensates: parsed.compensates(),
        trigger,
        caused_by: Some(turn.standing.run_id),
        correlation,
        parent: Some(Parent { run_id: RunId(turn.standing.run_id), step: turn.path.clone() }),
        incident,
    };
    turn.tasks.start(tenant.0, run, &start).await.map_err(away)?;
    Ok(run)
}

/// What became of a run that a step waits for; nothing while it goes on.
pub(crate) async fn ended(turn: &Turn<'_>, run: RunId) -> Result<Vec<Entry>, event_store::ExecuteError> {
    let (child, version) = turn.bus.store().load::<Run>(turn.standing.tenant, run.0).await?;
    Ok(match child.status() {
        _ if version == 0 => vec![],
        RunStatus::Succeeded => vec![turn.succeeded(json!({ "run_id": run, "status": "succeeded" }))],
        status if status.has_ended() => {
            let message = format!("the run {run} is {status}");
            turn.failed(Failure::terminal(CHILD_ENDED, message))
        }
        _ => vec![],
    })
}

/// Ends a run that a step waits for, because its own run is ended.
pub(crate) async fn cancel(turn: &Turn<'_>, run: RunId, reason: Name) -> Result<(), Failure> {
    let command = RunCommand::Cancel { keep: false, reason };
    match turn.bus.store().execute::<Run>(Some(run.0), command, &turn.standing.request()).await {
        Ok(_) | Err(event_store::ExecuteError::Rejected { .. } | event_store::ExecuteError::NotFound) => Ok(()),
        Err(error) => Err(classify(error)),
    }
}
