//! The pages of a login: to the provider, back from it, who I am, and out.

use crate::pages::Stopped;
use crate::provider::{Begun, NotThere, Person, Provider};
use crate::user::{self, Refused};
use crate::{firms, portal};
use ::portal::PortalSession;
use ::portal::portal_session::PortalSessionCommand;
use ::web::session;
use ::web::{BodyLimits, Caller, Problem, RequestInfo, Session, Sessions, code, may_say_of_this, shortened};
use actix_web::cookie::Cookie;
use actix_web::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, USER_AGENT};
use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use event_store::CommandBus;
use identity::session::SessionCommand;
use kernel::{Name, Principal, SecretHash, SessionId, TenantId, Timestamp};
use metrics::counter;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// Bytes of what is asked for in a body here.
const BODY_BYTES_MAX: usize = 4_096;
/// How long it may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// How long somebody may take at the provider.
pub(crate) const AWAY: Duration = Duration::from_secs(600);
/// What cookies begin with that tie a login to the browser that began it; each login has its own, so that logins in several
/// tabs do not know of each other.
const LOGIN_COOKIE: &str = "__Host-ubos_login_";
/// Logins that a browser may have begun at the same time; a further one ends one of them.
const LOGINS_MAX: usize = 8;
/// Bytes of where somebody wants to be led afterwards.
const REDIRECT_BYTES_MAX: usize = 2_000;

/// Everything a login needs.
pub struct Login {
    pub(crate) bus: CommandBus,
    pub(crate) pool: PgPool,
    pub(crate) sessions: Sessions,
    pub(crate) limits: BodyLimits,
    providers: Vec<Provider>,
    public_url: String,
    pub(crate) app_url: String,
    pub(crate) portal_url: String,
}

/// Where things are, each without a slash at the end.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Where browsers find this service.
    pub public_url: String,
    /// Where users go when they are in.
    pub app_url: String,
    /// Where portal users go when they are in.
    pub portal_url: String,
}

impl Login {
    /// Lets people in through `providers`, and portal users by links. `pool` connects as `ubos_command`.
    pub fn new(
        bus: CommandBus,
        pool: PgPool,
        sessions: Sessions,
        providers: Vec<Provider>,
        addresses: Addresses,
    ) -> Self {
        let Addresses { public_url, app_url, portal_url } = addresses;
        let limits = BodyLimits { bytes_max: BODY_BYTES_MAX, time_max: BODY_TIME_MAX };
        Self { bus, pool, sessions, limits, providers, public_url, app_url, portal_url }
    }

    /// The portal's origin, for a browser that asks where a form may lead.
    pub(crate) fn portal_origin(&self) -> String {
        origin(&self.portal_url)
    }

    /// The app's.
    pub(crate) fn app_origin(&self) -> String {
        origin(&self.app_url)
    }

    fn provider(&self, name: &str) -> Result<&Provider, Problem> {
        let known = self.providers.iter().find(|provider| provider.name() == name);
        known.ok_or_else(|| {
            let names: Vec<&str> = self.providers.iter().map(Provider::name).collect();
            invalid("provider", &format!("expected one of {}", names.join(", ")))
        })
    }

    fn callback(&self) -> String {
        format!("{}/v1/login/callback", self.public_url)
    }
}

fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

/// What is put aside while somebody is at the provider.
#[derive(Debug, Serialize, Deserialize)]
struct Away {
    provider: String,
    /// The firm; none if it is to be found out.
    tenant: Option<TenantId>,
    redirect_to: String,
    /// What the browser's cookie hashes to.
    browser: SecretHash,
    begun: Begun,
}

/// Adds the routes to a service.
pub fn configure(config: &mut ServiceConfig, login: Data<Login>) {
    config.app_data(Data::new(login.sessions.clone()));
    config.app_data(login);
    config.route("/v1/login/start", web::get().to(start));
    config.route("/v1/login/callback", web::get().to(callback));
    config.route("/v1/login/session", web::get().to(current));
    config.route("/v1/login/logout", web::post().to(logout));
    config.service(web::resource("/v1/login/choice").app_data(forms()).route(web::post().to(firms::choose)));
    config.route("/v1/login/portal/link", web::post().to(portal::ask));
    config.service(
        web::resource("/v1/login/portal")
            .app_data(forms())
            .route(web::get().to(portal::open))
            .route(web::post().to(portal::press)),
    );
}

/// What our own pages send.
fn forms() -> web::FormConfig {
    web::FormConfig::default().limit(BODY_BYTES_MAX).error_handler(|error, _| {
        Problem::new(&code::INVALID_INPUT, format!("expected the page's form: {error}")).into()
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(default)]
    tenant: Option<Uuid>,
    provider: String,
    #[serde(default)]
    redirect_to: String,
}

async fn start(login: Data<Login>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::may_log_in(&request).await?;
    let Query(asked) = Query::<Start>::from_query(request.query_string()).map_err(|error| {
        Problem::new(&code::INVALID_PARAMETER, format!("expected provider, and a tenant if one is meant: {error}"))
    })?;
    let provider = login.provider(&asked.provider)?;
    let (url, begun) = match provider.begin(&login.callback()).await {
        Ok(begun) => begun,
        Err(error) => {
            let again = again(&login, &asked.provider, asked.tenant.map(TenantId), &within(&asked.redirect_to));
            return Ok(Stopped::from(unreachable(&error)).again(again).answer(&login, &request));
        }
    };
    let (browser, state) = (session::random(), begun.state.clone());
    let away = Away {
        provider: asked.provider,
        tenant: asked.tenant.map(TenantId),
        redirect_to: within(&asked.redirect_to),
        browser: SecretHash::of(&browser),
        begun,
    };
    let text = serde_json::to_string(&away).map_err(|error| unavailable(&error.into()))?;
    login.sessions.put_aside(&state, &text, AWAY).await.map_err(|error| unavailable(&error))?;
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, url.as_str())).insert_header((CACHE_CONTROL, "no-store"));
    for too_many in begun_in(&request).into_iter().skip(LOGINS_MAX - 1) {
        response.cookie(session::private_cookie(too_many, String::new(), Some(Duration::ZERO)));
    }
    Ok(response.cookie(session::private_cookie(tie(&state), browser, Some(AWAY))).finish())
}

/// The cookies of logins that a browser has begun.
fn begun_in(request: &HttpRequest) -> Vec<String> {
    let cookies = request.cookies().map(|cookies| cookies.clone()).unwrap_or_default();
    cookies.iter().map(|cookie| cookie.name().to_owned()).filter(|name| name.starts_with(LOGIN_COOKIE)).collect()
}

/// The cookie of the login with this state.
fn tie(state: &str) -> String {
    format!("{LOGIN_COOKIE}{:.12}", SecretHash::of(state).as_str())
}

/// Where the same login begins once more.
fn again(login: &Login, provider: &str, tenant: Option<TenantId>, redirect_to: &str) -> String {
    let start = format!("{}/v1/login/start", login.public_url);
    let tenant = tenant.map(|tenant| ("tenant", tenant.to_string()));
    let pairs = [("provider", provider.to_owned()), ("redirect_to", redirect_to.to_owned())].into_iter().chain(tenant);
    Url::parse_with_params(&start, pairs).map_or(start, String::from)
}

#[derive(Debug, Deserialize)]
struct Callback {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

async fn callback(login: Data<Login>, request: HttpRequest) -> HttpResponse {
    if request.extensions().get::<RequestInfo>().is_some_and(|info| info.is_head) {
        // Whoever only looks must not use the login up.
        return HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish();
    }
    match come_back(&login, &request).await {
        Ok(response) => response,
        Err(stopped) => stopped.answer(&login, &request),
    }
}

async fn come_back(login: &Login, request: &HttpRequest) -> Result<HttpResponse, Stopped> {
    let Query(back) = Query::<Callback>::from_query(request.query_string())
        .map_err(|_| refused("what the provider sent cannot be read"))?;
    let state = back.state.clone().ok_or_else(|| refused("no state"))?;
    let away = login.sessions.take_back(&state).await.map_err(|error| unavailable(&error))?;
    let away: Away = away.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
        saying(
            "the state is unknown, used or too old",
            "This login is over: it was finished already, or it took longer than ten minutes.",
        )
    })?;
    let tie = tie(&state);
    let browser = cookie(request, &tie).ok_or_else(|| refused("not the browser that began"))?;
    if SecretHash::of(&browser) != away.browser {
        return Err(refused("not the browser that began").into());
    }
    let again = again(login, &away.provider, away.tenant, &away.redirect_to);
    known(login, request, back, away, tie).await.map_err(|problem| Stopped::from(problem).again(again))
}

/// Goes on with a login that this browser has begun.
async fn known(
    login: &Login,
    request: &HttpRequest,
    back: Callback,
    away: Away,
    tie: String,
) -> Result<HttpResponse, Problem> {
    let provider = login.provider(&away.provider)?;
    // RFC 9207: another provider's answer is not taken for this one's.
    if back.iss.as_deref().is_some_and(|issuer| issuer != provider.issuer()) {
        return Err(refused("another provider's answer"));
    }
    if let Some(error) = &back.error {
        tracing::info!(error = &*shortened(error), "the provider did not let somebody in");
        return Err(match error.as_str() {
            // RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6.
            "access_denied" => saying("said no", "Nobody was logged in, because you or your provider said no."),
            "temporarily_unavailable" | "server_error" => {
                saying("the provider is not able to", "Your provider cannot log anybody in at the moment.")
            }
            _ => saying("the provider said no", "Your provider did not log you in."),
        });
    }
    let shown = back.code.ok_or_else(|| refused("no code"))?;
    let person = provider.finish(&login.callback(), shown, away.begun).await.map_err(|error| {
        if error.is::<NotThere>() {
            return unreachable(&error);
        }
        tracing::warn!(error = format!("{error:#}"), provider = away.provider, "a login failed");
        refused("the provider's answer is not good")
    })?;
    let tenant = match away.tenant {
        Some(tenant) => tenant,
        None => {
            let firms = firms::of(login, &person).await?;
            match firms.as_slice() {
                [] => return Err(not_in(None, &Refused::Nobody)),
                [(only, _)] => *only,
                _ => return firms::ask(login, person, firms, away.redirect_to, (tie, away.browser)).await,
            }
        }
    };
    finish(login, tenant, person, &away.redirect_to, tie, request).await
}

/// Lets somebody in to a firm who has shown who they are.
pub(crate) async fn finish(
    login: &Login,
    tenant: TenantId,
    person: Person,
    redirect_to: &str,
    tie: String,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let store = login.bus.store();
    let user = user::find(store, tenant, &person).await.map_err(|why| not_in(Some(tenant), &why))?;

    let mut cookies = login.sessions.forget_all(request).await.map_err(|error| unavailable(&error))?;
    let (id, principal) = (SessionId(Uuid::now_v7()), Principal::User { id: user });
    let absolute = login.sessions.absolute(principal);
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let started = SessionCommand::Start {
        user_id: user,
        issuer: person.issuer,
        ends_at: Timestamp::of_clock(Utc::now() + absolute),
        user_agent: agent.and_then(|agent| agent.chars().take(200).collect::<String>().parse().ok()),
    };
    let asked = user::request(tenant);
    let done = store.execute::<identity::Session>(Some(id.0), started, &asked).await;
    done.map_err(|error| unavailable(&anyhow::anyhow!(error)))?;
    let kept = login.sessions.start(id, tenant, principal).await;
    let (cookie, too_many) = kept.map_err(|error| unavailable(&error))?;
    for old in too_many {
        let end = SessionCommand::End { reason: user::too_many() };
        let done = store.execute::<identity::Session>(Some(old.0), end, &asked).await;
        done.map_err(|error| unavailable(&anyhow::anyhow!(error)))?;
    }
    counter!("logins_total", "outcome" => "in").increment(1);
    tracing::info!(%tenant, %user, session = %id, "logged in");
    cookies.push(session::private_cookie(tie, String::new(), Some(Duration::ZERO)));
    // Last, because a browser takes the last word about a cookie.
    cookies.push(cookie);
    let mut response = HttpResponse::SeeOther();
    response
        .insert_header((LOCATION, format!("{}{redirect_to}", login.app_url)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    cookies.into_iter().for_each(|cookie| {
        response.cookie(cookie);
    });
    Ok(response.finish())
}

/// Who the browser's session speaks for, and what its pages show when they ask for a change.
async fn current(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let found = request.extensions().get::<Session>().cloned().ok_or_else(none)?;
    let ends_at = DateTime::from_timestamp(found.ends_at, 0);
    let mut body = json!({ "id": found.id, "tenant_id": caller.tenant, "ends_at": ends_at,
                           "csrf_token": found.csrf_token });
    match caller.principal {
        Principal::User { id } => body["user_id"] = json!(id),
        Principal::PortalUser { id } => body["portal_user_id"] = json!(id),
        Principal::ServiceAccount { .. } => return Err(none()),
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body))
}

async fn logout(login: Data<Login>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let shown = session::shown(&request).ok_or_else(none)?;
    let found = request.extensions().get::<Session>().cloned().ok_or_else(none)?;
    let reason: Name = "logged out".parse().map_err(|_| none())?;
    // Whoever is in may go, whatever else they may do, so no permission is asked for.
    let asked = event_store::Request::new(caller.tenant, caller.actor());
    let (store, id) = (login.bus.store(), Some(found.id.0));
    let done = match caller.principal {
        Principal::PortalUser { .. } => {
            store.execute::<PortalSession>(id, PortalSessionCommand::End { reason }, &asked).await
        }
        Principal::User { .. } | Principal::ServiceAccount { .. } => {
            store.execute::<identity::Session>(id, SessionCommand::End { reason }, &asked).await
        }
    };
    done.map_err(|error| unavailable(&anyhow::anyhow!(error)))?;
    let cookie: Cookie<'static> = login.sessions.forget(&shown).await.map_err(|error| unavailable(&error))?;
    Ok(HttpResponse::NoContent().cookie(cookie).finish())
}

/// A path of the app itself, and never another site's address.
fn within(path: &str) -> String {
    let own = path.starts_with('/')
        && path.len() <= REDIRECT_BYTES_MAX
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !path.to_ascii_lowercase().starts_with("/%2f")
        && !path.to_ascii_lowercase().starts_with("/%5c");
    if own { path.to_owned() } else { "/".to_owned() }
}

pub(crate) fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    Some(request.cookie(name)?.value().to_owned())
}

fn none() -> Problem {
    Problem::new(&code::UNAUTHENTICATED, "expected a session")
}

fn invalid(parameter: &str, expected: &str) -> Problem {
    Problem::new(&code::INVALID_PARAMETER, format!("{parameter}: {expected}")).with("parameter", parameter)
}

/// What came back from a provider is of no use. Which part, the log says.
pub(crate) fn refused(why: &str) -> Problem {
    saying(why, "The login cannot be finished; begin again.")
}

/// The same, with what the person is told.
fn saying(why: &str, told: &str) -> Problem {
    counter!("logins_total", "outcome" => "refused").increment(1);
    if may_say_of_this() {
        tracing::info!(why, "a login was refused");
    }
    Problem::new(&code::LOGIN_REFUSED, told)
}

/// The same words for everybody who is not let in, so that nobody learns who has an account.
fn not_in(tenant: Option<TenantId>, why: &Refused) -> Problem {
    if let Refused::Unavailable(error) = why {
        return unavailable(&anyhow::anyhow!("{error}"));
    }
    counter!("logins_total", "outcome" => "not_in").increment(1);
    if may_say_of_this() {
        tracing::info!(tenant = tenant.map(tracing::field::display), why = %why, "not let in");
    }
    Problem::new(&code::FORBIDDEN, "no firm that was asked knows an active user with this login; ask for an invitation")
}

fn unreachable(error: &anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "a provider cannot be reached");
    Problem::new(&code::UNAVAILABLE, "the provider cannot be reached; repeat in a moment")
}

pub(crate) fn unavailable(error: &anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "a login cannot be kept");
    Problem::new(&code::UNAVAILABLE, "logins are not possible at the moment; repeat in a moment")
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for own in ["/", "/clients", "/clients?sort=name#top"] {
            assert_eq!(within(own), own);
        }
        for other in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/%2f%2fevil.example",
            "/%2F/evil.example",
            "/%5cevil.example",
            "javascript:alert(1)",
            "/a\r\nset-cookie: x=y",
            "/\tevil",
            "evil@example.com",
            "/ü",
        ] {
            assert_eq!(within(other), "/", "{other:?}");
        }
    }
}
