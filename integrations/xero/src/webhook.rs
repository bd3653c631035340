//! What Xero says by itself, and who agreed to what.

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use futures::future::BoxFuture;
use providers::{Account, Adapter, Hint, NotGenuine, OAuth, is_signed};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

/// How long Xero may take to say which organisations a grant reaches.
const PATIENCE: Duration = Duration::from_secs(15);

/// Xero, as the door sees it.
pub struct XeroDoor {
    oauth: OAuth,
    http: reqwest::Client,
    api_url: String,
    webhook_key: Option<SecretString>,
}

/// An organisation that a grant reaches.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    tenant_id: String,
    #[serde(default)]
    tenant_type: Option<String>,
    #[serde(default)]
    tenant_name: Option<String>,
}

/// A message.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    resource_id: String,
    tenant_id: String,
    event_category: String,
}

impl XeroDoor {
    /// `api_url` is where the API is, without a slash at the end; without a key nothing that is said is believed.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(oauth: OAuth, api_url: &str, webhook_key: Option<SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { oauth, http, api_url: api_url.trim_end_matches('/').to_owned(), webhook_key })
    }

    async fn organisations(&self, access: &SecretString) -> Result<Vec<Account>> {
        let asked = self.http.get(format!("{}/connections", self.api_url)).bearer_auth(access.expose_secret());
        let answer = asked.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(answer.status().is_success(), "Xero answers {}", answer.status());
        let found: Vec<Connection> = answer.json().await.context("the list of organisations")?;
        let is_organisation = |one: &Connection| one.tenant_type.as_deref().is_none_or(|kind| kind == "ORGANISATION");
        let account = |one: Connection| Account {
            label: one.tenant_name.unwrap_or_else(|| one.tenant_id.clone()),
            id: one.tenant_id,
            base_url: self.api_url.clone(),
        };
        Ok(found.into_iter().filter(is_organisation).map(account).collect())
    }
}

impl Adapter for XeroDoor {
    fn provider(&self) -> &'static str {
        crate::PROVIDER
    }

    fn oauth(&self) -> &OAuth {
        &self.oauth
    }

    fn accounts<'a>(&'a self, access: &'a SecretString) -> BoxFuture<'a, Result<Vec<Account>>> {
        self.organisations(access).boxed()
    }

    fn hear(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        account_id: &str,
    ) -> Result<Vec<Hint>, NotGenuine> {
        let (Some(key), Some(signature)) = (&self.webhook_key, header("x-xero-signature")) else {
            return Err(NotGenuine);
        };
        if !is_signed(key.expose_secret(), body, &signature) {
            return Err(NotGenuine);
        }
        // Xero greets with no event at all, and whatever it signs and we cannot read changes nothing that a sweep does not find.
        let message: Message = serde_json::from_slice(body).unwrap_or(Message { events: vec![] });
        let ours = message.events.into_iter().filter(|event| event.tenant_id == account_id);
        let mut hints: Vec<Hint> =
            ours.map(|event| Hint { kind: event.event_category.to_lowercase(), id: event.resource_id }).collect();
        hints.sort_unstable();
        hints.dedup();
        Ok(hints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use providers::{OAuthSettings, sign};

    const KEY: &str = "a key of Xero's";

    fn door(key: Option<&str>) -> XeroDoor {
        let oauth = OAuth::new(&OAuthSettings {
            client_id: "us".to_owned(),
            client_secret: "shh".to_owned().into(),
            authorise_url: "https://xero.example/authorize".to_owned(),
            token_url: "https://xero.example/token".to_owned(),
            scopes: vec![],
            redirect_url: "https://ubos.example/v1/connect/callback".to_owned(),
        });
        XeroDoor::new(oauth.unwrap(), "https://xero.example/", key.map(|key| key.to_owned().into())).unwrap()
    }

    fn hear(door: &XeroDoor, body: &str, signature: Option<&str>) -> Result<Vec<String>, NotGenuine> {
        let header = |name: &str| signature.filter(|_| name == "x-xero-signature").map(str::to_owned);
        let hints = door.hear(&header, body.as_bytes(), "ours")?;
        Ok(hints.into_iter().map(|hint| format!("{}/{}", hint.kind, hint.id)).collect())
    }

    const BODY: &str = r#"{"events":[
        {"resourceId":"i1","tenantId":"ours","eventCategory":"INVOICE","eventType":"UPDATE"},
        {"resourceId":"i1","tenantId":"ours","eventCategory":"INVOICE","eventType":"UPDATE"},
        {"resourceId":"c1","tenantId":"ours","eventCategory":"CONTACT","eventType":"CREATE"},
        {"resourceId":"i2","tenantId":"theirs","eventCategory":"INVOICE","eventType":"UPDATE"}],
        "firstEventSequence":1,"lastEventSequence":4,"entropy":"x"}"#;

    #[test]
    fn what_is_signed_says_what_may_have_changed_in_our_account() {
        let heard = hear(&door(Some(KEY)), BODY, Some(&sign(KEY, BODY.as_bytes())));
        assert_eq!(heard, Ok(vec!["contact/c1".to_owned(), "invoice/i1".to_owned()]));
    }

    #[test]
    fn a_greeting_without_events_is_genuine_if_it_is_signed() {
        let greeting = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4N0m3t3xt"}"#;
        assert_eq!(hear(&door(Some(KEY)), greeting, Some(&sign(KEY, greeting.as_bytes()))), Ok(vec![]));
        assert_eq!(hear(&door(Some(KEY)), greeting, Some(&sign("another", greeting.as_bytes()))), Err(NotGenuine));
    }

    #[test]
    fn what_is_not_signed_is_not_believed() {
        let signature = sign(KEY, BODY.as_bytes());
        assert_eq!(hear(&door(Some(KEY)), BODY, None), Err(NotGenuine));
        assert_eq!(hear(&door(None), BODY, Some(&signature)), Err(NotGenuine));
        assert_eq!(hear(&door(Some(KEY)), &BODY.replace("i1", "i9"), Some(&signature)), Err(NotGenuine));
    }
}
