//! Books at Xero: invoices, bills, contacts and payments.
//!
//! Things are made with PUT, which never writes over another, and changed by their id alone; every PUT and POST carries an
//! `Idempotency-Key`. How things are is asked; what Xero says by itself is a hint.

mod ledger;
mod webhook;
mod wire;

pub use webhook::XeroDoor;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use kernel::Money;
use ports::{Asked, Book, Booked, Entry, Fault, Ledger, Party, PartyRef, Payment, Place};
use providers::{Answer, Budget, Calls, Direct, Effect, Hint, Links, OwnCall, Rules, Sweeper, address};
use reqwest::Method;
use serde::Serialize;
use std::time::Duration;

/// Its name in settings and addresses.
pub const PROVIDER: &str = "xero";
/// What its hints call an invoice or a bill.
pub const ENTRY: &str = "invoice";
/// How often it is asked what no message said.
const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);
/// What is asked for again, in case clocks differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// Things of one page.
const PAGE: usize = 100;
/// Pages of one sweep at most.
const PAGES_MAX: usize = 50;

/// What Xero allows for one organisation, minus what others of the firm's programs may need.
pub fn rules() -> Rules {
    let budget = |name, seconds, most| Budget { name, span: Duration::from_secs(seconds), most };
    Rules { budgets: vec![budget("minute", 60, 55), budget("day", 86_400, 4_800)], at_once: 4 }
}

/// Xero, as whoever keeps books there sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Xero {
    calls: Calls,
    sweep_every: Duration,
}

impl Xero {
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

    async fn get(
        &self,
        at: Place,
        path: &[&str],
        query: &[(&str, &str)],
        since: Option<&str>,
    ) -> Result<Answer, Fault> {
        self.calls
            .call(at, Effect::None, |http, access| {
                let call = http.get(url(&access.base_url, path, query)).header("xero-tenant-id", &access.account_id);
                let call = call.header("accept", "application/json");
                match since {
                    Some(since) => call.header("if-modified-since", since),
                    None => call,
                }
            })
            .await
    }

    async fn send(
        &self,
        at: Place,
        method: Method,
        path: &[&str],
        key: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, Fault> {
        self.calls
            .call(at, Effect::Some, |http, access| {
                http.request(method.clone(), url(&access.base_url, path, &[]))
                    .header("xero-tenant-id", &access.account_id)
                    .header("accept", "application/json")
                    .header("idempotency-key", key)
                    .json(body)
            })
            .await
    }
}

/// Where something is.
fn url(base: &str, path: &[&str], query: &[(&str, &str)]) -> String {
    address(&format!("{base}/api.xro/2.0"), path, query)
}

/// As `If-Modified-Since` takes it: UTC, without a part of a second.
fn modified_since(moment: DateTime<Utc>) -> String {
    (moment - OVERLAP).format("%Y-%m-%dT%H:%M:%S").to_string()
}

impl Ledger for Xero {
    fn party<'a>(&'a self, at: Place, key: &'a str, party: &'a Party) -> Asked<'a, PartyRef> {
        ledger::party(self, at, key, party).boxed()
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
        payment: (chrono::NaiveDate, Money),
    ) -> Asked<'a, Payment> {
        ledger::pay(self, at, key, entry_id, account, payment).boxed()
    }
}

impl Direct for Xero {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn knows_keys(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, at: Place, key: &'a str, call: &'a OwnCall) -> BoxFuture<'a, Result<Answer, Fault>> {
        async move {
            let build = |http: &reqwest::Client, access: &providers::Access| {
                let to = url(&access.base_url, &call.steps(), &call.pairs());
                let request = http.request(call.method.clone(), to).header("xero-tenant-id", &access.account_id);
                let request = request.header("accept", "application/json").header("idempotency-key", key);
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

impl Sweeper for Xero {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn every(&self) -> Duration {
        self.sweep_every
    }

    fn sweep<'a>(&'a self, at: Place, since: DateTime<Utc>) -> BoxFuture<'a, Result<Vec<Hint>, Fault>> {
        async move {
            let (since, mut found) = (modified_since(since), vec![]);
            for page in 1..=PAGES_MAX {
                let query = [("page", page.to_string()), ("pageSize", PAGE.to_string())];
                let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let answer = self.get(at, &["Invoices"], &query, Some(&since)).await?;
                // Nothing has changed.
                if answer.status.as_u16() == 304 {
                    break;
                }
                let invoices = ledger::good(&answer)?.json::<wire::Invoices>()?.invoices;
                let (count, ids) = (invoices.len(), invoices.into_iter().filter_map(|invoice| invoice.invoice_id));
                found.extend(ids.map(|id| Hint { kind: ENTRY.to_owned(), id }));
                if count < PAGE {
                    break;
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, at: Place) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let access = self.calls.links().access(at, None).await?;
            let found =
                self.calls.call(at, Effect::None, |http, access| http.get(format!("{}/connections", access.base_url)));
            let found: Vec<serde_json::Value> = ledger::good(&found.await?)?.json()?;
            let ours = found.iter().find(|one| one["tenantId"] == access.account_id.as_str());
            let Some(id) = ours.and_then(|one| one["id"].as_str()) else { return Ok(()) };
            let ended = self.calls.call(at, Effect::None, |http, access| {
                let mut at = format!("{}/connections/", access.base_url);
                at.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
                http.delete(at)
            });
            ended.await.map(drop)
        }
        .boxed()
    }
}
