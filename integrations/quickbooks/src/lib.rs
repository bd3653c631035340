//! Books at QuickBooks Online: invoices, bills, customers, vendors and payments.
//!
//! Every write carries a `requestid`, which QuickBooks answers a second time as it did the first, and what is changed is read just
//! before, because its `SyncToken` counts what others did to it. How things are is asked; what QuickBooks says by itself is a hint.

mod entry;
mod ledger;
mod means;
mod party;
mod payment;
mod sweep;
mod webhook;
mod wire;

pub use webhook::QuickbooksDoor;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use kernel::Money;
use ports::{Asked, Book, Booked, Entry, Fault, GONE, Ledger, Party, PartyRef, Payment, Place};
use providers::{Access, Answer, Budget, Calls, Direct, Effect, Hint, Links, OwnCall, Rules, Sweeper, address};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use uuid::Uuid;

/// Its name in settings and addresses.
pub const PROVIDER: &str = "quickbooks";
/// What its hints call an invoice or a bill.
pub const ENTRY: &str = "entry";
/// The shape of what is asked and answered.
const MINOR_VERSION: (&str, &str) = ("minorversion", "75");
/// How often it is asked what no message said.
const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);
/// Things of one answer at most.
const PAGE: usize = 1_000;

/// What QuickBooks allows for one company, minus what others of the firm's programs may need.
pub fn rules() -> Rules {
    Rules { budgets: vec![Budget { name: "minute", span: Duration::from_secs(60), most: 400 }], at_once: 6 }
}

/// QuickBooks, as whoever keeps books there sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Quickbooks {
    calls: Calls,
    sweep_every: Duration,
}

impl Quickbooks {
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
        let build = |http: &reqwest::Client, access: &Access| {
            http.get(url(access, path, query)).header("accept", "application/json")
        };
        self.calls.call(at, Effect::None, build).await
    }

    /// Reads one thing of this name.
    async fn read<T: DeserializeOwned>(&self, at: Place, name: &str, id: &str) -> Result<T, Fault> {
        let answer = self.get(at, &[&name.to_lowercase(), id], &[]).await?;
        one(good(&answer)?, name).map_err(|fault| match fault {
            // Who only asks has done nothing.
            Fault::Unknown(why) => Fault::Later(None, why),
            fault => fault,
        })
    }

    /// Asks for things of this name by a query.
    async fn query<T: DeserializeOwned>(&self, at: Place, name: &str, rest: &str) -> Result<Vec<T>, Fault> {
        let asked = format!("select * from {name} {rest}");
        let answer = self.get(at, &["query"], &[("query", &asked)]).await?;
        let found = good(&answer)?.json::<wire::Queried>()?.response.remove(name);
        found.map_or_else(|| Ok(vec![]), |found| read(found.get()))
    }

    /// Writes one thing of this name, once for each key; `operation` is `void` or `delete` if it is to end.
    async fn write<T: DeserializeOwned>(
        &self,
        at: Place,
        name: &str,
        key: &str,
        operation: Option<&str>,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Fault> {
        let key = request_id(key);
        let mut query = vec![("requestid", key.as_str())];
        query.extend(operation.map(|operation| ("operation", operation)));
        let build = |http: &reqwest::Client, access: &Access| {
            let call = http.post(url(access, &[&name.to_lowercase()], &query));
            call.header("accept", "application/json").json(body)
        };
        let answer = self.calls.call(at, Effect::Some, build).await?;
        one(good(&answer)?, name)
    }
}

/// Where something of the company is.
fn url(access: &Access, path: &[&str], query: &[(&str, &str)]) -> String {
    let path: Vec<&str> = ["v3", "company", &access.account_id].into_iter().chain(path.iter().copied()).collect();
    let query: Vec<(&str, &str)> = query.iter().copied().chain([MINOR_VERSION]).collect();
    address(&access.base_url, &path, &query)
}

/// A key as QuickBooks takes it, which is shorter than ours may be.
fn request_id(key: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("quickbooks {key}").as_bytes()).to_string()
}

/// A text in a query.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Later(None, format!("an answer cannot be read: {error}")))
}

/// The thing of this name in an answer.
fn one<T: DeserializeOwned>(answer: &Answer, name: &str) -> Result<T, Fault> {
    let unread = |why: String| Fault::Unknown(format!("QuickBooks answers no {name} that can be read: {why}"));
    let found = answer.json::<wire::Named>()?.remove(name).ok_or_else(|| unread("there is none".to_owned()))?;
    serde_json::from_str(found.get()).map_err(|error| unread(error.to_string()))
}

/// What a [`Fault::Never`] is called by here if somebody else has changed the thing meanwhile.
const STALE: &str = "stale";

/// The answer if it is good; else what QuickBooks does not like.
fn good(answer: &Answer) -> Result<&Answer, Fault> {
    if answer.is_good() {
        return Ok(answer);
    }
    let disliked: wire::Disliked = serde_json::from_slice(&answer.body).unwrap_or_default();
    let told = disliked.told();
    let said = told.to_lowercase();
    let code = match (disliked.code(), answer.status.as_u16()) {
        ("3001", _) => {
            return Err(Fault::Later(Some(Duration::from_secs(60)), "the provider was asked too often".into()));
        }
        ("5010", _) => STALE,
        ("610", _) | ("", 404) => GONE,
        ("6140" | "6240", _) => "taken",
        ("6210", _) => "period_closed",
        _ if said.contains("period has closed") || said.contains("period is closed") => "period_closed",
        _ if said.contains("currency") => "currency_not_enabled",
        (_, 400..=499) => "refused",
        _ => return Err(Fault::Later(None, format!("QuickBooks answers {}", answer.status))),
    };
    let told = if told.is_empty() { format!("QuickBooks answers {}", answer.status) } else { told };
    // Its support asks for this.
    let tid = answer.headers.get("intuit_tid").and_then(|tid| tid.to_str().ok());
    Err(Fault::Never(code, tid.map_or_else(|| told.clone(), |tid| format!("{told} (intuit_tid {tid})"))))
}

impl Ledger for Quickbooks {
    fn party<'a>(&'a self, at: Place, key: &'a str, party: &'a Party) -> Asked<'a, PartyRef> {
        party::party(self, at, key, party).boxed()
    }

    fn book<'a>(&'a self, at: Place, key: &'a str, entry: &'a Entry) -> Asked<'a, Booked> {
        ledger::book(self, at, key, entry).boxed()
    }

    fn find<'a>(&'a self, at: Place, book: Book, number: &'a str, party_id: &'a str) -> Asked<'a, Option<Booked>> {
        ledger::find(self, at, book, number, party_id).boxed()
    }

    fn look<'a>(&'a self, at: Place, entry_id: &'a str) -> Asked<'a, Booked> {
        ledger::look(self, at, entry_id).boxed()
    }

    fn void<'a>(&'a self, at: Place, key: &'a str, entry_id: &'a str) -> Asked<'a, ()> {
        ledger::void(self, at, key, entry_id).boxed()
    }

    fn pay<'a>(
        &'a self,
        at: Place,
        key: &'a str,
        entry_id: &'a str,
        account: &'a str,
        payment: (NaiveDate, Money),
    ) -> Asked<'a, Payment> {
        payment::pay(self, at, key, entry_id, account, payment).boxed()
    }
}

impl Direct for Quickbooks {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn knows_keys(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, at: Place, key: &'a str, call: &'a OwnCall) -> BoxFuture<'a, Result<Answer, Fault>> {
        async move {
            let key = request_id(key);
            let mut query = call.pairs();
            if call.method != Method::GET {
                query.push(("requestid", &key));
            }
            let build = |http: &reqwest::Client, access: &Access| {
                let request = http.request(call.method.clone(), url(access, &call.steps(), &query));
                let request = request.header("accept", "application/json");
                match &call.body {
                    Some(body) => request.json(body),
                    None => request,
                }
            };
            self.calls.call(at, call.effect(), build).await
        }
        .boxed()
    }
}

impl Sweeper for Quickbooks {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn every(&self) -> Duration {
        self.sweep_every
    }

    fn sweep<'a>(&'a self, at: Place, since: DateTime<Utc>) -> BoxFuture<'a, Result<Vec<Hint>, Fault>> {
        sweep::sweep(self, at, since).boxed()
    }

    fn revoke<'a>(&'a self, at: Place) -> BoxFuture<'a, Result<(), Fault>> {
        self.calls.links().give_back(at).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_enough_and_the_same_for_the_same() {
        let long = "k".repeat(128);
        assert_eq!(request_id(&long), request_id(&long));
        assert_ne!(request_id("a"), request_id("b"));
        assert!(request_id(&long).len() <= 50);
    }

    #[test]
    fn a_name_in_a_query_ends_where_it_ends() {
        assert_eq!(quoted(r"O'Neill \ Sons"), r"'O\'Neill \\ Sons'");
    }
}
