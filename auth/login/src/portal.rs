//! Portal users come in by a link in a letter. Asking for one is answered the same whoever asks; the mailer makes the link
//! and sends it. Opening it only shows a page, because mail servers open links too; its button uses the link up.

use crate::login::Login;
use crate::pages::page;
use crate::reply::unavailable;
use crate::user;
use ::portal::portal_session::PortalSessionCommand;
use ::portal::portal_user::PortalUserCommand;
use ::portal::{PortalSession, PortalUser};
use ::web::{Problem, RequestInfo, may_log_in, may_say_of_this, read_json, session};
use actix_web::http::header::{CACHE_CONTROL, LOCATION, USER_AGENT};
use actix_web::web::{Data, Form, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use credentials::magic_link::{MagicLink, address_hash};
use event_store::ExecuteError;
use kernel::{Email, PortalUserId, Principal, SecretHash, SessionId, TenantId, Timestamp};
use metrics::counter;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Ties the button to the browser that was shown the page.
const PAGE_COOKIE: &str = "__Host-ubos_link";
/// How long the page may be looked at before the button is of no use.
const PAGE_SHOWN: Duration = Duration::from_secs(900);

#[derive(Debug, kernel::Input)]
struct Ask {
    tenant: TenantId,
    email: Email,
}

/// Notes that an address asks for a link. Nobody learns here who has a place in a portal: it is one write, whoever asks.
pub async fn ask(login: Data<Login>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, "/v1/login/portal/link");
    may_log_in(&request).await?;
    let body = read_json(&request, payload, login.limits).await?.0;
    let Ask { tenant, email } = kernel::read_input(&body).map_err(Problem::invalid)?;
    let asked = sqlx::query("select login.ask_for_magic_link($1, $2)")
        .bind(tenant.0)
        .bind(address_hash(tenant, &email))
        .execute(&login.pool);
    asked.await.map_err(|error| unavailable(&error.into()))?;
    Ok(HttpResponse::Accepted().insert_header((CACHE_CONTROL, "no-store")).json(json!({})))
}

#[derive(Debug, Deserialize)]
struct Opened {
    link: String,
}

/// Shows the page with the button. Says nothing about the link, and leaves it as it is (M-03).
pub async fn open(login: Data<Login>, request: HttpRequest) -> HttpResponse {
    // Only what looks like a link gets into the page.
    let opened = Query::<Opened>::from_query(request.query_string()).ok();
    let Some(link) = opened.and_then(|opened| MagicLink::read(&opened.link)) else { return gone() };
    let shown = session::random();
    let form = format!(
        r#"<form method="post" action="/v1/login/portal"><input type="hidden" name="link" value="{}"><input type="hidden" name="page" value="{shown}"><button autofocus>Come in</button></form>"#,
        link.text()
    );
    let mut cookie = session::private_cookie(PAGE_COOKIE, shown, Some(PAGE_SHOWN));
    cookie.set_same_site(actix_web::cookie::SameSite::Strict);
    let mut response = page(HttpResponse::Ok(), "Client portal", &form, &login.portal_origin());
    // Nothing but a number of ours stands in it, so it cannot fail.
    drop(response.add_cookie(&cookie));
    response
}

#[derive(Deserialize)]
pub struct Pressed {
    link: String,
    page: String,
}

/// Uses the link up, and lets its person in.
pub async fn press(login: Data<Login>, pressed: Form<Pressed>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    // Another site cannot know what this browser was shown, so it lets nobody in as somebody else.
    let shown = request.cookie(PAGE_COOKIE).map(|cookie| SecretHash::of(cookie.value()));
    if shown != Some(SecretHash::of(&pressed.page)) {
        counter!("portal_logins_total", "outcome" => "another_page").increment(1);
        return Ok(gone());
    }
    let Some(link) = MagicLink::read(&pressed.link) else { return Ok(gone()) };
    let (tenant, id) = (link.tenant, link.portal_user);
    let used: bool = sqlx::query_scalar("select login.use_magic_link($1, $2, $3)")
        .bind(tenant.0)
        .bind(id.0)
        .bind(link.hash())
        .fetch_one(&login.pool)
        .await
        .map_err(|error| unavailable(&error.into()))?;
    let person = if used { let_in(&login, tenant, id).await? } else { None };
    let Some(person) = person else {
        counter!("portal_logins_total", "outcome" => "refused").increment(1);
        if may_say_of_this() {
            tracing::info!(%tenant, portal_user = %id, used, "a portal user's link was refused");
        }
        return Ok(gone());
    };

    let mut cookies = login.sessions.forget_all(&request).await.map_err(|error| unavailable(&error))?;
    let (session, principal) = (SessionId(Uuid::now_v7()), Principal::PortalUser { id });
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let started = PortalSessionCommand::Start {
        portal_user_id: id,
        client_id: person.client_id(),
        ends_at: Timestamp::of_clock(Utc::now() + login.sessions.absolute(principal)),
        user_agent: agent.and_then(|agent| agent.chars().take(200).collect::<String>().parse().ok()),
    };
    let store = login.bus.store();
    let done = store.execute::<PortalSession>(Some(session.0), started, &user::request(tenant)).await;
    done.map_err(|error| unavailable(&anyhow::anyhow!(error)))?;
    let kept = login.sessions.start(session, tenant, principal).await;
    let (cookie, too_many) = kept.map_err(|error| unavailable(&error))?;
    for old in too_many {
        let end = PortalSessionCommand::End { reason: user::too_many() };
        let done = store.execute::<PortalSession>(Some(old.0), end, &user::request(tenant)).await;
        done.map_err(|error| unavailable(&anyhow::anyhow!(error)))?;
    }
    counter!("portal_logins_total", "outcome" => "in").increment(1);
    tracing::info!(%tenant, portal_user = %id, %session, "came in to the portal");
    cookies.push(session::private_cookie(PAGE_COOKIE, String::new(), Some(Duration::ZERO)));
    // Last, because a browser takes the last word about a cookie.
    cookies.push(cookie);
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, login.portal_url.as_str())).insert_header((CACHE_CONTROL, "no-store"));
    cookies.into_iter().for_each(|cookie| {
        response.cookie(cookie);
    });
    Ok(response.finish())
}

/// The portal user, if the log says that they come in; an open invitation is accepted, because whoever has the mailbox has
/// the invitation.
async fn let_in(login: &Login, tenant: TenantId, id: PortalUserId) -> Result<Option<PortalUser>, Problem> {
    let store = login.bus.store();
    let down = |error: ExecuteError| unavailable(&anyhow::anyhow!(error));
    let (person, _) = store.load::<PortalUser>(tenant, id.0).await.map_err(down)?;
    if person.is_active() {
        return Ok(Some(person));
    }
    let Some(invitation_id) = person.invitation() else { return Ok(None) };
    let accept = PortalUserCommand::AcceptInvitation { invitation_id };
    match store.execute::<PortalUser>(Some(id.0), accept, &user::request(tenant)).await {
        Ok(_) => Ok(Some(person)),
        Err(ExecuteError::Rejected { .. } | ExecuteError::NotFound) => Ok(None),
        Err(error) => Err(down(error)),
    }
}

/// What everybody sees whose link is of no use, whatever the reason.
fn gone() -> HttpResponse {
    let text = "<p>This link is of no use any more. Links are good once, for fifteen minutes; ask for another one.</p>";
    page(HttpResponse::Gone(), "Client portal", text, "")
}
