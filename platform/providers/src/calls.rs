//! Calls to a provider: within the connection's budgets, with its grant, and with a word on what became of them.

use crate::keeper::interval;
use crate::links::{Access, Links};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use ports::{Fault, Place};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use sqlx::postgres::types::PgInterval;
use std::time::Duration;
use uuid::Uuid;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(25);
/// A call in flight is over then, whatever became of its process.
const CALL_LASTS: Duration = Duration::from_secs(60);
/// Bytes of an answer at most: signed papers are the largest.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// How long to wait if a provider is asked too often and does not say for how long.
const TOO_OFTEN: Duration = Duration::from_secs(60);
/// The last part of a budget's name that says that it is a day's.
const DAY: &str = "day";

/// So many calls in a span of time.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// `burst`, `minute`, `hour`, `day`.
    pub name: &'static str,
    /// How long the span is.
    pub span: Duration,
    /// How many calls.
    pub most: i32,
}

/// How much a provider allows for one account.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The budgets, each of which a call costs one.
    pub budgets: Vec<Budget>,
    /// Calls in flight.
    pub at_once: i32,
}

/// Does a call do something? Then nobody knows whether it did, if no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only asks.
    None,
    /// It does.
    Some,
    /// It does, and a provider that is still busy with the same says so with 409: nobody knows then, either.
    Guarded,
}

impl Effect {
    fn does(self) -> bool {
        self != Self::None
    }
}

/// What a provider answers, if it is an answer: good, or about what was asked.
#[derive(Debug)]
pub struct Answer {
    /// 2xx, or 4xx that says something about the request.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    effect: Effect,
}

impl Answer {
    /// Was it done?
    pub fn is_good(&self) -> bool {
        self.status.is_success()
    }

    /// What it says.
    ///
    /// # Errors
    /// If that cannot be read; what it did is not known then.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let why = format!("the answer {} cannot be read: {error}", self.status);
            match self.effect {
                effect if effect.does() && self.is_good() => Fault::Unknown(why),
                _ => Fault::Later(None, why),
            }
        })
    }
}

/// Makes calls to one provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Calls {
    links: Links,
    http: reqwest::Client,
    rules: Rules,
}

impl Calls {
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(links: Links, rules: Rules) -> anyhow::Result<Self> {
        // A provider that redirects a call would send the grant elsewhere.
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { links, http, rules })
    }

    /// The links that calls go through.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Makes a call. `build` is asked once more with a newer grant if the provider takes this one no more.
    ///
    /// # Errors
    /// When there is no answer that says something about the request.
    pub async fn call(
        &self,
        at: Place,
        effect: Effect,
        build: impl Fn(&reqwest::Client, &Access) -> RequestBuilder + Send + Sync,
    ) -> Result<Answer, Fault> {
        let access = self.links.access(at, None).await?;
        let answer = self.once(at, effect, build(&self.http, &access), &access).await?;
        let answer = match answer.status {
            // Nothing was done for whoever was not let in, so it may be asked again.
            StatusCode::UNAUTHORIZED => {
                let newer = self.links.access(at, Some(access.generation)).await?;
                self.once(at, effect, build(&self.http, &newer), &newer).await?
            }
            _ => answer,
        };
        self.judged(at, answer).await
    }

    /// One call within the budgets.
    async fn once(&self, at: Place, effect: Effect, call: RequestBuilder, access: &Access) -> Result<Answer, Fault> {
        use secrecy::ExposeSecret;
        let place = self.spend(at).await?;
        let sent = self.send(effect, call.bearer_auth(access.token.expose_secret())).await;
        self.end(at, place).await;
        match sent {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                self.links.failed(at, "unreachable", &fault.to_string()).await;
                Err(fault)
            }
        }
    }

    async fn send(&self, effect: Effect, call: RequestBuilder) -> Result<Answer, Fault> {
        let lost = |error: reqwest::Error| {
            let (never_left, why) = (error.is_connect() || error.is_builder(), error.without_url().to_string());
            match effect.does() && !never_left {
                true => Fault::Unknown(why),
                false => Fault::Later(None, why),
            }
        };
        let mut answer = call.send().await.map_err(lost)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(lost)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Fault::Never("answer_too_long", format!("more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body: body.freeze(), effect })
    }

    /// What an answer says about the connection, and not about what was asked.
    async fn judged(&self, at: Place, answer: Answer) -> Result<Answer, Fault> {
        let status = answer.status;
        let after = retry_after(&answer.headers, Utc::now());
        match status.as_u16() {
            401 => Err(self.links.refused(at, "grant_refused", "the provider takes a fresh token no more").await),
            403 => Err(self.links.refused(at, "not_permitted", "the grant does not reach what was asked for").await),
            429 => {
                // Xero says which of its limits it was.
                let which = answer.headers.get("x-rate-limit-problem").and_then(|which| which.to_str().ok());
                if which.is_some_and(|which| which.eq_ignore_ascii_case(DAY)) {
                    self.links.degraded(at, "quota_used_up", "what the provider allows in a day is used up").await;
                }
                Err(Fault::Later(Some(after.unwrap_or(TOO_OFTEN)), "the provider was asked too often".to_owned()))
            }
            409 if answer.effect == Effect::Guarded => {
                Err(Fault::Unknown("the provider is still busy with the same".to_owned()))
            }
            408 | 409 | 423 | 425 => Err(Fault::Later(after, format!("the provider answers {status}"))),
            500..=599 => {
                let why = format!("the provider answers {status}");
                self.links.failed(at, "unreachable", &why).await;
                // Whoever says to come later has done nothing.
                match answer.effect.does() && status != StatusCode::SERVICE_UNAVAILABLE {
                    true => Err(Fault::Unknown(why)),
                    false => Err(Fault::Later(after, why)),
                }
            }
            300..=399 => Err(Fault::Never("redirected", format!("the provider answers {status}"))),
            _ => {
                self.links.succeeded(at).await;
                Ok(answer)
            }
        }
    }

    async fn spend(&self, at: Place) -> Result<Uuid, Fault> {
        let Rules { budgets, at_once } = &self.rules;
        let spent = sqlx::query_as("select * from connect.spend($1, $2, $3, $4, $5, $6, $7)")
            .bind(at.tenant.0)
            .bind(at.connection.0)
            .bind(budgets.iter().map(|budget| budget.name).collect::<Vec<_>>())
            .bind(budgets.iter().map(|budget| interval(budget.span)).collect::<Vec<_>>())
            .bind(budgets.iter().map(|budget| budget.most).collect::<Vec<_>>())
            .bind(at_once)
            .bind(interval(CALL_LASTS))
            .fetch_one(self.links.pool());
        let spent: (Option<Uuid>, Option<PgInterval>, Option<String>) =
            spent.await.map_err(|error| Fault::Later(None, format!("the database: {error}")))?;
        match spent {
            (Some(call), ..) => Ok(call),
            (None, wait, short_of) => {
                let wait = wait.map(|wait| i64::from(wait.days) * 86_400_000_000 + wait.microseconds);
                let wait = Duration::from_micros(wait.and_then(|wait| u64::try_from(wait).ok()).unwrap_or(1_000_000));
                let short_of = short_of.unwrap_or_default();
                if short_of == DAY {
                    self.links.degraded(at, "quota_used_up", "what may be asked in a day is used up").await;
                }
                Err(Fault::Later(Some(wait), format!("the connection's budget is used up: {short_of}")))
            }
        }
    }

    async fn end(&self, at: Place, call: Uuid) {
        let sql = "delete from connect.calls where tenant_id = $1 and connection_id = $2 and call_id = $3";
        let ended = sqlx::query(sql).bind(at.tenant.0).bind(at.connection.0).bind(call).execute(self.links.pool());
        if let Err(error) = ended.await {
            tracing::debug!(error = %error, "a call stays counted until its end");
        }
    }
}

/// Where some say instead when a limit is over: as seconds since 1970.
const LIMIT_ENDS: &str = "x-ratelimit-reset";

/// When a provider says to come again: in seconds, or a moment (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let Some(said) = headers.get(RETRY_AFTER) else {
        let ends: i64 = headers.get(LIMIT_ENDS)?.to_str().ok()?.trim().parse().ok()?;
        return Some(Duration::from_secs(u64::try_from(ends - now.timestamp()).unwrap_or_default().min(2 * 86_400)));
    };
    let said = said.to_str().ok()?;
    if let Ok(seconds) = said.trim().parse::<u64>() {
        // A provider that says a year means no.
        return Some(Duration::from_secs(seconds.min(2 * 86_400)));
    }
    let moment = DateTime::parse_from_rfc2822(said).ok()?;
    Some((moment.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_says_when_to_come_again_in_seconds_or_as_a_moment() {
        let now = "2026-12-01T10:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(said("30"), Some(Duration::from_secs(30)));
        assert_eq!(said("Tue, 01 Dec 2026 10:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(said("Tue, 01 Dec 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(said("soon"), None);
        assert_eq!(said("99999999999"), Some(Duration::from_secs(2 * 86_400)));
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        let mut headers = HeaderMap::new();
        headers.insert("X-Ratelimit-Reset", (now.timestamp() + 40).to_string().parse().unwrap());
        assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(40)));
    }
}
