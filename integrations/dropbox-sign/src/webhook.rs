//! What Dropbox Sign says by itself, and who agreed to what.
//!
//! A message comes as a form whose field `json` holds it. Its hash is made of the moment and the kind of the event with an API key of
//! the app's owner, and of nothing else: whoever has seen one can write another around it. So it has to be recent, and all that is
//! taken from it is which request to ask about.

use anyhow::{Context, Result, ensure};
use chrono::{TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use providers::{Account, Adapter, Hint, NotGenuine, OAuth, form, is_signed_hex};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

/// How long Dropbox Sign may take to say whose a grant is.
const PATIENCE: Duration = Duration::from_secs(15);
/// For so long a message may come: it is sent again for three days if nobody takes it.
const RECENT: TimeDelta = TimeDelta::days(4);
/// How far clocks may differ.
const DIFFER: TimeDelta = TimeDelta::minutes(10);
/// What Dropbox Sign looks for in the answer.
const THANKS: &str = "Hello API Event Received";

/// Dropbox Sign, as the door sees it.
pub struct DropboxSignDoor {
    oauth: OAuth,
    http: reqwest::Client,
    api_url: String,
    /// The API key that is the primary one, and the one before or after it while they change.
    webhook_keys: Vec<SecretString>,
}

#[derive(Debug, Deserialize)]
struct Known {
    account: KnownAccount,
}

#[derive(Debug, Deserialize)]
struct KnownAccount {
    account_id: String,
    #[serde(default)]
    email_address: Option<String>,
}

/// A message.
#[derive(Debug, Deserialize)]
struct Message {
    event: Event,
    #[serde(default)]
    signature_request: Option<About>,
}

#[derive(Debug, Deserialize)]
struct Event {
    event_time: String,
    event_type: String,
    event_hash: String,
}

#[derive(Debug, Deserialize)]
struct About {
    signature_request_id: String,
}

impl DropboxSignDoor {
    /// `api_url` is where its API is, without a slash at the end. Without a key nothing that is said is believed.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(oauth: OAuth, api_url: &str, webhook_keys: impl IntoIterator<Item = SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        let (api_url, webhook_keys) = (api_url.trim_end_matches('/').to_owned(), webhook_keys.into_iter().collect());
        Ok(Self { oauth, http, api_url, webhook_keys })
    }

    async fn known(&self, access: &SecretString) -> Result<Vec<Account>> {
        let asked = self.http.get(format!("{}/v3/account", self.api_url)).bearer_auth(access.expose_secret());
        let answer = asked.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(answer.status().is_success(), "Dropbox Sign answers {}", answer.status());
        let Known { account } = answer.json().await.context("the account")?;
        let label = account.email_address.unwrap_or_else(|| account.account_id.clone());
        Ok(vec![Account { id: account.account_id, label, base_url: self.api_url.clone() }])
    }

    fn is_genuine(&self, event: &Event) -> bool {
        let said = format!("{}{}", event.event_time, event.event_type);
        let is_by = |key: &SecretString| is_signed_hex(key.expose_secret(), said.as_bytes(), &event.event_hash);
        self.webhook_keys.iter().any(is_by)
    }
}

/// Is a message of this moment neither old nor of tomorrow?
fn is_recent(event_time: &str, now: i64) -> bool {
    let late = |seconds: i64| now.saturating_sub(seconds);
    event_time.parse().is_ok_and(|at| (-DIFFER.num_seconds()..=RECENT.num_seconds()).contains(&late(at)))
}

impl Adapter for DropboxSignDoor {
    fn provider(&self) -> &'static str {
        crate::PROVIDER
    }

    fn oauth(&self) -> &OAuth {
        &self.oauth
    }

    fn accounts<'a>(&'a self, access: &'a SecretString) -> BoxFuture<'a, Result<Vec<Account>>> {
        self.known(access).boxed()
    }

    fn thanks(&self) -> &'static str {
        THANKS
    }

    /// Whose a message is, it says nowhere that could be believed. A request of another account is none that anybody here knows.
    fn hear(&self, header: &dyn Fn(&str) -> Option<String>, body: &[u8], _: &str) -> Result<Vec<Hint>, NotGenuine> {
        let parts = header("content-type").and_then(|kind| form::decode(&kind, body)).ok_or(NotGenuine)?;
        let text = parts.into_iter().find(|part| part.name == "json").ok_or(NotGenuine)?.content;
        let Message { event, signature_request } = serde_json::from_slice(&text).map_err(|_| NotGenuine)?;
        if !self.is_genuine(&event) || !is_recent(&event.event_time, Utc::now().timestamp()) {
            return Err(NotGenuine);
        }
        let hint = |about: About| Hint { kind: "envelope".to_owned(), id: about.signature_request_id };
        Ok(signature_request.map(hint).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use form::Part;
    use providers::{OAuthSettings, sign_hex};
    use serde_json::json;

    fn door(keys: &[&str]) -> DropboxSignDoor {
        let oauth = OAuth::in_json(&OAuthSettings {
            client_id: "us".to_owned(),
            client_secret: "shh".to_owned().into(),
            authorise_url: "https://sign.example/oauth/authorize".to_owned(),
            token_url: "https://sign.example/oauth/token".to_owned(),
            scopes: vec![],
            redirect_url: "https://ubos.example/v1/connect/callback".to_owned(),
        });
        let keys = keys.iter().map(|key| SecretString::from((*key).to_owned()));
        DropboxSignDoor::new(oauth.unwrap(), "https://sign.example/", keys).unwrap()
    }

    fn message(kind: &str, at: i64, key: &str) -> String {
        let hash = sign_hex(key, format!("{at}{kind}").as_bytes());
        let event =
            json!({ "event_time": at.to_string(), "event_type": kind, "event_hash": hash, "event_metadata": null });
        json!({ "event": event, "signature_request": { "signature_request_id": "r1" }, "account_guid": "a" })
            .to_string()
    }

    fn hear(keys: &[&str], parts: &[Part]) -> Result<usize, NotGenuine> {
        let (kind, body) = form::encode(parts);
        let header = |name: &str| (name == "content-type").then(|| kind.clone());
        door(keys).hear(&header, &body, "a").map(|hints| hints.len())
    }

    #[test]
    fn the_published_hashes_are_believed() {
        // Of the provider's own fixtures, without the messages around them.
        let key = "324e3b0840f065eb51f3fd63231d0d33daa35d4ed10d27718839e81737065782";
        let said = [
            ("unknown_error", "c574f5d3090c2936360b4e36cf6835cf3e2206b84fdc6347e6b28ca721ae1371"),
            ("account_confirmed", "6dc5b7aad93cf54915e0089d6c31d61b3833f66f51459171c69f8fa211308848"),
            ("signature_request_sent", "08d45a6b7677492b78be030cef18cfeaece8fe67e163cc8e526ee638ad483756"),
            ("template_created", "4a9b22fa68d5addb8b6313eea9d42ecb393903a4240b71503ef78e9dac6c100d"),
        ];
        for (event_type, event_hash) in said {
            let (event_time, event_type) = ("1348177752".to_owned(), event_type.to_owned());
            let event = Event { event_time, event_type, event_hash: event_hash.to_owned() };
            assert!(door(&["another", key]).is_genuine(&event), "{}", event.event_type);
            assert!(!door(&["another"]).is_genuine(&event));
            assert!(!door(&[key]).is_genuine(&Event { event_time: "1348177753".to_owned(), ..event }));
        }
    }

    #[test]
    fn a_message_is_believed_as_a_form_with_a_recent_event_of_either_key() {
        let now = Utc::now().timestamp();
        let say = |text: String| [Part::text("json", text)];
        assert_eq!(hear(&["new", "old"], &say(message("signature_request_signed", now, "old"))), Ok(1));
        assert_eq!(hear(&["new"], &say(message("signature_request_signed", now, "old"))), Err(NotGenuine));
        assert_eq!(hear(&[], &say(message("signature_request_signed", now, ""))), Err(NotGenuine));
        let ago = |days: i64| say(message("signature_request_signed", now - days * 86_400, "new"));
        assert_eq!((hear(&["new"], &ago(3)), hear(&["new"], &ago(5))), (Ok(1), Err(NotGenuine)));
        assert_eq!(
            hear(&["new"], &say(message("signature_request_signed", now + 300, "new"))),
            Ok(1),
            "a clock is ahead"
        );
        assert_eq!(hear(&["new"], &say(message("signature_request_signed", now + 3_600, "new"))), Err(NotGenuine));
        assert_eq!(hear(&["new"], &[Part::text("other", message("x", now, "new"))]), Err(NotGenuine));
        assert_eq!(hear(&["new"], &say("{}".to_owned())), Err(NotGenuine));
    }

    #[test]
    fn a_greeting_names_nothing() {
        let now = Utc::now().timestamp();
        let hash = sign_hex("k", format!("{now}callback_test").as_bytes());
        let event = json!({ "event_time": now.to_string(), "event_type": "callback_test", "event_hash": hash });
        assert_eq!(hear(&["k"], &[Part::text("json", json!({ "event": event }).to_string())]), Ok(0));
    }
}
