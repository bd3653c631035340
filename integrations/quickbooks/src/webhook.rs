//! What QuickBooks says by itself, and who agreed to what.

use crate::entry::EntryId;
use crate::wire::{Company, Disliked, Named};
use crate::{ENTRY, MINOR_VERSION};
use anyhow::{Context, Result, anyhow};
use futures::FutureExt;
use futures::future::BoxFuture;
use ports::{Book, MERGED, Merged};
use providers::{Account, Adapter, Hint, NotGenuine, OAuth, address, is_signed};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long QuickBooks may take to say which company a grant reaches.
const PATIENCE: Duration = Duration::from_secs(15);
/// What the browser that comes back names the company by.
const REALM: &str = "realmId";

/// QuickBooks, as the door sees it.
pub struct QuickbooksDoor {
    oauth: OAuth,
    http: reqwest::Client,
    api_url: String,
    webhook_key: Option<SecretString>,
}

/// A message: events as CloudEvents, or as they were before.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Events(Vec<Event>),
    Older(Older),
}

#[derive(Debug, Deserialize)]
struct Event {
    /// `qbo.invoice.created.v1`
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "intuitentityid")]
    id: String,
    #[serde(rename = "intuitaccountid")]
    realm: String,
    /// Who is no more where one was made of two: `deletedId`.
    #[serde(default)]
    data: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Older {
    event_notifications: Vec<Notification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    realm_id: String,
    data_change_event: Change,
}

#[derive(Debug, Deserialize)]
struct Change {
    entities: Vec<Changed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    name: String,
    id: String,
    #[serde(default)]
    deleted_id: Option<String>,
}

/// What a message is about.
struct About {
    realm: String,
    kind: String,
    id: String,
    /// Who is the same from now on.
    gone: Option<String>,
}

impl Message {
    /// Everything that it is about.
    fn about(self) -> Vec<About> {
        match self {
            Self::Events(events) => {
                let about = |event: Event| {
                    let kind = event.kind.split('.').nth(1).unwrap_or_default().to_owned();
                    let gone = event.data["deletedId"].as_str().map(str::to_owned);
                    About { realm: event.realm, kind, id: event.id, gone }
                };
                events.into_iter().map(about).collect()
            }
            Self::Older(older) => {
                let about = |one: Notification| {
                    let realm = one.realm_id;
                    one.data_change_event.entities.into_iter().map(move |of| About {
                        realm: realm.clone(),
                        kind: of.name,
                        id: of.id,
                        gone: of.deleted_id,
                    })
                };
                older.event_notifications.into_iter().flat_map(about).collect()
            }
        }
    }
}

impl About {
    fn hint(self) -> Hint {
        let book = match self.kind.to_lowercase().as_str() {
            "customer" => Some(Book::Sales),
            "vendor" => Some(Book::Purchases),
            _ => None,
        };
        if let (Some(book), Some(gone)) = (book, self.gone.filter(|gone| !gone.is_empty())) {
            return Hint { kind: MERGED.to_owned(), id: Merged { book, gone, kept: self.id }.written() };
        }
        match EntryId::linked(&self.kind, &self.id) {
            Some(entry) => Hint { kind: ENTRY.to_owned(), id: entry.to_string() },
            // A payment changes the invoice that it is of, which is told besides.
            None => Hint { kind: self.kind.to_lowercase(), id: self.id },
        }
    }
}

impl QuickbooksDoor {
    /// `api_url` is where the API is, without a slash at the end; without a key nothing that is said is believed.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(oauth: OAuth, api_url: &str, webhook_key: Option<SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { oauth, http, api_url: api_url.trim_end_matches('/').to_owned(), webhook_key })
    }

    /// The company that the browser named. Anybody can write an address: whoever's grant it is has to reach it.
    async fn company(&self, access: &SecretString, realm: &str) -> Result<Vec<Account>> {
        let is_realm = !realm.is_empty() && realm.len() <= 30 && realm.bytes().all(|digit| digit.is_ascii_digit());
        if !is_realm {
            return Ok(vec![]);
        }
        let at = address(&self.api_url, &["v3", "company", realm, "companyinfo", realm], &[MINOR_VERSION]);
        let asked = self.http.get(at).bearer_auth(access.expose_secret()).header("accept", "application/json");
        let answer = asked.send().await.map_err(reqwest::Error::without_url)?;
        let (status, body) = (answer.status(), answer.bytes().await.map_err(reqwest::Error::without_url)?);
        // It is somebody else's.
        if status == reqwest::StatusCode::FORBIDDEN {
            return Ok(vec![]);
        }
        if !status.is_success() {
            let disliked: Disliked = serde_json::from_slice(&body).unwrap_or_default();
            return Err(anyhow!("QuickBooks answers {status}: {}", disliked.told()));
        }
        let found: Named = serde_json::from_slice(&body).context("the company")?;
        let company = found.get("CompanyInfo").map(|company| serde_json::from_str::<Company>(company.get()));
        let label = company.transpose().context("the company")?.and_then(|company| company.company_name);
        let label = label.unwrap_or_else(|| realm.to_owned());
        Ok(vec![Account { id: realm.to_owned(), label, base_url: self.api_url.clone() }])
    }
}

impl Adapter for QuickbooksDoor {
    fn provider(&self) -> &'static str {
        crate::PROVIDER
    }

    fn oauth(&self) -> &OAuth {
        &self.oauth
    }

    /// A grant does not say which company it reaches.
    fn accounts<'a>(&'a self, _: &'a SecretString) -> BoxFuture<'a, Result<Vec<Account>>> {
        std::future::ready(Ok(vec![])).boxed()
    }

    fn accounts_told<'a>(
        &'a self,
        access: &'a SecretString,
        told: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Vec<Account>>> {
        match told.get(REALM) {
            Some(realm) => self.company(access, realm).boxed(),
            None => self.accounts(access),
        }
    }

    fn hear(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        account_id: &str,
    ) -> Result<Vec<Hint>, NotGenuine> {
        let (Some(key), Some(signature)) = (&self.webhook_key, header("intuit-signature")) else {
            return Err(NotGenuine);
        };
        if !is_signed(key.expose_secret(), body, &signature) {
            return Err(NotGenuine);
        }
        // Whatever it signs and we cannot read changes nothing that a sweep does not find.
        let message: Message = serde_json::from_slice(body).unwrap_or(Message::Events(vec![]));
        let ours = message.about().into_iter().filter(|about| about.realm == account_id);
        let mut hints: Vec<Hint> = ours.map(About::hint).collect();
        hints.sort_unstable();
        hints.dedup();
        Ok(hints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use providers::{OAuthSettings, sign};

    const KEY: &str = "a verifier token";

    fn door(key: Option<&str>) -> QuickbooksDoor {
        let oauth = OAuth::new(&OAuthSettings {
            client_id: "us".to_owned(),
            client_secret: "shh".to_owned().into(),
            authorise_url: "https://intuit.example/authorize".to_owned(),
            token_url: "https://intuit.example/token".to_owned(),
            scopes: vec![],
            redirect_url: "https://ubos.example/v1/connect/callback".to_owned(),
        });
        QuickbooksDoor::new(oauth.unwrap(), "https://intuit.example/", key.map(|key| key.to_owned().into())).unwrap()
    }

    fn hear(door: &QuickbooksDoor, body: &str, signature: Option<&str>) -> Result<Vec<String>, NotGenuine> {
        let header = |name: &str| signature.filter(|_| name == "intuit-signature").map(str::to_owned);
        let hints = door.hear(&header, body.as_bytes(), "310687")?;
        Ok(hints.into_iter().map(|hint| format!("{}/{}", hint.kind, hint.id)).collect())
    }

    const EVENTS: &str = r#"[
        {"specversion":"1.0","id":"a","source":"intuit.x","type":"qbo.invoice.updated.v1","time":"2025-10-07T19:59:07.034359333Z","intuitentityid":"130","intuitaccountid":"310687","data":null},
        {"specversion":"1.0","id":"b","source":"intuit.x","type":"qbo.invoice.voided.v1","time":"2025-10-07T19:59:07.034359333Z","intuitentityid":"130","intuitaccountid":"310687"},
        {"specversion":"1.0","id":"c","source":"intuit.x","type":"qbo.customer.created.v1","time":"2025-10-07T19:59:07.034359333Z","intuitentityid":"58","intuitaccountid":"310687"},
        {"specversion":"1.0","id":"d","source":"intuit.x","type":"qbo.bill.created.v1","time":"2025-10-07T19:59:07.034359333Z","intuitentityid":"9","intuitaccountid":"4711"}]"#;
    const OLDER: &str = r#"{"eventNotifications":[
        {"realmId":"310687","dataChangeEvent":{"entities":[
            {"name":"Bill","id":"14","operation":"Delete","lastUpdated":"2016-10-05T03:09:04.000Z"},
            {"name":"Payment","id":"7","operation":"Create","lastUpdated":"2016-10-05T03:09:04.000Z"}]}},
        {"realmId":"4711","dataChangeEvent":{"entities":[{"name":"Bill","id":"15","operation":"Create","lastUpdated":"2016-10-05T03:09:04.000Z"}]}}]}"#;

    #[test]
    fn what_is_signed_says_what_may_have_changed_in_our_company_in_both_of_its_shapes() {
        let said = |body: &str| hear(&door(Some(KEY)), body, Some(&sign(KEY, body.as_bytes()))).unwrap();
        assert_eq!(said(EVENTS), ["customer/58", "entry/invoice-130"]);
        assert_eq!(said(OLDER), ["entry/bill-14", "payment/7"]);
        assert_eq!(said("[]"), [""; 0]);
        assert_eq!(said(r#"{"new":"shape"}"#), [""; 0]);
    }

    #[test]
    fn of_two_that_were_made_one_both_are_told() {
        let older = r#"{"eventNotifications":[{"realmId":"310687","dataChangeEvent":{"entities":[
            {"name":"Customer","id":"58","operation":"Merge","lastUpdated":"2016-10-05T03:09:04.000Z","deletedId":"40"}]}}]}"#;
        assert_eq!(hear(&door(Some(KEY)), older, Some(&sign(KEY, older.as_bytes()))).unwrap(), ["merged/sales/40/58"]);
        let event = r#"[{"type":"qbo.vendor.merged.v1","intuitentityid":"7","intuitaccountid":"310687","data":{"deletedId":"6"}}]"#;
        assert_eq!(
            hear(&door(Some(KEY)), event, Some(&sign(KEY, event.as_bytes()))).unwrap(),
            ["merged/purchases/6/7"]
        );
    }

    #[test]
    fn what_is_not_signed_is_not_believed() {
        let signature = sign(KEY, EVENTS.as_bytes());
        assert_eq!(hear(&door(Some(KEY)), EVENTS, None), Err(NotGenuine));
        assert_eq!(hear(&door(None), EVENTS, Some(&signature)), Err(NotGenuine));
        assert_eq!(hear(&door(Some(KEY)), &EVENTS.replace("130", "139"), Some(&signature)), Err(NotGenuine));
        assert_eq!(hear(&door(Some("another")), EVENTS, Some(&signature)), Err(NotGenuine));
    }
}
