//! The port's questions in Dropbox Sign's words.

use crate::DropboxSign;
use crate::wire::{Got, Listed, Refusal, Signature, SignatureRequest};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use ports::{Anchors, Envelope, EnvelopeStatus, Fault, Papers, Place, Recipient, Sent, Signer};
use providers::form::{self, Part};
use providers::{Answer, Effect};
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use uuid::Uuid;

/// Under which word of its metadata a request has our key.
pub const KEY: &str = "ubos_key";
/// Under which it says which of the contract's recipients its signers are.
const SIGNERS: &str = "ubos_signers";
/// Characters of a subject or title.
const SUBJECT_MAX: usize = 255;
/// Characters of a message.
const MESSAGE_MAX: usize = 5_000;
/// Days after which a request can expire at most, and seconds of one.
const DAYS_MAX: i64 = 90;
const DAY: i64 = 24 * 3_600;
const HOUR: i64 = 3_600;
/// Requests of one page; more are not given.
const PAGE: usize = 100;
/// Pages that are looked through at most.
const PAGES_MAX: u32 = 20;
/// For so long a request is looked for whose key does not say when it was made.
const LOOKED_FOR: TimeDelta = TimeDelta::days(7);
/// How far clocks may differ.
const DIFFER: TimeDelta = TimeDelta::minutes(10);
/// How long it may take until a request is cancelled.
const CANCELLED_AFTER: Duration = Duration::from_secs(20);

/// The answer if it is good; else what Dropbox Sign does not like.
pub fn good(answer: &Answer) -> Result<&Answer, Fault> {
    if answer.is_good() {
        return Ok(answer);
    }
    let Refusal { error } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let told = format!("Dropbox Sign answers {} {}: {}", answer.status, error.error_name, error.error_msg);
    Err(match answer.status.as_u16() {
        404 => Fault::Never("not_found", told),
        410 => Fault::Never("deleted", told),
        _ => Fault::Never("refused", told),
    })
}

/// See [`ports::Signing::anchors`]: text tags, which name a signer by number.
pub fn anchors(nth: usize) -> Anchors {
    Anchors { signature: format!("[sig|req|signer{nth}]"), date: format!("[date|req|signer{nth}]") }
}

/// See [`ports::Signing::send`].
pub async fn send(sign: &DropboxSign, at: Place, key: &str, envelope: &Envelope) -> Result<Sent, Fault> {
    if let Some(sent) = find(sign, at, key).await? {
        return Ok(sent);
    }
    let (kind, body) = form::encode(&parts(key, envelope, sign.test_mode, Utc::now()));
    let build = |http: &reqwest::Client, access: &providers::Access| {
        let to = crate::url(access, &["signature_request", "send"], &[]);
        http.post(to).header(CONTENT_TYPE, &kind).body(body.clone())
    };
    let answer = sign.calls.call(at, Effect::Guarded, build).await?;
    let Got { signature_request } = good(&answer)?.json()?;
    let id = signature_request.signature_request_id;
    id.map(|envelope_id| Sent { envelope_id })
        .ok_or_else(|| Fault::Unknown("Dropbox Sign names no signature request".to_owned()))
}

/// The form that a request is sent as: files go in no other way.
fn parts(key: &str, envelope: &Envelope, test_mode: bool, now: DateTime<Utc>) -> Vec<Part> {
    let subject: String = envelope.subject.chars().take(SUBJECT_MAX).collect();
    let signers: Vec<&Recipient> = envelope.recipients.iter().filter(|one| one.signs).collect();
    let mut turns: Vec<u16> = signers.iter().map(|one| one.order).collect();
    turns.sort_unstable();
    turns.dedup();
    let mut parts = vec![
        Part::text("title", &*subject),
        Part::text("subject", &*subject),
        Part::text("allow_decline", "1"),
        Part::text("use_text_tags", if signers.iter().any(|one| one.anchors.is_some()) { "1" } else { "0" }),
        Part::text("test_mode", if test_mode { "1" } else { "0" }),
        Part::text(format!("metadata[{KEY}]"), key),
        Part::text(format!("metadata[{SIGNERS}]"), known_as(&signers)),
    ];
    if let Some(message) = &envelope.message {
        parts.push(Part::text("message", message.chars().take(MESSAGE_MAX).collect::<String>()));
    }
    for (index, one) in signers.iter().enumerate() {
        parts.push(Part::text(format!("signers[{index}][name]"), &*one.name));
        parts.push(Part::text(format!("signers[{index}][email_address]"), &*one.email));
        // Without an order everybody signs at once.
        if let Some(turn) = turns.iter().position(|turn| *turn == one.order).filter(|_| turns.len() > 1) {
            parts.push(Part::text(format!("signers[{index}][order]"), turn.to_string()));
        }
    }
    for (index, one) in envelope.recipients.iter().filter(|one| !one.signs).enumerate() {
        parts.push(Part::text(format!("cc_email_addresses[{index}]"), &*one.email));
    }
    if let Some(expires_at) = envelope.expires_after_days.and_then(|days| expires_at(days, now)) {
        parts.push(Part::text("expires_at", expires_at.to_string()));
    }
    for (index, paper) in envelope.papers.iter().enumerate() {
        parts.push(Part::file(format!("files[{index}]"), &paper.name, "application/pdf", paper.content.clone()));
    }
    parts
}

/// When a request expires: Dropbox Sign rounds down to the hour, so that it is rounded up here. Longer than it can, it does not expire
/// there; the contract's own end is ours.
fn expires_at(days: u16, now: DateTime<Utc>) -> Option<i64> {
    let days = i64::from(days.max(1));
    let at = (now.timestamp() + days * DAY) / HOUR * HOUR + HOUR;
    (days < DAYS_MAX).then_some(at)
}

/// `1:0a1b2c3d,2:4e5f6071`: which recipient each signer is. Names and addresses stand in the request as it is.
fn known_as(signers: &[&Recipient]) -> String {
    let each = signers.iter().map(|one| format!("{}:{}", one.id, mark(&one.email, &one.name)));
    each.collect::<Vec<_>>().join(",")
}

fn mark(email: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{}\n{}", email.trim().to_lowercase(), name.trim()));
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Which recipient each of the signatures is: by name and address, and where these were changed there, by the order among those left.
fn recipients(request: &SignatureRequest) -> Vec<Option<String>> {
    let known = request.metadata.get(SIGNERS).and_then(|text| text.as_str()).unwrap_or_default();
    let mut left: Vec<(&str, &str)> = known.split(',').filter_map(|one| one.split_once(':')).collect();
    let of = |one: &Signature| {
        mark(one.signer_email_address.as_deref().unwrap_or_default(), one.signer_name.as_deref().unwrap_or_default())
    };
    let mut take = |one: &Signature| {
        let place = left.iter().position(|(_, mark)| *mark == of(one))?;
        Some(left.remove(place).0.to_owned())
    };
    let mut found: Vec<Option<String>> = request.signatures().iter().map(&mut take).collect();
    let mut rest = left.into_iter().map(|(id, _)| id.to_owned());
    found.iter_mut().filter(|id| id.is_none()).for_each(|id| *id = rest.next());
    found
}

/// See [`ports::Signing::find`]. Search there may lag behind and is described loosely, so the last requests are looked through, newest
/// first, back to when the key was made.
pub async fn find(sign: &DropboxSign, at: Place, key: &str) -> Result<Option<Sent>, Fault> {
    let since = made_at(key).unwrap_or_else(|| Utc::now() - LOOKED_FOR) - DIFFER;
    let mut found = None;
    let is_whole = each_since(sign, at, since, |request| {
        if request.metadata.get(KEY).and_then(|known| known.as_str()) == Some(key) {
            found = request.signature_request_id.clone();
        }
        found.is_none()
    });
    let is_whole = is_whole.await?;
    match found {
        Some(envelope_id) => Ok(Some(Sent { envelope_id })),
        None if is_whole => Ok(None),
        None => Err(Fault::Later(None, format!("there are more than {PAGE} × {PAGES_MAX} requests to look through"))),
    }
}

/// When a key was made, if it says so.
fn made_at(key: &str) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = Uuid::parse_str(key).ok()?.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

/// Every request of the account that was made since then, newest first, for as long as somebody wants more. False if there are more
/// than anybody looks through.
pub async fn each_since(
    sign: &DropboxSign,
    at: Place,
    since: DateTime<Utc>,
    mut wanted: impl FnMut(&SignatureRequest) -> bool + Send,
) -> Result<bool, Fault> {
    let size = PAGE.to_string();
    for page in 1..=PAGES_MAX {
        let number = page.to_string();
        let query = [("page", number.as_str()), ("page_size", size.as_str())];
        let answer = sign.get(at, &["signature_request", "list"], &query).await?;
        let Listed { signature_requests, list_info } = good(&answer)?.json()?;
        let is_old = |one: &SignatureRequest| one.created_at.is_some_and(|made| made < since.timestamp());
        let is_over = signature_requests.iter().all(is_old) || list_info.num_pages.is_none_or(|all| all <= page);
        if !signature_requests.iter().all(&mut wanted) || is_over {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn got(sign: &DropboxSign, at: Place, id: &str) -> Result<SignatureRequest, Fault> {
    let answer = sign.get(at, &["signature_request", id], &[]).await?;
    let Got { signature_request } = good(&answer)?.json()?;
    Ok(signature_request)
}

/// See [`ports::Signing::look`].
pub async fn look(sign: &DropboxSign, at: Place, envelope_id: &str) -> Result<Papers, Fault> {
    let request = match got(sign, at, envelope_id).await {
        Ok(request) => request,
        // What was cancelled is there no more.
        Err(Fault::Never("deleted", _)) => {
            return Ok(Papers {
                envelope_id: envelope_id.to_owned(),
                status: EnvelopeStatus::Voided,
                since: None,
                voided_because: None,
                signers: vec![],
            });
        }
        Err(fault) => return Err(fault),
    };
    let (status, voided_because) = request.status();
    let signers = request.signatures().iter().zip(recipients(&request)).filter_map(|(one, id)| {
        Some(Signer {
            id: id?,
            status: request.signer(one),
            signed_at: one.signed_at.and_then(crate::wire::moment),
            declined_because: one.decline_reason.clone(),
        })
    });
    Ok(Papers {
        envelope_id: envelope_id.to_owned(),
        status,
        since: request.signed_at().filter(|_| status == EnvelopeStatus::Completed),
        voided_because,
        signers: signers.collect(),
    })
}

/// See [`ports::Signing::void`]. Dropbox Sign takes a wish to cancel and fulfils it afterwards, so it is looked whether it has; why is
/// told to nobody there.
pub async fn void(sign: &DropboxSign, at: Place, envelope_id: &str) -> Result<(), Fault> {
    let answer = sign.post(at, &["signature_request", "cancel", envelope_id], None::<&()>).await?;
    let refused = match good(&answer) {
        Ok(_) => None,
        Err(Fault::Never("refused", why)) => Some(why),
        Err(Fault::Never("deleted", _)) => return Ok(()),
        Err(fault) => return Err(fault),
    };
    match (look(sign, at, envelope_id).await?.status, refused) {
        (EnvelopeStatus::Voided | EnvelopeStatus::Expired, _) => Ok(()),
        (_, Some(why)) => Err(Fault::Never("wrong_state", why)),
        (_, None) => Err(Fault::Later(Some(CANCELLED_AFTER), "the request is being cancelled".to_owned())),
    }
}

/// Whom a reminder is for.
#[derive(Serialize)]
struct Reminded<'a> {
    email_address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// See [`ports::Signing::remind`]. Each is reminded alone; whoever was within the hour is not again, which is no failure of the others.
pub async fn remind(sign: &DropboxSign, at: Place, envelope_id: &str) -> Result<(), Fault> {
    let request = got(sign, at, envelope_id).await?;
    let turn = request.turn();
    let (mut reminded, mut refused) = (0, None);
    for one in request.signatures().iter().filter(|one| one.is_open() && (one.order.is_none() || one.order == turn)) {
        let Some(email_address) = one.signer_email_address.as_deref() else { continue };
        let whom = Reminded { email_address, name: one.signer_name.as_deref() };
        let answer = sign.post(at, &["signature_request", "remind", envelope_id], Some(&whom)).await?;
        match good(&answer) {
            Ok(_) => reminded += 1,
            Err(Fault::Never(_, why)) => refused = Some(why),
            Err(fault) => return Err(fault),
        }
    }
    match refused {
        Some(why) if reminded == 0 => Err(Fault::Never("refused", why)),
        _ => Ok(()),
    }
}

/// See [`ports::Signing::signed`]: one PDF, whose last pages say who signed when. While it is being made, 409 says to come again.
pub async fn signed(sign: &DropboxSign, at: Place, envelope_id: &str) -> Result<Bytes, Fault> {
    let answer = sign.get(at, &["signature_request", "files", envelope_id], &[("file_type", "pdf")]).await?;
    let body = good(&answer)?.body.clone();
    if body.starts_with(b"%PDF-") { Ok(body) } else { Err(Fault::Later(None, "Dropbox Sign sends no PDF".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Paper;
    use serde_json::json;

    fn recipient(id: &str, name: &str, order: u16, signs: bool) -> Recipient {
        let anchors = signs.then(|| anchors(1));
        Recipient {
            id: id.to_owned(),
            name: name.to_owned(),
            email: format!("{name}@example.com"),
            order,
            signs,
            anchors,
        }
    }

    fn envelope(orders: [u16; 2]) -> Envelope {
        let [one, two] = orders;
        Envelope {
            subject: "x".repeat(300),
            message: None,
            papers: vec![Paper { name: "contract.pdf".to_owned(), content: Bytes::from_static(b"%PDF-") }],
            recipients: vec![
                recipient("1", "Ada", one, true),
                recipient("2", "Cora", 1, false),
                recipient("3", "Eve", two, true),
            ],
            expires_after_days: Some(30),
            notify: None,
        }
    }

    fn value(parts: &[Part], name: &str) -> Option<String> {
        let found = parts.iter().find(|part| part.name == name)?;
        Some(String::from_utf8(found.content.to_vec()).unwrap())
    }

    #[test]
    fn turns_are_counted_from_zero_and_only_where_there_are_any() {
        let now = Utc::now();
        let in_turn = parts("k", &envelope([7, 3]), false, now);
        assert_eq!(value(&in_turn, "signers[0][order]").as_deref(), Some("1"));
        assert_eq!(value(&in_turn, "signers[1][order]").as_deref(), Some("0"));
        assert_eq!(value(&in_turn, "signers[1][name]").as_deref(), Some("Eve"));
        assert_eq!(value(&in_turn, "cc_email_addresses[0]").as_deref(), Some("Cora@example.com"));
        assert_eq!(value(&in_turn, "subject").map(|text| text.len()), Some(255));
        assert_eq!(value(&parts("k", &envelope([2, 2]), false, now), "signers[0][order]"), None);
        assert_eq!(value(&parts("k", &envelope([2, 2]), true, now), "test_mode").as_deref(), Some("1"));
    }

    #[test]
    fn a_request_does_not_expire_before_the_contract_does() {
        let now = DateTime::from_timestamp(1_000_000_000, 0).unwrap();
        let in_days = |days| expires_at(days, now).map(|at| (at - now.timestamp(), at % 3_600));
        assert!(in_days(0).is_some_and(|(seconds, rest)| seconds > 86_400 && rest == 0));
        assert!(in_days(30).is_some_and(|(seconds, _)| (30 * 86_400..=30 * 86_400 + 3_600).contains(&seconds)));
        assert_eq!(in_days(90), None, "Dropbox Sign takes no more than ninety days");
        assert_eq!(in_days(365), None);
    }

    #[test]
    fn signatures_are_those_of_our_recipients_in_whatever_order_they_come() {
        let all = envelope([1, 2]);
        let signers: Vec<&Recipient> = all.recipients.iter().filter(|one| one.signs).collect();
        let request = |names: [&str; 2]| -> SignatureRequest {
            let signature =
                |name: &str| json!({ "signer_name": name, "signer_email_address": format!("{name}@EXAMPLE.com") });
            serde_json::from_value(
                json!({ "metadata": { SIGNERS: known_as(&signers) }, "signatures": names.map(signature) }),
            )
            .unwrap()
        };
        let ids = |names| recipients(&request(names)).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(ids(["Eve", "Ada"]), ["3", "1"]);
        assert_eq!(ids(["Eve", "Ada Lovelace"]), ["3", "1"], "whose name was changed there is whoever is left");
        let others = SignatureRequest { signatures: Some(vec![Signature::default()]), ..SignatureRequest::default() };
        assert_eq!(recipients(&others), [None]);
    }

    #[test]
    fn a_key_says_when_it_was_made_or_nothing() {
        let now = Utc::now();
        let made = made_at(&Uuid::now_v7().to_string()).unwrap();
        assert!((made - now).num_seconds().abs() < 5, "{made}");
        assert_eq!(made_at("key-1"), None);
        assert_eq!(made_at(&Uuid::nil().to_string()), None);
    }
}
