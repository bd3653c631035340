//! What Dropbox Sign's API v3 answers, and what that comes to. It has no one word for how a request stands: three yeses and noes, and a
//! word for each signature.

use chrono::{DateTime, Utc};
use ports::{EnvelopeStatus, SignerStatus};
use serde::Deserialize;
use serde_json::Value;

/// What it does not like.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    pub error: RefusalDetails,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RefusalDetails {
    pub error_name: String,
    pub error_msg: String,
}

#[derive(Debug, Deserialize)]
pub struct Got {
    pub signature_request: SignatureRequest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Listed {
    pub signature_requests: Vec<SignatureRequest>,
    pub list_info: ListInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListInfo {
    pub num_pages: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignatureRequest {
    pub signature_request_id: Option<String>,
    /// An object; an empty list where there is nothing.
    pub metadata: Value,
    pub created_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub is_complete: Option<bool>,
    pub is_declined: Option<bool>,
    pub has_error: Option<bool>,
    pub signatures: Option<Vec<Signature>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Signature {
    pub signer_email_address: Option<String>,
    pub signer_name: Option<String>,
    /// From 0; none where everybody signs at once.
    pub order: Option<i64>,
    pub status_code: Option<String>,
    pub decline_reason: Option<String>,
    pub signed_at: Option<i64>,
    pub last_viewed_at: Option<i64>,
    pub last_reminded_at: Option<i64>,
    pub error: Option<String>,
}

impl Signature {
    fn is(&self, status: &str) -> bool {
        self.status_code.as_deref() == Some(status)
    }

    /// Is it still awaited?
    pub fn is_open(&self) -> bool {
        self.is("awaiting_signature") || self.is("on_hold")
    }

    /// Dropbox Sign could not do anything with the papers: that is not about this signature, but about all of it.
    fn is_unfit(&self) -> bool {
        ["error_file", "error_component_position", "error_text_tag"].iter().any(|status| self.is(status))
    }
}

impl SignatureRequest {
    pub fn signatures(&self) -> &[Signature] {
        self.signatures.as_deref().unwrap_or_default()
    }

    /// Whose turn it is, by the order; none where everybody signs at once or nobody is to sign any more.
    pub fn turn(&self) -> Option<i64> {
        self.signatures().iter().filter(|one| one.is_open()).filter_map(|one| one.order).min()
    }

    /// Where it stands, and why if it is void.
    pub fn status(&self) -> (EnvelopeStatus, Option<String>) {
        let any = |is: fn(&Signature) -> bool| self.signatures().iter().any(is);
        let status = if self.is_declined == Some(true) {
            EnvelopeStatus::Declined
        } else if self.is_complete == Some(true) {
            EnvelopeStatus::Completed
        } else if any(|one| one.is("expired")) {
            EnvelopeStatus::Expired
        } else if self.has_error == Some(true) && (any(Signature::is_unfit) || self.signatures().is_empty()) {
            let said = self.signatures().iter().find_map(|one| one.error.clone());
            let why = said.unwrap_or_else(|| "Dropbox Sign could not read the papers".to_owned());
            return (EnvelopeStatus::Voided, Some(why));
        } else if any(|one| one.is("canceled")) {
            EnvelopeStatus::Voided
        } else if any(|one| one.signed_at.is_some() || one.last_viewed_at.is_some()) {
            EnvelopeStatus::Delivered
        } else {
            EnvelopeStatus::Sent
        };
        (status, None)
    }

    /// Where somebody who signs stands.
    pub fn signer(&self, one: &Signature) -> SignerStatus {
        match one.status_code.as_deref().unwrap_or_default() {
            "signed" => SignerStatus::Completed,
            "declined" => SignerStatus::Declined,
            "awaiting_signature" if self.turn().is_some_and(|turn| one.order.is_some_and(|order| order > turn)) => {
                SignerStatus::Waiting
            }
            "awaiting_signature" if one.last_viewed_at.is_some() => SignerStatus::Delivered,
            "awaiting_signature" => SignerStatus::Sent,
            status if status.starts_with("error_") && !one.is_unfit() => SignerStatus::Failed,
            // Among others a request that was not signed in time; that is said of the whole.
            _ => SignerStatus::Waiting,
        }
    }

    /// When the last of them signed.
    pub fn signed_at(&self) -> Option<DateTime<Utc>> {
        self.signatures().iter().filter_map(|one| one.signed_at).max().and_then(moment)
    }

    /// The last moment that says that somebody did something.
    pub fn moved_at(&self) -> Option<i64> {
        let of = |one: &Signature| [one.signed_at, one.last_viewed_at, one.last_reminded_at];
        self.signatures().iter().flat_map(of).chain([self.created_at]).flatten().max()
    }
}

/// A moment, of seconds since 1970.
pub fn moment(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(is: (bool, bool, bool), statuses: &[&str]) -> SignatureRequest {
        let signature = |(order, status): (usize, &&str)| json!({ "order": order, "status_code": status });
        let signatures: Vec<Value> = statuses.iter().enumerate().map(signature).collect();
        let (complete, declined, error) = is;
        let read =
            json!({ "is_complete": complete, "is_declined": declined, "has_error": error, "signatures": signatures });
        serde_json::from_value(read).unwrap()
    }

    #[test]
    fn three_yeses_and_noes_and_the_signatures_say_how_a_request_stands() {
        let status = |is, statuses: &[&str]| request(is, statuses).status().0;
        let no = (false, false, false);
        assert_eq!(status(no, &["awaiting_signature"]), EnvelopeStatus::Sent);
        assert_eq!(status((true, false, false), &["signed"]), EnvelopeStatus::Completed);
        assert_eq!(status((false, true, false), &["signed", "declined"]), EnvelopeStatus::Declined);
        assert_eq!(status(no, &["signed", "expired"]), EnvelopeStatus::Expired, "none of the three says so");
        assert_eq!(status((false, false, true), &["error_file"]), EnvelopeStatus::Voided);
        assert_eq!(
            status((false, false, true), &["error_invalid_email"]),
            EnvelopeStatus::Sent,
            "one of them was not reached"
        );
        assert_eq!(status(no, &["a word of tomorrow"]), EnvelopeStatus::Sent);
        assert!(request((false, false, true), &["error_file"]).status().1.is_some());
    }

    #[test]
    fn who_comes_later_waits_though_the_word_is_the_same() {
        let two = request((false, false, false), &["awaiting_signature", "awaiting_signature"]);
        let statuses: Vec<SignerStatus> = two.signatures().iter().map(|one| two.signer(one)).collect();
        assert_eq!(statuses, [SignerStatus::Sent, SignerStatus::Waiting]);
        let two = request((false, false, true), &["signed", "error_invalid_email"]);
        let statuses: Vec<SignerStatus> = two.signatures().iter().map(|one| two.signer(one)).collect();
        assert_eq!(statuses, [SignerStatus::Completed, SignerStatus::Failed]);
    }

    #[test]
    fn what_is_null_or_of_another_kind_where_it_is_empty_is_read() {
        let read =
            json!({ "signature_request": { "metadata": [], "signatures": null, "created_at": null, "quotas": null } });
        let got: Got = serde_json::from_value(read).unwrap();
        assert_eq!(got.signature_request.status().0, EnvelopeStatus::Sent);
        assert!(got.signature_request.metadata.get("ubos_key").is_none());
    }
}
