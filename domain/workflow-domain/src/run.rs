//! A run: one pass through a version of a definition, started by one event.

use kernel::{
    Aggregate, Context, Decision, DefinitionId, Name, Personal, Resource, Text, Timestamp, command, rejection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use workflow_events::{FailureClass, RunEvent as E, Trigger};

use crate::Shared;
use RunCommand as C;
use RunRejection as R;

/// What happened to the run's current step. The engine records several at once, so that one commit ends a step and
/// begins the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// It began.
    Started {},
    /// It did what it was for.
    Succeeded {
        /// What later steps may refer to.
        result: Personal<Value>,
    },
    /// It will be tried again.
    RetryScheduled {
        /// Stable code of what went wrong.
        code: String,
        /// What went wrong.
        message: String,
        /// When.
        due_at: Timestamp,
    },
    /// It will not be tried again by itself. Unless `go_on`, the run is parked.
    Failed {
        /// Would another attempt have made sense?
        class: FailureClass,
        /// Stable code of what went wrong.
        code: String,
        /// What went wrong.
        message: String,
        /// Goes on with the next step.
        go_on: bool,
    },
    /// Its condition did not hold.
    LeftOut {
        /// Why.
        reason: Name,
    },
    /// It waits.
    Waiting {
        /// Until when, at most.
        #[serde(default)]
        until: Option<Timestamp>,
        /// For which kind of event.
        #[serde(default)]
        event_type: Option<String>,
        /// Which condition the event must meet.
        #[serde(default)]
        matching: Option<String>,
    },
    /// An event ended the run.
    Cancelled {
        /// Why.
        reason: Name,
    },
    /// It wants somebody told.
    Notified {
        /// Who.
        to: Personal<String>,
        /// In one line.
        subject: Personal<Text>,
        /// In full.
        body: Personal<Text>,
    },
}

// Only the engine sends it.
kernel::input_as_deserialized!(Entry);

/// What may be asked of a run.
#[command("workflow.run")]
#[expect(clippy::large_enum_variant, reason = "a run starts once, and its definition travels with that command")]
pub enum RunCommand {
    /// Starts a run; only the engine does.
    #[creates]
    #[refused(EngineOnly, Ended, OutOfStep, StepsWrong)]
    Start {
        /// The definition.
        definition_id: DefinitionId,
        /// What it is called.
        definition: Name,
        /// Which version of it.
        definition_version: u32,
        /// SHA-256 of the version's document.
        definition_hash: String,
        /// The version's document.
        document: Value,
        /// The ids of the steps, in order.
        steps: Vec<String>,
        /// The event that starts the run.
        trigger: Trigger,
        /// How many runs led to this one.
        #[serde(default)]
        depth: u32,
        /// What happened to its first step at once.
        #[serde(default)]
        entries: Vec<Entry>,
    },
    /// Records what happened to the current step; only the engine does.
    #[refused(EngineOnly, Ended, OutOfStep)]
    Record {
        /// What happened, in order.
        entries: Vec<Entry>,
    },
    /// Has a parked run try its step again.
    #[refused(Ended, NotParked, OutOfStep)]
    Retry {
        /// Why it may succeed now.
        reason: Name,
    },
    /// Has a parked run go on without its step.
    #[refused(Ended, NotParked, OutOfStep)]
    Skip {
        /// What later steps refer to instead of the step's result: `{"id": "…"}`.
        #[serde(default)]
        output: Value,
        /// Why.
        reason: Name,
    },
    /// Ends the run before its last step; what it has done stays.
    #[refused(Ended)]
    Cancel {
        /// Why.
        reason: Name,
    },
}

/// Why a run's command may be refused.
#[rejection("workflow.run")]
pub enum RunRejection {
    /// Only the workflow engine starts runs and records their steps.
    #[audited]
    EngineOnly,
    /// The run has ended.
    Ended,
    /// Only a parked run can be retried or go on without its step.
    NotParked,
    /// The run stands elsewhere than the record says.
    OutOfStep,
    /// A run has at least one step, and no step's id twice.
    #[invalid("/steps")]
    StepsWrong,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// At work.
    #[default]
    Running,
    /// Waiting for a time or an event.
    Waiting,
    /// Standing still until an operator acts.
    Parked,
    /// Done.
    Succeeded,
    /// Ended on purpose.
    Cancelled,
}

impl RunStatus {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Running, Self::Waiting, Self::Parked, Self::Succeeded, Self::Cancelled];

    /// As it is written: `parked`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    #[default]
    Pending,
    /// At work, or to be tried again.
    Running,
    /// Waiting for a time or an event.
    Waiting,
    /// Done.
    Succeeded,
    /// Not done.
    Failed,
    /// Left out.
    Skipped,
}

impl StepStatus {
    /// As it is written: `succeeded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What is remembered of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its id within the definition.
    pub id: String,
    /// Where it stands.
    pub status: StepStatus,
    /// What later steps may refer to; null until it is done.
    pub result: Personal<Value>,
    /// Failed attempts since it began or an operator retried it.
    pub attempts: u32,
    /// When it began or an operator retried it.
    pub since: Option<Timestamp>,
    /// Until when it waits, or when its next attempt is due.
    pub due_at: Option<Timestamp>,
    /// The kind of event it waits for, and the condition.
    pub awaits: Option<(String, Option<String>)>,
}

/// What is remembered of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What the definition is called.
    pub definition: Option<Name>,
    /// The definition.
    pub definition_id: DefinitionId,
    /// Which version of it.
    pub definition_version: u32,
    /// SHA-256 of the version's document.
    pub definition_hash: String,
    /// The version's document.
    pub document: Shared<Value>,
    /// The event that started it.
    pub trigger: Option<Shared<Trigger>>,
    /// How many runs led to it.
    pub depth: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// The step it stands at; the number of steps when it is done.
    pub current: usize,
    /// What it stands still for: stable code and sentence.
    pub incident: Option<(String, String)>,
}

impl Run {
    /// Will it do anything more, by itself or by an operator?
    pub fn has_ended(&self) -> bool {
        matches!(self.status, RunStatus::Succeeded | RunStatus::Cancelled)
    }

    /// The step it stands at.
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.current)
    }

    fn here(&self) -> Result<(u32, String), R> {
        let step = self.step().ok_or(R::OutOfStep)?;
        Ok((u32::try_from(self.current).map_err(|_| R::OutOfStep)?, step.id.clone()))
    }

    /// The run as it would be after these entries.
    pub fn after(&self, entries: &[Entry], now: Timestamp) -> Result<Self, RunRejection> {
        let mut after = self.clone();
        after.record_all(entries.to_vec(), now)?;
        Ok(after)
    }

    /// Moves the state along `entries` and answers their events.
    fn record_all(&mut self, entries: Vec<Entry>, now: Timestamp) -> Decision<Self> {
        let mut events = vec![];
        for entry in entries {
            let recorded = self.record(entry, now)?;
            recorded.iter().for_each(|event| self.apply(event));
            events.extend(recorded);
        }
        Ok(events)
    }

    /// The events of one entry. `self` is the state before it.
    fn record(&self, entry: Entry, now: Timestamp) -> Decision<Self> {
        use StepStatus::{Pending, Running, Waiting};
        if let Entry::Cancelled { reason } = entry {
            // Also after the last step.
            return if self.has_ended() { Err(R::Ended) } else { Ok(vec![E::Cancelled { reason }]) };
        }
        let status = self.step().ok_or(R::OutOfStep)?.status;
        let (action_index, step) = self.here()?;
        Ok(match (entry, status) {
            (Entry::Started {}, Pending) => {
                vec![E::StepStarted { action_index, step, iteration: 0, at: now }]
            }
            (Entry::Succeeded { result }, Running | Waiting) => {
                vec![E::StepSucceeded { action_index, step, result }]
            }
            (Entry::RetryScheduled { code, message, due_at }, Running) => {
                let attempt = self.step().map_or(0, |s| s.attempts) + 1;
                let message = message.into();
                vec![E::StepRetryScheduled { action_index, step, attempt, code, message, due_at }]
            }
            (Entry::Failed { class, code, message, go_on }, Pending | Running | Waiting) => {
                let message = Personal::new(message);
                let parked =
                    E::Parked { action_index, step: step.clone(), code: code.clone(), message: message.clone() };
                let failed = E::StepFailed { action_index, step, class, code, message };
                if go_on { vec![failed] } else { vec![failed, parked] }
            }
            (Entry::LeftOut { reason }, Pending) => {
                vec![E::StepSkipped { action_index, step, output: Personal::erased(), reason }]
            }
            (Entry::Waiting { until, event_type, matching }, Running) => {
                vec![E::StepWaiting { action_index, step, until, event_type, matching }]
            }
            (Entry::Notified { to, subject, body }, Running) => {
                vec![E::NotificationRequested { action_index, step, to, subject, body }]
            }
            _ => return Err(R::OutOfStep),
        })
    }

    /// Adds the run's end if `events` end its last step.
    fn completed(&self, mut events: Vec<E>) -> Vec<E> {
        let mut after = self.clone();
        events.iter().for_each(|event| after.apply(event));
        if after.current == after.steps.len() && !after.has_ended() {
            events.push(E::Succeeded {});
        }
        events
    }
}

impl Aggregate for Run {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "workflow/runs";

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let engine = crate::is_engine(&ctx.actor);
        Ok(match command {
            C::Start { .. } | C::Record { .. } if !engine => return Err(R::EngineOnly),
            C::Start { steps, .. } if steps.is_empty() || has_twins(&steps) => return Err(R::StepsWrong),
            C::Start {
                definition_id,
                definition,
                definition_version,
                definition_hash,
                document,
                steps,
                trigger,
                depth,
                entries,
            } => {
                let mut run = Self::default();
                let mut events = vec![E::Started {
                    definition_id,
                    definition,
                    definition_version,
                    definition_hash,
                    document,
                    steps,
                    trigger,
                    depth,
                }];
                events.iter().for_each(|event| run.apply(event));
                events.extend(run.record_all(entries, ctx.now)?);
                self.completed(events)
            }
            C::Cancel { .. } if self.status == RunStatus::Cancelled => vec![],
            _ if self.has_ended() => return Err(R::Ended),
            C::Cancel { reason } => vec![E::Cancelled { reason }],
            // An event ends a run that stands still; nothing else but an operator moves it.
            C::Record { entries }
                if self.status == RunStatus::Parked && !matches!(entries[..], [Entry::Cancelled { .. }]) =>
            {
                return Err(R::OutOfStep);
            }
            C::Record { entries } => self.completed(self.clone().record_all(entries, ctx.now)?),
            _ if self.status != RunStatus::Parked => return Err(R::NotParked),
            C::Retry { reason } => {
                let (action_index, step) = self.here()?;
                vec![E::Resumed { reason }, E::StepStarted { action_index, step, iteration: 0, at: ctx.now }]
            }
            C::Skip { output, reason } => {
                let (action_index, step) = self.here()?;
                // In JSON both are null, and an output of nothing has nothing to seal.
                let output = if output.is_null() { Personal::erased() } else { Personal::new(output) };
                let resumed = E::Resumed { reason: reason.clone() };
                self.completed(vec![resumed, E::StepSkipped { action_index, step, output, reason }])
            }
        })
    }

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.trigger.as_ref().map(|trigger| trigger.concerns.clone()).unwrap_or_default()
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Started {
                definition_id,
                definition,
                definition_version,
                definition_hash,
                document,
                steps,
                trigger,
                depth,
            } => {
                self.definition_id = *definition_id;
                self.definition = Some(definition.clone());
                self.definition_version = *definition_version;
                self.definition_hash = definition_hash.clone();
                self.document = document.clone().into();
                self.steps = steps.iter().map(|id| Step { id: id.clone(), ..Step::default() }).collect();
                self.trigger = Some(trigger.clone().into());
                self.depth = *depth;
            }
            E::StepStarted { at, .. } => {
                self.status = RunStatus::Running;
                self.at_step(|step| {
                    step.status = StepStatus::Running;
                    step.since = Some(*at);
                    step.attempts = 0;
                    step.due_at = None;
                });
            }
            E::StepSucceeded { result, .. } => {
                self.status = RunStatus::Running;
                self.leave(StepStatus::Succeeded, result.clone());
            }
            E::StepRetryScheduled { attempt, due_at, .. } => self.at_step(|step| {
                step.attempts = *attempt;
                step.due_at = Some(*due_at);
            }),
            E::StepFailed { .. } => {
                self.status = RunStatus::Running;
                self.leave(StepStatus::Failed, Personal::erased());
            }
            E::StepSkipped { output, .. } => self.leave(StepStatus::Skipped, output.clone()),
            E::StepWaiting { until, event_type, matching, .. } => {
                self.status = RunStatus::Waiting;
                self.at_step(|step| {
                    step.status = StepStatus::Waiting;
                    step.due_at = *until;
                    step.awaits = event_type.clone().map(|event_type| (event_type, matching.clone()));
                });
            }
            E::NotificationRequested { .. } => {}
            // A parked run stands at the step that failed.
            E::Parked { action_index, code, message, .. } => {
                self.status = RunStatus::Parked;
                self.incident = Some((code.clone(), message.text().to_owned()));
                self.current = usize::try_from(*action_index).unwrap_or(self.current);
            }
            E::Resumed { reason: _ } => {
                self.status = RunStatus::Running;
                self.incident = None;
            }
            E::Cancelled { reason: _ } => self.status = RunStatus::Cancelled,
            E::Succeeded {} => self.status = RunStatus::Succeeded,
        }
    }
}

impl Run {
    fn at_step(&mut self, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.get_mut(self.current) {
            change(step);
        }
    }

    fn leave(&mut self, status: StepStatus, result: Personal<Value>) {
        self.at_step(|step| {
            step.status = status;
            step.result = result;
            step.due_at = None;
            step.awaits = None;
        });
        self.current += 1;
    }
}

fn has_twins(ids: &[String]) -> bool {
    ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id))
}

#[cfg(test)]
mod tests;
