//! Every command by its dotted name, for callers that have a name and a JSON body.

use crate::{ExecuteError, Executed, Request, Store};
use futures::future::BoxFuture;
use kernel::{Aggregate, Command, CommandEntry, Mounts, RejectionEntry};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

type Run = fn(Store, &'static str, Option<Uuid>, String, Request) -> BoxFuture<'static, Result<Executed, ExecuteError>>;

/// One command as the bus knows it.
#[derive(Debug, Clone, Copy)]
pub struct CommandInfo {
    /// Name, permission, doc sentence, schema.
    pub entry: &'static CommandEntry,
    /// Where the collection lives under `/v1/`: `crm/clients`.
    pub path: &'static str,
    /// Why its aggregate may refuse.
    pub rejections: &'static [RejectionEntry],
    run: Run,
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
        A::Command::CATALOGUE.iter().map(move |entry| CommandInfo { entry, path: A::PATH, rejections, run: run::<A> })
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
        (info.run)(self.store.clone(), info.entry.action, id, body, request).await
    }
}

impl Mounts for CommandBus {
    fn mount<A: Aggregate>(&mut self) {
        let commands = Arc::make_mut(&mut self.commands);
        commands.extend(Self::commands_of::<A>().map(|info| (info.entry.name, info)));
    }
}

fn run<A: Aggregate>(
    store: Store,
    action: &'static str,
    id: Option<Uuid>,
    body: String,
    request: Request,
) -> BoxFuture<'static, Result<Executed, ExecuteError>> {
    Box::pin(async move {
        let command = A::Command::parse(action, &body).map_err(ExecuteError::Invalid)?;
        store.execute::<A>(id, command, &request).await
    })
}
