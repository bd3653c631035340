//! A run in a worker's hands: as the log has it, and what has happened since and is still to be recorded.
//!
//! A step's outcome and the beginning of the next one are recorded while the next one's command is on its way, so a step
//! costs one commit's time. Nothing is lost if the worker dies between: the run goes on where the log has it, and the
//! command that was on its way is recognised by its key.

use crate::document::{Action, Document};
use crate::step::Standing;
use chrono::Utc;
use event_store::{ExecuteError, Request, Store};
use kernel::{TenantId, Timestamp};
use metrics::counter;
use std::sync::Arc;
use uuid::Uuid;
use workflow_domain::run::RunCommand;
use workflow_domain::{Entry, Run, RunStatus, StepStatus};

/// A run with everything that has happened, recorded or not.
#[derive(Debug)]
pub(crate) struct Hand {
    pub tenant: TenantId,
    pub run_id: Uuid,
    pub run: Run,
    pub document: Arc<Document>,
    /// What the log has.
    pub version: i64,
    unrecorded: Vec<Entry>,
    /// When the first unrecorded entry happened; the log will say the same of all of them.
    at: Timestamp,
}

impl Hand {
    pub fn new(tenant: TenantId, run_id: Uuid, run: Run, document: Arc<Document>, version: i64) -> Self {
        Self { tenant, run_id, run, document, version, unrecorded: vec![], at: Timestamp::of_clock(Utc::now()) }
    }

    pub fn standing(&self) -> Standing<'_> {
        Standing { tenant: self.tenant, run_id: self.run_id, run: &self.run, document: &self.document }
    }

    /// The action that the run stands at.
    pub fn action(&self) -> Option<&Action> {
        self.document.actions.get(self.run.current)
    }

    /// The command that comes next, if that is what comes next.
    pub fn next_command(&self) -> Option<String> {
        let step = self.run.step().filter(|step| step.status == StepStatus::Running && step.due_at.is_none());
        step.filter(|_| self.run.status == RunStatus::Running).and_then(|_| self.action()?.command())
    }

    /// Whether every step is done; the record of it may still be on its way.
    pub fn has_ended(&self) -> bool {
        self.run.has_ended() || self.run.current >= self.run.steps.len()
    }

    /// Takes up what has happened, and with the end of a step the beginning of the next.
    pub fn note(&mut self, mut entries: Vec<Entry>) -> anyhow::Result<()> {
        if self.unrecorded.is_empty() {
            self.at = Timestamp::of_clock(Utc::now());
        }
        let after = |run: &Run, entries: &[Entry], at| {
            run.after(entries, at).map_err(|refused| anyhow::anyhow!("a step's outcome does not fit: {refused:?}"))
        };
        let mut run = after(&self.run, &entries, self.at)?;
        if run.current > self.run.current && run.step().is_some_and(|next| next.status == StepStatus::Pending) {
            let next = Standing { run: &run, ..self.standing() }.begin();
            run = after(&run, &next, self.at)?;
            entries.extend(next);
        }
        self.run = run;
        self.unrecorded.extend(entries);
        Ok(())
    }

    /// Records what is not recorded yet, the run's start if need be; answers its version then.
    pub async fn record(&self, store: &Store) -> Result<i64, ExecuteError> {
        if self.version == 0 {
            return self.start(store).await;
        }
        if self.unrecorded.is_empty() {
            return Ok(self.version);
        }
        let entries = self.unrecorded.clone();
        let parks = entries.iter().any(|entry| matches!(entry, Entry::Failed { go_on: false, .. }));
        let request =
            Request { expected_versions: Some(vec![self.version]), now: self.at.utc(), ..self.standing().request() };
        let recorded = store.execute::<Run>(Some(self.run_id), RunCommand::Record { entries }, &request).await?;
        if parks {
            counter!("workflow_runs_total", "status" => "parked").increment(1);
        }
        Ok(recorded.version)
    }

    async fn start(&self, store: &Store) -> Result<i64, ExecuteError> {
        let Run { definition_id, definition, definition_version, definition_hash, document, trigger, steps, .. } =
            &self.run;
        let (Some(definition), Some(trigger)) = (definition.clone(), trigger.as_deref().cloned()) else {
            return Err(ExecuteError::Fault(anyhow::anyhow!("a run without definition or trigger")));
        };
        let command = RunCommand::Start {
            definition_id: *definition_id,
            definition,
            definition_version: *definition_version,
            definition_hash: definition_hash.clone(),
            document: (**document).clone(),
            steps: steps.iter().map(|step| step.id.clone()).collect(),
            trigger,
            depth: self.run.depth,
            entries: self.unrecorded.clone(),
        };
        // The command has the run's id, so that nothing is loaded first: nearly always there is nothing yet.
        let request = Request { command_id: self.run_id, now: self.at.utc(), ..self.standing().request() };
        Ok(store.execute::<Run>(Some(self.run_id), command, &request).await?.version)
    }

    /// Everything so far is in the log.
    pub fn recorded(&mut self, version: i64) {
        self.version = version;
        self.unrecorded.clear();
    }

    pub fn is_recorded(&self) -> bool {
        self.unrecorded.is_empty()
    }
}
