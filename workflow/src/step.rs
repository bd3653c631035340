//! One step: what it sends, and what its outcome means.

use crate::document::{Action, CreateEntity, Document, NOTIFY, Notify, OnError, Retry, SendCommand, Wait, duration};
use crate::expression::{ExpressionError, holds};
use crate::scope::Scope;
use crate::template::{render, render_string};
use chrono::{TimeDelta, Utc};
use event_store::{CommandBus, ExecuteError, Executed, IdempotencyKey, Request};
use kernel::{Actor, Parts, TenantId, Text, Timestamp};
use rand::Rng as _;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;
use workflow_domain::{Entry, Run};
use workflow_events::FailureClass;

/// A run as a worker sees it.
pub(crate) struct Standing<'a> {
    pub tenant: TenantId,
    pub run_id: Uuid,
    pub run: &'a Run,
    pub document: &'a Document,
}

/// The code of a step that its definition's `runs_as` does not allow.
pub(crate) const DENIED: &str = "denied";

/// Why a step did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub class: FailureClass,
    pub code: String,
    pub message: String,
}

impl Failure {
    pub fn terminal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: FailureClass::Terminal, code: code.into(), message: message.into() }
    }
}

impl From<ExpressionError> for Failure {
    fn from(error: ExpressionError) -> Self {
        Self::terminal(error.code, error.message)
    }
}

/// A step's name among all steps of all runs: ids and keys derive from it, so that a repeat is recognised.
fn derived(run: Uuid, step: &str, iteration: u32) -> Uuid {
    Uuid::new_v5(&run, format!("{step}:{iteration}").as_bytes())
}

impl Standing<'_> {
    /// A request of the engine's own, about the run itself.
    pub fn request(&self) -> Request {
        let definition = self.run.definition.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::new(self.tenant, Actor::Workflow { run_id: self.run_id, definition });
        if let Some(trigger) = &self.run.trigger {
            request.causation_id = Some(trigger.event_id);
            request.correlation_id = trigger.correlation_id;
            request.traceparent = trigger.traceparent.clone();
        }
        request
    }

    /// A request of the step that the run stands at: it may do what the definition says, and nothing else.
    fn step_request(&self) -> Request {
        Request { permissions: Some(Arc::new(self.document.permissions())), ..self.request() }
    }

    /// What begins after the present state: steps whose condition does not hold are left out, the next one starts.
    pub fn begin(&self) -> Vec<Entry> {
        let mut entries = vec![];
        let mut run = self.run.clone();
        while let Some(action) = self.document.actions.get(run.current) {
            let entry = match &action.common().when {
                None => Entry::Started {},
                Some(when) => match holds(when, &Scope::of_run(self.run_id, &run)) {
                    Ok(true) => Entry::Started {},
                    Ok(false) => Entry::LeftOut { reason: left_out() },
                    Err(error) => self.failed(action, error.into()),
                },
            };
            let goes_on = matches!(entry, Entry::LeftOut { .. } | Entry::Failed { go_on: true, .. });
            entries.push(entry);
            if !goes_on {
                break;
            }
            match self.run.after(&entries, Timestamp::of_clock(Utc::now())) {
                Ok(after) => run = after,
                Err(_) => break,
            }
        }
        entries
    }

    /// Executes the current step and answers what is to be recorded.
    pub async fn execute(&self, bus: &CommandBus) -> Vec<Entry> {
        let Some(action) = self.document.actions.get(self.run.current) else { return vec![] };
        let scope = Scope::of_run(self.run_id, self.run);
        let outcome = match action {
            Action::CreateEntity(create) => self.create(create, action, &scope, bus).await,
            Action::Command(send) => self.send(send, action, &scope, bus).await,
            Action::Wait(wait) => return self.wait(wait, action, &scope),
            Action::Notify(notify) => return self.notify(notify, action, &scope),
        };
        match outcome {
            Ok(result) => vec![Entry::Succeeded { result: result.into() }],
            Err(failure) => vec![self.failed_attempt(action, failure)],
        }
    }

    /// A failure that is not tried again.
    pub fn failed(&self, action: &Action, failure: Failure) -> Entry {
        let Failure { class, code, message } = failure;
        Entry::Failed { class, code, message, go_on: action.common().on_error == OnError::Continue }
    }

    /// A failure that may be tried again, if there are attempts and time left.
    fn failed_attempt(&self, action: &Action, failure: Failure) -> Entry {
        let (now, step) = (Timestamp::of_clock(Utc::now()), self.run.step());
        let policy = action.common().retry.as_ref().unwrap_or(&self.document.retry);
        let attempt = step.map_or(0, |s| s.attempts) + 1;
        let since = step.and_then(|s| s.since).unwrap_or(now);
        let due_at = now + pause(policy, attempt);
        let elapsed = TimeDelta::seconds(i64::try_from(policy.max_elapsed_s).unwrap_or(i64::MAX / 2_000));
        let again =
            failure.class == FailureClass::Retryable && attempt < policy.max_attempts && due_at - since <= elapsed;
        if again {
            Entry::RetryScheduled { code: failure.code, message: failure.message, due_at }
        } else {
            self.failed(action, failure)
        }
    }

    async fn create(
        &self,
        create: &CreateEntity,
        action: &Action,
        scope: &Scope,
        bus: &CommandBus,
    ) -> Result<Value, Failure> {
        let name = action.command().unwrap_or_default();
        match self.call(&name, None, &create.parameters, scope, bus).await? {
            Ok(executed) => Ok(result(&executed)),
            // The claim names what holds the value; only if that is the same kind of thing, it is what we look for.
            Err(ExecuteError::Claimed { scope, holder })
                if create.matching && scope.starts_with(&format!("{}.{}.", create.domain, create.entity)) =>
            {
                Ok(json!({ "id": holder, "created": false }))
            }
            Err(error) => Err(classify(error)),
        }
    }

    async fn send(
        &self,
        send: &SendCommand,
        _action: &Action,
        scope: &Scope,
        bus: &CommandBus,
    ) -> Result<Value, Failure> {
        let target = match &send.target {
            None => None,
            Some(target) => {
                let text = render_string(target, scope)?;
                let id = text.parse::<Uuid>();
                Some(id.map_err(|_| Failure::terminal("target_not_an_id", "the target is not an id"))?)
            }
        };
        match self.call(&send.command, target, &send.parameters, scope, bus).await? {
            Ok(executed) => Ok(result(&executed)),
            Err(error) => Err(classify(error)),
        }
    }

    /// Sends a command under the step's own key. The outer error is ours, the inner one the command's.
    async fn call(
        &self,
        name: &str,
        target: Option<Uuid>,
        parameters: &Map<String, Value>,
        scope: &Scope,
        bus: &CommandBus,
    ) -> Result<Result<Executed, ExecuteError>, Failure> {
        let Some(info) = bus.command(name) else {
            return Err(Failure::terminal("unknown_command", format!("there is no command {name}")));
        };
        let body = render(&Value::Object(parameters.clone()), scope)?.to_string();
        let step = self.run.step().map(|s| s.id.clone()).unwrap_or_default();
        let id = derived(self.run_id, &step, 0);
        let target = if info.entry.creates { id } else { target.unwrap_or_default() };
        let mut request = self.step_request();
        request.command_id = id;
        let fingerprint = Sha256::new().chain_update(name).chain_update(target).chain_update(&body).finalize();
        request.idempotency = Some(IdempotencyKey {
            scope: "workflow".to_owned(),
            key: format!("{}:{step}:0", self.run_id),
            fingerprint: fingerprint.into(),
        });
        Ok(match bus.execute(info, Some(target), body, request).await {
            // Nobody but this step can know the id, so it is this step's own earlier work; its key was forgotten since.
            Err(ExecuteError::AlreadyExists) if info.entry.creates => {
                let parts = Parts::default();
                Ok(Executed { id: target, version: 0, position: 0, created: true, replayed: true, parts })
            }
            outcome => outcome,
        })
    }

    fn wait(&self, wait: &Wait, action: &Action, scope: &Scope) -> Vec<Entry> {
        let waiting = || -> Result<Entry, Failure> {
            let after = |text: &str| match duration(text) {
                Some(length) => Ok(Timestamp::of_clock(Utc::now()) + length),
                None => Err(Failure::terminal("invalid_duration", "not a duration")),
            };
            if let Some(length) = &wait.duration {
                return Ok(Entry::Waiting { until: Some(after(length)?), event_type: None, matching: None });
            }
            if let Some(until) = &wait.until {
                let text = render_string(until, scope)?;
                let until = text.parse::<Timestamp>().map_err(|_| {
                    Failure::terminal(
                        "until_not_a_time",
                        "`until` did not give an RFC 3339 time of the years 1 to 9999",
                    )
                })?;
                return Ok(Entry::Waiting { until: Some(until), event_type: None, matching: None });
            }
            let Some(event) = &wait.event else {
                return Err(Failure::terminal("wait_needs_one", "a wait says one of `for`, `until` and `event`"));
            };
            Ok(Entry::Waiting {
                until: event.timeout.as_deref().map(after).transpose()?,
                event_type: Some(event.event_type.clone()),
                matching: Some(event.matching.clone()),
            })
        };
        vec![waiting().unwrap_or_else(|failure| self.failed(action, failure))]
    }

    fn notify(&self, notify: &Notify, action: &Action, scope: &Scope) -> Vec<Entry> {
        // Telling somebody is no command, and reaches further than most.
        if !self.document.permissions().allow(NOTIFY) {
            return vec![self.failed(action, denied())];
        }
        let filled = || -> Result<Vec<Entry>, Failure> {
            let text = |template: &str| -> Result<Text, Failure> {
                let text = render_string(template, scope)?;
                text.parse().map_err(|error| Failure::terminal("text_not_allowed", format!("{error}")))
            };
            let (to, subject, body) = (render_string(&notify.to, scope)?, text(&notify.subject)?, text(&notify.body)?);
            Ok(vec![
                Entry::Notified { to: to.into(), subject: subject.into(), body: body.into() },
                Entry::Succeeded { result: json!({ "requested": true }).into() },
            ])
        };
        filled().unwrap_or_else(|failure| vec![self.failed(action, failure)])
    }
}

fn result(executed: &Executed) -> Value {
    let Executed { id, version, position, created, parts, replayed: _ } = executed;
    let mut result = json!({ "id": id, "version": version, "position": position, "created": created });
    if let (Value::Object(fields), Value::Object(parts)) = (&mut result, Value::from(parts.clone())) {
        fields.extend(parts);
    }
    result
}

/// Any time up to the pause that the attempt has grown to (full jitter).
fn pause(policy: &Retry, attempt: u32) -> TimeDelta {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = policy.initial_ms as f64 * policy.factor.powi(exponent);
    let longest = grown.min(policy.cap_ms as f64).max(1.0);
    TimeDelta::milliseconds(rand::rng().random_range(0.0..longest) as i64)
}

/// What may succeed later, and what will not until somebody changes something.
fn classify(error: ExecuteError) -> Failure {
    let retryable =
        |code: &str, message: String| Failure { class: FailureClass::Retryable, code: code.to_owned(), message };
    match error {
        ExecuteError::Unavailable(_) => retryable("unavailable", "the log could not be reached".to_owned()),
        ExecuteError::Overloaded => retryable("overloaded", "the log was overloaded".to_owned()),
        ExecuteError::Conflict => retryable("conflict", "others changed the same thing, every time".to_owned()),
        ExecuteError::Rejected { code, message, .. } => Failure::terminal(code, message),
        ExecuteError::Invalid(errors) => Failure::terminal("invalid_input", errors.to_string()),
        ExecuteError::Claimed { scope, .. } => Failure::terminal("claimed", format!("{scope} is taken")),
        ExecuteError::Denied => denied(),
        ExecuteError::NotFound => Failure::terminal("not_found", "the target does not exist"),
        ExecuteError::AlreadyExists => Failure::terminal("already_exists", "it exists already"),
        ExecuteError::VersionMismatch { .. } => Failure::terminal("version_mismatch", "another version was expected"),
        ExecuteError::KeyReused => {
            Failure::terminal("key_reused", "an earlier attempt of this step sent something else")
        }
        error @ ExecuteError::UnitTooLarge => Failure::terminal("unit_too_large", error.to_string()),
        ExecuteError::Fault(error) => {
            tracing::error!(error = format!("{error:#}"), "a step met a fault");
            Failure::terminal("fault", "a defect of ours; the log says more")
        }
    }
}

fn denied() -> Failure {
    Failure::terminal(DENIED, "`runs_as` of the definition does not allow this")
}

fn left_out() -> kernel::Name {
    #[expect(clippy::unwrap_used, reason = "a constant that is a name")]
    "its condition does not hold".parse().unwrap()
}

#[cfg(test)]
mod tests;
