//! Starting, serving and stopping the roles.

use crate::{documents, front, generate, metrics, subjects, vault};
use ::event_gateway::{Gate, Seal};
use ::login::{Addresses, Login, Provider, ProviderSettings};
use ::vault::Vault;
use ::web::{Admission, AdmissionSettings, BodyLimits, SessionSettings, Sessions, Verifier, VerifierSettings, listen};
use access::{LogDirectory, Witness};
use actix_web::web::{Data, ServiceConfig};
use anyhow::{Context, Result};
use event_store::{CommandBus, Log, Store, StoreOptions, TimeZones};
use kernel::Issuer;
use mailer::{Links, Mailer};
use messaging::{Feed, ReaderConsumers, Relay, RelayOptions, StreamSettings};
use runtime::health::Health;
use runtime::settings::{NatsSettings, Settings};
use runtime::telemetry::{self, Telemetry};
use runtime::tls::{self, TlsFiles};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a role waits for the database when it starts.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// A role of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes commands.
    CommandApi,
    /// Answers queries.
    QueryApi,
    /// Publishes the log.
    Relay,
    /// Builds the read models.
    Projections,
    /// Runs the workflows.
    Workflow,
    /// Sends emails.
    Mailer,
    /// Lets subscribers read the stream.
    EventGateway,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::CommandApi => "command-api",
            Role::QueryApi => "query-api",
            Role::Relay => "relay",
            Role::Projections => "projections",
            Role::Workflow => "workflow",
            Role::Mailer => "mailer",
            Role::EventGateway => "event-gateway",
        }
    }
}

/// Runs roles until the process is asked to stop and everything accepted is finished, or until one of them fails.
pub async fn run(settings: &Settings, roles: &[Role]) -> Result<ExitCode> {
    let service = match roles {
        [one] => one.name(),
        _ => "ubos",
    };
    let telemetry = telemetry::init(&settings.telemetry, service)?;
    metrics::begin(roles, &generate::commands());
    let stop = runtime::shutdown::token()?;
    let mut running = JoinSet::new();
    for role in roles.iter().copied() {
        let (settings, stop) = (settings.clone(), stop.clone());
        let health = Health::new(stop.clone(), telemetry.metrics.clone());
        running.spawn(async move {
            tracing::info!(role = role.name(), "starting");
            let ended = one(role, &settings, health, stop).await;
            (role, ended)
        });
    }
    let upkeep = tokio::spawn(upkeep(telemetry, stop.clone()));
    let mut code = ExitCode::SUCCESS;
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((role, Ok(()))) => tracing::info!(role = role.name(), "stopped"),
            Ok((role, Err(error))) => {
                tracing::error!(role = role.name(), error = format!("{error:#}"), "failed");
                eprintln!("ubos {}: {error:#}", role.name());
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

async fn one(role: Role, settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    match role {
        Role::CommandApi => command_api(settings, health, stop).await,
        Role::QueryApi => query_api(settings, health, stop).await,
        Role::Relay => relay(settings, health, stop).await,
        Role::Projections => projections(settings, health, stop).await,
        Role::Workflow => workflow(settings, health, stop).await,
        Role::Mailer => mailer(settings, health, stop).await,
        Role::EventGateway => event_gateway(settings, health, stop).await,
    }
}

async fn pool(settings: &Settings, url: &SecretString, service: &str) -> Result<PgPool> {
    let connections = settings.database.connections_max;
    runtime::database::connect(url.expose_secret(), service, connections, DATABASE_PATIENCE).await
}

/// A client of NATS as the settings have it.
pub async fn nats(settings: &Settings, url: &SecretString, name: &str) -> Result<async_nats::Client> {
    let tls = TlsFiles::of_nats(&settings.nats)?;
    messaging::connect_with(url.expose_secret(), name, &tls).await
}

/// The same for somebody at a prompt: it is there now, or the error says where it is not and why.
pub async fn nats_now(settings: &Settings, url: &SecretString) -> Result<async_nats::Client> {
    let tls = TlsFiles::of_nats(&settings.nats)?;
    messaging::connect_now(url.expose_secret(), "ubos operator", &tls).await
}

/// Every command over a store on `pool`. Operators decide nothing that hangs on a firm's day, and need not follow its clocks.
///
/// # Errors
/// Where a provider's issuer is none: it would be one that no firm can name.
pub fn bus(settings: &Settings, pool: PgPool, vault: Option<Vault>) -> Result<CommandBus> {
    bus_with(settings, pool, vault, None)
}

fn bus_with(
    settings: &Settings,
    pool: PgPool,
    vault: Option<Vault>,
    directory: Option<LogDirectory>,
) -> Result<CommandBus> {
    let providers = Some(issuers(&settings.login.providers)?);
    let options = StoreOptions {
        batch_commands_max: settings.append.batch_commands_max,
        queue_commands_max: settings.append.queue_commands_max,
        cached_streams_max: settings.append.cached_streams_max,
        vault,
        time_zones: directory.map(|directory| Arc::new(directory) as Arc<dyn TimeZones>),
        providers,
    };
    let mut bus = CommandBus::new(Store::start(pool, options));
    registry::mount_all(&mut bus);
    Ok(bus)
}

/// The providers that a firm can limit its logins to.
fn issuers(providers: &[runtime::settings::ProviderSettings]) -> Result<Arc<[Issuer]>> {
    let issuer = |provider: &runtime::settings::ProviderSettings| {
        provider.issuer.parse().with_context(|| format!("settings: login.providers: the issuer of {}", provider.name))
    };
    providers.iter().map(issuer).collect()
}

/// Which stream, from the settings.
pub fn stream(settings: &Settings) -> StreamSettings {
    StreamSettings {
        name: settings.nats.stream.clone(),
        prefix: settings.nats.subject_prefix.clone(),
        replicas: settings.nats.replicas,
        max_age: Duration::from_secs(settings.nats.max_age_days * 24 * 3600),
    }
}

async fn verifier(settings: &Settings, directory: LogDirectory) -> Result<Data<Verifier>> {
    let auth = &settings.auth;
    let settings = VerifierSettings {
        jwks: auth.jwks.clone(),
        refresh: Duration::from_secs(auth.jwks_refresh_seconds),
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        leeway_seconds: auth.leeway_seconds,
    };
    Ok(Data::new(Verifier::start(settings, Arc::new(directory)).await?))
}

/// Where sessions are kept, if people log in here.
async fn sessions(settings: &Settings) -> Result<Option<Sessions>> {
    let Some(redis) = tls::redis_client(&settings.redis)? else { return Ok(None) };
    let login = &settings.login;
    let settings = SessionSettings {
        idle: Duration::from_secs(login.idle_minutes * 60),
        absolute: Duration::from_secs(login.absolute_hours * 3600),
        portal_idle: Duration::from_secs(login.portal_idle_minutes * 60),
        portal_absolute: Duration::from_secs(login.portal_absolute_hours * 3600),
        per_person_max: login.sessions_per_person_max,
        origins: login.origins.clone(),
    };
    Ok(Some(Sessions::connect_with(redis, settings).await?))
}

/// The pages of a login, if people log in here.
async fn login(settings: &Settings, bus: &CommandBus, pool: PgPool) -> Result<Option<Data<Login>>> {
    let Some(sessions) = sessions(settings).await? else { return Ok(None) };
    let login = &settings.login;
    let provider = |p: &runtime::settings::ProviderSettings| {
        Provider::new(ProviderSettings {
            name: p.name.clone(),
            issuer: p.issuer.clone(),
            client_id: p.client_id.clone(),
            client_secret: p.client_secret.clone(),
        })
    };
    let providers = login.providers.iter().map(provider).collect::<Result<Vec<_>>>()?;
    let addresses = Addresses {
        public_url: login.public_url.clone(),
        app_url: login.app_url.clone(),
        portal_url: login.portal_url.clone(),
    };
    Ok(Some(Data::new(Login::new(bus.clone(), pool, sessions, providers, addresses))))
}

async fn command_api(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let pool = pool(settings, &settings.database.command_url, "command-api").await?;
    let vault = vault::open(settings, &pool)?;
    let health = vault::watch(health, vault.as_ref());
    let directory = LogDirectory::start(pool.clone());
    let bus = bus_with(settings, pool.clone(), vault, Some(directory.clone()))?;
    let store = bus.store().clone();
    let commands: Vec<_> = bus.commands().copied().collect();
    let document = leak(&documents::commands(&commands))?;
    let http = &settings.http;
    let limits = BodyLimits { bytes_max: http.max_body_bytes, time_max: Duration::from_millis(http.body_timeout_ms) };
    let admission = Admission::new("command-api", bounds(settings, http.commands_in_flight_max));
    let login = login(settings, &bus, pool.clone()).await?;
    let api = Data::new(command_api::Api::new(bus, limits, admission).with_records_at(&http.query_public_url));
    let refusals = api.refusals().clone();
    let routes = move |config: &mut ServiceConfig| {
        ::web::openapi::serve(config, document);
        documents::serve_events(config);
        // First, because commands take every path that is left.
        if let Some(login) = &login {
            ::login::configure(config, login.clone());
        }
        command_api::configure(config, api.clone());
    };
    let verifier = verifier(settings, directory).await?;
    let witness = Witness::start(pool.clone(), Some(refusals), verifier.keys_in_use().clone());
    serve(settings, settings.http.command_bind, health.database(pool), verifier, stop, routes).await?;
    store.drain().await;
    witness.stop().await;
    Ok(())
}

async fn query_api(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let pool = pool(settings, &settings.database.query_url, "query-api").await?;
    let patience = Duration::from_millis(settings.http.min_position_wait_ms);
    let in_flight_max = settings.http.reads_in_flight_max;
    // A read may take as long as a statement may, and holds a connection meanwhile: some are left for other firms.
    let of_one_firm_max = in_flight_max.min(settings.database.connections_max as usize) * 3 / 4;
    let admission = Admission::leaving_room("query-api", bounds(settings, in_flight_max), of_one_firm_max);
    let vault = vault::open(settings, &pool)?;
    let health = vault::watch(health, vault.as_ref());
    let commands = crate::generate::commands().into_iter().map(|info| info.entry.name);
    let api = Data::new(query_api::Api::new(pool.clone(), patience, admission).unsealing(vault).knowing(commands));
    let document = leak(&documents::queries())?;
    let sessions = sessions(settings).await?.map(Data::new);
    let routes = move |config: &mut ServiceConfig| {
        if let Some(sessions) = &sessions {
            config.app_data(sessions.clone());
        }
        ::web::openapi::serve(config, document);
        documents::serve_events(config);
        query_api::configure(config, api.clone());
    };
    let verifier = verifier(settings, LogDirectory::start(pool.clone())).await?;
    let witness = Witness::start(pool.clone(), None, verifier.keys_in_use().clone());
    serve(settings, settings.http.query_bind, health.database(pool), verifier, stop, routes).await?;
    witness.stop().await;
    Ok(())
}

fn bounds(settings: &Settings, in_flight_max: usize) -> AdmissionSettings {
    let http = &settings.http;
    let wait_max = Duration::from_millis(http.waiting_ms_max);
    AdmissionSettings { in_flight_max, waiting_max: http.waiting_max, wait_max }
}

/// A document that lives as long as the process, in one piece.
fn leak(document: &serde_json::Value) -> Result<&'static str> {
    Ok(serde_json::to_string_pretty(document)?.leak())
}

/// Serves until asked to stop: readiness goes off, connections are still taken for the drain delay, then requests in
/// flight are finished.
async fn serve(
    settings: &Settings,
    bind: SocketAddr,
    health: Health,
    verifier: Data<Verifier>,
    stop: CancellationToken,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> Result<()> {
    let http = &settings.http;
    health.watch();
    let front = Data::new(front::build(settings)?);
    let draining = front.draining.clone();
    let all_routes = move |config: &mut ServiceConfig| {
        config.app_data(verifier.clone());
        health.configure(config);
        routes(config);
    };
    let (server, stopper) = listen(bind, &front::server(http), front, all_routes)?;
    let delay = Duration::from_millis(http.drain_delay_ms);
    tokio::spawn(async move {
        stop.cancelled().await;
        draining.begin();
        tokio::time::sleep(delay).await;
        stopper.stop().await;
    });
    tracing::info!(%bind, "listening");
    Ok(server.await?)
}

async fn relay(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let pool = pool(settings, &settings.database.worker_url, "relay").await?;
    let nats = nats(settings, settings.nats.relay(), "ubos relay").await?;
    let health = check_nats(health.database(pool.clone()), "nats", settings.nats.relay(), &nats);
    let vault = vault::open(settings, &pool)?;
    let health = vault::watch(health, vault.as_ref());
    let relay = Relay::new(vault::outgoing(pool, vault), nats, RelayOptions::new(stream(settings)));
    until_stopped(relay.run(stop.clone()), health, settings.admin.relay_bind, stop).await
}

/// Not ready while NATS is away.
fn check_nats(health: Health, name: &'static str, url: &SecretString, nats: &async_nats::Client) -> Health {
    let (nats, place) = (nats.clone(), messaging::place(url.expose_secret()));
    health.check(name, move || {
        let connected = nats.connection_state() == async_nats::connection::State::Connected;
        let checked = if connected { Ok(()) } else { Err(format!("not connected to {place}")) };
        Box::pin(async move { checked })
    })
}

async fn projections(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let pool = pool(settings, &settings.database.worker_url, "projections").await?;
    let vault = vault::open(settings, &pool)?;
    let health = vault::watch(health, vault.as_ref());
    let nats = nats(settings, &settings.nats.url, "ubos projections").await?;
    let feed = Feed::start(vault::outgoing(pool.clone(), vault), Some(nats), stream(settings)).await?;
    let work = projections::run(pool.clone(), feed, stop.clone());
    let erasures = Box::pin(subjects::work(settings, stop.clone()));
    let work = async { tokio::try_join!(work, erasures).map(drop) };
    until_stopped(work, health.database(pool), settings.admin.projections_bind, stop).await
}

async fn workflow(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let pool = pool(settings, &settings.database.worker_url, "workflow").await?;
    let vault = vault::open(settings, &pool)?;
    let health = vault::watch(health, vault.as_ref());
    // Alone: the log brings a run's eleven events at once, NATS one by one.
    let feed = Feed::start(vault::outgoing(pool.clone(), vault.clone()), None, stream(settings)).await?;
    let directory = LogDirectory::start(pool.clone());
    let bus = bus_with(settings, pool.clone(), vault, Some(directory))?;
    let store = bus.store().clone();
    let engine = workflow::Engine::start(pool.clone(), bus, Arc::new(feed), workflow::EngineOptions::default());
    let stopping = stop.clone();
    let work = async move {
        stopping.cancelled().await;
        engine.stop().await;
        store.drain().await;
        Ok(())
    };
    until_stopped(work, health.database(pool), settings.admin.workflow_bind, stop).await
}

async fn mailer(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let url =
        settings.mail.smtp_url.as_ref().context("settings: mail.smtp_url is not set, so no emails can be sent")?;
    let pool = pool(settings, &settings.database.worker_url, "mailer").await?;
    let links = Links {
        public_url: settings.login.public_url.clone(),
        provider: settings.login.providers.first().map(|provider| provider.name.clone()),
        app_url: settings.login.app_url.clone(),
        portal_url: settings.login.portal_url.clone(),
    };
    let vault = vault::open(settings, &pool)?;
    let health = vault::watch(health, vault.as_ref());
    let store = bus(settings, pool.clone(), vault.clone())?.store().clone();
    let log = Log::unsealing(pool.clone(), vault);
    let mailer = Mailer::new(log, store.clone(), url.expose_secret(), &settings.mail.from, links)?;
    let stopping = stop.clone();
    let work = async move {
        mailer.run(stopping).await;
        store.drain().await;
        Ok(())
    };
    until_stopped(work, health.database(pool), settings.admin.mailer_bind, stop).await
}

async fn event_gateway(settings: &Settings, health: Health, stop: CancellationToken) -> Result<()> {
    let NatsSettings { url, system_url, issuer_seed, stream: name, .. } = &settings.nats;
    let needed = "settings: nats.system_url and nats.issuer_seed are needed where subscribers are let in";
    let (system_url, seed) = system_url.as_ref().zip(issuer_seed.as_ref()).context(needed)?;
    let seal = Seal::from_seed(seed).context("settings: nats.issuer_seed")?;
    let pool = pool(settings, &settings.database.worker_url, "event-gateway").await?;
    let system = self::nats(settings, system_url, "ubos event-gateway").await?;
    let nats = self::nats(settings, url, "ubos event-gateway").await?;
    let health = check_nats(health.database(pool.clone()), "nats", url, &nats);
    let health = check_nats(health, "nats system account", system_url, &system);
    let directory = Arc::new(LogDirectory::start(pool.clone()));
    let consumers = ReaderConsumers::new(pool, nats, stream(settings));
    let gate = Gate::new(system, directory, consumers, seal, name.clone());
    let work = Box::pin(gate.run(stop.clone()));
    until_stopped(work, health, settings.admin.event_gateway_bind, stop).await
}

/// Does the work of a role while its health is served; whichever ends first ends the other.
async fn until_stopped(
    work: impl Future<Output = Result<()>>,
    health: Health,
    bind: SocketAddr,
    stop: CancellationToken,
) -> Result<()> {
    let done = stop.child_token();
    let ended = done.clone();
    let work = async move {
        let result = work.await;
        ended.cancel();
        result
    };
    let serving = async { health.serve(bind, done).await.with_context(|| format!("listening on {bind}")) };
    tokio::try_join!(work, serving).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_no_firm_could_name_is_an_error_and_not_left_out() {
        let provider = |issuer: &str| runtime::settings::ProviderSettings {
            name: "google".into(),
            issuer: issuer.into(),
            client_id: "us".into(),
            client_secret: "shh".into(),
        };
        let both = [provider("https://accounts.google.com"), provider("http://127.0.0.1:9000")];
        assert_eq!(issuers(&both).unwrap().len(), 2);
        let error = format!("{:#}", issuers(&[provider("accounts.google.com")]).unwrap_err());
        assert!(error.contains("the issuer of google") && error.contains("https://"), "{error}");
    }
}
