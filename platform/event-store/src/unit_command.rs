//! Commands without their types, and those that a decision brings along.

use crate::ExecuteError;
use crate::kind::{Changes, State, StreamKind, changes, typed};
use kernel::{Aggregate, Command, CommandEntry, Companions, Context, Event, Reference, Rejection, Scope};
use std::marker::PhantomData;
use uuid::Uuid;

/// A command: what it is, and to whom.
pub struct UnitCommand {
    pub(crate) decider: Box<dyn Decider>,
    pub(crate) expected_versions: Option<Vec<i64>>,
    /// However full the unit is.
    pub(crate) unbounded: bool,
}

impl UnitCommand {
    /// This command to the aggregate `id`; for a creation `None` makes an id.
    pub fn new<A: Aggregate>(id: Option<Uuid>, command: A::Command) -> Self {
        Self { decider: Box::new(Typed::<A> { id, command }), expected_versions: None, unbounded: false }
    }

    /// Refuses the unit unless the aggregate has one of these versions when its turn comes: what commands before it did counts.
    #[must_use]
    pub fn expecting(self, versions: Option<Vec<i64>>) -> Self {
        Self { expected_versions: versions, ..self }
    }

    /// Is taken in however full the unit is: for the record of what is in it, which must not be missing.
    #[must_use]
    pub fn unbounded(self) -> Self {
        Self { unbounded: true, ..self }
    }

    /// The command's name, permission and so on.
    pub fn entry(&self) -> &'static CommandEntry {
        self.decider.entry()
    }
}

impl std::fmt::Debug for UnitCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UnitCommand").field(&self.entry().name).finish()
    }
}

/// Why a unit did nothing.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct UnitError {
    /// The command that was refused, by its place; none if it is about all of them.
    pub command: Option<usize>,
    /// Why.
    #[source]
    pub error: ExecuteError,
}

impl UnitError {
    /// About one command.
    pub fn of(command: usize, error: ExecuteError) -> Self {
        // Nobody's fault but that of the whole is told as such.
        let whole = matches!(error, ExecuteError::Conflict | ExecuteError::Unavailable(_) | ExecuteError::Overloaded);
        Self { command: (!whole).then_some(command), error }
    }
}

impl From<ExecuteError> for UnitError {
    fn from(error: ExecuteError) -> Self {
        Self { command: None, error }
    }
}

/// A command, and the aggregate that decides on it. Every state that it is shown is of its kind.
pub(crate) trait Decider: Send + Sync {
    fn kind(&self) -> &'static StreamKind;
    fn entry(&self) -> &'static CommandEntry;
    /// The aggregate that it goes to; for a creation perhaps none yet.
    fn id(&self) -> Option<Uuid>;
    fn scope(&self, state: &State, id: Uuid) -> Result<Scope, ExecuteError>;
    fn references(&self, state: &State) -> Result<Vec<Reference>, ExecuteError>;
    fn further_references(&self, state: &State, ctx: &Context) -> Result<Vec<Reference>, ExecuteError>;
    fn companions(&self, state: &State, ctx: &Context) -> Result<Vec<UnitCommand>, ExecuteError>;
    fn decide(&self, state: &State, ctx: &Context) -> Result<Changes, ExecuteError>;
}

struct Typed<A: Aggregate> {
    id: Option<Uuid>,
    command: A::Command,
}

impl<A: Aggregate> Decider for Typed<A> {
    fn kind(&self) -> &'static StreamKind {
        StreamKind::of::<A>()
    }

    fn entry(&self) -> &'static CommandEntry {
        self.command.entry()
    }

    fn id(&self) -> Option<Uuid> {
        self.id
    }

    fn scope(&self, state: &State, id: Uuid) -> Result<Scope, ExecuteError> {
        Ok(typed::<A>(state)?.scope(id, &self.command))
    }

    fn references(&self, state: &State) -> Result<Vec<Reference>, ExecuteError> {
        Ok(typed::<A>(state)?.references(&self.command))
    }

    fn further_references(&self, state: &State, ctx: &Context) -> Result<Vec<Reference>, ExecuteError> {
        Ok(typed::<A>(state)?.further_references(&self.command, ctx))
    }

    fn companions(&self, state: &State, ctx: &Context) -> Result<Vec<UnitCommand>, ExecuteError> {
        let mut companions = Collected::<A>(vec![], PhantomData);
        typed::<A>(state)?.companions(&self.command, ctx, &mut companions);
        Ok(companions.0)
    }

    fn decide(&self, state: &State, ctx: &Context) -> Result<Changes, ExecuteError> {
        let decided = typed::<A>(state)?.decide(self.command.clone(), ctx);
        let events = decided.map_err(|rejection| {
            let entry = rejection.entry();
            ExecuteError::Rejected { code: entry.code, message: entry.message, invalid: entry.invalid }
        })?;
        changes::<A>(state, ctx.id, &events)
    }
}

/// The companions of a command to an `A`.
struct Collected<A>(Vec<UnitCommand>, PhantomData<fn() -> A>);

impl<A: Aggregate> Companions for Collected<A> {
    fn add<B: Aggregate>(&mut self, id: impl Into<Uuid>, command: B::Command) {
        const { assert!(same_context(A::Event::STREAM, B::Event::STREAM), "across contexts, only workflows make units") }
        self.0.push(UnitCommand::new::<B>(Some(id.into()), command));
    }
}

/// Are both of the context that stands before the first dot?
const fn same_context(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        if one[at] == b'.' {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_what_stands_before_the_first_dot() {
        assert!(same_context("crm.client", "crm.contact"));
        for (one, other) in
            [("crm.client", "crmx.client"), ("crm", "crm"), ("crm.client", "projects.project"), ("", "")]
        {
            assert!(!same_context(one, other), "{one} {other}");
        }
    }
}
