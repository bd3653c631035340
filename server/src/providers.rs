//! Providers outside, as the settings describe them.

use crate::connect;
use ::books::{Books, Chart};
use ::docusign::{Docusign, DocusignDoor};
use ::providers::{Adapter, Direct, Links, OAuth, OAuthSettings, Sweeper};
use ::vault::Vault;
use ::xero::{Xero, XeroDoor};
use anyhow::{Context, Result};
use event_store::{Log, Store};
use runtime::settings::{ProvidersSettings, Settings};
use secrecy::SecretString;
use signatures::{Desk, Wanted};
use sqlx::PgPool;
use std::sync::Arc;

/// Is any set up here?
pub fn any(settings: &Settings) -> bool {
    let ProvidersSettings { docusign, xero } = &settings.providers;
    docusign.client_id.is_some() || xero.client_id.is_some()
}

/// One provider's authorisation server, if it is set up.
fn oauth(
    settings: &Settings,
    (id, secret): (&Option<String>, &Option<SecretString>),
    (authorise_url, token_url): (&str, &str),
    scopes: &[String],
) -> Result<Option<OAuth>> {
    let (Some(id), Some(secret)) = (id, secret) else { return Ok(None) };
    let oauth = OAuth::new(&OAuthSettings {
        client_id: id.clone(),
        client_secret: secret.clone(),
        authorise_url: authorise_url.to_owned(),
        token_url: token_url.to_owned(),
        scopes: scopes.to_vec(),
        redirect_url: format!("{}/v1/connect/callback", settings.login.public_url),
    });
    oauth.map(Some)
}

fn of_docusign(settings: &Settings) -> Result<Option<OAuth>> {
    let one = &settings.providers.docusign;
    let urls = (one.authorise_url.as_str(), one.token_url.as_str());
    oauth(settings, (&one.client_id, &one.client_secret), urls, &one.scopes).context("settings: providers.docusign")
}

fn of_xero(settings: &Settings) -> Result<Option<OAuth>> {
    let one = &settings.providers.xero;
    let urls = (one.authorise_url.as_str(), one.token_url.as_str());
    oauth(settings, (&one.client_id, &one.client_secret), urls, &one.scopes).context("settings: providers.xero")
}

/// Those that are set up, as the door sees them.
///
/// # Errors
/// If a URL cannot be read.
pub fn adapters(settings: &Settings) -> Result<Vec<Arc<dyn Adapter>>> {
    let ProvidersSettings { docusign, xero } = &settings.providers;
    let mut adapters: Vec<Arc<dyn Adapter>> = vec![];
    if let Some(oauth) = of_docusign(settings)? {
        adapters.push(Arc::new(DocusignDoor::new(oauth, &docusign.userinfo_url, docusign.webhook_key.clone())?));
    }
    if let Some(oauth) = of_xero(settings)? {
        adapters.push(Arc::new(XeroDoor::new(oauth, &xero.api_url, xero.webhook_key.clone())?));
    }
    Ok(adapters)
}

/// The links to those that are set up. `pool` connects as `ubos_worker`.
///
/// # Errors
/// If a URL cannot be read.
pub fn links(settings: &Settings, pool: PgPool, vault: Vault) -> Result<Links> {
    let docusign = of_docusign(settings)?.map(|oauth| (::docusign::PROVIDER, oauth));
    let xero = of_xero(settings)?.map(|oauth| (::xero::PROVIDER, oauth));
    Ok(Links::new(pool, vault, docusign.into_iter().chain(xero)))
}

/// Both, as whoever calls their own APIs sees them.
///
/// # Errors
/// If no HTTP client can be made.
pub fn direct(links: &Links) -> Result<Vec<Arc<dyn Direct>>> {
    Ok(vec![Arc::new(Docusign::new(links.clone())?), Arc::new(Xero::new(links.clone())?)])
}

/// Both, as whoever looks after connections sees them.
///
/// # Errors
/// If no HTTP client can be made.
pub fn sweepers(links: &Links) -> Result<Vec<Arc<dyn Sweeper>>> {
    Ok(vec![Arc::new(Docusign::new(links.clone())?), Arc::new(Xero::new(links.clone())?)])
}

/// The accounts and words that every new organisation at Xero has.
fn chart_of_xero() -> Chart {
    Chart { sales: "200".to_owned(), untaxed: Some("NONE".to_owned()) }
}

/// The ledger of firms that are connected with one.
///
/// # Errors
/// If no HTTP client can be made.
pub fn books(links: &Links, log: &Log, store: &Store) -> Result<Books> {
    let xero = Arc::new(Xero::new(links.clone())?);
    let named = (::xero::PROVIDER, ::xero::ENTRY);
    Ok(Books::new(xero, named, links.clone(), log.clone(), store.clone(), chart_of_xero()))
}

/// What having contracts signed needs, if somebody who collects signatures is set up here.
///
/// # Errors
/// If no HTTP client can be made, or the store of files cannot be found.
pub fn contracts(settings: &Settings, log: &Log, store: &Store, links: &Links) -> Result<Option<Desk>> {
    if settings.providers.docusign.client_id.is_none() {
        return Ok(None);
    }
    let public_url = Some(settings.login.public_url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    Ok(Some(Desk::new(Wanted {
        log: log.clone(),
        store: store.clone(),
        links: links.clone(),
        signing: Arc::new(Docusign::new(links.clone())?),
        provider: ::docusign::PROVIDER,
        objects: connect::objects(settings)?,
        public_url,
    })))
}
