//! What DocuSign says by itself (Connect, JSON), and who agreed to what.

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use futures::future::BoxFuture;
use providers::{Account, Adapter, Hint, NotGenuine, OAuth, is_signed};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

/// How long DocuSign may take to say which accounts a grant reaches.
const PATIENCE: Duration = Duration::from_secs(15);
/// Signatures of one message: an account may have several keys while they change.
const SIGNATURES_MAX: usize = 10;

/// DocuSign, as the door sees it.
pub struct DocusignDoor {
    oauth: OAuth,
    http: reqwest::Client,
    userinfo_url: String,
    webhook_key: Option<SecretString>,
}

#[derive(Debug, Deserialize)]
struct UserInfo {
    #[serde(default)]
    accounts: Vec<UserAccount>,
}

#[derive(Debug, Deserialize)]
struct UserAccount {
    account_id: String,
    #[serde(default)]
    account_name: Option<String>,
    base_uri: String,
}

/// A message.
#[derive(Debug, Deserialize)]
struct Message {
    data: MessageData,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageData {
    #[serde(default)]
    account_id: Option<String>,
    envelope_id: String,
}

impl DocusignDoor {
    /// Without a key nothing that is said is believed.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(oauth: OAuth, userinfo_url: &str, webhook_key: Option<SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { oauth, http, userinfo_url: userinfo_url.to_owned(), webhook_key })
    }

    async fn known(&self, access: &SecretString) -> Result<Vec<Account>> {
        let asked = self.http.get(&self.userinfo_url).bearer_auth(access.expose_secret());
        let answer = asked.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(answer.status().is_success(), "DocuSign answers {}", answer.status());
        let found: UserInfo = answer.json().await.context("the list of accounts")?;
        let account = |one: UserAccount| Account {
            label: one.account_name.unwrap_or_else(|| one.account_id.clone()),
            id: one.account_id,
            base_url: one.base_uri.trim_end_matches('/').to_owned(),
        };
        Ok(found.accounts.into_iter().map(account).collect())
    }
}

impl Adapter for DocusignDoor {
    fn provider(&self) -> &'static str {
        crate::PROVIDER
    }

    fn oauth(&self) -> &OAuth {
        &self.oauth
    }

    fn accounts<'a>(&'a self, access: &'a SecretString) -> BoxFuture<'a, Result<Vec<Account>>> {
        self.known(access).boxed()
    }

    fn hear(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        account_id: &str,
    ) -> Result<Vec<Hint>, NotGenuine> {
        let key = self.webhook_key.as_ref().ok_or(NotGenuine)?;
        let mut signatures = (1..=SIGNATURES_MAX).filter_map(|n| header(&format!("x-docusign-signature-{n}")));
        if !signatures.any(|signature| is_signed(key.expose_secret(), body, &signature)) {
            return Err(NotGenuine);
        }
        let Ok(Message { data }) = serde_json::from_slice(body) else { return Ok(vec![]) };
        // A message that does not say whose it is may be ours: the envelope is asked for in our account.
        let is_ours = data.account_id.is_none_or(|account| account.eq_ignore_ascii_case(account_id));
        Ok(is_ours.then_some(Hint { kind: "envelope".to_owned(), id: data.envelope_id }).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use providers::{OAuthSettings, sign};

    const KEY: &str = "a key of the account";
    const BODY: &str = r#"{"event":"envelope-completed","data":{"accountId":"ours","userId":"u","envelopeId":"e1"}}"#;

    fn door() -> DocusignDoor {
        let oauth = OAuth::new(&OAuthSettings {
            client_id: "us".to_owned(),
            client_secret: "shh".to_owned().into(),
            authorise_url: "https://docusign.example/auth".to_owned(),
            token_url: "https://docusign.example/token".to_owned(),
            scopes: vec![],
            redirect_url: "https://ubos.example/v1/connect/callback".to_owned(),
        });
        DocusignDoor::new(oauth.unwrap(), "https://docusign.example/userinfo", Some(KEY.to_owned().into())).unwrap()
    }

    fn hear(body: &str, signatures: &[(&str, &str)], account: &str) -> Result<usize, NotGenuine> {
        let header = |name: &str| signatures.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        door().hear(&header, body.as_bytes(), account).map(|hints| hints.len())
    }

    #[test]
    fn any_of_several_signatures_will_do() {
        let good = sign(KEY, BODY.as_bytes());
        let old = sign("an older key", BODY.as_bytes());
        let both = [("x-docusign-signature-1", old.as_str()), ("x-docusign-signature-2", good.as_str())];
        assert_eq!(hear(BODY, &both, "OURS"), Ok(1));
        assert_eq!(hear(BODY, &both[..1], "ours"), Err(NotGenuine));
        assert_eq!(
            hear(BODY, &[], "ours"),
            Err(NotGenuine),
            "an account without a key signs nothing, and is not believed"
        );
        assert_eq!(hear(&BODY.replace("e1", "e2"), &both, "ours"), Err(NotGenuine));
    }

    #[test]
    fn another_accounts_message_says_nothing_about_ours() {
        let good = sign(KEY, BODY.as_bytes());
        assert_eq!(hear(BODY, &[("x-docusign-signature-1", good.as_str())], "theirs"), Ok(0));
    }
}
