//! The end of a login: a session, in the log and in the browser.

use crate::login::Login;
use crate::provider::Person;
use crate::reply::{not_in, unavailable};
use crate::user;
use ::web::{Problem, session};
use actix_web::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use identity::session::SessionCommand;
use kernel::{Principal, SessionId, TenantId, Timestamp};
use metrics::counter;
use std::time::Duration;
use uuid::Uuid;

/// Lets somebody in to a firm who has shown who they are.
pub(crate) async fn sign_in(
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
