//! What the lab knows, and how tests and the control API reach it.

use crate::data::{Docusign, DropboxSign, Tokens, Xero, shown};
use crate::describe::Descriptions;
use crate::faults::{Fault, What};
use crate::quickbooks::Quickbooks;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What becomes of webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// Each is sent once.
    #[default]
    Once,
    /// Each is sent twice.
    Twice,
    /// None is sent.
    Never,
    /// Each is sent with a signature that is not the provider's.
    Forged,
    /// They are held back until somebody lets them go, the last first.
    Held,
}

/// Something that was asked, for tests that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Whom.
    pub provider: String,
    /// How.
    pub method: String,
    /// For what.
    pub path: String,
    /// What the answer was; 0 if none was sent.
    pub status: u16,
}

/// Where webhooks go, and what is held back.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub mood: Mood,
    /// By provider: where messages go whose receiver is not named by what they are about.
    pub urls: BTreeMap<String, String>,
    /// What waits: provider, address, body.
    pub held: Vec<(String, String, String)>,
    /// How many messages there were in each mood.
    pub told: BTreeMap<Mood, usize>,
}

pub(crate) struct Inner {
    pub url: String,
    pub descriptions: Descriptions,
    pub http: reqwest::Client,
    pub faults: Mutex<Vec<Fault>>,
    pub said: Mutex<Vec<Said>>,
    pub violations: Mutex<Vec<String>>,
    pub tokens: Mutex<Tokens>,
    pub outbox: Mutex<Outbox>,
    pub xero: Mutex<Xero>,
    pub quickbooks: Mutex<Quickbooks>,
    pub docusign: Mutex<Docusign>,
    pub dropbox_sign: Mutex<DropboxSign>,
}

/// A lab that runs. Cheap to clone.
#[derive(Clone)]
pub struct Lab(pub(crate) Arc<Inner>);

impl Lab {
    /// Where it answers, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Where a provider's API is.
    pub fn api(&self, provider: &str) -> String {
        format!("{}/{provider}", self.0.url)
    }

    /// Something goes wrong the next times.
    pub fn fault(&self, fault: Fault) {
        self.0.faults.lock().push(fault);
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.0.faults.lock().clear();
    }

    /// What was to go wrong so far, each with how often it still is to.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.lock().clone()
    }

    /// Xero and QuickBooks know none of the keys any more that they were shown, as after some time.
    pub fn forget_keys(&self) {
        self.0.xero.lock().done.clear();
        self.0.quickbooks.lock().done.clear();
    }

    /// How many messages there were in each mood so far.
    pub fn told(&self) -> BTreeMap<Mood, usize> {
        self.0.outbox.lock().told.clone()
    }

    /// What becomes of webhooks from now on.
    pub fn mood(&self, mood: Mood) {
        self.0.outbox.lock().mood = mood;
    }

    /// Where a provider's messages go.
    pub fn webhooks_to(&self, provider: &str, url: &str) {
        self.0.outbox.lock().urls.insert(provider.to_owned(), url.to_owned());
    }

    /// The provider takes none of its grants any more.
    pub fn revoke(&self, provider: &str) {
        self.0.tokens.lock().revoke(provider);
    }

    /// A grant, as if somebody had agreed.
    pub fn grant(&self, provider: &str) -> providers::Grant {
        let mut tokens = self.0.tokens.lock();
        let grant = tokens.grant(provider);
        let text = |name: &str| grant[name].as_str().unwrap_or_default().to_owned();
        let lasts = std::time::Duration::from_secs(u64::try_from(tokens.lasts).unwrap_or_default());
        providers::Grant { access: text("access_token").into(), refresh: Some(text("refresh_token").into()), lasts }
    }

    /// How often a refresh token was worth a new grant.
    pub fn refreshes(&self, provider: &str) -> usize {
        self.0.tokens.lock().refreshes(provider)
    }

    /// How many of its grants the provider takes.
    pub fn grants(&self, provider: &str) -> usize {
        self.0.tokens.lock().grants(provider)
    }

    /// Access tokens are good for so long from now on, seconds.
    pub fn tokens_last(&self, seconds: i64) {
        self.0.tokens.lock().lasts = seconds;
    }

    /// Everything that was asked so far.
    pub fn said(&self) -> Vec<Said> {
        self.0.said.lock().clone()
    }

    /// What was asked or answered otherwise than the providers describe.
    pub fn violations(&self) -> Vec<String> {
        self.0.violations.lock().clone()
    }

    /// Xero's invoices and bills as it has them.
    pub fn invoices(&self) -> Vec<Value> {
        self.0.xero.lock().invoices.values().cloned().collect()
    }

    /// Xero's contacts.
    pub fn contacts(&self) -> Vec<Value> {
        self.0.xero.lock().contacts.values().cloned().collect()
    }

    /// DocuSign's envelopes.
    pub fn envelopes(&self) -> Vec<Value> {
        self.0.docusign.lock().envelopes.values().map(shown).collect()
    }

    /// Nothing dated up to this day is changed any more in the books at Xero and at QuickBooks.
    pub fn close_period(&self, until: chrono::NaiveDate) {
        self.0.xero.lock().closed_until = Some(until);
        self.0.quickbooks.lock().closed_until = Some(until);
    }

    /// Xero and QuickBooks work taxes out by themselves, so many percent of the whole, and do not care what they are told of them.
    pub fn works_out_tax(&self, percent: i64) {
        self.0.xero.lock().own_tax = Some(percent);
        self.0.quickbooks.lock().own_tax = Some(percent);
    }

    /// What is to go wrong with this request, if anything is.
    pub(crate) fn meets(&self, provider: &str, method: &str, path: &str) -> Option<What> {
        let mut faults = self.0.faults.lock();
        let fault = faults.iter_mut().find(|fault| fault.meets(provider, method, path))?;
        fault.times -= 1;
        Some(fault.what.clone())
    }
}
