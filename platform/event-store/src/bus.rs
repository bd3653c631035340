//! Every command by its dotted name, for callers that have a name and a JSON body.

use crate::{ExecuteError, Executed, Request, Store, UnitCommand, UnitError};
use kernel::{Aggregate, Command, CommandEntry, FieldErrors, Mounts, RejectionEntry};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// One command as the bus knows it.
#[derive(Debug, Clone, Copy)]
pub struct CommandInfo {
    /// Name, permission, doc sentence, schema.
    pub entry: &'static CommandEntry,
    /// Where the collection lives under `/v1/`: `crm/clients`.
    pub path: &'static str,
    /// Why its aggregate may refuse.
    pub rejections: &'static [RejectionEntry],
    read: fn(&'static str, Option<Uuid>, &str) -> Result<UnitCommand, FieldErrors>,
}

/// One command of a unit, by its name and as JSON.
#[derive(Debug, Clone)]
pub struct NamedCommand {
    /// Which command.
    pub info: CommandInfo,
    /// The aggregate; for a creation none makes an id.
    pub id: Option<Uuid>,
    /// The body as JSON text.
    pub body: String,
    /// The versions that will do; any other refuses the unit.
    pub expected_versions: Option<Vec<i64>>,
}

/// Every mounted command by its dotted name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommandBus {
    store: Store,
    commands: Arc<BTreeMap<&'static str, CommandInfo>>,
}

impl CommandBus {
    /// A bus over `store` with no commands yet; fill it with `registry::mount_all`.
    pub fn new(store: Store) -> Self {
        Self { store, commands: Arc::default() }
    }

    /// Every command of one aggregate, without a bus; for descriptions.
    pub fn commands_of<A: Aggregate>() -> impl Iterator<Item = CommandInfo> {
        let rejections = <A::Rejection as kernel::Rejection>::CATALOGUE;
        let (path, read) = (A::PATH, read::<A> as _);
        A::Command::CATALOGUE.iter().map(move |entry| CommandInfo { entry, path, rejections, read })
    }

    /// Every command, by name.
    pub fn commands(&self) -> impl Iterator<Item = &CommandInfo> {
        self.commands.values()
    }

    /// One command: `crm.client.rename`.
    pub fn command(&self, name: &str) -> Option<&CommandInfo> {
        self.commands.get(name)
    }

    /// The store behind the bus.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Parses `body` as the command `info` and executes it.
    pub async fn execute(
        &self,
        info: &CommandInfo,
        id: Option<Uuid>,
        body: String,
        request: Request,
    ) -> Result<Executed, ExecuteError> {
        let command = self.read(info, id, &body).map_err(ExecuteError::Invalid)?;
        Box::pin(self.store.execute_command(command, &request)).await
    }

    /// Reads `body` as the command `info`, for a unit.
    ///
    /// # Errors
    /// Names every field that is wrong.
    pub fn read(&self, info: &CommandInfo, id: Option<Uuid>, body: &str) -> Result<UnitCommand, FieldErrors> {
        (info.read)(info.entry.action, id, body)
    }

    /// Executes these commands as one: [`Store::execute_unit`].
    ///
    /// # Errors
    /// Nothing is done then. The error says which command was refused.
    pub async fn execute_unit(
        &self,
        commands: Vec<NamedCommand>,
        request: &Request,
    ) -> Result<Vec<Executed>, UnitError> {
        let read = |(index, command): (usize, NamedCommand)| {
            let NamedCommand { info, id, body, expected_versions } = command;
            let command = self.read(&info, id, &body).map_err(|e| UnitError::of(index, ExecuteError::Invalid(e)))?;
            Ok(command.expecting(expected_versions))
        };
        let commands = commands.into_iter().enumerate().map(read).collect::<Result<Vec<_>, UnitError>>()?;
        self.store.execute_unit(&commands, request).await
    }
}

impl Mounts for CommandBus {
    fn mount<A: Aggregate>(&mut self) {
        let commands = Arc::make_mut(&mut self.commands);
        commands.extend(Self::commands_of::<A>().map(|info| (info.entry.name, info)));
    }
}

fn read<A: Aggregate>(action: &'static str, id: Option<Uuid>, body: &str) -> Result<UnitCommand, FieldErrors> {
    A::Command::parse(action, body).map(|command| UnitCommand::new::<A>(id, command))
}
