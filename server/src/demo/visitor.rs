//! Somebody of the demo firm at the public doors.

use super::TENANT;
use crate::roles;
use crate::token::{self, TokenArguments};
use anyhow::{Context, Result, bail, ensure};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use runtime::settings::Settings;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long something may take that goes on by itself: a run, a reaction, a provider's answer.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How long to wait until one looks again.
const LOOK_EVERY: Duration = Duration::from_millis(40);
const TOKEN_SECONDS: u64 = 24 * 3_600;

/// Somebody with a token, and what they have seen.
pub struct Visitor {
    /// Where commands go.
    pub command_url: String,
    /// Where questions go.
    pub query_url: String,
    /// What they show.
    pub token: String,
    pub http: reqwest::Client,
    /// What it asks has seen the log up to here.
    seen: AtomicI64,
}

impl Visitor {
    /// A user of the demo firm; what they may do, the log says.
    pub fn new(settings: &Settings, user: Uuid) -> Result<Self> {
        let (commands, queries) = roles::services(settings)?;
        let roles = vec!["owner".to_owned()];
        let token = TokenArguments { tenant: TENANT, subject: user, roles, ttl_seconds: TOKEN_SECONDS };
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30));
        Ok(Self {
            command_url: format!("http://{commands}"),
            query_url: format!("http://{queries}"),
            token: token::mint(settings, &token)?,
            http: http.build()?,
            seen: AtomicI64::new(0),
        })
    }

    /// Whatever is asked from now on has seen the log up to here.
    pub fn sees(&self, position: i64) {
        self.seen.fetch_max(position, Ordering::Relaxed);
    }

    /// A command; a repeat under the same key is answered as the first one was. Whoever is asked to wait waits.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.command_url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.http.post(&url).bearer_auth(&self.token).header("Idempotency-Key", key).json(body);
            let answer = request.send().await.with_context(|| format!("POST {url}"))?;
            let status = answer.status();
            let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
            if busy && Instant::now() < deadline {
                let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(after.unwrap_or(1))).await;
                continue;
            }
            let body: Value = answer.json().await.unwrap_or(Value::Null);
            if let Some(position) = body["position"].as_i64() {
                self.sees(position);
            }
            return Ok((status.as_u16(), body));
        }
    }

    /// The same, where nothing but success will do.
    pub async fn command(&self, path: &str, key: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.post(path, key, body).await?;
        ensure!((200..300).contains(&status), "POST {path} answered {status}: {answer}");
        Ok(answer)
    }

    /// Creates something that may be there from an earlier time; answers its id.
    pub async fn ensure(&self, path: &str, key: &str, body: &Value) -> Result<String> {
        let (status, answer) = self.post(path, key, body).await?;
        let id = if status == 409 { &answer["holder"] } else { &answer["id"] };
        let id = id.as_str().with_context(|| format!("POST {path} answered {status}: {answer}"))?;
        Ok(id.to_owned())
    }

    /// What a question is answered.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.query_url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen.load(Ordering::Relaxed);
            let request = self.http.get(&url).bearer_auth(&self.token).header("Min-Position", seen);
            let answer = request.send().await.with_context(|| format!("GET {url}"))?;
            let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap_or(Value::Null));
            if body["code"] != "projection-behind" || Instant::now() > deadline {
                ensure!(status.is_success(), "GET {path} answered {status}: {body}");
                return Ok(body);
            }
        }
    }

    /// The rows of a list.
    pub async fn rows(&self, path: &str) -> Result<Vec<Value>> {
        Ok(self.get(path).await?["data"].as_array().cloned().unwrap_or_default())
    }

    /// The first row of a list, if it has one.
    pub async fn first(&self, path: &str) -> Result<Option<Value>> {
        Ok(self.rows(path).await?.into_iter().next())
    }

    /// The first row of a list that has one.
    pub async fn one(&self, path: &str) -> Result<Value> {
        self.first(path).await?.with_context(|| format!("{path} is empty"))
    }

    /// The first row of a list as soon as it is so; until then nothing that belongs to it may stand still.
    pub async fn until(&self, what: &str, path: &str, so: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let row = self.first(path).await?;
            match row {
                Some(row) if so(&row) => return Ok(row),
                row if Instant::now() > deadline => {
                    self.nothing_stands_still().await?;
                    bail!("{what}: not within {} s; {path} has {}", PATIENCE.as_secs(), json!(row));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// A run of this definition that something about this record started, once it has ended well. One that stands still, or ended
    /// otherwise, is an error that says why.
    pub async fn finished(&self, definition: &str, aggregate: &str) -> Result<Value> {
        let path = format!("/v1/workflow/runs?trigger_aggregate_id={aggregate}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let runs = self.rows(&path).await?;
            let run = runs.into_iter().find(|run| run["workflow_name"] == definition);
            match run.as_ref().and_then(|run| run["status"].as_str()) {
                Some("succeeded") => return run.context("found"),
                Some("parked" | "cancelled" | "compensated") => bail!(stands(&run.context("found")?)),
                _ if Instant::now() > deadline => {
                    self.nothing_stands_still().await?;
                    bail!("a run of {definition:?} did not finish within {} s: {}", PATIENCE.as_secs(), json!(run));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// An error that names every run that stands still, and why, if one does.
    pub async fn nothing_stands_still(&self) -> Result<()> {
        let parked = self.rows("/v1/workflow/runs?status=parked").await?;
        ensure!(parked.is_empty(), "{}", parked.iter().map(stands).collect::<Vec<_>>().join("\n"));
        Ok(())
    }
}

/// What to say of a run that does not go on.
fn stands(run: &Value) -> String {
    let of = |field: &str| run[field].as_str().unwrap_or("?").to_owned();
    format!(
        "the run {} of {:?} is {}: {} ({}); `ubos workflow show --tenant {TENANT} {}` has its steps",
        of("id"),
        of("workflow_name"),
        of("status"),
        of("error"),
        of("error_code"),
        of("id"),
    )
}

/// A field of a row as text.
pub fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_default().to_owned()
}

/// So many hundredths with their currency.
pub fn amount(minor: &Value, currency: &Value) -> String {
    let (minor, currency) = (minor.as_i64().unwrap_or_default(), currency.as_str().unwrap_or_default());
    format!("{}.{:02} {currency}", minor / 100, minor.abs() % 100)
}
