//! To the provider, and back from it.

use crate::desk::Desk;
use crate::door;
use crate::pages::{Stopped, refused, unavailable};
use ::web::{Caller, Problem, RequestInfo, Session, code, may_log_in, within};
use actix_web::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use anyhow::anyhow;
use connections::Connection;
use connections::connection::ConnectionCommand as C;
use event_store::{ExecuteError, Request};
use kernel::{Actor, ConnectionId, Principal, SessionId, TenantId};
use ports::Place;
use providers::{Account, Adapter, Begun, Grant, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

const START: &str = "/v1/connect/start";
const CALLBACK: &str = "/v1/connect/callback";
/// Whoever may do this may go to a provider.
const BEGIN: &str = "connections.connection.begin_authorisation";
/// How long somebody may take at the provider.
const AWAY: Duration = Duration::from_secs(600);
/// Bytes of an account's id in an address at most.
const ACCOUNT_BYTES_MAX: usize = 200;

/// What is put aside while somebody is at the provider.
#[derive(Debug, Serialize, Deserialize)]
struct Away {
    tenant: TenantId,
    connection: ConnectionId,
    provider: String,
    /// Only the session that went comes back.
    session: SessionId,
    redirect_to: String,
    /// The account that is meant, of several.
    account: Option<String>,
    begun: Begun,
}

/// Adds the routes to a service.
pub fn configure(config: &mut ServiceConfig, desk: Data<Desk>) {
    config.app_data(desk);
    config.route(START, web::get().to(start));
    config.route(CALLBACK, web::get().to(callback));
    config.route(door::PATH, web::post().to(door::webhook));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    connection: Uuid,
    #[serde(default)]
    redirect_to: String,
    #[serde(default)]
    account: Option<String>,
}

async fn start(desk: Data<Desk>, caller: Result<Caller, Problem>, request: HttpRequest) -> HttpResponse {
    RequestInfo::set_route(&request, START);
    let begun = async { go(&desk, caller?, &request).await };
    begun.await.unwrap_or_else(|problem| Stopped::from(problem).answer(&desk, &request))
}

/// Sends a browser to the provider of a connection. Whoever was led here by another site has agreed to nothing yet: that is asked
/// there, and what comes of it goes to this connection of this firm.
async fn go(desk: &Desk, caller: Caller, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    may_log_in(request).await?;
    let session = session(request)?;
    let Query(asked) = Query::<Start>::from_query(request.query_string())
        .ok()
        .filter(|Query(asked)| asked.account.as_ref().is_none_or(|account| account.len() <= ACCOUNT_BYTES_MAX))
        .ok_or_else(|| Problem::new(&code::INVALID_PARAMETER, "expected a connection, and a path to come back to"))?;
    let reach = caller.reach(BEGIN)?;
    if !matches!(caller.principal, Principal::User { .. }) || reach != kernel::Reach::Everything {
        return Err(caller.denied(BEGIN));
    }
    let at = Place { tenant: caller.tenant, connection: ConnectionId(asked.connection) };
    let connection = loaded(desk, at).await?;
    let adapter = adapter_of(desk, &connection)?;
    let asked_by =
        Request { permissions: Some(caller.permissions.clone()), ..Request::new(caller.tenant, caller.actor()) };
    let begun = desk.store.execute::<Connection>(Some(at.connection.0), C::BeginAuthorisation {}, &asked_by).await;
    begun.map_err(|error| match error {
        ExecuteError::Denied => caller.denied(BEGIN),
        error => unavailable(&anyhow!(error)),
    })?;
    let (url, begun) = adapter.oauth().begin();
    let state = begun.state.clone();
    let away = Away {
        tenant: at.tenant,
        connection: at.connection,
        provider: adapter.provider().to_owned(),
        session: session.id,
        redirect_to: within(&asked.redirect_to),
        account: asked.account,
        begun,
    };
    let text = serde_json::to_string(&away).map_err(|error| unavailable(&error.into()))?;
    sessions(desk)?.put_aside(&aside(&state), &text, AWAY).await.map_err(|error| unavailable(&error))?;
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, url.as_str())).insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.finish())
}

/// What the provider sends the browser back with.
#[derive(Debug, Deserialize)]
struct Callback {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

async fn callback(desk: Data<Desk>, caller: Result<Caller, Problem>, request: HttpRequest) -> HttpResponse {
    RequestInfo::set_route(&request, CALLBACK);
    if request.extensions().get::<RequestInfo>().is_some_and(|info| info.is_head) {
        // Whoever only looks must not use the code up.
        return HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish();
    }
    // Detached, so that a browser that goes away leaves no grant behind that nobody keeps.
    let (session, query) = (caller.and_then(|_| session(&request)), request.query_string().to_owned());
    let at_work = desk.clone();
    let done = actix_web::rt::spawn(async move { come_back(&at_work, session, &query).await }).await;
    match done {
        Ok(Ok(redirect_to)) => HttpResponse::SeeOther()
            .insert_header((LOCATION, format!("{}{redirect_to}", desk.app_url)))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .finish(),
        Ok(Err(stopped)) => stopped.answer(&desk, &request),
        Err(panic) => {
            tracing::error!(error = %panic, "connecting a provider panicked");
            Stopped::from(Problem::new(&code::FAULT, "connecting failed on our side")).answer(&desk, &request)
        }
    }
}

async fn come_back(desk: &Desk, session: Result<Session, Problem>, query: &str) -> Result<String, Stopped> {
    const BROKEN: &str = "Connecting cannot be finished; begin again.";
    let Query(back) =
        Query::<Callback>::from_query(query).map_err(|_| refused("what the provider sent cannot be read", BROKEN))?;
    let state = back.state.ok_or_else(|| refused("no state", BROKEN))?;
    let session = session?;
    let away = sessions(desk)?.take_back(&aside(&state)).await.map_err(|error| unavailable(&error))?;
    let away: Away = away.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
        let told = "This is over: it was finished already, or it took longer than ten minutes.";
        refused("the state is unknown, used or too old", told)
    })?;
    if away.session != session.id || away.tenant != session.tenant {
        return Err(refused("not the session that began", BROKEN).into());
    }
    let again = format!("{}{START}", desk.public_url);
    let begin = |account: Option<&str>| {
        let pairs = [("connection", away.connection.to_string()), ("redirect_to", away.redirect_to.clone())];
        let account = account.map(|account| ("account", account.to_owned()));
        Url::parse_with_params(&again, pairs.into_iter().chain(account)).map_or_else(|_| again.clone(), String::from)
    };
    if let Some(error) = &back.error {
        let told = match error.as_str() {
            "access_denied" => "Nothing was connected, because you or the provider said no.",
            _ => "The provider did not connect anything.",
        };
        return Err(Stopped::from(refused("the provider said no", told)).or(begin(None), "Try again"));
    }
    let shown = back.code.ok_or_else(|| refused("no code", BROKEN))?;
    let told = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    match known(desk, &away, shown, &told).await {
        Ok(()) => Ok(away.redirect_to.clone()),
        Err(NotConnected::For(problem)) => Err(Stopped::from(problem).or(begin(None), "Try again")),
        Err(NotConnected::Which(accounts)) => {
            let told = "Several accounts were agreed to. Which one is this connection for?";
            let stopped = Stopped::from(refused("several accounts", told));
            Err(accounts.iter().fold(stopped, |stopped, one| stopped.or(begin(Some(&one.id)), one.label.clone())))
        }
    }
}

/// Why there is no connection.
enum NotConnected {
    For(Problem),
    /// Several accounts were agreed to, and none was meant.
    Which(Vec<Account>),
}

impl From<Problem> for NotConnected {
    fn from(problem: Problem) -> Self {
        Self::For(problem)
    }
}

/// Goes on with what this session has begun: code to grant, grant to account, both kept, and on the record.
async fn known(desk: &Desk, away: &Away, shown: String, told: &BTreeMap<String, String>) -> Result<(), NotConnected> {
    let at = Place { tenant: away.tenant, connection: away.connection };
    let connection = loaded(desk, at).await?;
    let adapter = adapter_of(desk, &connection)?;
    if adapter.provider() != away.provider {
        return Err(refused("another provider's answer", "Connecting cannot be finished; begin again.").into());
    }
    let grant = adapter.oauth().exchange(shown, &away.begun).await.map_err(|error| match error {
        Refusal::Refused(why) => refused(&why, "The provider does not take its own answer; begin again."),
        Refusal::Away(why) => {
            tracing::warn!(why, "a provider gives no grant");
            Problem::new(&code::UNAVAILABLE, "the provider does not answer; repeat in a moment")
        }
    })?;
    let accounts = adapter.accounts_told(&grant.access, told).await.map_err(|error| {
        tracing::warn!(error = format!("{error:#}"), "a provider does not say which accounts it gives");
        Problem::new(&code::UNAVAILABLE, "the provider does not say what was agreed to; repeat in a moment")
    })?;
    let account = meant(accounts, connection.account_id().map(|id| id.as_str()), away.account.as_deref())?;
    kept(desk, at, adapter, &account, &grant).await.map_err(NotConnected::For)
}

/// Which of the accounts: the one that the connection leads to, the one that was chosen, or the only one.
fn meant(mut accounts: Vec<Account>, known: Option<&str>, chosen: Option<&str>) -> Result<Account, NotConnected> {
    match known.or(chosen) {
        Some(id) => accounts.into_iter().find(|account| account.id == id).ok_or_else(|| {
            let told = "The account that this connection leads to is not among those that were agreed to.";
            refused("another account", told).into()
        }),
        None if accounts.len() > 1 => Err(NotConnected::Which(accounts)),
        None => accounts.pop().ok_or_else(|| refused("no account", "No account was agreed to.").into()),
    }
}

async fn kept(desk: &Desk, at: Place, adapter: &dyn Adapter, account: &Account, grant: &Grant) -> Result<(), Problem> {
    let unfit = |_| refused("an account without id or name", "The provider does not name the account.");
    let command = C::RecordAuthorised {
        account_id: account.id.parse().map_err(unfit)?,
        account_label: account.label.parse().or_else(|_| account.id.parse()).map_err(unfit)?,
    };
    let renewable_for = adapter.oauth().renewable_for();
    let generation = desk.keeper.keep_for(at, adapter.provider(), account, grant, renewable_for).await;
    let generation = generation.map_err(|error| unavailable(&error))?.ok_or_else(|| {
        let told = "The connection leads to another account, or somebody else has just connected it.";
        refused("the grant was not kept", told)
    })?;
    let request = Request::new(at.tenant, Actor::System { name: "connect".to_owned() });
    let done = desk.store.execute::<Connection>(Some(at.connection.0), command, &request).await;
    let Err(error) = done else { return Ok(()) };
    let problem = match error {
        ExecuteError::Rejected { message, code: reason, .. } => Problem::new(&code::REJECTED, message).coded(reason),
        ExecuteError::Claimed { scope, .. } => {
            let told = "Another connection of the firm leads to this account.";
            Problem::new(&code::TAKEN, told).coded(format!("{scope}.taken"))
        }
        // Nobody knows whether it is on the record, so what was kept stays; whoever tries again finds out.
        error => return Err(unavailable(&anyhow!(error))),
    };
    desk.keeper.forget(at, generation).await.map_err(|error| unavailable(&error))?;
    Err(problem)
}

async fn loaded(desk: &Desk, at: Place) -> Result<Connection, Problem> {
    match desk.store.load::<Connection>(at.tenant, at.connection.0).await {
        Ok((connection, version)) if version > 0 => Ok(connection),
        Ok(_) | Err(ExecuteError::NotFound) => Err(Problem::new(&code::NOT_FOUND, "no such connections.connection")),
        Err(error) => Err(unavailable(&anyhow!(error))),
    }
}

fn adapter_of<'d>(desk: &'d Desk, connection: &Connection) -> Result<&'d dyn Adapter, Problem> {
    let name = connection.provider().map(|provider| provider.as_str()).unwrap_or_default();
    desk.adapter(name).ok_or_else(|| Problem::new(&code::NOT_FOUND, format!("the provider {name} is not set up here")))
}

fn session(request: &HttpRequest) -> Result<Session, Problem> {
    let found = request.extensions().get::<Session>().cloned();
    found.ok_or_else(|| Problem::new(&code::UNAUTHENTICATED, "expected a session; log in first"))
}

fn sessions(desk: &Desk) -> Result<&::web::Sessions, Problem> {
    desk.sessions.as_ref().ok_or_else(|| Problem::new(&code::NOT_FOUND, "nobody logs in here, so nobody connects"))
}

/// Apart from logins that are under way.
fn aside(state: &str) -> String {
    format!("connect {state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> Account {
        Account { id: id.to_owned(), label: id.to_uppercase(), base_url: "https://provider.example".to_owned() }
    }

    fn id(found: Result<Account, NotConnected>) -> Result<String, usize> {
        found.map(|account| account.id).map_err(|why| match why {
            NotConnected::Which(accounts) => accounts.len(),
            NotConnected::For(_) => 0,
        })
    }

    #[test]
    fn of_several_accounts_the_one_is_taken_that_the_connection_leads_to() {
        let several = || vec![account("a"), account("b")];
        assert_eq!(id(meant(several(), None, None)), Err(2));
        assert_eq!(id(meant(several(), None, Some("b"))), Ok("b".to_owned()));
        assert_eq!(id(meant(several(), Some("a"), None)), Ok("a".to_owned()));
        assert_eq!(id(meant(several(), Some("a"), Some("b"))), Ok("a".to_owned()));
        assert_eq!(id(meant(several(), Some("c"), None)), Err(0));
        assert_eq!(id(meant(vec![account("a")], None, None)), Ok("a".to_owned()));
        assert_eq!(id(meant(vec![], None, None)), Err(0));
    }
}
