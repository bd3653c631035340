//! What people do with a request, and what Dropbox Sign says of it: as forms whose hash covers next to nothing.

use super::shown;
use crate::dropbox_words::NAME;
use crate::pages::{Decision, decided, signing_page};
use crate::state::Lab;
use crate::{CLIENT_ID, DROPBOX_SIGN_ACCOUNT};
use actix_web::HttpResponse;
use actix_web::web::{self, Data, Form, Path, ServiceConfig};
use anyhow::Result;
use chrono::Utc;
use providers::form::{self, Part};
use providers::sign_hex;
use serde_json::{Value, json};

/// What it looks for in the answer to a message.
const THANKS: &str = "Hello API Event Received";

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/dropbox_sign/sign/{id}/{signer}", web::get().to(page));
    config.route("/dropbox_sign/sign/{id}/{signer}", web::post().to(decide));
    config.route("/control/dropbox_sign/expire/{id}", web::post().to(expire));
    config.route("/control/dropbox_sign/unfit/{id}", web::post().to(unfit));
}

/// Does Dropbox Sign have such a request?
pub(crate) fn knows(lab: &Lab, id: &str) -> bool {
    lab.0.dropbox_sign.lock().requests.contains_key(id)
}

/// May it still be signed?
pub(super) fn is_open(request: &Value) -> bool {
    let is_awaited = |one: &Value| one["status_code"] == "awaiting_signature";
    let is = |what: &str| request[what] == true;
    !is("is_complete")
        && !is("is_declined")
        && request["signatures"].as_array().is_some_and(|all| all.iter().any(is_awaited))
}

impl Lab {
    /// Dropbox Sign's signature requests, those that were cancelled included.
    pub fn signature_requests(&self) -> Vec<Value> {
        self.0.dropbox_sign.lock().requests.values().cloned().collect()
    }

    /// So many downloads of signed papers come too early from now on.
    pub fn papers_are_late(&self, downloads: u32) {
        self.0.dropbox_sign.lock().late = downloads;
    }

    /// Dropbox Sign allows so many calls a minute from now on; as many as anybody likes if none is said.
    pub fn dropbox_sign_allows(&self, calls: Option<u32>) {
        let mut sign = self.0.dropbox_sign.lock();
        (sign.allows, sign.spent) = (calls, (0, 0));
    }

    /// Dropbox Sign finds out that it can do nothing with the papers, after it has taken them.
    pub fn papers_are_unfit(&self, id: &str) {
        self.change(id, |request| {
            request["has_error"] = true.into();
            for one in request["signatures"].as_array_mut().into_iter().flatten() {
                one["status_code"] = "error_file".into();
                one["error"] = "The file could not be processed.".into();
            }
        });
        self.called_back(id, "file_error", None);
    }

    pub(crate) fn expire_request(&self, id: &str) {
        self.change(id, |request| {
            for one in request["signatures"].as_array_mut().into_iter().flatten() {
                if one["status_code"] == "awaiting_signature" {
                    one["status_code"] = "expired".into();
                }
            }
            request["expires_at"] = Utc::now().timestamp().into();
        });
        self.called_back(id, "signature_request_expired", None);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Value)) {
        if let Some(request) = self.0.dropbox_sign.lock().requests.get_mut(id) {
            change(request);
        }
    }

    /// The signer of this number, from 1, signs or will not.
    pub(crate) fn sign_request(&self, id: &str, number: &str, declined_because: Option<&str>) -> Result<(), String> {
        let (signature, is_done) = {
            let mut sign = self.0.dropbox_sign.lock();
            if sign.gone.contains(id) {
                return Err("the request was cancelled".to_owned());
            }
            let request = sign.requests.get_mut(id).ok_or("no such request")?;
            if !is_open(request) {
                return Err("the request is closed".to_owned());
            }
            if declined_because.is_some() && request["lab"]["may_decline"] != true {
                return Err("nobody may decline this".to_owned());
            }
            let signers = request["signatures"].as_array_mut().ok_or("nobody signs this")?;
            let is_awaited = |one: &&Value| one["status_code"] == "awaiting_signature";
            let turn = signers.iter().filter(is_awaited).filter_map(|one| one["order"].as_i64()).min();
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let signer = index.and_then(|index| signers.get_mut(index)).ok_or("no such signer")?;
            if signer["status_code"] != "awaiting_signature"
                || signer["order"].as_i64().is_some_and(|one| Some(one) > turn)
            {
                return Err("it is not their turn".to_owned());
            }
            let now = Utc::now().timestamp();
            signer["last_viewed_at"] = now.into();
            match declined_because {
                Some(why) => {
                    signer["status_code"] = "declined".into();
                    signer["decline_reason"] = why.into();
                }
                None => {
                    signer["status_code"] = "signed".into();
                    signer["signed_at"] = now.into();
                }
            }
            let signature = signer["signature_id"].as_str().map(str::to_owned);
            let is_done = signers.iter().all(|one| one["status_code"] == "signed");
            request["is_declined"] = declined_because.is_some().into();
            request["is_complete"] = is_done.into();
            (signature, is_done)
        };
        let event = if declined_because.is_some() { "signature_request_declined" } else { "signature_request_signed" };
        self.called_back(id, event, signature.as_deref());
        if is_done {
            // The papers may not be there when everybody has signed.
            self.called_back(id, "signature_request_all_signed", None);
            self.called_back(id, "signature_request_downloadable", None);
        }
        Ok(())
    }

    /// Says that something happened to a request.
    pub(super) fn called_back(&self, id: &str, event_type: &str, signature: Option<&str>) {
        let request = self.0.dropbox_sign.lock().requests.get(id).map(shown);
        let Some(request) = request else { return };
        let about = json!({ "related_signature_id": signature, "reported_for_account_id": DROPBOX_SIGN_ACCOUNT, "reported_for_app_id": CLIENT_ID });
        let event = json!({ "event_time": Utc::now().timestamp().to_string(), "event_type": event_type, "event_hash": "", "event_metadata": about });
        let message = json!({ "event": event, "signature_request": request, "account_guid": DROPBOX_SIGN_ACCOUNT, "client_id": CLIENT_ID });
        if let Some(wrong) = self.0.descriptions.wrong_message(NAME, "EventCallbackRequest", &message) {
            self.0.violations.lock().push(wrong);
        }
        self.say(NAME, None, message.to_string());
    }

    /// Sends a message, with the hash that this key makes of its moment and its kind.
    pub(crate) async fn call_back(&self, url: &str, message: &str, key: &str) -> Result<u16> {
        let (kind, body) = form::encode(&[Part::text("json", hashed(message, key)?)]);
        let answer = self.0.http.post(url).header("content-type", kind).body(body).send().await?;
        let status = answer.status().as_u16();
        if status == 200 && answer.text().await? != THANKS {
            self.0.violations.lock().push(format!("{NAME} is not thanked, and would send its message again"));
        }
        Ok(status)
    }
}

fn hashed(message: &str, key: &str) -> Result<String> {
    let mut message: Value = serde_json::from_str(message)?;
    let text = |name: &str| message["event"][name].as_str().unwrap_or_default().to_owned();
    let hash = sign_hex(key, (text("event_time") + &text("event_type")).as_bytes());
    message["event"]["event_hash"] = hash.into();
    Ok(message.to_string())
}

async fn page(lab: Data<Lab>, path: Path<(String, String)>) -> HttpResponse {
    let (id, number) = path.into_inner();
    let (request, is_gone) = {
        let mut sign = lab.0.dropbox_sign.lock();
        let is_gone = sign.gone.contains(&id);
        let Some(request) = sign.requests.get_mut(&id) else { return HttpResponse::NotFound().body("no such request") };
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let signer = request["signatures"].as_array_mut().and_then(|all| all.get_mut(index?));
        let Some(signer) = signer else { return HttpResponse::NotFound().body("no such signer") };
        signer["last_viewed_at"] = Utc::now().timestamp().into();
        (request.clone(), is_gone)
    };
    if is_gone {
        return HttpResponse::Gone().body("This resource has been deleted.");
    }
    lab.called_back(&id, "signature_request_viewed", None);
    let status = if is_open(&request) { "open" } else { "closed" };
    signing_page(request["subject"].as_str().unwrap_or_default(), status, &number)
}

async fn decide(lab: Data<Lab>, path: Path<(String, String)>, Form(decision): Form<Decision>) -> HttpResponse {
    let (id, number) = path.into_inner();
    decided(lab.sign_request(&id, &number, decision.declined()), format!("/dropbox_sign/sign/{id}/{number}"))
}

async fn expire(lab: Data<Lab>, id: Path<String>) -> HttpResponse {
    lab.expire_request(&id);
    HttpResponse::NoContent().finish()
}

async fn unfit(lab: Data<Lab>, id: Path<String>) -> HttpResponse {
    lab.papers_are_unfit(&id);
    HttpResponse::NoContent().finish()
}
