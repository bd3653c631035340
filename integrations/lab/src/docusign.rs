//! DocuSign's eSignature API: envelopes, their recipients and documents; and the page on which somebody signs.

use crate::DOCUSIGN_ACCOUNT;
use crate::control::{Done, asked};
use crate::data::shown;
use crate::pages::{Decision, decided, pdf, signing_page};
use crate::state::Lab;
use actix_web::web::{self, Bytes, Data, Form, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::scope("/docusign/restapi/v2.1/accounts/{account}")
            .route("/envelopes", web::get().to(list))
            .route("/envelopes", web::post().to(create))
            .route("/envelopes/{id}", web::get().to(show))
            .route("/envelopes/{id}", web::put().to(change))
            .route("/envelopes/{id}/recipients", web::get().to(recipients))
            .route("/envelopes/{id}/documents/{document}", web::get().to(document)),
    );
    config.route("/docusign/sign/{id}/{recipient}", web::get().to(page));
    config.route("/docusign/sign/{id}/{recipient}", web::post().to(decide));
    config.route("/control/docusign/expire/{id}", web::post().to(expire));
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn wrong(code: &str, message: &str) -> Done {
    Done::Json(400, json!({ "errorCode": code, "message": message }))
}

fn missing() -> Done {
    wrong("ENVELOPE_DOES_NOT_EXIST", "The envelope specified either does not exist or you have no rights to it.")
}

/// A request in the account that the path names.
async fn within(
    lab: Data<Lab>,
    account: &str,
    request: HttpRequest,
    body: Bytes,
    effect: impl FnOnce(&Lab, Value) -> Done,
) -> HttpResponse {
    let is_known = account == DOCUSIGN_ACCOUNT;
    asked(&lab, "docusign", &request, &body, move |lab, shown| match is_known {
        true => effect(lab, shown),
        false => wrong("ACCOUNT_NOT_FOUND", "no such account"),
    })
    .await
}

async fn create(lab: Data<Lab>, account: Path<String>, request: HttpRequest, body: Bytes) -> HttpResponse {
    within(lab, &account, request, body, |lab, mut envelope| {
        let signers = envelope.pointer("/recipients/signers").and_then(Value::as_array).map_or(0, Vec::len);
        if envelope["status"] == "sent" && (signers == 0 || envelope["documents"].as_array().is_none_or(Vec::is_empty))
        {
            return wrong("ENVELOPE_IS_INCOMPLETE", "The envelope is not complete.");
        }
        let id = Uuid::now_v7().to_string();
        envelope["envelopeId"] = id.clone().into();
        for moment in ["createdDateTime", "sentDateTime", "statusChangedDateTime", "lastModifiedDateTime"] {
            envelope[moment] = now().into();
        }
        lab.0.docusign.lock().envelopes.insert(id.clone(), envelope);
        route(lab, &id);
        lab.docusign_changed(&id, "envelope-sent");
        Done::Json(
            201,
            json!({ "envelopeId": id, "uri": format!("/envelopes/{id}"), "statusDateTime": now(), "status": "sent" }),
        )
    })
    .await
}

/// Those whose turn it is have got the email.
fn route(lab: &Lab, id: &str) {
    let mut docusign = lab.0.docusign.lock();
    let Some(envelope) = docusign.envelopes.get_mut(id) else { return };
    let order = |one: &Value| one["routingOrder"].as_str().and_then(|order| order.parse::<u32>().ok()).unwrap_or(1);
    let Some(signers) = envelope.pointer_mut("/recipients/signers").and_then(Value::as_array_mut) else { return };
    let turn = signers.iter().filter(|one| one["status"] != "completed").map(order).min();
    for signer in signers.iter_mut() {
        if signer["status"].is_null() || signer["status"] == "created" {
            signer["status"] = if Some(order(signer)) == turn { "sent" } else { "created" }.into();
        }
    }
}

impl Lab {
    fn docusign_changed(&self, id: &str, event: &str) {
        let url = {
            let mut docusign = self.0.docusign.lock();
            docusign.changed.insert(id.to_owned(), Utc::now());
            let Some(envelope) = docusign.envelopes.get_mut(id) else { return };
            envelope["lastModifiedDateTime"] = now().into();
            envelope.pointer("/eventNotification/url").and_then(Value::as_str).map(str::to_owned)
        };
        let body = json!({
            "event": event, "uri": format!("/restapi/v2.1/accounts/{DOCUSIGN_ACCOUNT}/envelopes/{id}"), "retryCount": 0,
            "configurationId": 1, "apiVersion": "v2.1", "generatedDateTime": now(),
            "data": { "accountId": DOCUSIGN_ACCOUNT, "userId": "lab", "envelopeId": id },
        });
        self.say("docusign", url, body.to_string());
    }

    pub(crate) fn sign_envelope(
        &self,
        envelope_id: &str,
        recipient_id: &str,
        declined_because: Option<&str>,
    ) -> Result<(), String> {
        {
            let mut docusign = self.0.docusign.lock();
            let envelope = docusign.envelopes.get_mut(envelope_id).ok_or("no such envelope")?;
            if !["sent", "delivered"].contains(&envelope["status"].as_str().unwrap_or_default()) {
                return Err("the envelope is closed".to_owned());
            }
            let signers = envelope.pointer_mut("/recipients/signers").and_then(Value::as_array_mut);
            let signers = signers.ok_or("nobody signs this")?;
            let signer =
                signers.iter_mut().find(|one| one["recipientId"] == recipient_id).ok_or("no such recipient")?;
            if signer["status"] != "sent" && signer["status"] != "delivered" {
                return Err("it is not their turn".to_owned());
            }
            match declined_because {
                Some(why) => {
                    signer["status"] = "declined".into();
                    signer["declinedReason"] = why.into();
                }
                None => {
                    signer["status"] = "completed".into();
                    signer["signedDateTime"] = now().into();
                }
            }
            let is_done = signers.iter().all(|one| one["status"] == "completed");
            let status = match (declined_because, is_done) {
                (Some(_), _) => Some("declined"),
                (None, true) => Some("completed"),
                (None, false) => None,
            };
            if let Some(status) = status {
                envelope["status"] = status.into();
                envelope["statusChangedDateTime"] = now().into();
                envelope[format!("{status}DateTime")] = now().into();
            }
        }
        route(self, envelope_id);
        let status = self.0.docusign.lock().envelopes.get(envelope_id).map(|one| one["status"].clone());
        let event = match (declined_because, status) {
            (Some(_), _) => "envelope-declined",
            (None, Some(status)) if status == "completed" => "envelope-completed",
            _ => "recipient-completed",
        };
        self.docusign_changed(envelope_id, event);
        Ok(())
    }
}

pub(crate) fn void(lab: &Lab, id: &str, reason: &str) {
    if let Some(envelope) = lab.0.docusign.lock().envelopes.get_mut(id) {
        envelope["status"] = "voided".into();
        envelope["voidedReason"] = reason.into();
        envelope["voidedDateTime"] = now().into();
        envelope["statusChangedDateTime"] = now().into();
    }
    lab.docusign_changed(id, "envelope-voided");
}

async fn list(
    lab: Data<Lab>,
    account: Path<String>,
    request: HttpRequest,
    query: Query<HashMap<String, String>>,
    body: Bytes,
) -> HttpResponse {
    within(lab, &account, request, body, move |lab, _| {
        let keys: Option<Vec<&str>> = query.get("transaction_ids").map(|keys| keys.split(',').collect());
        let since = query.get("from_date").and_then(|text| text.parse::<DateTime<Utc>>().ok());
        if keys.is_none() && since.is_none() {
            return wrong("INVALID_REQUEST_PARAMETER", "from_date is required");
        }
        let docusign = lab.0.docusign.lock();
        let is_wanted = |id: &str, one: &Value| {
            keys.as_ref().is_none_or(|keys| keys.iter().any(|key| one["transactionId"] == *key))
                && since.is_none_or(|since| docusign.changed.get(id).is_some_and(|at| *at > since))
        };
        let number = |name: &str, usual: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(usual);
        let found = docusign.envelopes.iter().filter(|(id, one)| is_wanted(id, one)).map(|(_, one)| shown(one));
        let found: Vec<Value> = found.skip(number("start_position", 0)).take(number("count", 1_000)).collect();
        Done::Json(200, json!({ "resultSetSize": found.len().to_string(), "totalSetSize": found.len().to_string(), "envelopes": found }))
    })
    .await
}

async fn show(lab: Data<Lab>, path: Path<(String, String)>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let (account, id) = path.into_inner();
    within(lab, &account, request, body, move |lab, _| match lab.0.docusign.lock().envelopes.get(&id) {
        Some(envelope) => Done::Json(200, shown(envelope)),
        None => missing(),
    })
    .await
}

async fn recipients(lab: Data<Lab>, path: Path<(String, String)>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let (account, id) = path.into_inner();
    within(lab, &account, request, body, move |lab, _| match lab.0.docusign.lock().envelopes.get(&id) {
        Some(envelope) => Done::Json(200, envelope["recipients"].clone()),
        None => missing(),
    })
    .await
}

async fn change(lab: Data<Lab>, path: Path<(String, String)>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let (account, id) = path.into_inner();
    within(lab, &account, request, body, move |lab, wanted| {
        let status =
            lab.0.docusign.lock().envelopes.get(&id).map(|one| one["status"].as_str().unwrap_or_default().to_owned());
        let Some(status) = status else { return missing() };
        if wanted["status"] == "voided" {
            if !["sent", "delivered"].contains(&status.as_str()) {
                return wrong(
                    "ENVELOPE_CANNOT_VOID_INVALID_STATE",
                    "Only envelopes in the 'Sent' or 'Delivered' states may be voided.",
                );
            }
            void(lab, &id, wanted["voidedReason"].as_str().unwrap_or_default());
        } else if let Some(envelope) = lab.0.docusign.lock().envelopes.get_mut(&id) {
            let reminders = envelope["reminders"].as_u64().unwrap_or_default() + 1;
            envelope["reminders"] = reminders.into();
        }
        Done::Json(200, json!({ "envelopeId": id }))
    })
    .await
}

async fn document(
    lab: Data<Lab>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (account, id, which) = path.into_inner();
    within(lab, &account, request, body, move |lab, _| {
        let docusign = lab.0.docusign.lock();
        let Some(envelope) = docusign.envelopes.get(&id) else { return missing() };
        let status = envelope["status"].as_str().unwrap_or_default();
        Done::File(pdf(&format!("{which} of envelope {id}, which is {status}")))
    })
    .await
}

async fn page(lab: Data<Lab>, path: Path<(String, String)>) -> HttpResponse {
    let (id, recipient) = path.into_inner();
    let docusign = lab.0.docusign.lock();
    let Some(envelope) = docusign.envelopes.get(&id) else { return HttpResponse::NotFound().body("no such envelope") };
    let (subject, status) =
        (envelope["emailSubject"].as_str().unwrap_or_default(), envelope["status"].as_str().unwrap_or_default());
    signing_page(subject, status, &recipient)
}

async fn decide(lab: Data<Lab>, path: Path<(String, String)>, Form(decision): Form<Decision>) -> HttpResponse {
    let (id, recipient) = path.into_inner();
    decided(lab.sign_envelope(&id, &recipient, decision.declined()), format!("/docusign/sign/{id}/{recipient}"))
}

async fn expire(lab: Data<Lab>, id: Path<String>) -> HttpResponse {
    void(&lab, &id, "Envelope has expired.");
    HttpResponse::NoContent().finish()
}
