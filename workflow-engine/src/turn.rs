//! One step's turn: what it sends, and what its outcome means.

use crate::actions::{Common, OnError};
use crate::document::{Document, Retry};
use crate::expression::ExpressionError;
use crate::scope::Scope;
use crate::tasks::Tasks;
use crate::template::{render, render_string};
use chrono::{TimeDelta, Utc};
use event_store::{CommandBus, CommandInfo, DecidedCommand, ExecuteError, Request};
use kernel::{Actor, TenantId, Timestamp};
use rand::Rng as _;
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock, OnceLock};
use uuid::Uuid;
use workflow::{Entry, Run, Step, StepPath};
use workflow_events::FailureClass;

/// A run as a worker sees it.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub tenant: TenantId,
    pub run_id: Uuid,
    pub run: &'a Run,
    pub document: &'a Document,
}

/// What an action says that says nothing.
pub(crate) static PLAIN: LazyLock<Common> = LazyLock::new(Common::default);

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
        Self { class: FailureClass::Terminal {}, code: code.into(), message: message.into() }
    }

    pub fn retryable(code: &str, message: &str) -> Self {
        Self { class: FailureClass::Retryable {}, code: code.to_owned(), message: message.to_owned() }
    }
}

impl From<ExpressionError> for Failure {
    fn from(error: ExpressionError) -> Self {
        Self::terminal(error.code, error.message)
    }
}

/// A step's name among all steps of all runs; the id of its command, and of what it creates.
fn derived(run: Uuid, step: &str, rerun: u32) -> Uuid {
    Uuid::new_v5(&run, format!("{step}:{rerun}").as_bytes())
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

    /// The id of what a step does, also of what it creates.
    pub fn id_of(&self, path: &StepPath) -> Uuid {
        derived(self.run_id, path, self.run.step_at(path).map_or(0, |step| step.rerun))
    }

    /// The request of a step's command. It may do what the definition says, and nothing else.
    pub fn request_of(&self, path: &StepPath) -> Request {
        let permissions = Some(Arc::new(self.document.permissions()));
        Request { permissions, command_id: self.id_of(path), ..self.request() }
    }
}

/// A command that a step wants to send.
#[derive(Debug)]
pub(crate) struct Sending {
    pub info: CommandInfo,
    pub target: Option<Uuid>,
    /// As JSON text.
    pub body: String,
    /// If somebody holds a claim whose scope begins so, that is an answer, too.
    pub takes: Option<String>,
    /// It is one of several commands of its step.
    pub one_of_several: Option<OneOfSeveral>,
}

/// A command of a step that sends several. Where the segment ends between them the step is taken again, so each is known by what it
/// creates: what is there already was created before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneOfSeveral {
    /// Its own name among the commands.
    pub command_id: Uuid,
    /// The permission to send it, which the step's own comes to.
    pub permission: &'static str,
}

impl Sending {
    /// What tells whether it is the same that was refused before.
    pub fn fingerprint(&self) -> [u8; 32] {
        event_store::fingerprint(self.info.entry.name, self.target, &self.body)
    }

    /// Whether the step takes this refusal for an answer.
    pub fn wants(&self, error: &ExecuteError) -> bool {
        match (error, &self.takes) {
            (ExecuteError::Claimed { scope, .. }, Some(prefix)) => scope.starts_with(prefix),
            (ExecuteError::AlreadyExists, _) => self.one_of_several.is_some(),
            _ => false,
        }
    }
}

/// A step that a worker takes.
pub(crate) struct Turn<'a> {
    pub standing: Standing<'a>,
    pub path: StepPath,
    pub common: &'a Common,
    pub began_at: Timestamp,
    pub bus: &'a CommandBus,
    pub tasks: &'a Tasks,
    /// Made when it is asked for: what is recorded of a command needs none.
    scope: OnceLock<Scope<'a>>,
    /// What the step gave that is taken back.
    undone: Option<Value>,
}

impl<'a> Turn<'a> {
    pub fn new(
        standing: Standing<'a>,
        path: StepPath,
        common: &'a Common,
        bus: &'a CommandBus,
        tasks: &'a Tasks,
    ) -> Self {
        let since = standing.run.step_at(&path).and_then(|step| step.since);
        let began_at = since.unwrap_or_else(|| Timestamp::of_clock(Utc::now()));
        Self { standing, path, common, began_at, bus, tasks, scope: OnceLock::new(), undone: None }
    }

    /// The turn of what takes this step back; it sees the step's own result.
    #[must_use]
    pub fn undoing(mut self) -> Self {
        let result = self.step().and_then(|step| step.result.expose()).cloned().unwrap_or(Value::Null);
        self.undone = Some(result);
        self.path = self.path.undo();
        let since = self.step().and_then(|step| step.since);
        self.began_at = since.unwrap_or_else(|| Timestamp::of_clock(Utc::now()));
        self
    }

    pub fn scope(&self) -> &Scope<'a> {
        self.scope.get_or_init(|| {
            let scope = Scope::of_run(self.standing.run_id, self.standing.run, &self.path);
            match self.undone.clone() {
                Some(result) => scope.and("result", move || result),
                None => scope,
            }
        })
    }

    /// What is known of the step.
    pub fn step(&self) -> Option<&Step> {
        self.standing.run.step_at(&self.path)
    }

    pub fn succeeded(&self, result: Value) -> Entry {
        Entry::Succeeded { step: self.path.clone(), began_at: self.began_at, result: result.into() }
    }

    /// A failure that is not tried again.
    pub fn failed(&self, failure: Failure) -> Vec<Entry> {
        let Failure { class, code, message } = failure;
        let go_on = self.common.on_error == OnError::Continue || self.common.tolerates.contains(&code);
        vec![Entry::Failed { step: self.path.clone(), began_at: self.began_at, class, code, message, go_on }]
    }

    /// What came of an attempt. A failure may be tried again, if there are attempts and time left.
    pub fn attempt(&self, outcome: Result<Value, Failure>) -> Vec<Entry> {
        let failure = match outcome {
            Ok(result) => return vec![self.succeeded(result)],
            Err(failure) => failure,
        };
        let policy = self.common.retry.as_ref().unwrap_or(&self.standing.document.retry);
        let attempt = self.step().map_or(0, |step| step.attempts) + 1;
        let pause = match failure.class {
            // What came of it is in the log together with its effect, or neither is.
            FailureClass::Retryable {} | FailureClass::UnknownOutcome {} => pause(policy, attempt),
            FailureClass::RateLimited { retry_after_s } => {
                pause(policy, attempt) + TimeDelta::seconds(i64::from(retry_after_s.unwrap_or_default()))
            }
            FailureClass::AuthBroken { .. } | FailureClass::Terminal {} => return self.failed(failure),
        };
        let due_at = Timestamp::of_clock(Utc::now()) + pause;
        let elapsed = TimeDelta::seconds(i64::try_from(policy.max_elapsed_s).unwrap_or(i64::MAX / 2_000));
        if attempt >= policy.max_attempts || due_at - self.began_at > elapsed {
            return self.failed(failure);
        }
        let Failure { class, code, message } = failure;
        let (step, began_at) = (self.path.clone(), self.began_at);
        vec![Entry::RetryScheduled { step, began_at, class, code, message, due_at }]
    }

    /// The command with what the definition says, or an operator instead, to what the template names.
    pub fn sends(
        &self,
        command: &str,
        target: Option<&str>,
        parameters: &Map<String, Value>,
    ) -> Result<Sending, Failure> {
        let target = match target {
            None => None,
            Some(target) => {
                let id = render_string(target, self.scope())?.parse::<Uuid>();
                Some(id.map_err(|_| Failure::terminal("target_not_an_id", "the target is not an id"))?)
            }
        };
        let Some(info) = self.bus.command(command) else {
            return Err(Failure::terminal("unknown_command", format!("there is no command {command}")));
        };
        let body = match self.amended() {
            Some(amended) => amended.to_string(),
            None => render(&Value::Object(parameters.clone()), self.scope())?.to_string(),
        };
        let target = if info.entry.creates { Some(self.standing.id_of(&self.path)) } else { target };
        Ok(Sending { info: *info, target, body, takes: None, one_of_several: None })
    }

    /// What an operator says instead of the definition.
    pub fn amended(&self) -> Option<&Value> {
        self.step().and_then(|step| step.amended.as_ref()).and_then(|amended| amended.expose())
    }

    /// A command that creates something, with a body that is filled in already.
    pub fn creates(&self, command: &str, body: &Value) -> Result<Sending, Failure> {
        let Some(info) = self.bus.command(command) else {
            return Err(Failure::terminal("unknown_command", format!("there is no command {command}")));
        };
        let body = self.amended().unwrap_or(body).to_string();
        let target = Some(self.standing.id_of(&self.path));
        Ok(Sending { info: *info, target, body, takes: None, one_of_several: None })
    }
}

/// What later steps see of a command's answer.
pub(crate) fn result(decided: &DecidedCommand) -> Value {
    let DecidedCommand { id, version, created, parts } = decided;
    let mut result = json!({ "id": id, "version": version, "created": created });
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
pub(crate) fn classify(error: ExecuteError) -> Failure {
    match error {
        ExecuteError::Unavailable(_) => Failure::retryable("unavailable", "the log could not be reached"),
        ExecuteError::Overloaded => Failure::retryable("overloaded", "the log was overloaded"),
        ExecuteError::Conflict => Failure::retryable("conflict", "others changed the same thing, every time"),
        ExecuteError::Rejected { code, message, .. } => Failure::terminal(code, message),
        ExecuteError::Invalid(errors) => Failure::terminal("invalid_input", errors.to_string()),
        ExecuteError::Claimed { scope, .. } => Failure::terminal("claimed", format!("{scope} is taken")),
        ExecuteError::Denied => denied(),
        ExecuteError::NotFound => Failure::terminal("not_found", "the target does not exist"),
        ExecuteError::AlreadyExists => Failure::terminal("already_exists", "it exists already"),
        ExecuteError::VersionMismatch { .. } => Failure::terminal("version_mismatch", "another version was expected"),
        // No step's command has a key.
        ExecuteError::KeyReused => Failure::terminal("key_reused", "the key was used for something else"),
        error @ ExecuteError::UnitTooLarge => Failure::terminal("unit_too_large", error.to_string()),
        ExecuteError::Fault(error) => {
            tracing::error!(error = format!("{error:#}"), "a step met a fault");
            Failure::terminal("fault", "a defect of ours; the log says more")
        }
    }
}

pub(crate) fn denied() -> Failure {
    Failure::terminal(DENIED, "`runs_as` of the definition does not allow this")
}

pub(crate) fn left_out() -> kernel::Name {
    #[expect(clippy::unwrap_used, reason = "a constant that is a name")]
    "its condition does not hold".parse().unwrap()
}

#[cfg(test)]
mod tests;
