//! The commands of a unit, without their types, and those that a decision brings along.

use crate::answer::Answer;
use crate::{ExecuteError, Request, Unit};
use futures::future::BoxFuture;
use kernel::{Aggregate, Command, CommandEntry, Companions, Event};
use std::marker::PhantomData;
use uuid::Uuid;

/// One command of a unit: what it is, and to whom.
pub struct UnitCommand {
    pub(crate) command: Box<dyn AnyCommand>,
    pub(crate) expected_versions: Option<Vec<i64>>,
    /// However full the unit is.
    pub(crate) unbounded: bool,
}

impl UnitCommand {
    /// This command to the aggregate `id`; for a creation `None` makes an id.
    pub fn new<A: Aggregate>(id: Option<Uuid>, command: A::Command) -> Self {
        Self { command: Box::new(Typed::<A> { id, command }), expected_versions: None, unbounded: false }
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
        self.command.entry()
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

/// A command without its type.
pub(crate) trait AnyCommand: Send + Sync {
    fn entry(&self) -> &'static CommandEntry;
    fn decide<'u>(
        &'u self,
        unit: &'u mut Unit,
        request: &'u Request,
        depth: usize,
    ) -> BoxFuture<'u, Result<Answer, ExecuteError>>;
}

struct Typed<A: Aggregate> {
    id: Option<Uuid>,
    command: A::Command,
}

impl<A: Aggregate> AnyCommand for Typed<A> {
    fn entry(&self) -> &'static CommandEntry {
        self.command.entry()
    }

    fn decide<'u>(
        &'u self,
        unit: &'u mut Unit,
        request: &'u Request,
        depth: usize,
    ) -> BoxFuture<'u, Result<Answer, ExecuteError>> {
        Box::pin(unit.decide_as::<A>(self.id, &self.command, request, depth))
    }
}

/// The companions of a command to an `A`.
pub(crate) struct Collected<A>(Vec<UnitCommand>, PhantomData<fn() -> A>);

impl<A> Default for Collected<A> {
    fn default() -> Self {
        Self(vec![], PhantomData)
    }
}

impl<A> Collected<A> {
    pub fn into_commands(self) -> Vec<UnitCommand> {
        self.0
    }
}

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
