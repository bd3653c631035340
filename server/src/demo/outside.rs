//! What is outside: the lab that stands in for providers, and the mail server that shows letters.

use super::visitor::{PATIENCE, Visitor, text};
use super::{OWNER, TENANT};
use crate::roles;
use crate::tenants::Operator;
use anyhow::{Context, Result, bail, ensure};
use chrono::{TimeDelta, Utc};
use kernel::{Principal, SessionId, TenantId, UserId};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION};
use reqwest::redirect::Policy;
use runtime::settings::Settings;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use url::{Url, form_urlencoded};
use uuid::Uuid;

/// Both providers: as we call them, and what the connection is called.
const PROVIDERS: [(&str, &str); 2] = [("docusign", "Signatures"), ("xero", "Books")];
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where both are.
pub struct Outside {
    /// The lab, without a slash at the end.
    pub lab: String,
    /// The mail server's pages, without a slash at the end.
    pub mail: String,
    http: reqwest::Client,
}

impl Outside {
    pub fn new(lab: &str, mail: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).redirect(Policy::none()).build()?;
        let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
        Ok(Self { lab: trimmed(lab), mail: trimmed(mail), http })
    }

    /// Everything that the lab has.
    pub async fn state(&self) -> Result<Value> {
        self.json(&format!("{}/control/state", self.lab)).await
    }

    async fn json(&self, url: &str) -> Result<Value> {
        let answer = self.http.get(url).send().await.with_context(|| format!("GET {url}"))?;
        ensure!(answer.status().is_success(), "GET {url} answered {}", answer.status());
        Ok(answer.json().await?)
    }

    /// Has the lab do something that its own pages or its control do not need a token for.
    pub async fn tell(&self, path: &str, body: &Value) -> Result<()> {
        let url = format!("{}{path}", self.lab);
        let answer = self.http.post(&url).json(body).send().await.with_context(|| format!("POST {url}"))?;
        ensure!(answer.status().is_success(), "POST {url} answered {}", answer.status());
        Ok(())
    }

    /// What a browser sends when a button of a form is pressed.
    async fn press(&self, url: &str, fields: &[(&str, &str)]) -> Result<reqwest::Response> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let sending = self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        sending.send().await.with_context(|| format!("POST {url}"))
    }

    /// Somebody opens the page on which an envelope is signed, and signs.
    pub async fn sign(&self, envelope: &str, recipient: &str) -> Result<()> {
        let url = format!("{}/docusign/sign/{envelope}/{recipient}", self.lab);
        let page = self.http.get(&url).send().await?;
        ensure!(page.status().is_success(), "GET {url} answered {}", page.status());
        let answer = self.press(&url, &[("answer", "sign"), ("reason", "")]).await?;
        ensure!(answer.status().is_redirection(), "POST {url} answered {}", answer.status());
        Ok(())
    }

    /// The newest letter to an address whose subject has this, and where it is shown.
    pub async fn letter(&self, to: &str, subject: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let letters = self.json(&format!("{}/api/email", self.mail)).await?;
            let is_to = |one: &Value| one["to"].as_array().into_iter().flatten().any(|who| who["address"] == to);
            let of = |one: &&Value| one["subject"].as_str().is_some_and(|has| has.contains(subject)) && is_to(one);
            if let Some(found) = letters.as_array().into_iter().flatten().rfind(of) {
                let attached = found["attachments"].as_array().into_iter().flatten();
                let attached: Vec<&str> = attached.filter_map(|one| one["filename"].as_str()).collect();
                let with = if attached.is_empty() { String::new() } else { format!(", with {}", attached.join(", ")) };
                let id = found["id"].as_str().unwrap_or_default();
                return Ok(format!("{:?} to {to}{with}  {}/#/email/{id}", text(found, "subject"), self.mail));
            }
            ensure!(Instant::now() < deadline, "no letter {subject:?} to {to} within {} s", PATIENCE.as_secs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What letters to an address say that have this in their text, the oldest first.
    pub async fn texts(&self, to: &str, what: &str) -> Result<Vec<String>> {
        let letters = self.json(&format!("{}/api/email", self.mail)).await?;
        let is_to = |one: &&Value| one["to"].as_array().into_iter().flatten().any(|who| who["address"] == to);
        let texts = letters.as_array().into_iter().flatten().filter(is_to).filter_map(|one| one["text"].as_str());
        Ok(texts.filter(|text| text.contains(what)).map(str::to_owned).collect())
    }

    /// Both connections of the demo firm, as somebody agreed to them at the lab's pages: now, unless the lab still takes what was
    /// agreed to before.
    pub async fn connected(&self, settings: &Settings, visitor: &Visitor) -> Result<HashMap<&'static str, String>> {
        let mut found = HashMap::new();
        let grants = self.state().await?["grants"].clone();
        for (provider, name) in PROVIDERS {
            let connection = match connection(visitor, provider).await? {
                Some(there) => there,
                None => {
                    let create = json!({ "provider": provider, "name": name });
                    let key = format!("demo-connection-{provider}");
                    let made = visitor.command("/v1/connections/connections", &key, &create).await?;
                    json!({ "id": made["id"], "status": "pending" })
                }
            };
            let id = text(&connection, "id");
            if connection["status"] != "connected" || grants[provider].as_i64().unwrap_or_default() == 0 {
                self.agree(settings, visitor, provider, &id).await?;
            }
            // Xero's webhooks go to one address for each app; DocuSign is told with each envelope.
            let url = format!("{}/v1/webhooks/{provider}/{id}", visitor.command_url);
            self.tell("/control/webhooks", &json!({ "provider": provider, "url": url })).await?;
            found.insert(provider, id);
        }
        Ok(found)
    }

    /// The owner goes to the provider in a browser, agrees there, and comes back.
    pub async fn agree(&self, settings: &Settings, visitor: &Visitor, provider: &str, connection: &str) -> Result<()> {
        let session = Session::start(settings).await?;
        let start = format!("{}/v1/connect/start?connection={connection}", visitor.command_url);
        let went = self.browse(&start, &session.cookie).await?;
        let page = self.http.get(went.clone()).send().await.with_context(|| format!("GET {went}"))?;
        ensure!(page.status().is_success(), "the page of {provider} answered {}", page.status());
        let asked: HashMap<String, String> = went.query_pairs().into_owned().collect();
        let of = |name: &str| asked.get(name).map_or("", String::as_str);
        let form = [
            ("redirect_uri", of("redirect_uri")),
            ("state", of("state")),
            ("code_challenge", of("code_challenge")),
            ("answer", "allow"),
        ];
        let sent = self.press(&format!("{}/{provider}/consent", self.lab), &form).await?;
        let back = location(&sent).with_context(|| format!("{provider} sends nobody back"))?;
        self.browse(back.as_str(), &session.cookie).await?;
        session.end().await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = visitor.get(&format!("/v1/connections/connections/{connection}")).await?;
            if shown["status"] == "connected" {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the connection with {provider} is {}", shown["status"]);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Opens a page of ours in a session; answers where it leads.
    async fn browse(&self, url: &str, cookie: &str) -> Result<Url> {
        let answer = self.http.get(url).header(COOKIE, cookie).send().await.with_context(|| format!("GET {url}"))?;
        match location(&answer) {
            Some(to) => Ok(to),
            None => {
                let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
                bail!("GET {url} answered {status}: {said}")
            }
        }
    }
}

/// Where an answer leads.
fn location(answer: &reqwest::Response) -> Option<Url> {
    let to = answer.headers().get(LOCATION)?.to_str().ok()?;
    answer.url().join(to).ok()
}

/// The demo firm's connection with a provider, if it has one that was not ended.
pub async fn connection(visitor: &Visitor, provider: &str) -> Result<Option<Value>> {
    let found = visitor.rows(&format!("/v1/connections/connections?provider={provider}")).await?;
    Ok(found.into_iter().find(|one| one["status"] != "disconnected"))
}

/// A session of the owner, as the login would start it: nobody types a password here.
struct Session {
    operator: Operator,
    id: Uuid,
    cookie: String,
}

impl Session {
    async fn start(settings: &Settings) -> Result<Self> {
        let sessions = roles::sessions(settings).await?.context("settings: redis.url is not set, so nobody logs in")?;
        let operator = Operator::connect(settings).await?;
        let id = Uuid::now_v7();
        let ends_at = Utc::now() + TimeDelta::minutes(10);
        let start = json!({ "user_id": OWNER, "issuer": settings.login.public_url, "ends_at": ends_at });
        operator.command("identity.session.start", TENANT, id, &start).await?;
        let owner = Principal::User { id: UserId(OWNER) };
        let (cookie, _) = sessions.start(SessionId(id), TenantId(TENANT), owner).await?;
        Ok(Self { operator, id, cookie: format!("{}={}", cookie.name(), cookie.value()) })
    }

    async fn end(self) -> Result<()> {
        let reason = json!({ "reason": "the demo is connected" });
        self.operator.command("identity.session.end", TENANT, self.id, &reason).await?;
        self.operator.drained().await
    }
}
