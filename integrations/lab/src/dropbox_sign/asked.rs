//! What is asked with files: a form, read as the JSON that says the same, and what is made of it.

use crate::dropbox_words::NAME;
use crate::state::Lab;
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use providers::form::{self, Part};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Words of metadata, and characters of one.
const METADATA_MAX: usize = 10;
const VALUE_MAX: usize = 1_000;
/// Days after which a request may expire, and seconds of one.
const EXPIRES_IN: std::ops::RangeInclusive<i64> = 1..=90;
const DAY: i64 = 24 * 3_600;

/// The form or the JSON.
pub(super) fn read(request: &HttpRequest, body: &Bytes) -> Value {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match form::decode(kind, body) {
        Some(parts) => {
            let mut read = json!({});
            for part in &parts {
                put(&mut read, &steps(&part.name), leaf(part));
            }
            read
        }
        None => serde_json::from_slice(body).unwrap_or_default(),
    }
}

/// `signers[0][name]` is `signers`, `0`, `name`.
fn steps(name: &str) -> Vec<&str> {
    name.split('[').map(|step| step.trim_end_matches(']')).collect()
}

/// A text, or what a text stands for in a form.
fn leaf(Part { name, file, content }: &Part) -> Value {
    if let Some((called, kind)) = file {
        return format!("{called} ({kind}, {} bytes)", content.len()).into();
    }
    let text = String::from_utf8_lossy(content);
    let steps = steps(name);
    let is =
        |names: &[&str]| steps.last().is_some_and(|last| names.contains(last)) && steps.first() != Some(&"metadata");
    match &*text {
        "1" | "true" if is(&["test_mode", "allow_decline", "use_text_tags", "hide_text_tags"]) => true.into(),
        "0" | "false" if is(&["test_mode", "allow_decline", "use_text_tags", "hide_text_tags"]) => false.into(),
        number if is(&["order", "expires_at"]) => number.parse::<i64>().map_or_else(|_| number.into(), Value::from),
        text => text.into(),
    }
}

/// Puts it where the steps lead; a number is a place in a list, unless it names metadata.
fn put(into: &mut Value, steps: &[&str], leaf: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *into = leaf;
        return;
    };
    let next = match rest.first() {
        Some(next) if *step != "metadata" && next.parse::<usize>().is_ok() => json!([]),
        _ => json!({}),
    };
    let place = match into {
        Value::Array(items) => {
            let Some(index) = step.parse::<usize>().ok().filter(|index| *index <= items.len()) else { return };
            if index == items.len() {
                items.push(next);
            }
            items.get_mut(index)
        }
        Value::Object(object) => Some(object.entry(*step).or_insert(next)),
        _ => None,
    };
    if let Some(place) = place {
        put(place, rest, leaf);
    }
}

/// What is wrong with a request: where, and why.
pub(super) fn unfit(asked: &Value, now: i64) -> Option<(&'static str, &'static str)> {
    let is_empty = |name: &str| asked[name].as_array().is_none_or(Vec::is_empty);
    if is_empty("files") && is_empty("file_urls") {
        return Some(("files", "One of files and file_urls is required."));
    }
    if is_empty("signers") {
        return Some(("signers", "Somebody must sign."));
    }
    let metadata = asked["metadata"].as_object().cloned().unwrap_or_default();
    let is_long = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() > VALUE_MAX);
    if metadata.len() > METADATA_MAX || metadata.values().any(is_long) {
        return Some(("metadata", "There is too much metadata."));
    }
    let expires_in = asked["expires_at"].as_i64().map(|at| (at / 3_600 * 3_600 - now) / DAY);
    if expires_in.is_some_and(|days| !EXPIRES_IN.contains(&days)) {
        return Some(("expires_at", "The request must expire in 1 to 90 days."));
    }
    None
}

/// The request that it becomes.
pub(super) fn made(lab: &Lab, id: &str, asked: &Value, now: i64) -> Value {
    let signature = |signer: &Value| {
        json!({
            "signature_id": Uuid::now_v7().simple().to_string(), "signer_group_guid": null,
            "signer_email_address": signer["email_address"], "signer_name": signer["name"], "signer_role": null,
            "order": signer["order"], "status_code": "awaiting_signature", "decline_reason": null, "signed_at": null,
            "last_viewed_at": null, "last_reminded_at": null, "has_pin": false, "has_sms_auth": false, "error": null,
        })
    };
    let signatures: Vec<Value> = asked["signers"].as_array().into_iter().flatten().map(signature).collect();
    let metadata =
        asked["metadata"].as_object().cloned().map_or_else(|| json!({}), |known: Map<String, Value>| known.into());
    let files = asked["files"].as_array().cloned().unwrap_or_default();
    let api = lab.api(NAME);
    json!({
        "signature_request_id": id, "test_mode": asked["test_mode"] == true,
        "requester_email_address": "lab@example.com", "title": asked["title"], "original_title": asked["title"],
        "subject": asked["subject"], "message": asked["message"], "metadata": metadata, "created_at": now,
        "expires_at": asked["expires_at"].as_i64().map(|at| at / 3_600 * 3_600),
        "is_complete": false, "is_declined": false, "has_error": false,
        "files_url": format!("{api}/v3/signature_request/files/{id}"), "signing_url": format!("{api}/sign/{id}/1"),
        "signing_redirect_url": null, "details_url": format!("{api}/sign/{id}/1"),
        "cc_email_addresses": asked["cc_email_addresses"].as_array().cloned().unwrap_or_default(),
        "template_ids": null, "custom_fields": [], "attachments": [], "response_data": [], "signatures": signatures,
        "lab": { "files": files, "may_decline": asked["allow_decline"], "tags": asked["use_text_tags"], "reminders": 0 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_the_same_as_json() {
        let parts = [
            Part::text("signers[0][name]", "Ada"),
            Part::text("signers[0][order]", "0"),
            Part::text("signers[1][name]", "1"),
            Part::text("metadata[0]", "1"),
            Part::text("cc_email_addresses[0]", "c@example.com"),
            Part::text("test_mode", "1"),
            Part::file("files[0]", "a.pdf", "application/pdf", Bytes::from_static(b"%PDF-")),
            Part::text("signers[9][name]", "nobody"),
        ];
        let mut read = json!({});
        parts.iter().for_each(|part| put(&mut read, &steps(&part.name), leaf(part)));
        let expected = json!({
            "signers": [{ "name": "Ada", "order": 0 }, { "name": "1" }], "metadata": { "0": "1" },
            "cc_email_addresses": ["c@example.com"], "test_mode": true, "files": ["a.pdf (application/pdf, 5 bytes)"],
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_the_service_would_refuse_the_lab_refuses() {
        let now = 1_000_000_000;
        let mut asked = json!({ "files": ["a"], "signers": [{}], "metadata": {}, "expires_at": now + 2 * DAY });
        assert_eq!(unfit(&asked, now), None);
        for (place, value) in [("files", json!([])), ("signers", json!(null)), ("expires_at", json!(now + 60))] {
            let before = asked[place].clone();
            asked[place] = value;
            assert_eq!(unfit(&asked, now).map(|(path, _)| path), Some(place));
            asked[place] = before;
        }
        asked["metadata"] = (0..11).map(|n| (n.to_string(), json!(n))).collect::<Map<_, _>>().into();
        assert!(unfit(&asked, now).is_some());
    }
}
