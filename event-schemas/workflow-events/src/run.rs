//! What happens to a run of a workflow, step by step.

use crate::{ApprovalOutcome, ApprovalTerms, StepPath, Wait};
use kernel::{DefinitionId, Name, Pattern, Personal, Principal, Resource, RunId, Slug, Text, Timestamp, UserId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What kind of thing started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// An event of the log.
    Event,
    /// A time that the definition's schedule names.
    Schedule,
    /// A step of another run.
    Run,
}

/// What started a run, as expressions see it: an event, or what is told like one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// What kind of thing it is.
    pub kind: TriggerKind,
    /// The event. For a schedule or another run an id that derives from the time or the step.
    pub event_id: Uuid,
    /// `appointment.booked`; `schedule.due` and `run.called` are no events of the log.
    pub event_type: String,
    /// Version of the payload below.
    pub event_version: u32,
    /// Its place in the log; otherwise where the log ended at that moment.
    pub position: i64,
    /// Kind of the stream it happened to: `scheduling.appointment`.
    pub aggregate_type: String,
    /// The stream it happened to; otherwise the definition, or the run that called.
    pub aggregate_id: Uuid,
    /// When it was committed, or due.
    pub recorded_at: Timestamp,
    /// The request that started the whole chain.
    pub correlation_id: Uuid,
    /// W3C trace context of that request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The clients and projects that it is about; the run is about them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<Resource>,
    /// What happened.
    pub payload: Personal<Value>,
}

// Only the engine sends it.
kernel::input_as_deserialized!(Trigger);

/// The step of another run that called this one and waits for its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parent {
    /// The other run.
    pub run_id: RunId,
    /// Its step.
    pub step: StepPath,
}

kernel::input_as_deserialized!(Parent);

/// A step that two versions of a definition call differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Renamed {
    /// What it was called.
    pub from: StepPath,
    /// What it is called from now on.
    pub to: StepPath,
}

kernel::input_as_deserialized!(Renamed);

impl Renamed {
    /// What a step is called from now on, which may be inside of one that is called something else.
    pub fn of(renamed: &[Self], path: StepPath) -> StepPath {
        let found = renamed.iter().find(|renamed| path.is_within(&renamed.from));
        let rest = found.and_then(|renamed| Some((renamed, path.strip_prefix(renamed.from.as_str())?)));
        rest.and_then(|(renamed, rest)| format!("{}{rest}", renamed.to).parse().ok()).unwrap_or(path)
    }
}

/// What may be tried again, and what may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailureClass {
    /// The same may succeed later.
    Retryable {},
    /// The other side takes no more for now; later is no failure.
    RateLimited {
        /// Not before so many seconds have passed, if the other side says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u32>,
    },
    /// Somebody has to authorise a connection again first.
    AuthBroken {
        /// Which one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<Uuid>,
    },
    /// Nobody knows whether it had its effect. It is repeated only where a repeat is recognised.
    UnknownOutcome {},
    /// The same will fail again until somebody changes something.
    Terminal {},
}

/// Everything that happens to a run of a workflow. Steps are named by their path: `contact`, `reminders[2].send`. No event says that
/// a step begins: one says what came of it, and since when.
#[event("workflow.run")]
#[expect(clippy::large_enum_variant, reason = "a run starts once, and its definition travels with that event")]
pub enum RunEvent {
    /// A run began, on a snapshot of the definition that nothing changes any more.
    Started {
        /// The definition.
        definition_id: DefinitionId,
        /// What the definition is called.
        definition: Name,
        /// Which version of it.
        definition_version: u32,
        /// SHA-256 of the version's document.
        definition_hash: String,
        /// The version's document.
        document: Value,
        /// The steps that are there from the beginning, in order; those inside of them are told when they are reached.
        steps: Vec<StepPath>,
        /// Some step says how it is taken back.
        compensates: bool,
        /// What started the run.
        trigger: Trigger,
        /// How many runs led to this one, each by an event of the one before.
        depth: u32,
        /// At most one run of the definition with this key goes on at a time; without one, any number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correlation_key: Option<Personal<String>>,
        /// The step that called it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// A step did what it was for.
    #[name("step.succeeded")]
    StepSucceeded {
        /// Which step.
        step: StepPath,
        /// When it began.
        began_at: Timestamp,
        /// What later steps may refer to, such as the id of what was created.
        result: Personal<Value>,
    },
    /// A step did not succeed and will be tried again.
    #[name("step.retry_scheduled")]
    StepRetryScheduled {
        /// Which step.
        step: StepPath,
        /// When its first attempt began.
        began_at: Timestamp,
        /// How many attempts have been made.
        attempt: u32,
        /// Why another attempt makes sense.
        class: FailureClass,
        /// Stable code of what went wrong.
        code: String,
        /// What went wrong.
        message: Personal<String>,
        /// When the next attempt is due.
        due_at: Timestamp,
    },
    /// A step did not succeed and will not be tried again by itself.
    #[name("step.failed")]
    StepFailed {
        /// Which step.
        step: StepPath,
        /// When its first attempt began.
        began_at: Timestamp,
        /// Would another attempt have made sense?
        class: FailureClass,
        /// Stable code of what went wrong: `files.folder.unknown_template`.
        code: String,
        /// What went wrong.
        message: Personal<String>,
    },
    /// A step was left out, because its condition did not hold or because an operator said so.
    #[name("step.skipped")]
    StepSkipped {
        /// Which step.
        step: StepPath,
        /// What later steps may refer to instead of a result.
        output: Personal<Value>,
        /// Why.
        reason: Name,
    },
    /// Steps will not be reached: they are inside of what was skipped, or of a case that was not chosen.
    #[name("step.left_out")]
    StepsLeftOut {
        /// Which steps.
        steps: Vec<StepPath>,
    },
    /// A step waits for nothing any more, because the run was ended.
    #[name("step.cancelled")]
    StepCancelled {
        /// Which step.
        step: StepPath,
    },
    /// A step waits.
    #[name("step.waiting")]
    StepWaiting {
        /// Which step.
        step: StepPath,
        /// Since when.
        began_at: Timestamp,
        /// For what.
        wait: Wait,
    },
    /// A choice was made: the steps of one case are next.
    #[name("step.chosen")]
    StepChosen {
        /// Which step.
        step: StepPath,
        /// The case's name; none if no case holds and there is nothing else to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<String>,
    },
    /// A loop knows what it goes over.
    #[name("step.expanded")]
    StepExpanded {
        /// Which step.
        step: StepPath,
        /// Since when.
        began_at: Timestamp,
        /// One round for each.
        items: Personal<Vec<Value>>,
    },
    /// Somebody shall decide.
    #[name("approval.requested")]
    ApprovalRequested {
        /// Which step.
        step: StepPath,
        /// Since when.
        began_at: Timestamp,
        /// What is asked.
        question: Personal<Text>,
        /// Who decides, and until when.
        terms: ApprovalTerms,
    },
    /// Somebody is for it.
    #[name("approval.granted")]
    ApprovalGranted {
        /// Which step.
        step: StepPath,
        /// Who.
        by: Principal,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<Personal<Text>>,
    },
    /// Somebody is against it, and that is decisive.
    #[name("approval.rejected")]
    ApprovalRejected {
        /// Which step.
        step: StepPath,
        /// Who.
        by: Principal,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<Personal<Text>>,
    },
    /// Somebody who may decide lets another one decide too.
    #[name("approval.delegated")]
    ApprovalDelegated {
        /// Which step.
        step: StepPath,
        /// Who.
        by: Principal,
        /// Who may decide too.
        to: UserId,
        /// Why.
        reason: Name,
    },
    /// Those who may decide shall be reminded.
    #[name("approval.reminded")]
    ApprovalReminded {
        /// Which step.
        step: StepPath,
        /// When they are reminded again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
    },
    /// Others may decide too, because nobody has.
    #[name("approval.escalated")]
    ApprovalEscalated {
        /// Which step.
        step: StepPath,
        /// Whoever holds all that these patterns grant.
        to: Vec<Pattern>,
    },
    /// Nobody is asked any more.
    #[name("approval.closed")]
    ApprovalClosed {
        /// Which step.
        step: StepPath,
        /// How it came out.
        outcome: ApprovalOutcome,
    },
    /// Somebody shall be told something; the communications context delivers it.
    NotificationRequested {
        /// Which step.
        step: StepPath,
        /// Who.
        to: Personal<String>,
        /// In one line.
        subject: Personal<Text>,
        /// In full.
        body: Personal<Text>,
    },
    /// Somebody sent a signal, which a step may wait for, now or later.
    SignalReceived {
        /// What it is called.
        name: Slug,
        /// What comes with it.
        payload: Personal<Value>,
    },
    /// The run stands still at a step until an operator acts: an incident.
    Parked {
        /// Which step.
        step: StepPath,
        /// Stable code of the reason.
        code: String,
        /// The reason.
        message: Personal<String>,
    },
    /// An operator had a parked run go on.
    Resumed {
        /// The steps at which it stood still.
        steps: Vec<StepPath>,
        /// Why.
        reason: Name,
    },
    /// An operator says what a step is sent with, instead of what the definition says.
    InputAmended {
        /// Which step.
        step: StepPath,
        /// The command's fields.
        parameters: Personal<Value>,
        /// Why.
        reason: Name,
    },
    /// An operator has the run take a step again, and everything after it, with new effects.
    Rerun {
        /// From which step on.
        step: StepPath,
        /// Every step that is to be taken again.
        steps: Vec<StepPath>,
        /// Why.
        reason: Name,
    },
    /// An operator has the run follow another version of its definition.
    Moved {
        /// Which version.
        definition_version: u32,
        /// SHA-256 of the version's document.
        definition_hash: String,
        /// The version's document.
        document: Value,
        /// The steps that are there from the beginning, in order.
        steps: Vec<StepPath>,
        /// Some step says how it is taken back.
        compensates: bool,
        /// The steps that are called something else from now on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        renamed: Vec<Renamed>,
        /// Why.
        reason: Name,
    },
    /// The run ended before its last step, on purpose.
    Cancelled {
        /// Why.
        reason: Name,
    },
    /// What the run has done is taken back, last first, where its definition says how.
    CompensationStarted {
        /// Why.
        reason: Name,
    },
    /// What the run had done is taken back.
    Compensated {},
    /// Every step is done.
    Succeeded {},
}

impl RunEvent {
    /// The step that the event is about, if it is about one.
    pub fn step(&self) -> Option<&StepPath> {
        match self {
            Self::StepSucceeded { step, .. }
            | Self::StepRetryScheduled { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepCancelled { step }
            | Self::StepWaiting { step, .. }
            | Self::StepChosen { step, .. }
            | Self::StepExpanded { step, .. }
            | Self::ApprovalRequested { step, .. }
            | Self::ApprovalGranted { step, .. }
            | Self::ApprovalRejected { step, .. }
            | Self::ApprovalDelegated { step, .. }
            | Self::ApprovalReminded { step, .. }
            | Self::ApprovalEscalated { step, .. }
            | Self::ApprovalClosed { step, .. }
            | Self::NotificationRequested { step, .. }
            | Self::InputAmended { step, .. }
            | Self::Parked { step, .. } => Some(step),
            Self::Started { .. }
            | Self::StepsLeftOut { .. }
            | Self::SignalReceived { .. }
            | Self::Resumed { .. }
            | Self::Rerun { .. }
            | Self::Moved { .. }
            | Self::Cancelled { .. }
            | Self::CompensationStarted { .. }
            | Self::Compensated {}
            | Self::Succeeded {} => None,
        }
    }

    /// Every step that the event says something about.
    pub fn steps(&self) -> Vec<&StepPath> {
        match self {
            Self::Started { steps, .. }
            | Self::StepsLeftOut { steps }
            | Self::Resumed { steps, .. }
            | Self::Rerun { steps, .. }
            | Self::Moved { steps, .. } => steps.iter().collect(),
            _ => self.step().into_iter().collect(),
        }
    }
}
