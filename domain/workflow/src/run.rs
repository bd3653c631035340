//! A run: one pass through a version of a definition, started by one event, one time or one step of another run.

mod approval;
mod entry;
mod verbs;

pub use approval::Approval;
pub use entry::Entry;

use crate::Shared;
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, DefinitionId, Machine, Name, Personal, Progress, Resource, Slug,
    Text, Timestamp, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use workflow_events::{Parent, Renamed, RunEvent as E, RunProgress, RunStatus, StepPath, StepStatus, Trigger, Wait};

use RunCommand as C;
use RunRejection as R;

type Decided = Decision<Run>;

/// What may be asked of a run.
#[command("workflow.run", !member)]
#[expect(clippy::large_enum_variant, reason = "a run starts once, and its definition travels with that command")]
pub enum RunCommand {
    /// Starts a run; only the engine does.
    #[creates]
    #[refused(EngineOnly, InvalidSteps, "workflow.run.correlation.taken")]
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
        /// The steps that are there from the beginning, in order.
        steps: Vec<StepPath>,
        /// Some step says how it is taken back.
        #[serde(default)]
        compensates: bool,
        /// What starts the run.
        trigger: Trigger,
        /// How many runs led to this one.
        #[serde(default)]
        depth: u32,
        /// At most one run of the definition with this key goes on at a time.
        #[serde(default)]
        correlation_key: Option<String>,
        /// The step that calls it.
        #[serde(default)]
        parent: Option<Parent>,
    },
    /// Records what happened to the run's steps; only the engine does.
    #[refused(EngineOnly, Ended, StalePosition)]
    Record {
        /// What happened, in order.
        entries: Vec<Entry>,
    },
    /// Has a parked run try again what it stands still at.
    #[refused(Ended, NotParked, UnknownStep)]
    Retry {
        /// Which step, if it stands still at several; otherwise all.
        #[serde(default)]
        step: Option<StepPath>,
        /// Why it may succeed now.
        reason: Name,
    },
    /// Has a parked run go on without a step.
    #[refused(Ended, NotParked, UnknownStep)]
    Skip {
        /// Which step, if it stands still at several.
        #[serde(default)]
        step: Option<StepPath>,
        /// What later steps refer to instead of the step's result: `{"id": "…"}`.
        #[serde(default)]
        output: Value,
        /// Why.
        reason: Name,
    },
    /// Has a parked run try a step again with other input than the definition says.
    #[refused(Ended, NotParked, UnknownStep)]
    AmendInput {
        /// Which step, if it stands still at several.
        #[serde(default)]
        step: Option<StepPath>,
        /// The command's fields: `{"name": "…"}`.
        parameters: Value,
        /// Why.
        reason: Name,
    },
    /// Has a run that is parked or has succeeded take a step again, and everything that came after it, with new effects.
    #[refused(Ended, NotParked, UnknownStep, "workflow.run.correlation.taken")]
    RerunFrom {
        /// From which step on.
        step: StepPath,
        /// Why.
        reason: Name,
    },
    /// Has a parked run follow another version of its definition; only `ubos workflow move` does, because it checks it.
    #[refused(EngineOnly, Ended, NotParked, InvalidSteps)]
    MoveTo {
        /// Which version.
        definition_version: u32,
        /// SHA-256 of the version's document.
        definition_hash: String,
        /// The version's document.
        document: Value,
        /// The steps that are there from the beginning, in order.
        steps: Vec<StepPath>,
        /// Some step says how it is taken back.
        #[serde(default)]
        compensates: bool,
        /// The steps that are called something else.
        #[serde(default)]
        renamed: Vec<Renamed>,
        /// Why.
        reason: Name,
    },
    /// Ends the run before its last step; what it has done is taken back where its definition says how.
    #[refused(Ended)]
    Cancel {
        /// What it has done stays.
        #[serde(default)]
        keep: bool,
        /// Why.
        reason: Name,
    },
    /// Takes back what the run has done, last first; a run that goes on is ended by it.
    #[refused(NothingToUndo)]
    Compensate {
        /// Why.
        reason: Name,
    },
    /// Sends the run a signal; a step that waits for it goes on, now or when it comes to wait.
    #[refused(Ended, TooManySignals)]
    Signal {
        /// What the definition calls it.
        name: Slug,
        /// What comes with it.
        #[serde(default)]
        payload: Value,
    },
    /// Decides for what is asked at a step.
    #[refused(Ended, NotOpen, NotForYou)]
    Approve {
        /// Which step.
        step: StepPath,
        /// Why.
        #[serde(default)]
        comment: Option<Text>,
    },
    /// Decides against what is asked at a step.
    #[refused(Ended, NotOpen, NotForYou)]
    Reject {
        /// Which step.
        step: StepPath,
        /// Why.
        #[serde(default)]
        comment: Option<Text>,
    },
    /// Lets another user decide too on what is asked at a step.
    #[refused(Ended, NotOpen, NotForYou)]
    Delegate {
        /// Which step.
        step: StepPath,
        /// Who.
        to_user_id: UserId,
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
    /// The run is not parked.
    NotParked,
    /// The run stands elsewhere than the record says.
    StalePosition,
    /// The run has no such step that it stands still at; if it stands still at several, say at which.
    #[invalid("/step")]
    UnknownStep,
    /// A run has at least one step, no step's id twice, and no two steps of which one is renamed to the other.
    #[invalid("/steps")]
    InvalidSteps,
    /// Nothing that the run does says how it is taken back, or it has been.
    NothingToUndo,
    /// The run has more signals than it has taken up.
    TooManySignals,
    /// Nobody is asked at this step, not yet or not any more.
    NotOpen,
    /// The definition has others decide here.
    #[audited]
    NotForYou,
}

/// What is remembered of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
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
    /// What it waits for.
    pub wait: Option<Wait>,
    /// What is asked.
    pub approval: Option<Approval>,
    /// What a loop goes over.
    pub items: Personal<Vec<Value>>,
    /// The case that was chosen.
    pub case: Option<String>,
    /// What it is sent with, if an operator said so.
    pub amended: Option<Personal<Value>>,
    /// How often it was taken again with new effects.
    pub rerun: u32,
    /// The how manieth of the run's steps to end; 0 until it has.
    pub ended: u32,
}

/// A signal that no step has taken up yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// What it is called.
    pub name: String,
    /// What came with it.
    pub payload: Personal<Value>,
}

/// Signals that a run keeps for later.
const SIGNALS_MAX: usize = 100;

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
    /// Some step says how it is taken back.
    pub compensates: bool,
    /// What started it.
    pub trigger: Option<Shared<Trigger>>,
    /// How many runs led to it.
    pub depth: u32,
    /// At most one run of the definition with this key goes on at a time.
    pub correlation_key: Option<Personal<String>>,
    /// The step of another run that waits for its end.
    pub parent: Option<Parent>,
    /// Where it stands.
    pub progress: RunProgress,
    /// The steps that are there from the beginning, in order.
    pub order: Vec<StepPath>,
    /// What is known of steps, by their path.
    pub steps: BTreeMap<StepPath, Step>,
    /// What it stands still for, by step: stable code and sentence.
    pub incidents: BTreeMap<StepPath, (String, String)>,
    /// Signals that no step has taken up yet.
    pub signals: Vec<Signal>,
    /// How many steps have ended.
    pub ended: u32,
}

impl Run {
    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        self.progress.status
    }

    /// Will it do nothing more by itself?
    pub fn has_ended(&self) -> bool {
        self.status().has_ended()
    }

    /// What is known of a step; nothing before anything came of it.
    pub fn step_at(&self, path: &str) -> Option<&Step> {
        self.steps.get(path)
    }

    /// Where a step stands.
    pub fn step_status(&self, path: &str) -> StepStatus {
        self.step_at(path).map_or(StepStatus::Pending, |step| step.status)
    }

    /// The first step that it stands still at, with code and sentence.
    pub fn incident(&self) -> Option<(&StepPath, &str, &str)> {
        self.incidents.iter().next().map(|(step, (code, message))| (step, code.as_str(), message.as_str()))
    }

    /// Could it take something back that it has not?
    fn may_compensate(&self) -> bool {
        let status = self.status();
        self.compensates
            && !matches!(status, RunStatus::Compensating | RunStatus::Compensated)
            && !self.progress.compensating
    }

    /// What a run with a correlation key holds while it goes on.
    fn correlation(&self, key: Option<&Personal<String>>) -> Option<Claim> {
        Some(Claim::personal("workflow.run.correlation", format!("{}:{}", self.definition_id, key?.text())))
    }
}

impl Aggregate for Run {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "workflow/runs";
    const STATE_VERSION: i32 = 2;

    fn decide(&self, command: C, ctx: &Context) -> Decided {
        let engine = crate::is_engine(&ctx.actor);
        match command {
            C::Start { .. } | C::Record { .. } | C::MoveTo { .. } if !engine => Err(R::EngineOnly),
            C::Start { steps, .. } | C::MoveTo { steps, .. } if steps.is_empty() || has_twins(&steps) => {
                Err(R::InvalidSteps)
            }
            C::Start {
                definition_id,
                definition,
                definition_version,
                definition_hash,
                document,
                steps,
                compensates,
                trigger,
                depth,
                correlation_key,
                parent,
            } => Ok(vec![E::Started {
                definition_id,
                definition,
                definition_version,
                definition_hash,
                document,
                steps,
                compensates,
                trigger,
                depth,
                correlation_key: correlation_key.map(Personal::new),
                parent,
            }]),
            C::Compensate { reason } => self.compensate(reason),
            C::Cancel { .. } if matches!(self.status(), RunStatus::Cancelled | RunStatus::Compensated) => Ok(vec![]),
            C::Cancel { .. } if self.progress.compensating => Ok(vec![]),
            C::RerunFrom { step, reason } => self.rerun(step, reason),
            _ if self.has_ended() => Err(R::Ended),
            C::Cancel { keep, reason } => Ok(self.cancel(keep, reason)),
            // A run that stands still hears of what was on its way, and is ended by an event; only an operator moves it on.
            C::Record { entries } if self.status() == RunStatus::Parked && !moves_nothing(&entries) => {
                Err(R::StalePosition)
            }
            C::Record { entries } => self.clone().record_all(entries),
            C::Signal { .. } if self.signals.len() >= SIGNALS_MAX => Err(R::TooManySignals),
            C::Signal { name, payload } => Ok(vec![E::SignalReceived { name, payload: known(payload) }]),
            C::Approve { step, comment } => self.approve(step, comment, ctx),
            C::Reject { step, comment } => self.reject(step, comment, ctx),
            C::Delegate { step, to_user_id, reason } => self.delegate(step, to_user_id, reason, ctx),
            _ if self.status() != RunStatus::Parked => Err(R::NotParked),
            // It follows that version already.
            C::MoveTo { definition_version, ref definition_hash, .. }
                if definition_version == self.definition_version && *definition_hash == self.definition_hash =>
            {
                Ok(vec![])
            }
            C::MoveTo { renamed, .. } if self.two_become_one(&renamed) => Err(R::InvalidSteps),
            C::Retry { step, reason } => self.retry(step, reason),
            C::Skip { step, output, reason } => self.skip(step, output, reason),
            C::AmendInput { step, parameters, reason } => self.amend(step, parameters, reason),
            C::MoveTo { definition_version, definition_hash, document, steps, compensates, renamed, reason } => {
                Ok(vec![E::Moved {
                    definition_version,
                    definition_hash,
                    document,
                    steps,
                    compensates,
                    renamed,
                    reason,
                }])
            }
        }
    }

    fn belongs_to(&self, _id: uuid::Uuid) -> Vec<Resource> {
        self.trigger.as_ref().map(|trigger| trigger.concerns.clone()).unwrap_or_default()
    }

    fn apply(&mut self, event: &E) {
        self.progress.apply(event);
        if let Some(path) = event.step() {
            let step = self.steps.entry(path.clone()).or_default();
            step.status = step.status.after(event);
            if matches!(
                event,
                E::StepSucceeded { .. } | E::StepFailed { .. } | E::StepSkipped { .. } | E::StepChosen { .. }
            ) {
                self.ended += 1;
                step.ended = self.ended;
                step.due_at = None;
                step.wait = None;
            }
        }
        match event {
            E::Started {
                definition_id,
                definition,
                definition_version,
                definition_hash,
                document,
                steps,
                compensates,
                trigger,
                depth,
                correlation_key,
                parent,
            } => {
                self.definition_id = *definition_id;
                self.definition = Some(definition.clone());
                self.follow(*definition_version, definition_hash, document, steps, *compensates);
                self.trigger = Some(trigger.clone().into());
                self.depth = *depth;
                self.correlation_key.clone_from(correlation_key);
                self.parent.clone_from(parent);
            }
            E::StepSucceeded { step, began_at, result } => {
                self.take_up_signal(result);
                self.at(step, |step| {
                    step.result = result.clone();
                    step.since = Some(*began_at);
                });
            }
            E::StepRetryScheduled { step, began_at, attempt, due_at, .. } => self.at(step, |step| {
                step.since = Some(*began_at);
                step.attempts = *attempt;
                step.due_at = Some(*due_at);
            }),
            E::StepFailed { step, began_at, .. } => self.at(step, |step| {
                step.since = Some(*began_at);
                step.result = Personal::erased();
            }),
            E::StepSkipped { step, output, .. } => self.at(step, |step| step.result = output.clone()),
            E::StepsLeftOut { steps } => self.leave_out(steps, event),
            E::StepWaiting { step, began_at, wait } => self.at(step, |step| {
                step.since = Some(*began_at);
                step.due_at = wait.deadline.as_ref().map(|deadline| deadline.at);
                step.wait = Some(wait.clone());
            }),
            E::StepChosen { step, case } => self.at(step, |step| {
                step.case.clone_from(case);
                step.result = Personal::new(json!({ "case": case }));
            }),
            E::StepExpanded { step, began_at, items } => self.at(step, |step| {
                step.since = Some(*began_at);
                step.items = items.clone();
            }),
            E::ApprovalRequested { step, began_at, terms, .. } => self.at(step, |step| {
                step.since = Some(*began_at);
                let approval = Approval::new(terms.clone());
                step.due_at = approval.due_at();
                step.approval = Some(approval);
            }),
            E::ApprovalGranted { step, by, .. } => self.at_approval(step, |approval| approval.granted.push(*by)),
            E::ApprovalDelegated { step, to, .. } => self.at_approval(step, |approval| approval.delegates.push(*to)),
            E::ApprovalReminded { step, remind_at } => {
                self.at_approval(step, |approval| approval.terms.remind_at = *remind_at);
            }
            E::ApprovalEscalated { step, .. } => self.at_approval(step, |approval| approval.escalated = true),
            E::ApprovalClosed { step, .. } => self.at(step, |step| step.approval = None),
            E::SignalReceived { name, payload } => {
                self.signals.push(Signal { name: name.to_string(), payload: payload.clone() });
            }
            E::Parked { step, code, message } => {
                self.incidents.insert(step.clone(), (code.clone(), message.text().to_owned()));
            }
            E::Resumed { steps, .. } => {
                for step in steps {
                    self.incidents.remove(step);
                    self.again(step, event, 0);
                }
            }
            E::InputAmended { step, parameters, .. } => {
                self.at(step, |step| step.amended = Some(parameters.clone()));
            }
            E::Rerun { steps, .. } => {
                for step in steps {
                    self.incidents.remove(step);
                    self.again(step, event, 1);
                }
            }
            E::Moved { definition_version, definition_hash, document, steps, compensates, renamed, .. } => {
                self.follow(*definition_version, definition_hash, document, steps, *compensates);
                self.rename(renamed);
            }
            E::CompensationStarted { .. } => self.incidents.clear(),
            E::ApprovalRejected { .. }
            | E::StepCancelled { .. }
            | E::NotificationRequested { .. }
            | E::Cancelled { .. }
            | E::Compensated {}
            | E::Succeeded {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Started { definition_id, correlation_key, .. } => {
                let run = Self { definition_id: *definition_id, ..Self::default() };
                run.correlation(correlation_key.as_ref()).map(ClaimChange::Take).into_iter().collect()
            }
            E::Rerun { .. } if self.has_ended() => {
                self.correlation(self.correlation_key.as_ref()).map(ClaimChange::Take).into_iter().collect()
            }
            E::Succeeded {} | E::Cancelled { .. } => {
                self.correlation(self.correlation_key.as_ref()).map(ClaimChange::Release).into_iter().collect()
            }
            _ => vec![],
        }
    }
}

/// Does the record end the run, or tell of steps that were at work when it came to stand still?
fn moves_nothing(entries: &[Entry]) -> bool {
    let told = |entry: &Entry| matches!(entry, Entry::Succeeded { .. } | Entry::Failed { .. });
    entries.iter().any(|entry| matches!(entry, Entry::Cancelled { .. })) || entries.iter().all(told)
}

/// In JSON both are null, and a value of nothing has nothing to seal.
fn known(value: Value) -> Personal<Value> {
    if value.is_null() { Personal::erased() } else { Personal::new(value) }
}

fn has_twins(ids: &[StepPath]) -> bool {
    ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id))
}

#[cfg(test)]
mod tests;
