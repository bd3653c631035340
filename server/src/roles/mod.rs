//! The roles of the binary. A role is one file here and one line in [`ROLES`]: whoever starts, watches, measures or lists roles
//! reads that list, and programs ask `ubos roles --json`.

mod command_api;
mod context;
mod event_gateway;
mod file_store;
mod http;
mod mailer;
mod projections;
mod providers;
mod query_api;
mod relay;
mod verbs;
mod webhooks;
mod workflow;

use crate::documents;
use crate::metrics::{self, Part};
use crate::output::{Done, Output, Table};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
pub use context::RoleContext;
use futures::future::BoxFuture;
pub use http::sessions;
use runtime::health::Health;
use runtime::settings::Settings;
use runtime::telemetry::{self, Telemetry};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
pub use verbs::{NoVerb, RoleVerb};
use verbs::{Verbs, verbs_of};

/// Every role. Whoever stands further down reads what those above it write, so roles are started from the end.
pub const ROLES: &[RoleInfo] = &[
    RoleInfo::of::<command_api::CommandApi>(),
    RoleInfo::of::<query_api::QueryApi>(),
    RoleInfo::of::<relay::Relay>(),
    RoleInfo::of::<projections::Projections>(),
    RoleInfo::of::<workflow::Workflow>(),
    RoleInfo::of::<mailer::Mailer>(),
    RoleInfo::of::<providers::Providers>(),
    RoleInfo::of::<webhooks::Webhooks>(),
    RoleInfo::of::<file_store::FileStore>(),
    RoleInfo::of::<event_gateway::EventGateway>(),
];

/// As whom a role connects to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// `ubos_command`
    Command,
    /// `ubos_query`
    Query,
    /// `ubos_worker`
    Worker,
}

impl Database {
    fn user(self) -> &'static str {
        match self {
            Self::Command => "ubos_command",
            Self::Query => "ubos_query",
            Self::Worker => "ubos_worker",
        }
    }
}

/// A process that does a part of the product's work, or one of several in a process.
pub trait Role: 'static {
    /// The subcommand of `ubos` that runs it, and its name everywhere else.
    const NAME: &'static str;
    /// What that does, for `ubos --help`.
    const ABOUT: &'static str;
    /// How many copies of it may run, for operators.
    const COPIES: &'static str;
    /// Where it answers `/health`, `/ready`, `/metrics` and whatever else it serves: so far above `listen.base_port`.
    const PORT: u16;
    /// As whom it connects to the database.
    const DATABASE: Database;
    /// What it has metrics of.
    const METRICS: &'static [Part];
    /// What operators may ask of it.
    type Verb: Subcommand + 'static;

    /// Is it set up here? `ubos all` runs those that are.
    fn wanted(_: &Settings) -> bool {
        true
    }

    /// Works until it is asked to stop and everything accepted is finished.
    fn run(context: RoleContext) -> impl Future<Output = Result<()>> + Send;

    /// Does what an operator asks. A role without verbs is asked nothing.
    async fn operate(_config: Option<&Path>, _verb: Self::Verb, _out: &Output) -> Result<Done> {
        bail!("{} has no verbs", Self::NAME)
    }
}

/// A role as a value.
pub struct RoleInfo {
    /// See [`Role::NAME`].
    pub name: &'static str,
    /// See [`Role::METRICS`].
    pub metrics: &'static [Part],
    about: &'static str,
    copies: &'static str,
    port: u16,
    database: Database,
    wanted: fn(&Settings) -> bool,
    run: fn(RoleContext) -> BoxFuture<'static, Result<()>>,
    verbs: Verbs,
}

impl RoleInfo {
    const fn of<R: Role>() -> Self {
        Self {
            name: R::NAME,
            about: R::ABOUT,
            copies: R::COPIES,
            port: R::PORT,
            database: R::DATABASE,
            metrics: R::METRICS,
            wanted: R::wanted,
            run: |context| Box::pin(R::run(context)),
            verbs: verbs_of::<R>(),
        }
    }

    /// The role's name as a part of a setting's: `query_api`.
    fn setting(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Where it answers.
    pub fn bind(&self, settings: &Settings) -> SocketAddr {
        let listen = &settings.listen;
        let usual = || SocketAddr::new(listen.address, listen.base_port.saturating_add(self.port));
        listen.roles.get(&self.setting()).copied().unwrap_or_else(usual)
    }
}

/// The role of this type.
fn info<R: Role>() -> Option<&'static RoleInfo> {
    ROLES.iter().find(|role| role.name == R::NAME)
}

/// Where the two services of the product are found on this machine: commands and queries.
pub fn services(settings: &Settings) -> Result<(SocketAddr, SocketAddr)> {
    let commands = info::<command_api::CommandApi>().context("no role takes commands")?;
    let queries = info::<query_api::QueryApi>().context("no role answers queries")?;
    Ok((commands.bind(settings), queries.bind(settings)))
}

/// Reads the settings.
///
/// # Errors
/// If a setting is missing, unknown or wrong; it is named.
pub fn settings(config: Option<&Path>) -> Result<Settings> {
    let settings = Settings::load(config)?;
    let known: Vec<String> = ROLES.iter().map(RoleInfo::setting).collect();
    if let Some(name) = settings.listen.roles.keys().find(|name| !known.contains(name)) {
        bail!("settings: listen.roles.{name} is no role: expected one of {}", known.join(", "));
    }
    Ok(settings)
}

/// The page of all roles, for operators.
pub fn page(head: &str) -> String {
    let mut page = format!("{head}\n| role | does | copies | port | connects as |\n| --- | --- | --- | --- | --- |\n");
    for role in ROLES {
        let does = role.about.trim_start_matches("Runs the role that ");
        let does = does.split_once(", or operates").map_or(does, |(does, _)| does);
        let (copies, port, user) = (role.copies, role.port, role.database.user());
        page.push_str(&format!("| `{}` | {does} | {copies} | `base_port` + {port} | `{user}` |\n", role.name));
    }
    page
}

/// The roles that are set up here.
pub fn wanted(settings: &Settings) -> Vec<&'static RoleInfo> {
    ROLES.iter().filter(|role| (role.wanted)(settings)).collect()
}

/// `ubos roles`: every role, with what the settings make of it, or of none without settings.
pub fn list(config: Option<&Path>, out: &Output) -> Result<Done> {
    let settings = match (settings(config), config) {
        (Ok(settings), _) => Some(settings),
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => None,
    };
    let mut table = Table::new(&["ROLE", "ANSWERS ON", "CONNECTS AS", "RUNS"], "no roles");
    let mut rows = vec![];
    for role in ROLES {
        let bind = settings.as_ref().map(|settings| role.bind(settings));
        let is_wanted = settings.as_ref().map(|settings| (role.wanted)(settings));
        let runs = is_wanted.map_or("-", |is_wanted| if is_wanted { "yes" } else { "not set up" });
        let shown = bind.map_or_else(|| format!("base_port + {}", role.port), |bind| bind.to_string());
        table.row([role.name.to_owned(), shown, role.database.user().to_owned(), runs.to_owned()]);
        rows.push(json!({
            "name": role.name, "about": role.about, "port": role.port, "setting": format!("listen.roles.{}", role.setting()),
            "bind": bind, "database": role.database.user(), "wanted": is_wanted,
        }));
    }
    out.say(table);
    Done::with(rows)
}

/// Runs roles until the process is asked to stop and everything accepted is finished, or until one of them fails.
pub async fn run(settings: &Settings, roles: &[&'static RoleInfo]) -> Result<ExitCode> {
    let service = match roles {
        [one] => one.name,
        _ => "ubos",
    };
    let telemetry = telemetry::init(&settings.telemetry, service)?;
    let parts: Vec<Part> = roles.iter().flat_map(|role| role.metrics).copied().collect();
    metrics::begin(&parts, &documents::every_command());
    let stop = runtime::shutdown::token()?;
    let mut running = JoinSet::new();
    for role in roles.iter().copied() {
        let health = Health::new(stop.clone(), telemetry.metrics.clone());
        let context = RoleContext::new(role, settings.clone(), health, stop.clone());
        running.spawn(async move {
            tracing::info!(role = role.name, "starting");
            (role, (role.run)(context).await)
        });
    }
    let upkeep = tokio::spawn(upkeep(telemetry, stop.clone()));
    let mut code = ExitCode::SUCCESS;
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((role, Ok(()))) => tracing::info!(role = role.name, "stopped"),
            Ok((role, Err(error))) => {
                tracing::error!(role = role.name, error = format!("{error:#}"), "failed");
                eprintln!("ubos {}: {error:#}", role.name);
                code = ExitCode::FAILURE;
            }
            Err(panic) => {
                tracing::error!(error = %panic, "a role panicked");
                code = ExitCode::FAILURE;
            }
        }
        // A role that ends ends the process, so that whoever supervises it sees.
        stop.cancel();
    }
    upkeep.await?;
    Ok(code)
}

/// Histograms must be drained now and then; the telemetry itself is flushed when everything else has stopped.
async fn upkeep(telemetry: Telemetry, stop: CancellationToken) {
    while tokio::time::timeout(Duration::from_secs(5), stop.cancelled()).await.is_err() {
        telemetry.metrics.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_roles_have_the_same_name_or_port() {
        let names: BTreeSet<&str> = ROLES.iter().map(|role| role.name).collect();
        let ports: BTreeSet<u16> = ROLES.iter().map(|role| role.port).collect();
        assert_eq!((names.len(), ports.len()), (ROLES.len(), ROLES.len()));
        // Servers of a development stack begin 22 above the base.
        assert!(ports.iter().all(|port| *port < 20), "{ports:?}");
    }

    #[test]
    fn a_role_says_what_it_is_for_and_not_what_may_be_asked_of_it() {
        let command = RoleVerb::augment_subcommands(clap::Command::new("ubos"));
        for role in ROLES {
            assert!(!role.copies.is_empty() && !role.copies.contains('|'), "{}", role.name);
            let about = command.find_subcommand(role.name).unwrap().get_about().unwrap().to_string();
            assert!(about == role.about && about.starts_with("Runs the role that "), "{}: {about}", role.name);
        }
    }

    #[test]
    fn every_file_of_a_role_is_on_the_list() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/roles");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let declares = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap().contains("\nimpl Role for ");
        let declared = files.filter(|path| path.is_file() && declares(path)).count();
        assert_eq!(declared, ROLES.len());
    }
}
