//! The page on which somebody agrees, and the tokens that come of it: codes are bound to a PKCE challenge and used once, refresh tokens
//! are replaced with every use.

use crate::data::random;
use crate::dropbox_words;
use crate::faults::What;
use crate::pages::escaped;
use crate::state::Lab;
use crate::{CLIENT_ID, CLIENT_SECRET, DOCUSIGN_ACCOUNT, QUICKBOOKS_REALM, quickbooks};
use actix_web::http::header::{AUTHORIZATION, LOCATION};
use actix_web::web::{self, Data, Form, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Does the request show a token that this provider gave and that is good?
pub(crate) fn is_let_in(lab: &Lab, provider: &str, request: &HttpRequest) -> bool {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let tokens = lab.0.tokens.lock();
    shown
        .and_then(|token| tokens.access.get(token))
        .is_some_and(|(of, until)| of == provider && *until > Utc::now().timestamp())
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/{provider}/authorize", web::get().to(page));
    config.route("/{provider}/consent", web::post().to(consent));
    config.route("/{provider}/token", web::post().to(token));
    config.route("/xero/connections", web::get().to(organisations));
    config.route("/xero/connections/{id}", web::delete().to(disconnect));
    config.route("/docusign/oauth/userinfo", web::get().to(userinfo));
}

#[derive(Debug, Deserialize)]
struct Asked {
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    #[serde(default)]
    scope: String,
}

async fn page(provider: Path<String>, asked: Query<Asked>) -> HttpResponse {
    if asked.client_id != CLIENT_ID || asked.code_challenge_method != "S256" {
        return HttpResponse::BadRequest().body("the lab does not know this client, or it comes without PKCE");
    }
    let hidden = |name: &str, value: &str| format!(r#"<input type="hidden" name="{name}" value="{}">"#, escaped(value));
    let fields = [
        hidden("redirect_uri", &asked.redirect_uri),
        hidden("state", &asked.state),
        hidden("code_challenge", &asked.code_challenge),
    ]
    .concat();
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{provider}</title><style>body{{font:16px system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}}button{{font:inherit;padding:.5rem 1rem;margin-right:.5rem}}</style></head><body><h1>{provider} (lab)</h1><p>UBOS asks for access to <b>Lab Organisation</b>.</p><p>{scope}</p><form method="post" action="/{provider}/consent">{fields}<button name="answer" value="allow">Allow access</button><button name="answer" value="deny">Cancel</button></form></body></html>"#,
        scope = escaped(&asked.scope),
    ))
}

#[derive(Debug, Deserialize)]
struct Answer {
    redirect_uri: String,
    state: String,
    code_challenge: String,
    answer: String,
}

async fn consent(lab: Data<Lab>, provider: Path<String>, Form(answer): Form<Answer>) -> HttpResponse {
    let Ok(mut back) = url::Url::parse(&answer.redirect_uri) else { return HttpResponse::BadRequest().finish() };
    if answer.answer == "allow" {
        let code = random();
        let provider = provider.into_inner();
        // Who does not know PKCE wants the state again.
        let proof = if provider == dropbox_words::NAME { answer.state.clone() } else { answer.code_challenge };
        if provider == quickbooks::NAME {
            back.query_pairs_mut().append_pair("realmId", QUICKBOOKS_REALM);
        }
        let known = (provider, answer.redirect_uri, proof);
        lab.0.tokens.lock().codes.insert(code.clone(), known);
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &answer.state);
    } else {
        back.query_pairs_mut().append_pair("error", "access_denied").append_pair("state", &answer.state);
    }
    HttpResponse::SeeOther().insert_header((LOCATION, back.as_str())).finish()
}

#[derive(Debug, Deserialize)]
struct Exchange {
    grant_type: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    refresh_token: String,
}

async fn token(lab: Data<Lab>, provider: Path<String>, request: HttpRequest, form: Form<Exchange>) -> HttpResponse {
    let (provider, asked) = (provider.into_inner(), form.into_inner());
    let lost = match lab.meets(&provider, "POST", "/token") {
        Some(What::Status { status, .. }) => return answer(status, &json!({ "error": "temporarily_unavailable" })),
        Some(What::Slow { millis }) => {
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
            false
        }
        Some(What::AnswerLost | What::DoneBut { .. }) => true,
        None => false,
    };
    let known = STANDARD.encode(format!("{CLIENT_ID}:{}", form_encoded(CLIENT_SECRET)));
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    if shown != Some(known.as_str()) {
        return answer(401, &json!({ "error": "invalid_client" }));
    }
    let refused = || answer(400, &json!({ "error": "invalid_grant" }));
    let mut tokens = lab.0.tokens.lock();
    let grant = match asked.grant_type.as_str() {
        "authorization_code" => {
            // A code that was shown is worth nothing any more, whatever came of it.
            let Some((of, redirect, challenge)) = tokens.codes.remove(&asked.code) else { return refused() };
            let proven = URL_SAFE_NO_PAD.encode(Sha256::digest(asked.code_verifier.as_bytes()));
            if of != provider || redirect != asked.redirect_uri || proven != challenge {
                return refused();
            }
            tokens.grant(&provider)
        }
        "refresh_token" => match tokens.refresh.remove(&asked.refresh_token) {
            Some(of) if of == provider => {
                *tokens.refreshed.entry(provider.clone()).or_default() += 1;
                tokens.grant(&provider)
            }
            _ => return refused(),
        },
        _ => return answer(400, &json!({ "error": "unsupported_grant_type" })),
    };
    if lost { answer(502, &json!({})) } else { answer(200, &grant) }
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).json(body)
}

async fn organisations(lab: Data<Lab>, request: HttpRequest) -> HttpResponse {
    if !is_let_in(&lab, "xero", &request) {
        return answer(401, &json!({ "Title": "Unauthorized", "Status": 401 }));
    }
    let organisations = lab.0.xero.lock().organisations.clone();
    let shown = |(id, name): &(String, String)| {
        json!({ "id": format!("{}-{}", &id[..8], "0000-4000-8000-000000000000"), "authEventId": "d99ecdfe-391d-43d2-b834-17636ba90e8d",
                "tenantId": id, "tenantType": "ORGANISATION", "tenantName": name,
                "createdDateUtc": "2026-11-01T10:00:00.0000000", "updatedDateUtc": "2026-11-01T10:00:00.0000000" })
    };
    answer(200, &organisations.iter().map(shown).collect())
}

async fn disconnect(lab: Data<Lab>, request: HttpRequest) -> HttpResponse {
    if !is_let_in(&lab, "xero", &request) {
        return answer(401, &json!({}));
    }
    lab.revoke("xero");
    HttpResponse::NoContent().finish()
}

async fn userinfo(lab: Data<Lab>, request: HttpRequest) -> HttpResponse {
    if !is_let_in(&lab, "docusign", &request) {
        return answer(401, &json!({ "error": "invalid_token" }));
    }
    let account = json!({ "account_id": DOCUSIGN_ACCOUNT, "account_name": "Lab Account", "is_default": true,
                          "base_uri": lab.api("docusign") });
    answer(200, &json!({ "sub": "lab", "name": "Lab User", "email": "lab@example.com", "accounts": [account] }))
}
