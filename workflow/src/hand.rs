//! A run in a worker's hands: as the log has it, and what has happened since and is still to be recorded.
//!
//! What came of a step is recorded while the next one's command is on its way, so a step costs one commit's time. Nothing is
//! lost if the worker dies between: the run goes on where the log has it, and the command that was on its way is recognised by
//! its key.

use crate::document::Document;
use crate::plan::{self, Open, Stands};
use crate::turn::Standing;
use chrono::Utc;
use event_store::{ExecuteError, IdempotencyKey, Request, Store};
use kernel::{TenantId, Timestamp};
use metrics::counter;
use std::sync::Arc;
use uuid::Uuid;
use workflow_domain::run::RunCommand;
use workflow_domain::{Entry, Run};

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

    /// What is to be done; nothing while the run stands still, is taken back or has ended.
    pub fn open(&self) -> Vec<Open<'_>> {
        if self.run.has_ended() || !self.run.incidents.is_empty() || self.run.progress.compensating {
            return vec![];
        }
        plan::open(&self.document, &self.run)
    }

    /// Is everything done, and not said yet?
    pub fn is_finished(&self) -> bool {
        !self.run.has_ended()
            && self.run.incidents.is_empty()
            && !self.run.progress.compensating
            && plan::open(&self.document, &self.run).is_empty()
            && !self.is_cut_off()
    }

    /// Does a step stand in the way that will never be done?
    fn is_cut_off(&self) -> bool {
        self.run.steps.values().any(|step| step.status == workflow_domain::StepStatus::Cancelled)
    }

    /// Whether an effect comes next, and nothing before it.
    pub fn effect_is_next(&self) -> bool {
        let open = self.open();
        open.iter().any(|step| step.stands == Stands::Ready)
            && open.iter().all(|step| step.stands != Stands::Ready || step.action.kind().has_effect())
    }

    /// Takes up what has happened.
    pub fn note(&mut self, entries: Vec<Entry>) -> anyhow::Result<()> {
        if self.unrecorded.is_empty() {
            self.at = Timestamp::of_clock(Utc::now());
        }
        let after = self.run.after(&entries);
        self.run = after.map_err(|refused| anyhow::anyhow!("a step's outcome does not fit: {refused:?}"))?;
        self.unrecorded.extend(entries);
        Ok(())
    }

    /// Records what is not recorded yet, the run's start if need be; answers its version then.
    pub async fn record(&self, store: &Store) -> Result<i64, ExecuteError> {
        self.record_under(store, None).await
    }

    /// The same under a key, so that of the record and a step's command only one has an effect.
    pub async fn record_under(&self, store: &Store, key: Option<IdempotencyKey>) -> Result<i64, ExecuteError> {
        if self.version == 0 {
            return self.start(store).await;
        }
        if self.unrecorded.is_empty() {
            return Ok(self.version);
        }
        let entries = self.unrecorded.clone();
        let parks = entries.iter().any(|entry| matches!(entry, Entry::Failed { go_on: false, .. }));
        let request = Request {
            expected_versions: Some(vec![self.version]),
            now: self.at.utc(),
            idempotency: key,
            ..self.standing().request()
        };
        let recorded = store.execute::<Run>(Some(self.run_id), RunCommand::Record { entries }, &request).await?;
        if parks {
            counter!("workflow_runs_total", "status" => "parked").increment(1);
        }
        Ok(recorded.version)
    }

    async fn start(&self, store: &Store) -> Result<i64, ExecuteError> {
        let run = &self.run;
        let (Some(definition), Some(trigger)) = (run.definition.clone(), run.trigger.as_deref().cloned()) else {
            return Err(ExecuteError::Fault(anyhow::anyhow!("a run without definition or trigger")));
        };
        let command = RunCommand::Start {
            definition_id: run.definition_id,
            definition,
            definition_version: run.definition_version,
            definition_hash: run.definition_hash.clone(),
            document: (*run.document).clone(),
            steps: run.order.clone(),
            compensates: run.compensates,
            trigger,
            depth: run.depth,
            correlation_key: run.correlation_key.as_ref().and_then(|key| key.expose().cloned()),
            parent: run.parent.clone(),
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

    /// What was noted last is not so.
    pub fn forget(&mut self, run: Run) {
        self.run = run;
        self.unrecorded.clear();
    }

    pub fn is_recorded(&self) -> bool {
        self.unrecorded.is_empty()
    }
}
