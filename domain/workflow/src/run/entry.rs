//! What the engine records of a run.

use crate::run::{Decided, Run, RunRejection as R};
use kernel::{Name, Pattern, Personal, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use workflow_events::{
    ApprovalOutcome, ApprovalTerms, FailureClass, RunEvent as E, RunStatus, StepPath, StepStatus, Wait,
};

/// What happened to a run or to one of its steps. The engine records as many at once as it can.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A step did what it was for.
    Succeeded {
        /// Which step.
        step: StepPath,
        /// When it began.
        began_at: Timestamp,
        /// What later steps may refer to.
        result: Personal<Value>,
    },
    /// A step will be tried again.
    RetryScheduled {
        /// Which step.
        step: StepPath,
        /// When its first attempt began.
        began_at: Timestamp,
        /// Why that makes sense.
        class: FailureClass,
        /// Stable code of what went wrong.
        code: String,
        /// What went wrong.
        message: String,
        /// When.
        due_at: Timestamp,
    },
    /// A step will not be tried again by itself. Unless `go_on`, the run is parked.
    Failed {
        /// Which step.
        step: StepPath,
        /// When its first attempt began.
        began_at: Timestamp,
        /// Would another attempt have made sense?
        class: FailureClass,
        /// Stable code of what went wrong.
        code: String,
        /// What went wrong.
        message: String,
        /// Goes on with the next step.
        go_on: bool,
    },
    /// A step's condition did not hold.
    LeftOut {
        /// Which step.
        step: StepPath,
        /// The steps inside of it.
        #[serde(default)]
        left_out: Vec<StepPath>,
        /// Why.
        reason: Name,
    },
    /// A step waits.
    Waiting {
        /// Which step.
        step: StepPath,
        /// Since when.
        began_at: Timestamp,
        /// For what.
        wait: Wait,
    },
    /// A choice was made.
    Chosen {
        /// Which step.
        step: StepPath,
        /// The case.
        #[serde(default)]
        case: Option<String>,
        /// The steps of the other cases.
        #[serde(default)]
        left_out: Vec<StepPath>,
    },
    /// A loop knows what it goes over.
    Expanded {
        /// Which step.
        step: StepPath,
        /// Since when.
        began_at: Timestamp,
        /// One round for each.
        items: Personal<Vec<Value>>,
    },
    /// Somebody shall decide.
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
    /// Those who may decide shall be reminded.
    ApprovalReminded {
        /// Which step.
        step: StepPath,
        /// When again.
        #[serde(default)]
        remind_at: Option<Timestamp>,
    },
    /// Others may decide too.
    ApprovalEscalated {
        /// Which step.
        step: StepPath,
        /// Who.
        to: Vec<Pattern>,
    },
    /// A step wants somebody told.
    Notified {
        /// Which step.
        step: StepPath,
        /// Who.
        to: Personal<String>,
        /// In one line.
        subject: Personal<Text>,
        /// In full.
        body: Personal<Text>,
    },
    /// An event ended the run, or whoever called it.
    Cancelled {
        /// Why.
        reason: Name,
    },
    /// What was done is to be taken back.
    CompensationStarted {
        /// Why.
        reason: Name,
    },
    /// Everything that can be taken back is.
    Compensated {},
    /// Every step is done.
    Finished {},
}

// Only the engine sends it.
kernel::input_as_deserialized!(Entry);

impl Run {
    /// Moves the state along `entries` and answers their events.
    pub(super) fn record_all(&mut self, entries: Vec<Entry>) -> Decided {
        use kernel::Aggregate as _;
        let mut events = vec![];
        for entry in entries {
            let recorded = self.record(entry)?;
            recorded.iter().for_each(|event| self.apply(event));
            events.extend(recorded);
        }
        Ok(events)
    }

    /// The events of one entry. `self` is the state before it.
    fn record(&self, entry: Entry) -> Decided {
        use StepStatus::{Pending, RetryScheduled, Running, Waiting};
        let (fresh, open) = ([Pending, RetryScheduled], [Pending, RetryScheduled, Running, Waiting]);
        let (pending, waiting) = ([Pending], [Waiting]);
        let status = self.status();
        if let Some(step) = entry.step() {
            let allowed: &[StepStatus] = match &entry {
                Entry::Succeeded { .. } | Entry::Failed { .. } => &open,
                Entry::RetryScheduled { .. } | Entry::Notified { .. } => &fresh,
                Entry::Waiting { .. } | Entry::ApprovalRequested { .. } => &fresh,
                Entry::LeftOut { .. } | Entry::Chosen { .. } | Entry::Expanded { .. } => &pending,
                _ => &waiting,
            };
            self.expect(step, allowed)?;
            let of_question = matches!(entry, Entry::ApprovalReminded { .. } | Entry::ApprovalEscalated { .. });
            if of_question && self.step_at(step).is_none_or(|step| step.approval.is_none()) {
                return Err(R::StalePosition);
            }
        }
        Ok(match entry {
            // An event ends a run that stands still, too.
            Entry::Cancelled { reason } if !status.has_ended() && !self.progress.compensating => {
                self.ended_by(E::Cancelled { reason })
            }
            Entry::CompensationStarted { reason } if self.may_compensate() => vec![E::CompensationStarted { reason }],
            Entry::Compensated {} if status == RunStatus::Compensating => vec![E::Compensated {}],
            Entry::Finished {} if status == RunStatus::Running => vec![E::Succeeded {}],
            Entry::Cancelled { .. }
            | Entry::CompensationStarted { .. }
            | Entry::Compensated {}
            | Entry::Finished {} => return Err(R::StalePosition),
            Entry::Succeeded { step, began_at, result } => {
                // What somebody decides is no record of the engine's, which comes to a question only when its time is over.
                let closed = self.closes(&step, ApprovalOutcome::Expired);
                closed.into_iter().chain([E::StepSucceeded { step, began_at, result }]).collect()
            }
            Entry::RetryScheduled { step, began_at, class, code, message, due_at } => {
                let attempt = self.step_at(&step).map_or(0, |step| step.attempts) + 1;
                vec![E::StepRetryScheduled { step, began_at, attempt, class, code, message: message.into(), due_at }]
            }
            Entry::Failed { step, began_at, class, code, message, go_on } => {
                let message = Personal::new(message);
                let parked = E::Parked { step: step.clone(), code: code.clone(), message: message.clone() };
                let closed = self.closes(&step, ApprovalOutcome::Withdrawn);
                let failed = E::StepFailed { step, began_at, class, code, message };
                closed.into_iter().chain([failed]).chain((!go_on).then_some(parked)).collect()
            }
            Entry::LeftOut { step, left_out, reason } => {
                let left_out = self.not_reached(&step, left_out);
                let skipped = E::StepSkipped { step, output: Personal::erased(), reason };
                [skipped].into_iter().chain(left_out).collect()
            }
            Entry::Waiting { step, began_at, wait } => vec![E::StepWaiting { step, began_at, wait }],
            Entry::Chosen { step, case, left_out } => {
                let left_out = self.not_reached(&step, left_out);
                [E::StepChosen { step, case }].into_iter().chain(left_out).collect()
            }
            Entry::Expanded { step, began_at, items } => vec![E::StepExpanded { step, began_at, items }],
            Entry::ApprovalRequested { step, began_at, question, terms } => {
                vec![E::ApprovalRequested { step, began_at, question, terms }]
            }
            Entry::ApprovalReminded { step, remind_at } => vec![E::ApprovalReminded { step, remind_at }],
            Entry::ApprovalEscalated { step, to } => vec![E::ApprovalEscalated { step, to }],
            Entry::Notified { step, to, subject, body } => vec![E::NotificationRequested { step, to, subject, body }],
        })
    }

    /// Those inside of a step that nothing has come of, and nothing will.
    fn not_reached(&self, step: &StepPath, mut steps: Vec<StepPath>) -> Option<E> {
        let mut told = BTreeSet::new();
        steps.retain(|inner| {
            let open = inner != step && inner.is_within(step) && self.step_status(inner) == StepStatus::Pending;
            open && told.insert(inner.clone())
        });
        (!steps.is_empty()).then_some(E::StepsLeftOut { steps })
    }

    /// The step is one of the run's, and stands where this may happen to it.
    fn expect(&self, step: &StepPath, allowed: &[StepStatus]) -> Result<(), R> {
        let known = self.order.iter().any(|listed| step.is_within(listed));
        let stands = self.step_at(step).map_or(StepStatus::Pending, |step| step.status);
        if known && allowed.contains(&stands) && !self.status().has_ended() { Ok(()) } else { Err(R::StalePosition) }
    }
}

impl Entry {
    /// The step that it is about, if it is about one.
    pub fn step(&self) -> Option<&StepPath> {
        match self {
            Self::Succeeded { step, .. }
            | Self::RetryScheduled { step, .. }
            | Self::Failed { step, .. }
            | Self::LeftOut { step, .. }
            | Self::Waiting { step, .. }
            | Self::Chosen { step, .. }
            | Self::Expanded { step, .. }
            | Self::ApprovalRequested { step, .. }
            | Self::ApprovalReminded { step, .. }
            | Self::ApprovalEscalated { step, .. }
            | Self::Notified { step, .. } => Some(step),
            Self::Cancelled { .. } | Self::CompensationStarted { .. } | Self::Compensated {} | Self::Finished {} => {
                None
            }
        }
    }
}
