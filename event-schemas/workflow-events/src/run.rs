//! What happens to a run of a workflow, step by step.

use kernel::{DefinitionId, Name, Personal, Resource, Text, Timestamp, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The event that started a run, as expressions see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// The event.
    pub event_id: Uuid,
    /// `appointment.booked`.
    pub event_type: String,
    /// Version of the payload below.
    pub event_version: u32,
    /// Its place in the log.
    pub position: i64,
    /// Kind of the stream it happened to: `scheduling.appointment`.
    pub aggregate_type: String,
    /// The stream it happened to.
    pub aggregate_id: Uuid,
    /// When it was committed.
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

/// What may be tried again, and what may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The same command may succeed later.
    Retryable,
    /// The same command will fail again until somebody changes something.
    Terminal,
}

/// Everything that happens to a run of a workflow. `action_index` counts the definition's actions from 0.
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
        /// The ids of the steps, in order.
        steps: Vec<String>,
        /// The event that started the run.
        trigger: Trigger,
        /// How many runs led to this one, each by an event of the one before.
        depth: u32,
    },
    /// A step began.
    #[name("step.started")]
    StepStarted {
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// Which pass over the step, from 0.
        iteration: u32,
        /// When.
        at: Timestamp,
    },
    /// A step did what it was for.
    #[name("step.succeeded")]
    StepSucceeded {
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// What later steps may refer to, such as the id of what was created.
        result: Personal<Value>,
    },
    /// A step did not succeed and will be tried again.
    #[name("step.retry_scheduled")]
    StepRetryScheduled {
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// How many attempts have been made.
        attempt: u32,
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
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
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
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// What later steps may refer to instead of a result.
        output: Personal<Value>,
        /// Why.
        reason: Name,
    },
    /// A step waits, for a time or for an event.
    #[name("step.waiting")]
    StepWaiting {
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// Until when; for an event, when waiting for it ends in vain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Which kind of event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_type: Option<String>,
        /// The condition that the event must meet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matching: Option<String>,
    },
    /// Somebody shall be told something; the communications context delivers it.
    NotificationRequested {
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// Who.
        to: Personal<String>,
        /// In one line.
        subject: Personal<Text>,
        /// In full.
        body: Personal<Text>,
    },
    /// The run stands still at a step until an operator acts: an incident.
    Parked {
        /// Which action.
        action_index: u32,
        /// The step's id.
        step: String,
        /// Stable code of the reason.
        code: String,
        /// The reason.
        message: Personal<String>,
    },
    /// An operator had the parked run try its step again.
    Resumed {
        /// Why.
        reason: Name,
    },
    /// The run ended before its last step, on purpose.
    Cancelled {
        /// Why.
        reason: Name,
    },
    /// Every step is done.
    Succeeded {},
}
