//! Which firm somebody logs in to who has not named one: the only one that knows them, or the one that they choose.

use crate::login::{AWAY, Login};
use crate::pages::{Stopped, cookie, escaped, page};
use crate::provider::Person;
use crate::reply::{refused, unavailable};
use crate::sign_in::sign_in;
use ::web::{Problem, session};
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse};
use credentials::magic_link::login_hash;
use identity::{Tenant, User};
use kernel::{SecretHash, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is put aside while somebody chooses.
#[derive(Debug, Serialize, Deserialize)]
struct Choosing {
    person: Person,
    firms: Vec<TenantId>,
    redirect_to: String,
    /// The browser's cookie, and what that hashes to.
    tie: String,
    browser: SecretHash,
}

/// The firms that would let somebody in, with what they are called: by the address that the provider has verified.
pub async fn of(login: &Login, person: &Person) -> Result<Vec<(TenantId, String)>, Problem> {
    let Some(email) = &person.email else { return Ok(vec![]) };
    let sql = "select tenant_id, user_id from login.firms_of($1)";
    let known = sqlx::query_as(sql).bind(login_hash(email)).fetch_all(&login.pool).await;
    let known: Vec<(Uuid, Uuid)> = known.map_err(|error| unavailable(&error.into()))?;
    let store = login.bus.store();
    let mut firms = vec![];
    for (tenant, user) in known {
        let tenant = TenantId(tenant);
        let down = |error: event_store::ExecuteError| unavailable(&anyhow::anyhow!(error));
        let (user, _) = store.load::<User>(tenant, user).await.map_err(down)?;
        if user.is_active() || user.invitation().is_some() {
            let (firm, _) = store.load::<Tenant>(tenant, tenant.0).await.map_err(down)?;
            if firm.admits(&person.issuer) {
                firms.push((tenant, firm.name().to_owned()));
            }
        }
    }
    Ok(firms)
}

/// Shows a page with a button for each firm.
pub async fn ask(
    login: &Login,
    person: Person,
    firms: Vec<(TenantId, String)>,
    redirect_to: String,
    (tie, browser): (String, SecretHash),
) -> Result<HttpResponse, Problem> {
    let choice = session::random();
    let choosing = Choosing { person, firms: firms.iter().map(|(id, _)| *id).collect(), redirect_to, tie, browser };
    let text = serde_json::to_string(&choosing).map_err(|error| unavailable(&error.into()))?;
    login.sessions.put_aside(&choice, &text, AWAY).await.map_err(|error| unavailable(&error))?;
    let buttons = firms
        .iter()
        .map(|(id, name)| format!(r#"<p><button name="tenant" value="{id}">{}</button></p>"#, escaped(name)));
    let form = format!(
        r#"<form method="post" action="/v1/login/choice"><input type="hidden" name="choice" value="{choice}"><p>Where do you want to go?</p>{}</form>"#,
        buttons.collect::<String>()
    );
    Ok(page(HttpResponse::Ok(), "Log in", &form, &login.app_origin()))
}

#[derive(Deserialize)]
pub struct Chosen {
    choice: String,
    tenant: Uuid,
}

/// Goes on with the firm that was chosen; once, and by the browser that was asked.
pub async fn choose(login: Data<Login>, chosen: Form<Chosen>, request: HttpRequest) -> HttpResponse {
    match chosen_firm(&login, &chosen, &request).await {
        Ok(response) => response,
        Err(problem) => Stopped::from(problem).answer(&login, &request),
    }
}

async fn chosen_firm(login: &Login, chosen: &Chosen, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let kept = login.sessions.take_back(&chosen.choice).await.map_err(|error| unavailable(&error))?;
    let kept = kept.and_then(|text| serde_json::from_str::<Choosing>(&text).ok());
    let kept = kept.ok_or_else(|| refused("the choice is unknown, made or too old"))?;
    let browser = cookie(request, &kept.tie).ok_or_else(|| refused("not the browser that began"))?;
    if SecretHash::of(&browser) != kept.browser || !kept.firms.contains(&TenantId(chosen.tenant)) {
        return Err(refused("not what was asked"));
    }
    sign_in(login, TenantId(chosen.tenant), kept.person, &kept.redirect_to, kept.tie, request).await
}
