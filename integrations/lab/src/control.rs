//! What somebody wants of the lab, over HTTP; and one way in for every request to a provider.

use crate::Lab;
use crate::describe::Half;
use crate::dropbox_words;
use crate::faults::{Fault, What};
use crate::oauth::is_let_in;
use crate::quickbooks;
use crate::state::{Mood, Said};
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{self, Bytes, Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/", web::get().to(index));
    config.route("/control/state", web::get().to(state));
    config.route("/control/faults", web::post().to(fault));
    config.route("/control/faults", web::delete().to(mend));
    config.route("/control/webhooks", web::post().to(webhooks));
    config.route("/control/webhooks/let-go", web::post().to(let_go));
    config.route("/control/revoke/{provider}", web::post().to(revoke));
    config.route("/control/xero/period", web::post().to(period));
}

async fn index(lab: Data<Lab>) -> HttpResponse {
    let envelopes: String = lab
        .envelopes()
        .iter()
        .map(|one| {
            let text = |name: &str| crate::pages::escaped(one[name].as_str().unwrap_or_default());
            format!("<li>{} {} <code>{}</code></li>", text("emailSubject"), text("status"), text("envelopeId"))
        })
        .collect();
    let requests: String = lab
        .signature_requests()
        .iter()
        .map(|one| {
            let text = |name: &str| crate::pages::escaped(one[name].as_str().unwrap_or_default());
            let id = text("signature_request_id");
            format!(r#"<li>{} <a href="/dropbox_sign/sign/{id}/1"><code>{id}</code></a></li>"#, text("subject"))
        })
        .collect();
    let invoices: String = lab
        .invoices()
        .iter()
        .map(|one| {
            let text = |name: &str| crate::pages::escaped(one[name].as_str().unwrap_or_default());
            format!("<li>{} {} {} {}</li>", text("Type"), text("InvoiceNumber"), one["Total"], text("Status"))
        })
        .collect();
    let entries = quickbooks::listed(&lab);
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lab</title></head><body><h1>Lab of providers</h1><h2>DocuSign</h2><ul>{envelopes}</ul><h2>Dropbox Sign</h2><ul>{requests}</ul><h2>Xero</h2><ul>{invoices}</ul><h2>QuickBooks</h2><ul>{entries}</ul><p><a href="/control/state">state</a></p></body></html>"#
    ))
}

async fn state(lab: Data<Lab>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "envelopes": lab.envelopes(), "signature_requests": lab.signature_requests(), "invoices": lab.invoices(), "contacts": lab.contacts(),
        "grants": { "docusign": lab.grants("docusign"), "dropbox_sign": lab.grants("dropbox_sign"), "xero": lab.grants("xero"), "quickbooks": lab.grants("quickbooks") },
        "quickbooks": quickbooks::shown(&lab),
        "said": lab.said(), "violations": lab.violations(), "faults": *lab.0.faults.lock(),
    }))
}

async fn fault(lab: Data<Lab>, fault: Json<Fault>) -> HttpResponse {
    lab.fault(fault.into_inner());
    HttpResponse::NoContent().finish()
}

async fn mend(lab: Data<Lab>) -> HttpResponse {
    lab.mend();
    HttpResponse::NoContent().finish()
}

#[derive(Debug, Deserialize)]
struct Webhooks {
    #[serde(default)]
    mood: Option<Mood>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

async fn webhooks(lab: Data<Lab>, Json(wanted): Json<Webhooks>) -> HttpResponse {
    if let Some(mood) = wanted.mood {
        lab.mood(mood);
    }
    if let (Some(provider), Some(url)) = (wanted.provider, wanted.url) {
        lab.webhooks_to(&provider, &url);
    }
    HttpResponse::NoContent().finish()
}

async fn let_go(lab: Data<Lab>) -> HttpResponse {
    match lab.let_go().await {
        Ok(answers) => HttpResponse::Ok().json(answers),
        Err(error) => HttpResponse::BadGateway().body(format!("{error:#}")),
    }
}

async fn revoke(lab: Data<Lab>, provider: web::Path<String>) -> HttpResponse {
    lab.revoke(&provider);
    HttpResponse::NoContent().finish()
}

#[derive(Debug, Deserialize)]
struct Period {
    closed_until: Option<chrono::NaiveDate>,
}

async fn period(lab: Data<Lab>, Json(period): Json<Period>) -> HttpResponse {
    lab.0.xero.lock().closed_until = period.closed_until;
    lab.0.quickbooks.lock().closed_until = period.closed_until;
    HttpResponse::NoContent().finish()
}

/// What a provider does: a status, and JSON or a file.
pub(crate) enum Done {
    Json(u16, Value),
    File(Vec<u8>),
}

/// One request to a provider: token, faults, description, effect, description, answer.
pub(crate) async fn asked(
    lab: &Lab,
    provider: &'static str,
    request: &HttpRequest,
    body: &Bytes,
    effect: impl FnOnce(&Lab, Value) -> Done,
) -> HttpResponse {
    asked_with(lab, provider, request, serde_json::from_slice(body).unwrap_or_default(), effect).await
}

/// The same where what is asked has been read already.
pub(crate) async fn asked_with(
    lab: &Lab,
    provider: &'static str,
    request: &HttpRequest,
    shown: Value,
    effect: impl FnOnce(&Lab, Value) -> Done,
) -> HttpResponse {
    let (method, path) = (request.method().as_str().to_owned(), request.path().to_owned());
    let path = path.strip_prefix(&format!("/{provider}")).unwrap_or(&path).to_owned();
    let note = |status: u16| {
        let (method, path) = (method.clone(), path.clone());
        lab.0.said.lock().push(Said { provider: provider.to_owned(), method, path, status });
    };
    if !is_let_in(lab, provider, request) {
        note(401);
        let unauthorised = if provider == dropbox_words::NAME {
            dropbox_words::refusal("unauthorized", "Unauthorized user.")
        } else if provider == quickbooks::NAME {
            quickbooks::turned_away()
        } else {
            json!({ "errorCode": "USER_AUTHENTICATION_FAILED", "Title": "Unauthorized" })
        };
        return HttpResponse::Unauthorized().json(unauthorised);
    }
    let (mut is_lost, mut instead) = (false, None);
    match lab.meets(provider, &method, &path) {
        Some(What::Status { status, retry_after, limit, code }) => {
            note(status);
            let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default());
            if let Some(seconds) = retry_after {
                response.insert_header((RETRY_AFTER, seconds));
            }
            if let Some(limit) = limit {
                response.insert_header(("x-rate-limit-problem", limit));
            }
            if provider == dropbox_words::NAME {
                let name = code.unwrap_or_else(|| dropbox_words::name_of(status).to_owned());
                return response.json(dropbox_words::refusal(&name, "the lab was told to"));
            }
            if provider == quickbooks::NAME {
                return response.json(quickbooks::told_to(status, code.as_deref()));
            }
            return response.json(json!({ "errorCode": code.unwrap_or_default(), "message": "the lab was told to", "Message": "the lab was told to" }));
        }
        Some(What::Slow { millis }) => tokio::time::sleep(Duration::from_millis(millis)).await,
        Some(What::AnswerLost) => is_lost = true,
        Some(What::DoneBut { status }) => instead = Some(status),
        None => {}
    }
    if method != "GET" && method != "DELETE" {
        blame(lab, provider, &method, &path, Half::Request, &shown);
    }
    match effect(lab, shown) {
        _ if is_lost => {
            note(0);
            let broken = async { Err::<Bytes, _>(std::io::Error::other("the lab was told to")) };
            HttpResponse::Ok().streaming(futures::stream::once(broken))
        }
        _ if instead.is_some() => {
            note(instead.unwrap_or_default());
            HttpResponse::build(StatusCode::from_u16(instead.unwrap_or(500)).unwrap_or_default()).finish()
        }
        Done::Json(status, answer) => {
            note(status);
            blame(lab, provider, &method, &path, Half::Answer(status), &answer);
            HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default()).json(answer)
        }
        Done::File(bytes) => {
            note(200);
            HttpResponse::Ok().content_type("application/pdf").body(bytes)
        }
    }
}

pub(crate) fn blame(lab: &Lab, provider: &str, method: &str, path: &str, half: Half, body: &Value) {
    if let Some(wrong) = lab.0.descriptions.wrong(provider, method, path, half, body) {
        eprintln!("not as {provider} describes itself: {wrong}");
        lab.0.violations.lock().push(wrong);
    }
}
