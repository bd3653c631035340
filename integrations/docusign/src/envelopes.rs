//! The port's questions in DocuSign's words.

use crate::Docusign;
use crate::wire::{
    Change, Document, EnvelopeDefinition, EnvelopeSummary, Envelopes, ErrorDetails, EventData, EventNotification,
    Expirations, Notification, Recipients, Tab, Tabs, moment, signer_status, status,
};
use crate::wire::{Envelope as WireEnvelope, Recipient as WireRecipient};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ports::{Anchors, Envelope, EnvelopeStatus, Fault, Paper, Papers, Place, Recipient, Sent, Signer};
use providers::Answer;
use reqwest::Method;
use std::time::Duration;

/// How long to wait after one of the limits whose end DocuSign does not say.
const LIMITED: Duration = Duration::from_secs(15 * 60);
/// The same for those of a short while.
const BURST: Duration = Duration::from_secs(30);
/// Characters of the subject at most.
const SUBJECT_MAX: usize = 100;
/// What DocuSign is to say by itself.
const EVENTS: &[&str] = &[
    "envelope-sent",
    "envelope-delivered",
    "envelope-completed",
    "envelope-declined",
    "envelope-voided",
    "recipient-completed",
    "recipient-declined",
];

/// The answer if it is good; else what DocuSign does not like. Its limits come with 400, so the code counts and not the status.
pub fn good(answer: &Answer) -> Result<&Answer, Fault> {
    if answer.is_good() {
        return Ok(answer);
    }
    let ErrorDetails { error_code, message } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let told = format!("DocuSign answers {} {error_code}: {message}", answer.status);
    let code = error_code.to_uppercase();
    Err(match code.as_str() {
        _ if code.contains("LIMIT_EXCEEDED") && code.contains("BURST") => Fault::Later(Some(BURST), told),
        _ if code.contains("LIMIT_EXCEEDED") => Fault::Later(Some(LIMITED), told),
        "ENVELOPE_IS_LOCKED" | "EDIT_LOCK_NOT_LOCK_OWNER" => Fault::Later(None, told),
        "ENVELOPE_DOES_NOT_EXIST" => Fault::Never("not_found", told),
        "ENVELOPE_CANNOT_VOID_INVALID_STATE" | "ENVELOPE_INVALID_STATUS" => Fault::Never("wrong_state", told),
        _ if answer.status.as_u16() == 404 => Fault::Never("not_found", told),
        _ => Fault::Never("refused", told),
    })
}

/// See [`ports::Signing::send`].
pub async fn send(docusign: &Docusign, at: Place, key: &str, envelope: &Envelope) -> Result<Sent, Fault> {
    if let Some(sent) = find(docusign, at, key).await? {
        return Ok(sent);
    }
    let definition = definition(key, envelope);
    let answer = docusign.send(at, Method::POST, &["envelopes"], &[], &definition).await?;
    let summary: EnvelopeSummary = good(&answer)?.json()?;
    // 201, and yet something is wrong.
    if let Some(ErrorDetails { error_code, message }) = summary.error_details.filter(|e| !is_nothing(&e.error_code)) {
        return Err(Fault::Never("refused", format!("{error_code}: {message}")));
    }
    let envelope_id = summary.envelope_id.ok_or_else(|| Fault::Unknown("DocuSign names no envelope".to_owned()))?;
    Ok(Sent { envelope_id })
}

fn is_nothing(code: &str) -> bool {
    code.is_empty() || code.eq_ignore_ascii_case("success")
}

fn definition(key: &str, envelope: &Envelope) -> EnvelopeDefinition {
    let paper = |(index, paper): (usize, &Paper)| {
        let (name, ending) = paper.name.rsplit_once('.').unwrap_or((&paper.name, "pdf"));
        Document {
            document_id: (index + 1).to_string(),
            name: name.to_owned(),
            file_extension: ending.to_owned(),
            document_base64: STANDARD.encode(&paper.content),
        }
    };
    let recipient = |one: &Recipient| WireRecipient {
        recipient_id: one.id.clone(),
        name: Some(one.name.clone()),
        email: Some(one.email.clone()),
        routing_order: Some(one.order.to_string()),
        tabs: one.anchors.as_ref().map(|Anchors { signature, date }| Tabs {
            sign_here_tabs: vec![Tab::at(signature)],
            date_signed_tabs: vec![Tab::at(date)],
        }),
        ..WireRecipient::default()
    };
    let those_who = |sign: bool| envelope.recipients.iter().filter(|one| one.signs == sign).map(recipient).collect();
    EnvelopeDefinition {
        transaction_id: key.to_owned(),
        email_subject: envelope.subject.chars().take(SUBJECT_MAX).collect(),
        email_blurb: envelope.message.clone(),
        status: "sent",
        documents: envelope.papers.iter().enumerate().map(paper).collect(),
        recipients: Recipients { signers: those_who(true), carbon_copies: those_who(false) },
        notification: envelope.expires_after_days.map(|days| Notification {
            use_account_defaults: "false",
            expirations: Expirations {
                expire_enabled: "true",
                expire_after: days.to_string(),
                expire_warn: (days / 4).to_string(),
            },
        }),
        event_notification: envelope.notify.clone().map(|url| EventNotification {
            url,
            delivery_mode: "SIM",
            events: EVENTS.to_vec(),
            // No summary: it would hold names and addresses, and is asked for anyway.
            event_data: EventData { version: "restv2.1", format: "json", include_data: vec![] },
            include_hmac: "true",
            require_acknowledgment: "true",
        }),
    }
}

/// See [`ports::Signing::find`].
pub async fn find(docusign: &Docusign, at: Place, key: &str) -> Result<Option<Sent>, Fault> {
    let answer = docusign.get(at, &["envelopes"], &[("transaction_ids", key)]).await?;
    let found = match good(&answer) {
        Ok(answer) => answer.json::<Envelopes>()?.envelopes,
        Err(Fault::Never("not_found", _)) => vec![],
        Err(fault) => return Err(fault),
    };
    let sent = found.into_iter().filter(|one| one.status.as_deref() != Some("created"));
    Ok(sent.filter_map(|one| one.envelope_id).next().map(|envelope_id| Sent { envelope_id }))
}

/// See [`ports::Signing::look`].
pub async fn look(docusign: &Docusign, at: Place, envelope_id: &str) -> Result<Papers, Fault> {
    let answer = docusign.get(at, &["envelopes", envelope_id], &[("include", "recipients")]).await?;
    let envelope: WireEnvelope = good(&answer)?.json()?;
    let said = envelope.status.as_deref().unwrap_or_default();
    let found = status(said, envelope.voided_reason.as_deref());
    let signers = envelope.recipients.signers.into_iter().map(|one| Signer {
        id: one.recipient_id,
        status: signer_status(one.status.as_deref().unwrap_or_default()),
        signed_at: one.signed_date_time.as_deref().and_then(moment),
        declined_because: one.declined_reason,
    });
    Ok(Papers {
        envelope_id: envelope_id.to_owned(),
        status: found.ok_or_else(|| Fault::Later(None, format!("DocuSign calls an envelope {said:?}")))?,
        since: envelope.status_changed_date_time.as_deref().and_then(moment),
        voided_because: envelope.voided_reason,
        signers: signers.collect(),
    })
}

/// See [`ports::Signing::void`].
pub async fn void(docusign: &Docusign, at: Place, envelope_id: &str, reason: &str) -> Result<(), Fault> {
    let reason: String = reason.chars().take(200).collect();
    let change = Change { status: Some("voided"), voided_reason: Some(&reason) };
    let answer = docusign.send(at, Method::PUT, &["envelopes", envelope_id], &[], &change).await?;
    match good(&answer) {
        Ok(_) => Ok(()),
        Err(Fault::Never("wrong_state", why)) => match look(docusign, at, envelope_id).await?.status {
            EnvelopeStatus::Voided | EnvelopeStatus::Expired => Ok(()),
            _ => Err(Fault::Never("wrong_state", why)),
        },
        Err(fault) => Err(fault),
    }
}

/// See [`ports::Signing::remind`].
pub async fn remind(docusign: &Docusign, at: Place, envelope_id: &str) -> Result<(), Fault> {
    let (path, query) = (["envelopes", envelope_id], [("resend_envelope", "true")]);
    let nothing = Change { status: None, voided_reason: None };
    let answer = docusign.send(at, Method::PUT, &path, &query, &nothing).await?;
    good(&answer).map(drop)
}

/// See [`ports::Signing::signed`] and [`ports::Signing::certificate`].
pub async fn document(docusign: &Docusign, at: Place, envelope_id: &str, which: &str) -> Result<Bytes, Fault> {
    let answer = docusign.get(at, &["envelopes", envelope_id, "documents", which], &[]).await?;
    let body = good(&answer)?.body.clone();
    // It may not be there yet, though everybody has signed.
    if body.starts_with(b"%PDF-") { Ok(body) } else { Err(Fault::Later(None, "DocuSign sends no PDF".to_owned())) }
}
