//! What DocuSign's eSignature API v2.1 takes and answers. Nearly everything is a text there.

use chrono::{DateTime, Utc};
use ports::{EnvelopeStatus, SignerStatus};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvelopeDefinition {
    /// Ours: by it the envelope is found again, for seven days.
    pub transaction_id: String,
    pub email_subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_blurb: Option<String>,
    pub status: &'static str,
    pub documents: Vec<Document>,
    pub recipients: Recipients,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_notification: Option<EventNotification>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub document_id: String,
    pub name: String,
    pub file_extension: String,
    pub document_base64: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recipients {
    pub signers: Vec<Recipient>,
    pub carbon_copies: Vec<Recipient>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recipient {
    pub recipient_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_details: Option<ErrorDetails>,
    /// Where they sign; only said, never read.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub tabs: Option<Tabs>,
}

/// Places in the papers that one recipient fills in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tabs {
    pub sign_here_tabs: Vec<Tab>,
    pub date_signed_tabs: Vec<Tab>,
}

/// A place that is found by a text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tab {
    pub anchor_string: String,
    /// A paper without the text is refused, instead of being sent with no place to sign.
    pub anchor_ignore_if_not_present: &'static str,
    pub anchor_case_sensitive: &'static str,
}

impl Tab {
    pub fn at(text: &str) -> Self {
        Self { anchor_string: text.to_owned(), anchor_ignore_if_not_present: "false", anchor_case_sensitive: "true" }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub use_account_defaults: &'static str,
    pub expirations: Expirations,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expirations {
    pub expire_enabled: &'static str,
    pub expire_after: String,
    pub expire_warn: String,
}

/// Where DocuSign says what happens, as separate messages that are signed if the account has a key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventNotification {
    pub url: String,
    pub delivery_mode: &'static str,
    pub events: Vec<&'static str>,
    pub event_data: EventData,
    #[serde(rename = "includeHMAC")]
    pub include_hmac: &'static str,
    pub require_acknowledgment: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventData {
    pub version: &'static str,
    pub format: &'static str,
    pub include_data: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvelopeSummary {
    pub envelope_id: Option<String>,
    pub status: Option<String>,
    pub error_details: Option<ErrorDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Envelopes {
    pub envelopes: Vec<Envelope>,
    pub next_uri: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Envelope {
    pub envelope_id: Option<String>,
    pub status: Option<String>,
    pub status_changed_date_time: Option<String>,
    pub voided_reason: Option<String>,
    pub recipients: Recipients,
    pub error_details: Option<ErrorDetails>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorDetails {
    pub error_code: String,
    pub message: String,
}

/// What a change says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_reason: Option<&'a str>,
}

/// An envelope's status; an envelope that was not signed in time is voided, and says why.
pub fn status(text: &str, voided_because: Option<&str>) -> Option<EnvelopeStatus> {
    let expired = voided_because.is_some_and(|why| why.to_lowercase().contains("expired"));
    Some(match text.to_lowercase().as_str() {
        "created" | "draft" => EnvelopeStatus::Draft,
        "sent" | "correct" => EnvelopeStatus::Sent,
        "delivered" | "signed" => EnvelopeStatus::Delivered,
        "completed" => EnvelopeStatus::Completed,
        "declined" => EnvelopeStatus::Declined,
        "voided" | "deleted" if expired => EnvelopeStatus::Expired,
        "voided" | "deleted" => EnvelopeStatus::Voided,
        _ => return None,
    })
}

/// A recipient's.
pub fn signer_status(text: &str) -> SignerStatus {
    match text.to_lowercase().as_str() {
        "sent" => SignerStatus::Sent,
        "delivered" => SignerStatus::Delivered,
        "signed" | "completed" => SignerStatus::Completed,
        "declined" => SignerStatus::Declined,
        "autoresponded" | "authenticationfailed" | "faxpending" => SignerStatus::Failed,
        _ => SignerStatus::Waiting,
    }
}

/// A moment.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_that_was_not_signed_in_time_is_expired_and_not_voided() {
        assert_eq!(status("voided", Some("Envelope has expired.")), Some(EnvelopeStatus::Expired));
        assert_eq!(status("Voided", Some("wrong price")), Some(EnvelopeStatus::Voided));
        assert_eq!(status("voided", None), Some(EnvelopeStatus::Voided));
        assert_eq!(status("Completed", None), Some(EnvelopeStatus::Completed));
        assert_eq!(status("template", None), None);
    }

    #[test]
    fn moments_are_read_with_seven_digits_of_a_second() {
        assert!(moment("2026-11-30T08:15:27.1470000Z").is_some());
        assert_eq!(moment("yesterday"), None);
    }
}
