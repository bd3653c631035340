//! Providers outside, as the settings describe them.

use crate::connect;
use ::books::{Books, Chart, Ledgers};
use ::docusign::{Docusign, DocusignDoor};
use ::dropbox_sign::{DropboxSign, DropboxSignDoor};
use ::providers::{Adapter, Direct, Links, OAuth, OAuthSettings, Sweeper};
use ::quickbooks::{Quickbooks, QuickbooksDoor};
use ::vault::Vault;
use ::xero::{Xero, XeroDoor};
use anyhow::{Context, Result};
use event_store::{Log, Store};
use runtime::settings::{ProvidersSettings, Settings};
use secrecy::SecretString;
use signatures::{Collectors, Desk, Wanted};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;

/// Providers say for how many of these a grant can be replaced that nobody replaces.
const DAY: Duration = Duration::from_secs(86_400);

/// Is any set up here?
pub fn any(settings: &Settings) -> bool {
    let ProvidersSettings { docusign, dropbox_sign, quickbooks, xero, .. } = &settings.providers;
    [&docusign.client_id, &dropbox_sign.client_id, &quickbooks.client_id, &xero.client_id]
        .into_iter()
        .any(Option::is_some)
}

/// One provider's authorisation server, if it is set up.
fn oauth(
    settings: &Settings,
    (id, secret): (&Option<String>, &Option<SecretString>),
    (authorise_url, token_url): (&str, &str),
    scopes: &[String],
) -> Result<Option<OAuth>> {
    agreed(settings, (id, secret), (authorise_url, token_url), scopes).as_ref().map(OAuth::new).transpose()
}

/// What one provider's authorisation server is told of us, if it is set up.
fn agreed(
    settings: &Settings,
    (id, secret): (&Option<String>, &Option<SecretString>),
    (authorise_url, token_url): (&str, &str),
    scopes: &[String],
) -> Option<OAuthSettings> {
    Some(OAuthSettings {
        client_id: id.clone()?,
        client_secret: secret.clone()?,
        authorise_url: authorise_url.to_owned(),
        token_url: token_url.to_owned(),
        scopes: scopes.to_vec(),
        redirect_url: format!("{}/v1/connect/callback", settings.login.public_url),
    })
}

fn of_docusign(settings: &Settings) -> Result<Option<OAuth>> {
    let one = &settings.providers.docusign;
    let urls = (one.authorise_url.as_str(), one.token_url.as_str());
    let oauth = oauth(settings, (&one.client_id, &one.client_secret), urls, &one.scopes);
    Ok(oauth.context("settings: providers.docusign")?.map(|oauth| oauth.renewable(30 * DAY)))
}

fn of_dropbox_sign(settings: &Settings) -> Result<Option<OAuth>> {
    let one = &settings.providers.dropbox_sign;
    let urls = (one.authorise_url.as_str(), one.token_url.as_str());
    let agreed = agreed(settings, (&one.client_id, &one.client_secret), urls, &one.scopes);
    agreed.as_ref().map(OAuth::in_json).transpose().context("settings: providers.dropbox_sign")
}

fn of_quickbooks(settings: &Settings) -> Result<Option<OAuth>> {
    let one = &settings.providers.quickbooks;
    let urls = (one.authorise_url.as_str(), one.token_url.as_str());
    let oauth = oauth(settings, (&one.client_id, &one.client_secret), urls, &one.scopes);
    let oauth = oauth.context("settings: providers.quickbooks")?;
    Ok(oauth.map(|oauth| oauth.renewable(100 * DAY).ending_at(&one.revoke_url)))
}

fn of_xero(settings: &Settings) -> Result<Option<OAuth>> {
    let one = &settings.providers.xero;
    let urls = (one.authorise_url.as_str(), one.token_url.as_str());
    let oauth = oauth(settings, (&one.client_id, &one.client_secret), urls, &one.scopes);
    Ok(oauth.context("settings: providers.xero")?.map(|oauth| oauth.renewable(60 * DAY)))
}

/// Those that are set up, as the door sees them.
///
/// # Errors
/// If a URL cannot be read.
pub fn adapters(settings: &Settings) -> Result<Vec<Arc<dyn Adapter>>> {
    let ProvidersSettings { docusign, dropbox_sign, quickbooks, xero, .. } = &settings.providers;
    let mut adapters: Vec<Arc<dyn Adapter>> = vec![];
    if let Some(oauth) = of_docusign(settings)? {
        adapters.push(Arc::new(DocusignDoor::new(oauth, &docusign.userinfo_url, docusign.webhook_key.clone())?));
    }
    if let Some(oauth) = of_dropbox_sign(settings)? {
        let keys = [&dropbox_sign.webhook_key, &dropbox_sign.previous_webhook_key].into_iter().flatten().cloned();
        adapters.push(Arc::new(DropboxSignDoor::new(oauth, &dropbox_sign.api_url, keys)?));
    }
    if let Some(oauth) = of_quickbooks(settings)? {
        adapters.push(Arc::new(QuickbooksDoor::new(oauth, &quickbooks.api_url, quickbooks.webhook_key.clone())?));
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
    let dropbox_sign = of_dropbox_sign(settings)?.map(|oauth| (::dropbox_sign::PROVIDER, oauth));
    let quickbooks = of_quickbooks(settings)?.map(|oauth| (::quickbooks::PROVIDER, oauth));
    let xero = of_xero(settings)?.map(|oauth| (::xero::PROVIDER, oauth));
    Ok(Links::new(pool, vault, docusign.into_iter().chain(dropbox_sign).chain(quickbooks).chain(xero)))
}

fn dropbox_sign(settings: &Settings, links: &Links) -> Result<Arc<DropboxSign>> {
    Ok(Arc::new(DropboxSign::new(links.clone(), settings.providers.dropbox_sign.test_mode)?))
}

/// All, as whoever calls their own APIs sees them.
///
/// # Errors
/// If no HTTP client can be made.
pub fn direct(settings: &Settings, links: &Links) -> Result<Vec<Arc<dyn Direct>>> {
    Ok(vec![
        Arc::new(Docusign::new(links.clone())?),
        dropbox_sign(settings, links)?,
        Arc::new(Quickbooks::new(links.clone())?),
        Arc::new(Xero::new(links.clone())?),
    ])
}

/// All, as whoever looks after connections sees them.
///
/// # Errors
/// If no HTTP client can be made.
pub fn sweepers(settings: &Settings, links: &Links) -> Result<Vec<Arc<dyn Sweeper>>> {
    Ok(vec![
        Arc::new(Docusign::new(links.clone())?),
        dropbox_sign(settings, links)?,
        Arc::new(Quickbooks::new(links.clone())?),
        Arc::new(Xero::new(links.clone())?),
    ])
}

/// The accounts and words that every new organisation at Xero has.
fn chart_of_xero() -> Chart {
    Chart { sales: "200".to_owned(), untaxed: Some("NONE".to_owned()) }
}

/// The account that new companies at QuickBooks have under this name; what is not taxed bears the kind of tax that has no rate.
fn chart_of_quickbooks() -> Chart {
    Chart { sales: "Sales".to_owned(), untaxed: None }
}

/// The ledgers of firms that are connected with one.
///
/// # Errors
/// If no HTTP client can be made.
pub fn ledgers(links: &Links, log: &Log, store: &Store) -> Result<Ledgers> {
    let (quickbooks, xero) = (Arc::new(Quickbooks::new(links.clone())?), Arc::new(Xero::new(links.clone())?));
    let named = (::quickbooks::PROVIDER, ::quickbooks::ENTRY);
    let quickbooks = Books::new(quickbooks, named, links.clone(), log.clone(), store.clone(), chart_of_quickbooks());
    let named = (::xero::PROVIDER, ::xero::ENTRY);
    let xero = Books::new(xero, named, links.clone(), log.clone(), store.clone(), chart_of_xero());
    Ok(Ledgers::new([quickbooks, xero]))
}

/// What having contracts signed needs, if somebody who collects signatures is set up here.
///
/// # Errors
/// If no HTTP client can be made, or the store of files cannot be found.
pub fn contracts(settings: &Settings, log: &Log, store: &Store, links: &Links) -> Result<Option<Desk>> {
    let mut signing: Collectors = vec![];
    if settings.providers.docusign.client_id.is_some() {
        signing.push((::docusign::PROVIDER, Arc::new(Docusign::new(links.clone())?)));
    }
    if settings.providers.dropbox_sign.client_id.is_some() {
        signing.push((::dropbox_sign::PROVIDER, dropbox_sign(settings, links)?));
    }
    if signing.is_empty() {
        return Ok(None);
    }
    let public_url = Some(settings.login.public_url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    Ok(Some(Desk::new(Wanted {
        log: log.clone(),
        store: store.clone(),
        links: links.clone(),
        signing,
        objects: connect::objects(settings)?,
        public_url,
    })))
}
