//! Dropbox Sign's API v3: signature requests, their signers and papers, and whose they are.

mod asked;
mod people;

use crate::control::{Done, asked_with, blame};
use crate::describe::Half;
use crate::dropbox_words::{NAME, name_of, refusal};
use crate::pages::pdf;
use crate::state::{Lab, Said};
use crate::{CLIENT_ID, CLIENT_SECRET, DROPBOX_SIGN_ACCOUNT};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use asked::{read, unfit};
use chrono::Utc;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

pub(crate) use people::knows;

/// How long it takes until a request is cancelled.
const CANCELLING: Duration = Duration::from_millis(50);
/// Nobody is reminded twice within an hour.
const REMINDED_EVERY: i64 = 3_600;
/// Calls of a minute, where they are not counted.
const USUAL_LIMIT: u32 = 100;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/dropbox_sign/token", web::post().to(token));
    config.service(
        web::scope("/dropbox_sign/v3")
            .route("/account", web::get().to(account))
            .route("/account", web::put().to(change_account))
            .route("/signature_request/send", web::post().to(send))
            .route("/signature_request/list", web::get().to(list))
            .route("/signature_request/cancel/{id}", web::post().to(cancel))
            .route("/signature_request/remind/{id}", web::post().to(remind))
            .route("/signature_request/files/{id}", web::get().to(files))
            .route("/signature_request/{id}", web::get().to(show)),
    );
    people::configure(config);
}

fn refused(status: u16, message: &str) -> Done {
    Done::Json(status, refusal(name_of(status), message))
}

/// A request within the minute's limit; its headers say how much is left.
async fn within(
    lab: Data<Lab>,
    request: HttpRequest,
    shown: Value,
    effect: impl FnOnce(&Lab, Value) -> Done,
) -> HttpResponse {
    let now = Utc::now().timestamp();
    let (limit, left) = {
        let mut sign = lab.0.dropbox_sign.lock();
        if sign.spent.0 != now / 60 {
            sign.spent = (now / 60, 0);
        }
        let limit = sign.allows.unwrap_or(USUAL_LIMIT);
        let left = limit.checked_sub(sign.spent.1 + 1);
        sign.spent.1 += u32::from(left.is_some());
        (limit, left.or(sign.allows.is_none().then_some(0)))
    };
    let mut response = match left {
        Some(_) => asked_with(&lab, NAME, &request, shown, effect).await,
        None => {
            let path = request.path().trim_start_matches("/dropbox_sign").to_owned();
            let (provider, method) = (NAME.to_owned(), request.method().to_string());
            lab.0.said.lock().push(Said { provider, method, path, status: 429 });
            HttpResponse::TooManyRequests().json(refusal("exceeded_rate", "Too many requests."))
        }
    };
    // It says when a limit is over, and not after how long.
    let headers = response.headers_mut();
    let after = headers.remove(RETRY_AFTER).next();
    let after: Option<i64> = after.and_then(|value| value.to_str().ok()?.parse().ok());
    let reset = after.map_or((now / 60 + 1) * 60, |seconds| now + seconds);
    let mut say = |name: &'static str, value: i64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    };
    say("x-ratelimit-limit", limit.into());
    say("x-ratelimit-remaining", left.unwrap_or_default().into());
    say("x-ratelimit-reset", reset);
    response
}

fn json_of(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Codes and refresh tokens come as JSON, and a code with the state beside which it was given; a refresh token stays what it is.
async fn token(lab: Data<Lab>, body: Bytes) -> HttpResponse {
    let asked = json_of(&body);
    let answer = |status: u16, answer: &Value| {
        blame(&lab, NAME, "POST", "/oauth/token", Half::Answer(status), answer);
        HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default()).json(answer)
    };
    let lost = match lab.meets(NAME, "POST", "/token") {
        Some(crate::What::Status { status, code, .. }) => {
            let name = code.unwrap_or_else(|| name_of(status).to_owned());
            return answer(status, &refusal(&name, "the lab was told to"));
        }
        Some(crate::What::Slow { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            false
        }
        Some(crate::What::AnswerLost | crate::What::DoneBut { .. }) => true,
        None => false,
    };
    blame(&lab, NAME, "POST", "/oauth/token", Half::Request, &asked);
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    if text("client_id") != CLIENT_ID || text("client_secret") != CLIENT_SECRET {
        return answer(401, &refusal("unauthorized", "Unknown client_id or client_secret."));
    }
    let grant = {
        let mut tokens = lab.0.tokens.lock();
        match text("grant_type") {
            // A code that was shown is worth nothing any more, whatever came of it.
            "authorization_code" => tokens
                .codes
                .remove(text("code"))
                .filter(|(of, _, state)| of == NAME && state == text("state"))
                .map(|_| tokens.grant(NAME)),
            "refresh_token" => tokens.renew(NAME, text("refresh_token")),
            _ => None,
        }
    };
    match grant {
        None => answer(401, &refusal("unauthorized", "The code or refresh token is not good.")),
        Some(_) if lost => HttpResponse::BadGateway().finish(),
        Some(mut grant) => {
            grant["state"] = asked["state"].clone();
            answer(200, &grant)
        }
    }
}

fn shown_account(lab: &Lab) -> Value {
    let callback_url = lab.0.outbox.lock().urls.get(NAME).cloned();
    json!({ "account": {
        "account_id": DROPBOX_SIGN_ACCOUNT, "email_address": "lab@example.com", "is_locked": false, "is_paid_hs": true,
        "is_paid_hf": false, "quotas": { "api_signature_requests_left": 1_250, "documents_left": null, "templates_left": null },
        "callback_url": callback_url, "role_code": null, "team_id": null, "locale": "en-US",
    }})
}

async fn account(lab: Data<Lab>, request: HttpRequest) -> HttpResponse {
    within(lab, request, Value::Null, |lab, _| Done::Json(200, shown_account(lab))).await
}

async fn change_account(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, json_of(&body), |lab, asked| {
        if let Some(url) = asked["callback_url"].as_str() {
            lab.webhooks_to(NAME, url);
        }
        Done::Json(200, shown_account(lab))
    })
    .await
}

/// A request as answers show it.
pub(crate) fn shown(request: &Value) -> Value {
    let mut shown = request.clone();
    if let Some(object) = shown.as_object_mut() {
        object.remove("lab");
    }
    shown
}

fn found(request: &Value) -> Value {
    json!({ "signature_request": shown(request) })
}

async fn send(lab: Data<Lab>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let shown = read(&request, &body);
    within(lab, request, shown, |lab, asked| {
        let now = Utc::now().timestamp();
        if let Some((path, why)) = unfit(&asked, now) {
            let mut refusal = refusal("bad_request", why);
            refusal["error"]["error_path"] = path.into();
            return Done::Json(400, refusal);
        }
        // Forty digits, those of later requests after those of earlier ones.
        let id = format!("{}{:08x}", Uuid::now_v7().simple(), rand::random::<u32>());
        let made = asked::made(lab, &id, &asked, now);
        let answer = found(&made);
        lab.0.dropbox_sign.lock().requests.insert(id.clone(), made);
        lab.called_back(&id, "signature_request_sent", None);
        Done::Json(200, answer)
    })
    .await
}

async fn list(lab: Data<Lab>, request: HttpRequest, query: Query<HashMap<String, String>>) -> HttpResponse {
    within(lab, request, Value::Null, move |lab, _| {
        let number = |name: &str, usual: usize| query.get(name).map_or(Some(usual), |number| number.parse().ok());
        let (Some(page @ 1..), Some(size @ 1..=100)) = (number("page", 1), number("page_size", 20)) else {
            return refused(400, "page or page_size is out of range");
        };
        let sign = lab.0.dropbox_sign.lock();
        let wanted = query.get("query").map(|text| text.trim_start_matches("metadata:").trim_matches('"'));
        let is_wanted = |one: &Value| {
            let texts = [one["title"].as_str(), one["subject"].as_str()].into_iter().flatten();
            let metadata = one["metadata"].as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
            wanted.is_none_or(|wanted| texts.chain(metadata).any(|text| text.contains(wanted)))
        };
        // The newest come first; what was cancelled is nowhere.
        let all = sign.requests.iter().rev().filter(|(id, one)| !sign.gone.contains(*id) && is_wanted(one));
        let all: Vec<&Value> = all.map(|(_, one)| one).collect();
        let requests: Vec<Value> = all.iter().skip((page - 1) * size).take(size).map(|one| shown(one)).collect();
        let info = json!({ "page": page, "page_size": size, "num_results": all.len(), "num_pages": all.len().div_ceil(size).max(1) });
        Done::Json(200, json!({ "signature_requests": requests, "list_info": info }))
    })
    .await
}

/// The request, unless it is not there or no more.
fn there(lab: &Lab, id: &str) -> Result<Value, Done> {
    let sign = lab.0.dropbox_sign.lock();
    match sign.requests.get(id) {
        Some(_) if sign.gone.contains(id) => Err(refused(410, "This resource has been deleted.")),
        Some(request) => Ok(request.clone()),
        None => Err(refused(404, "Not found.")),
    }
}

async fn show(lab: Data<Lab>, id: Path<String>, request: HttpRequest) -> HttpResponse {
    within(lab, request, Value::Null, move |lab, _| match there(lab, &id) {
        Ok(request) => Done::Json(200, found(&request)),
        Err(refused) => refused,
    })
    .await
}

/// It is taken note of, and done afterwards.
async fn cancel(lab: Data<Lab>, id: Path<String>, request: HttpRequest) -> HttpResponse {
    within(lab, request, Value::Null, move |lab, _| {
        let request = match there(lab, &id) {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        if !people::is_open(&request) {
            return refused(400, "This signature request cannot be canceled.");
        }
        let (lab, id) = (lab.clone(), id.into_inner());
        actix_web::rt::spawn(async move {
            tokio::time::sleep(CANCELLING).await;
            if lab.0.dropbox_sign.lock().gone.insert(id.clone()) {
                lab.called_back(&id, "signature_request_canceled", None);
            }
        });
        Done::Json(200, json!({}))
    })
    .await
}

async fn remind(lab: Data<Lab>, id: Path<String>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, request, json_of(&body), move |lab, asked| {
        if let Err(refused) = there(lab, &id) {
            return refused;
        }
        match reminded(lab, &id, &asked) {
            Ok(answer) => {
                lab.called_back(&id, "signature_request_remind", None);
                Done::Json(200, answer)
            }
            Err(why) => refused(400, why),
        }
    })
    .await
}

fn reminded(lab: &Lab, id: &str, asked: &Value) -> Result<Value, &'static str> {
    let mut sign = lab.0.dropbox_sign.lock();
    let request = sign.requests.get_mut(id).ok_or("There is no such request.")?;
    let is_meant = |one: &&mut Value| {
        one["signer_email_address"] == asked["email_address"]
            && (asked["name"].is_null() || one["signer_name"] == asked["name"])
    };
    let signers = request["signatures"].as_array_mut().ok_or("Nobody signs this.")?;
    let signer = signers.iter_mut().find(is_meant).ok_or("There is no such signer.")?;
    let now = Utc::now().timestamp();
    if signer["status_code"] != "awaiting_signature" {
        return Err("The signer is not awaited.");
    }
    if signer["last_reminded_at"].as_i64().is_some_and(|at| now - at < REMINDED_EVERY) {
        return Err("The signer was reminded within the last hour.");
    }
    signer["last_reminded_at"] = now.into();
    let reminders = request["lab"]["reminders"].as_u64().unwrap_or_default() + 1;
    request["lab"]["reminders"] = reminders.into();
    Ok(found(request))
}

async fn files(
    lab: Data<Lab>,
    id: Path<String>,
    request: HttpRequest,
    query: Query<HashMap<String, String>>,
) -> HttpResponse {
    within(lab, request, Value::Null, move |lab, _| {
        let request = match there(lab, &id) {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        if query.get("file_type").is_some_and(|kind| kind != "pdf") {
            return refused(400, "The lab makes PDFs.");
        }
        let mut sign = lab.0.dropbox_sign.lock();
        if request["is_complete"] == true && sign.late > 0 {
            sign.late -= 1;
            return refused(409, "The files are still being prepared.");
        }
        let standing = if request["is_complete"] == true { "signed" } else { "not signed" };
        Done::File(pdf(&format!("request {}, which is {standing}, with its audit trail", *id)))
    })
    .await
}
