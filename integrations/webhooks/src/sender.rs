//! Sends a message to wherever somebody of a firm said, which may be anywhere and anything.

use crate::guard::{Guard, NotAllowed};
use crate::message::Message;
use anyhow::Result;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use std::error::Error;
use std::time::Duration;
use url::Url;

/// How long a receiver may take to be there, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);
/// What is read of an answer, so that the connection can be used again: nobody looks at it.
const ANSWER_MAX: usize = 64 * 1024;
/// And for how long.
const READING: Duration = Duration::from_secs(2);
/// A receiver that wants to be left alone for longer is asked again all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Connections that are kept to one receiver.
const IDLE_MAX: usize = 2;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver has it.
    Taken(u16),
    /// There is no receiver any more (410).
    Gone,
    /// Anything else.
    Failed {
        /// What was answered, if anything was.
        status: Option<u16>,
        /// In words of ours: what a receiver says may name a person.
        why: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// How long receivers may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until one is there.
    pub connect: Duration,
    /// Until it has answered.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, answer: TIMEOUT }
    }
}

/// Sends. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    http: Client,
    guard: Guard,
}

impl Sender {
    /// To wherever `guard` lets it.
    ///
    /// # Errors
    /// If there is no TLS here.
    pub fn new(guard: Guard, patience: Patience) -> Result<Self> {
        let http = Client::builder()
            .user_agent(concat!("UBOS-Webhooks/", env!("CARGO_PKG_VERSION")))
            // A redirect leads where nobody has looked.
            .redirect(Policy::none())
            // And so does a proxy that the environment names.
            .no_proxy()
            .https_only(!guard.takes_http())
            .dns_resolver(guard.clone())
            .connect_timeout(patience.connect)
            .timeout(patience.answer)
            .pool_max_idle_per_host(IDLE_MAX)
            .build()?;
        Ok(Self { http, guard })
    }

    /// Sends it once.
    pub async fn send(&self, url: &str, message: Message) -> Answer {
        let failed = |status: Option<u16>, why: String| Answer::Failed { status, why, retry_after: None };
        let url = match Url::parse(url).map_err(|_| NotAllowed::Unreadable) {
            Ok(url) => url,
            Err(why) => return failed(None, why.to_string()),
        };
        if let Err(why) = self.guard.check(&url) {
            return failed(None, why.to_string());
        }
        let Message { headers, body } = message;
        match self.http.post(url).headers(headers).body(body).send().await {
            Ok(response) => {
                let answer = judge(response.status(), retry_after(&response));
                drain(response).await;
                answer
            }
            Err(error) => failed(None, why(&error)),
        }
    }
}

/// What a status means.
fn judge(status: StatusCode, retry_after: Option<Duration>) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken(status.as_u16()),
        StatusCode::GONE => Answer::Gone,
        status => {
            let why = match status.is_redirection() {
                true => format!("HTTP {}: redirects are not followed", status.as_u16()),
                false => format!("HTTP {}", status.as_u16()),
            };
            Answer::Failed { status: Some(status.as_u16()), why, retry_after }
        }
    }
}

/// `Retry-After` in seconds. A date is as good as none: clocks differ.
fn retry_after(response: &Response) -> Option<Duration> {
    let asked = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let said = response.headers().get(RETRY_AFTER).filter(|_| asked)?;
    let seconds: u64 = said.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Reads what there is of the answer, so far as that is little and soon there.
async fn drain(mut response: Response) {
    let reading = async {
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > ANSWER_MAX {
                break;
            }
        }
    };
    drop(tokio::time::timeout(READING, reading).await);
}

/// Why nothing was answered, without the address, which may hold a secret.
fn why(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(not_allowed) = one.downcast_ref::<NotAllowed>() {
            return not_allowed.to_string();
        }
        // An error of input and output names as its source what lies below its own.
        let within = one.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(not_allowed) = within.and_then(|within| within.downcast_ref::<NotAllowed>()) {
            return not_allowed.to_string();
        }
        cause = one.source();
    }
    let what = match error {
        _ if error.is_timeout() && error.is_connect() => "nobody is there in time",
        _ if error.is_timeout() => "no answer in time",
        _ if error.is_connect() => "nobody is there",
        _ => "the connection broke",
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_taken_is_a_success() {
        for (status, expected) in [(200, true), (202, true), (204, true), (299, true)] {
            assert_eq!(matches!(judge(StatusCode::from_u16(status).unwrap(), None), Answer::Taken(_)), expected);
        }
        assert_eq!(judge(StatusCode::GONE, None), Answer::Gone);
        for status in [300, 301, 302, 307, 308, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504, 599] {
            let answer = judge(StatusCode::from_u16(status).unwrap(), None);
            assert!(matches!(answer, Answer::Failed { status: Some(said), .. } if said == status), "{status}");
        }
    }
}
