//! A client that behaves: it carries idempotency keys, repeats what it got no answer to, turns to the other copy, and
//! writes down every request.

use crate::evidence::{Evidence, rounded};
use chrono::Utc;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a client repeats one operation before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// No pause between two tries is longer, unless the answer asks for it.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// What all clients share.
#[derive(Debug)]
pub struct Wire {
    pub evidence: Arc<Evidence>,
    pub http: reqwest::Client,
    pub command_ports: Vec<u16>,
    pub query_ports: Vec<u16>,
    pub counts: Counts,
    pub requests: AtomicU64,
    pub operations: AtomicU64,
    /// Nothing new is asked any more.
    pub over: AtomicBool,
    /// Nothing is repeated any more.
    pub closing: AtomicBool,
    /// When a command, and when a query, was last answered with success: the moment it was asked, in microseconds.
    pub last_command_ok: AtomicU64,
    pub last_query_ok: AtomicU64,
}

/// How often what happened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Operations that were due.
    pub attempted: AtomicU64,
    /// Operations that were answered with success.
    pub ok: AtomicU64,
    /// Operations that were refused.
    pub refused: AtomicU64,
    /// Operations whose outcome nobody knows.
    pub unknown: AtomicU64,
    /// Operations that were due when too many were under way already.
    pub skipped: AtomicU64,
}

impl Wire {
    pub fn new(evidence: Arc<Evidence>, command_ports: Vec<u16>, query_ports: Vec<u16>) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_PATIENCE).pool_max_idle_per_host(2_000).build()?;
        Ok(Self {
            evidence,
            http,
            command_ports,
            query_ports,
            counts: Counts::default(),
            requests: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            over: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            last_command_ok: AtomicU64::new(0),
            last_query_ok: AtomicU64::new(0),
        })
    }

    /// Another number for another operation.
    pub fn next_operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Another number for another request.
    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// One user of one firm.
#[derive(Debug)]
pub struct Client {
    /// `c7`.
    pub name: String,
    /// The firm.
    pub tenant: Uuid,
    /// Who it says it is.
    pub token: String,
    counter: AtomicU64,
    wire: Arc<Wire>,
}

/// Something a client wants, whatever it takes.
#[derive(Debug, Clone)]
pub struct Operation {
    pub number: u64,
    pub is_command: bool,
    /// `crm.client.rename`.
    pub name: &'static str,
    pub path: String,
    pub body: Option<Value>,
    pub key: Option<String>,
    pub if_match: Option<i64>,
    pub min_position: Option<i64>,
    pub counter: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// 2xx and the body.
    Ok(Value),
    /// Refused for good: status and problem.
    Refused(u16, Value),
    /// Nobody knows.
    Unknown,
}

impl Client {
    pub fn new(name: String, tenant: Uuid, token: String, wire: Arc<Wire>) -> Self {
        Self { name, tenant, token, counter: AtomicU64::new(0), wire }
    }

    pub fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    /// The next of this client's own numbers, and the text that carries it.
    pub fn mark(&self) -> (u64, String) {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        (counter, format!("{}/{counter:06}", self.name))
    }

    /// A command with a fresh key.
    pub fn command(&self, name: &'static str, path: String, body: Value, counter: Option<u64>) -> Operation {
        Operation {
            number: self.wire.next_operation(),
            is_command: true,
            name,
            path,
            body: Some(body),
            key: Some(Uuid::now_v7().to_string()),
            if_match: None,
            min_position: None,
            counter,
        }
    }

    /// A question.
    pub fn query(&self, name: &'static str, path: String, min_position: Option<i64>) -> Operation {
        Operation {
            number: self.wire.next_operation(),
            is_command: false,
            name,
            path,
            body: None,
            key: None,
            if_match: None,
            min_position,
            counter: None,
        }
    }

    /// Asks until there is an answer that settles it.
    pub async fn run(&self, operation: &Operation) -> Outcome {
        self.run_from(operation, rand::random_range(0..2)).await
    }

    /// The same, beginning with one of the two copies.
    pub async fn run_from(&self, operation: &Operation, first_copy: usize) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(25);
        for attempt in 0.. {
            let (outcome, retry_after) = self.attempt(operation, first_copy + attempt).await;
            if outcome != Outcome::Unknown {
                return outcome;
            }
            if Instant::now() > deadline || self.wire.closing.load(Ordering::Relaxed) {
                break;
            }
            // Jitter, so that those who were turned away together do not come back together.
            let pause_now = pause.mul_f64(rand::random_range(0.5..1.0));
            tokio::time::sleep(retry_after.map_or(pause_now, |after| after + pause_now)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Outcome::Unknown
    }

    /// One request, written down.
    async fn attempt(&self, operation: &Operation, copy: usize) -> (Outcome, Option<Duration>) {
        let (wire, number) = (&self.wire, self.wire.next_request());
        let ports = if operation.is_command { &wire.command_ports } else { &wire.query_ports };
        let url = format!("http://127.0.0.1:{}{}", ports[copy % ports.len()], operation.path);
        let mut request = if operation.is_command { wire.http.post(url) } else { wire.http.get(url) };
        request = request.bearer_auth(&self.token);
        if let Some(key) = &operation.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(version) = operation.if_match {
            request = request.header("If-Match", format!("\"{version}\""));
        }
        if let Some(position) = operation.min_position {
            request = request.header("Min-Position", position);
        }
        if let Some(body) = &operation.body {
            request = request.json(body);
        }
        let invoked = Instant::now();
        let answered = answer(request).await;
        let completed = wire.evidence.now();
        let mut line = self.line(operation, number, wire.evidence.at(invoked));
        let (outcome, retry_after) = match answered {
            Some(answer) => {
                line["completed"] = json!(completed);
                line["status"] = json!(answer.status);
                line["retry_after"] = json!(answer.retry_after.map(|after| after.as_secs_f64()));
                line["position"] = json!(answer.position);
                let outcome = answer.judge();
                match &outcome {
                    Outcome::Ok(body) if operation.is_command => {
                        let (id, version, position) = (&body["id"], &body["version"], &body["position"]);
                        let replayed = answer.replayed;
                        line["answer"] =
                            json!({ "id": id, "version": version, "position": position, "replayed": replayed });
                    }
                    Outcome::Ok(body) => line["answer"] = body.clone(),
                    _ => line["code"] = answer.body["code"].clone(),
                }
                (outcome, answer.retry_after)
            }
            None => (Outcome::Unknown, None),
        };
        line["outcome"] = json!(match outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Refused(..) => "fail",
            Outcome::Unknown => "info",
        });
        wire.evidence.history.add(&line);
        if matches!(outcome, Outcome::Ok(_)) {
            let last = if operation.is_command { &wire.last_command_ok } else { &wire.last_query_ok };
            last.fetch_max((wire.evidence.at(invoked) * 1e6) as u64, Ordering::Relaxed);
        }
        (outcome, retry_after)
    }

    /// The line of a request whose answer is not known yet.
    pub fn line(&self, operation: &Operation, request: u64, invoked: f64) -> Value {
        json!({
            "request": request, "op": operation.number, "client": self.name, "tenant": self.tenant,
            "kind": if operation.is_command { "command" } else { "query" }, "name": operation.name,
            "method": if operation.is_command { "POST" } else { "GET" }, "path": operation.path,
            "body": operation.body, "key": operation.key, "if_match": operation.if_match,
            "min_position": operation.min_position, "counter": operation.counter,
            "invoked": rounded(invoked), "completed": null, "outcome": "info", "status": null, "code": null,
            "retry_after": null, "answer": null, "position": null,
        })
    }
}

struct Answer {
    status: u16,
    body: Value,
    replayed: bool,
    retry_after: Option<Duration>,
    position: Option<i64>,
}

impl Answer {
    /// Only a refusal that says so is one; after everything else the client must ask again.
    fn judge(&self) -> Outcome {
        match self.status {
            200..=299 => Outcome::Ok(self.body.clone()),
            408 | 425 | 429 => Outcome::Unknown,
            400..=499 if self.body["retryable"] == true => Outcome::Unknown,
            400..=499 => Outcome::Refused(self.status, self.body.clone()),
            _ => Outcome::Unknown,
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let number = |name: &str| header(name).and_then(|text| text.parse::<i64>().ok());
    let (status, replayed) = (response.status().as_u16(), header("idempotency-replayed").is_some());
    let retry_after = number("retry-after").and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let position = number("position");
    // An answer that was cut off is none.
    let bytes = response.bytes().await.ok()?;
    let body = serde_json::from_slice(&bytes).ok();
    let body = if (200..300).contains(&status) { body? } else { body.unwrap_or(Value::Null) };
    Some(Answer { status, body, replayed, retry_after, position })
}

/// Half an hour that nobody has asked for yet; one number, one half hour.
pub fn half_hour(number: u64) -> String {
    let tomorrow = (Utc::now().timestamp() / 86_400 + 2) * 86_400;
    let at = tomorrow + i64::try_from(number).unwrap_or(0) * 1_800;
    chrono::DateTime::from_timestamp(at, 0).unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
