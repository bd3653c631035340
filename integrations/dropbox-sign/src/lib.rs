//! Papers signed by Dropbox Sign: signature requests, their state, and the signed documents.
//!
//! It knows no keys: a request says ours in its metadata, and is looked for before it is sent. What it says by itself is signed so
//! weakly that whoever has heard one message can write others, so that is a hint and no more; how a request stands is asked.

mod requests;
mod webhook;
mod wire;

pub use webhook::DropboxSignDoor;

use anyhow::Result;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use ports::{Anchors, Asked, Envelope, Fault, Papers, Place, Sent, Signing};
use providers::{Access, Answer, Budget, Calls, Direct, Effect, Hint, Links, OwnCall, Rules, Sweeper, address};
use serde::Serialize;
use std::time::Duration;
use wire::SignatureRequest;

/// Its name in settings and addresses.
pub const PROVIDER: &str = "dropbox_sign";
/// How often it is asked what no message said.
const SWEEP_EVERY: Duration = Duration::from_secs(16 * 60);
/// For so long a request can be open.
const OPEN_FOR: TimeDelta = TimeDelta::days(91);
/// How long somebody may look at a request before declining it: when they do is not told.
const THINKS: TimeDelta = TimeDelta::days(1);
/// What is asked for again, in case clocks differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// What Dropbox Sign allows for one account, over all programs of the customer: hence not all of it.
pub fn rules(test_mode: bool) -> Rules {
    let most = if test_mode { 8 } else { 60 };
    Rules { budgets: vec![Budget { name: "minute", span: Duration::from_secs(60), most }], at_once: 4 }
}

/// Dropbox Sign, as whoever has papers signed sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DropboxSign {
    calls: Calls,
    sweep_every: Duration,
    /// What is signed binds nobody.
    test_mode: bool,
}

impl DropboxSign {
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(links: Links, test_mode: bool) -> Result<Self> {
        Self::with_rules(links, rules(test_mode), SWEEP_EVERY, test_mode)
    }

    /// The same with bounds of one's own.
    ///
    /// # Errors
    /// As above.
    pub fn with_rules(links: Links, rules: Rules, sweep_every: Duration, test_mode: bool) -> Result<Self> {
        Ok(Self { calls: Calls::new(links, rules)?, sweep_every, test_mode })
    }

    async fn get(&self, at: Place, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, Fault> {
        let build = |http: &reqwest::Client, access: &Access| http.get(url(access, path, query));
        self.calls.call(at, Effect::None, build).await
    }

    async fn post(&self, at: Place, path: &[&str], body: Option<&(impl Serialize + Sync)>) -> Result<Answer, Fault> {
        let build = |http: &reqwest::Client, access: &Access| {
            let call = http.post(url(access, path, &[]));
            match body {
                Some(body) => call.json(body),
                None => call,
            }
        };
        self.calls.call(at, Effect::Some, build).await
    }
}

fn url(access: &Access, path: &[&str], query: &[(&str, &str)]) -> String {
    address(&format!("{}/v3", access.base_url), path, query)
}

impl Signing for DropboxSign {
    /// Text tags name a signer by number, so that nothing else tells them apart.
    fn anchors(&self, nth: usize, _: &str) -> Anchors {
        requests::anchors(nth)
    }

    fn send<'a>(&'a self, at: Place, key: &'a str, envelope: &'a Envelope) -> Asked<'a, Sent> {
        requests::send(self, at, key, envelope).boxed()
    }

    fn find<'a>(&'a self, at: Place, key: &'a str) -> Asked<'a, Option<Sent>> {
        requests::find(self, at, key).boxed()
    }

    fn look<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Papers> {
        requests::look(self, at, envelope_id).boxed()
    }

    fn void<'a>(&'a self, at: Place, envelope_id: &'a str, _: &'a str) -> Asked<'a, ()> {
        requests::void(self, at, envelope_id).boxed()
    }

    fn remind<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, ()> {
        requests::remind(self, at, envelope_id).boxed()
    }

    fn signed<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Bytes> {
        requests::signed(self, at, envelope_id).boxed()
    }

    fn certificate<'a>(&'a self, _: Place, _: &'a str) -> Asked<'a, Option<Bytes>> {
        // The last pages of the signed papers are it.
        std::future::ready(Ok(None)).boxed()
    }
}

impl Direct for DropboxSign {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    /// It has no word for a key.
    fn knows_keys(&self) -> bool {
        false
    }

    fn ask<'a>(&'a self, at: Place, _: &'a str, call: &'a OwnCall) -> BoxFuture<'a, Result<Answer, Fault>> {
        self.calls.own(at, call, move |access: &Access| url(access, &call.steps(), &call.pairs())).boxed()
    }
}

impl Sweeper for DropboxSign {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn every(&self) -> Duration {
        self.sweep_every
    }

    /// It cannot be asked for what has changed: everything that may still be open is looked through.
    fn sweep<'a>(&'a self, at: Place, since: DateTime<Utc>) -> BoxFuture<'a, Result<Vec<Hint>, Fault>> {
        async move {
            let (mut found, since) = (vec![], since - OVERLAP);
            let looking = requests::each_since(self, at, since - OPEN_FOR, |request| {
                let id = request.signature_request_id.clone().filter(|_| may_have_changed(request, since));
                found.extend(id.map(|id| Hint { kind: "envelope".to_owned(), id }));
                true
            });
            if !looking.await? {
                tracing::warn!(connection = %at.connection, "there are more requests than a sweep looks through");
            }
            Ok(found)
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, _: Place) -> BoxFuture<'a, Result<(), Fault>> {
        // Dropbox Sign takes no grant back from a program: the person ends the app's access there. Ours is destroyed.
        std::future::ready(Ok(())).boxed()
    }
}

/// Ours, and something happened since then, as far as that is told.
fn may_have_changed(request: &SignatureRequest, since: DateTime<Utc>) -> bool {
    let (is_ours, moved) = (request.metadata.get(requests::KEY).is_some(), request.moved_at().unwrap_or_default());
    // Nobody says when a request was declined or failed, and one that was not signed in time says nothing at all.
    let has_ended = request.is_declined == Some(true) || request.has_error == Some(true);
    let expired_at = request.expires_at.filter(|_| request.is_complete != Some(true));
    let is_recent = |at: i64, since: DateTime<Utc>| at >= since.timestamp();
    is_ours
        && (is_recent(moved, since)
            || has_ended && is_recent(moved, since - THINKS)
            || expired_at.is_some_and(|at| is_recent(at, since) && at <= Utc::now().timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_sweep_finds_what_moved_declined_or_expired_and_is_ours() {
        let since = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let changed = |more: Value| {
            let mut read =
                json!({ "signature_request_id": "r", "metadata": { "ubos_key": "k" }, "created_at": 900_000 });
            read.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            may_have_changed(&serde_json::from_value(read).unwrap(), since)
        };
        let signed = |at: i64| json!({ "signatures": [{ "status_code": "signed", "signed_at": at }] });
        assert!(changed(signed(1_000_001)));
        assert!(!changed(signed(999_000)));
        let looked =
            |more: Value| changed(json!({ "signatures": [{ "last_viewed_at": 990_000 }], "is_declined": more }));
        assert!(looked(json!(true)) && !looked(json!(false)));
        assert!(changed(json!({ "expires_at": 1_000_500 })));
        assert!(!changed(json!({ "expires_at": Utc::now().timestamp() + 60 })), "it can still be signed");
        let mut others = signed(1_000_001);
        others["metadata"] = json!({});
        assert!(!changed(others));
    }
}
