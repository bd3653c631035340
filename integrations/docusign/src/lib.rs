//! Papers signed by DocuSign: envelopes, their state, and the signed documents.
//!
//! DocuSign does not refuse a second envelope with the same `transactionId`, so it is looked for before it is sent. How an envelope
//! stands is asked; what DocuSign says by itself is a hint.

mod envelopes;
mod webhook;
mod wire;

pub use webhook::DocusignDoor;

use anyhow::Result;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use ports::{Anchors, Asked, Envelope, Fault, Papers, Place, Sent, Signing};
use providers::{Answer, Budget, Calls, Direct, Effect, Hint, Links, OwnCall, Rules, Sweeper, address};
use reqwest::Method;
use serde::Serialize;
use std::time::Duration;

/// Its name in settings and addresses.
pub const PROVIDER: &str = "docusign";
/// How often it is asked what no message said; more often than every 15 minutes is against its rules.
const SWEEP_EVERY: Duration = Duration::from_secs(16 * 60);
/// What is asked for again, in case clocks differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// Envelopes of one page.
const PAGE: usize = 100;
/// Pages of one sweep at most.
const PAGES_MAX: usize = 50;

/// What DocuSign allows for one account, over all programs of the customer: hence not all of it.
pub fn rules() -> Rules {
    let budget = |name, seconds, most| Budget { name, span: Duration::from_secs(seconds), most };
    Rules { budgets: vec![budget("burst", 30, 150), budget("hour", 3_600, 2_000)], at_once: 4 }
}

/// DocuSign, as whoever has papers signed sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Docusign {
    calls: Calls,
    sweep_every: Duration,
}

impl Docusign {
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(links: Links) -> Result<Self> {
        Self::with_rules(links, rules(), SWEEP_EVERY)
    }

    /// The same with bounds of one's own.
    ///
    /// # Errors
    /// As above.
    pub fn with_rules(links: Links, rules: Rules, sweep_every: Duration) -> Result<Self> {
        Ok(Self { calls: Calls::new(links, rules)?, sweep_every })
    }

    async fn get(&self, at: Place, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, Fault> {
        let build = |http: &reqwest::Client, access: &providers::Access| {
            http.get(url(&access.base_url, &access.account_id, path, query))
        };
        self.calls.call(at, Effect::None, build).await
    }

    async fn send(
        &self,
        at: Place,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, Fault> {
        let build = |http: &reqwest::Client, access: &providers::Access| {
            http.request(method.clone(), url(&access.base_url, &access.account_id, path, query)).json(body)
        };
        self.calls.call(at, Effect::Some, build).await
    }
}

/// Where something is; what is in a path is never taken for a path.
fn url(base: &str, account: &str, path: &[&str], query: &[(&str, &str)]) -> String {
    let path: Vec<&str> = std::iter::once(account).chain(path.iter().copied()).collect();
    address(&format!("{base}/restapi/v2.1/accounts"), &path, query)
}

/// Texts that nobody writes by chance, and of which none begins like another.
fn anchors(nth: usize, unique: &str) -> Anchors {
    Anchors { signature: format!("SIGN{nth}X{unique}"), date: format!("DATE{nth}X{unique}") }
}

impl Signing for Docusign {
    fn anchors(&self, nth: usize, unique: &str) -> Anchors {
        anchors(nth, unique)
    }

    fn send<'a>(&'a self, at: Place, key: &'a str, envelope: &'a Envelope) -> Asked<'a, Sent> {
        envelopes::send(self, at, key, envelope).boxed()
    }

    fn find<'a>(&'a self, at: Place, key: &'a str) -> Asked<'a, Option<Sent>> {
        envelopes::find(self, at, key).boxed()
    }

    fn look<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Papers> {
        envelopes::look(self, at, envelope_id).boxed()
    }

    fn void<'a>(&'a self, at: Place, envelope_id: &'a str, reason: &'a str) -> Asked<'a, ()> {
        envelopes::void(self, at, envelope_id, reason).boxed()
    }

    fn remind<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, ()> {
        envelopes::remind(self, at, envelope_id).boxed()
    }

    fn signed<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Bytes> {
        envelopes::document(self, at, envelope_id, "combined").boxed()
    }

    fn certificate<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Option<Bytes>> {
        envelopes::document(self, at, envelope_id, "certificate").map_ok(Some).boxed()
    }
}

impl Direct for Docusign {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    /// It has no word for a key.
    fn knows_keys(&self) -> bool {
        false
    }

    fn ask<'a>(&'a self, at: Place, _: &'a str, call: &'a OwnCall) -> BoxFuture<'a, Result<Answer, Fault>> {
        let to =
            move |access: &providers::Access| url(&access.base_url, &access.account_id, &call.steps(), &call.pairs());
        self.calls.own(at, call, to).boxed()
    }
}

impl Sweeper for Docusign {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn every(&self) -> Duration {
        self.sweep_every
    }

    fn sweep<'a>(&'a self, at: Place, since: DateTime<Utc>) -> BoxFuture<'a, Result<Vec<Hint>, Fault>> {
        async move {
            let since = (since - OVERLAP).to_rfc3339_opts(SecondsFormat::Secs, true);
            let (count, mut found) = (PAGE.to_string(), vec![]);
            for page in 0..PAGES_MAX {
                let start = (page * PAGE).to_string();
                let query = [
                    ("from_date", since.as_str()),
                    ("from_to_status", "changed"),
                    ("order_by", "last_modified"),
                    ("order", "asc"),
                    ("count", &count),
                    ("start_position", &start),
                ];
                let answer = self.get(at, &["envelopes"], &query).await?;
                let envelopes = envelopes::good(&answer)?.json::<wire::Envelopes>()?.envelopes;
                let is_last = envelopes.len() < PAGE;
                let ids = envelopes.into_iter().filter_map(|envelope| envelope.envelope_id);
                found.extend(ids.map(|id| Hint { kind: "envelope".to_owned(), id }));
                if is_last {
                    break;
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, _: Place) -> BoxFuture<'a, Result<(), Fault>> {
        // DocuSign takes no grant back from a program: the person withdraws consent there. Ours is destroyed.
        std::future::ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_anchor_begins_like_another() {
        let of = |nth| {
            let Anchors { signature, date } = anchors(nth, "9A");
            [signature, date]
        };
        let all: Vec<String> = [1, 11, 2].into_iter().flat_map(of).collect();
        for one in &all {
            assert_eq!(all.iter().filter(|other| other.starts_with(one.as_str())).count(), 1, "{one}");
        }
    }
}
