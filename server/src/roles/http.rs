//! What the two roles that serve HTTP do the same way.

use super::RoleContext;
use crate::{front, providers};
use ::connect::Desk;
use ::login::{Addresses, Login, Provider, ProviderSettings};
use ::providers::Keeper;
use ::web::{AdmissionSettings, BodyLimits, SessionSettings, Sessions, Verifier, VerifierSettings, listen};
use access::LogDirectory;
use actix_web::web::{Data, ServiceConfig};
use anyhow::{Context, Result};
use event_store::CommandBus;
use runtime::settings::Settings;
use runtime::tls;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;

/// Who a token or a key speaks for.
pub async fn verifier(settings: &Settings, directory: LogDirectory) -> Result<Data<Verifier>> {
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
pub async fn sessions(settings: &Settings) -> Result<Option<Sessions>> {
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
pub async fn login(settings: &Settings, bus: &CommandBus, pool: PgPool) -> Result<Option<Data<Login>>> {
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

/// Where firms are connected with providers, if any is set up here.
pub async fn desk(context: &RoleContext, bus: &CommandBus, limits: BodyLimits) -> Result<Option<Data<Desk>>> {
    let (settings, pool) = (&context.settings, context.pool().await?);
    let adapters = providers::adapters(settings)?;
    if adapters.is_empty() {
        return Ok(None);
    }
    let vault = context.vault().await?.context("settings: vault.key_file is not set")?;
    let login = &settings.login;
    let urls = (login.public_url.clone(), login.app_url.clone());
    let (keeper, sessions) = (Keeper::new(pool, vault), sessions(settings).await?);
    Ok(Some(Data::new(Desk::new(bus.store().clone(), keeper, sessions, adapters, limits, urls))))
}

/// How many requests may be in work, and how many may wait for it.
pub fn bounds(settings: &Settings, in_flight_max: usize) -> AdmissionSettings {
    let http = &settings.http;
    let wait_max = Duration::from_millis(http.waiting_ms_max);
    AdmissionSettings { in_flight_max, waiting_max: http.waiting_max, wait_max }
}

/// A document that lives as long as the process, in one piece.
pub fn leak(document: &serde_json::Value) -> Result<&'static str> {
    Ok(serde_json::to_string_pretty(document)?.leak())
}

/// Serves until asked to stop: readiness goes off, connections are still taken for the drain delay, then requests in
/// flight are finished.
pub async fn serve(
    context: &RoleContext,
    verifier: Data<Verifier>,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> Result<()> {
    let (bind, health, stop) = (context.bind(), context.health(), context.stop.clone());
    let http = &context.settings.http;
    health.watch();
    let front = Data::new(front::build(&context.settings)?);
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
