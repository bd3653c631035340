//! Grants from a provider that speaks JSON where the rest of the world has agreed on a form (RFC 6749 §4.1.3).

use crate::grant::{ANSWER_BYTES_MAX, Grant, OAuthSettings, Refusal, USUAL_LIFE};
use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Names of errors that are about what was shown, and not about us or the hour.
const REFUSALS: [&str; 5] = ["invalid_grant", "unauthorized", "bad_request", "not_found", "deleted"];

/// Who we are there.
#[derive(Clone)]
pub(crate) struct JsonTokens {
    url: Url,
    client_id: String,
    client_secret: SecretString,
}

/// What a grant is asked for with.
pub(crate) enum Shown<'a> {
    /// Somebody has just agreed.
    Code { code: &'a str, state: &'a str },
    /// The grant before.
    Token(&'a str),
}

#[derive(Serialize)]
struct Asked<'a> {
    grant_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    client_id: &'a str,
    client_secret: &'a str,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl JsonTokens {
    pub fn new(settings: &OAuthSettings) -> Result<Self> {
        let url = Url::parse(&settings.token_url).context("settings: token_url")?;
        Ok(Self { url, client_id: settings.client_id.clone(), client_secret: settings.client_secret.clone() })
    }

    pub async fn ask(&self, http: &reqwest::Client, shown: Shown<'_>) -> Result<Grant, Refusal> {
        let (grant_type, code, state, refresh_token) = match shown {
            Shown::Code { code, state } => ("authorization_code", Some(code), Some(state), None),
            Shown::Token(token) => ("refresh_token", None, None, Some(token)),
        };
        let client_secret = self.client_secret.expose_secret();
        let asked = Asked { grant_type, code, state, refresh_token, client_id: &self.client_id, client_secret };
        let away = |error: reqwest::Error| Refusal::Away(format!("it does not answer: {}", error.without_url()));
        let mut answer = http.post(self.url.clone()).json(&asked).send().await.map_err(away)?;
        let (status, mut body) = (answer.status(), vec![]);
        while let Some(piece) = answer.chunk().await.map_err(away)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Refusal::Away(format!("its answer has more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &serde_json::from_slice(&body).unwrap_or_default()));
        }
        // What it said instead may hold a token.
        let given: Given =
            serde_json::from_slice(&body).map_err(|_| Refusal::Away("its answer cannot be read".to_owned()))?;
        Ok(Grant {
            access: given.access_token.into(),
            refresh: given.refresh_token.map(SecretString::from),
            lasts: given.expires_in.map_or(USUAL_LIFE, Duration::from_secs),
        })
    }
}

/// As RFC 6749 §5.2 has it, or `{"error": {"error_name": …, "error_msg": …}}`. What is said of our own id or secret is a setting to be
/// mended, and costs no firm its connection.
fn refusal(status: u16, said: &Value) -> Refusal {
    let name = said.pointer("/error/error_name").or(said.get("error")).and_then(Value::as_str).unwrap_or_default();
    let about = ["/error/error_path", "/error/error_msg", "/error_description"].map(|at| said.pointer(at));
    let is_ours = about.iter().flatten().filter_map(|text| text.as_str()).any(|text| text.contains("client"));
    if REFUSALS.contains(&name) && (400..=410).contains(&status) && !is_ours {
        return Refusal::Refused(name.to_owned());
    }
    Refusal::Away(format!("it answers {status} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_said_of_the_grant_counts_against_it() {
        let is_refused = |status, said: Value| matches!(refusal(status, &said), Refusal::Refused(_));
        let named = |name: &str, text: &str| json!({ "error": { "error_name": name, "error_msg": text } });
        assert!(is_refused(400, json!({ "error": "invalid_grant" })));
        assert!(is_refused(401, named("unauthorized", "The refresh token is not good")));
        assert!(!is_refused(401, named("unauthorized", "Unknown client_secret")));
        assert!(!is_refused(401, json!({ "error": "invalid_client" })));
        assert!(!is_refused(429, named("exceeded_rate", "Too many requests.")));
        assert!(!is_refused(400, Value::Null));
        assert!(!is_refused(503, named("unauthorized", "")));
    }
}
