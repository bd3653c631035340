//! The pages of a login: to the provider, back from it, who I am, and out.

use crate::login::{AWAY, BODY_BYTES_MAX, Login};
use crate::pages::{Stopped, cookie};
use crate::provider::{Begun, NotThere};
use crate::reply::{not_in, refused, saying, unavailable, unreachable};
use crate::sign_in::sign_in;
use crate::user::Refused;
use crate::{firms, portal};
use ::portal::PortalSession;
use ::portal::portal_session::PortalSessionCommand;
use ::web::{Caller, Problem, RequestInfo, Session, code, may_log_in, session, within};
use actix_web::cookie::Cookie;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use chrono::DateTime;
use credentials::shortened;
use identity::session::SessionCommand;
use kernel::{Name, Principal, SecretHash, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// What cookies begin with that tie a login to the browser that began it; each login has its own, so that logins in several
/// tabs do not know of each other.
const LOGIN_COOKIE: &str = "__Host-ubos_login_";
/// Logins that a browser may have begun at the same time; a further one ends one of them.
const LOGINS_MAX: usize = 8;

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
    may_log_in(&request).await?;
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
    sign_in(login, tenant, person, &away.redirect_to, tie, request).await
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

fn none() -> Problem {
    Problem::new(&code::UNAUTHENTICATED, "expected a session")
}
