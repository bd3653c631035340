//! What the providers of the lab have.

use crate::XERO_TENANT;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was given out.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Tokens {
    /// Codes: provider, where they lead, the challenge.
    pub codes: HashMap<String, (String, String, String)>,
    /// Access tokens: provider, until when.
    pub access: HashMap<String, (String, i64)>,
    /// Refresh tokens: provider.
    pub refresh: HashMap<String, String>,
    pub refreshed: HashMap<String, usize>,
    /// Seconds that an access token is good.
    pub lasts: i64,
}

impl Default for Tokens {
    fn default() -> Self {
        let (codes, access, refresh, refreshed) = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        Self { codes, access, refresh, refreshed, lasts: 1_800 }
    }
}

impl Tokens {
    pub fn revoke(&mut self, provider: &str) {
        self.access.retain(|_, (of, _)| of != provider);
        self.refresh.retain(|_, of| of != provider);
    }

    pub fn refreshes(&self, provider: &str) -> usize {
        self.refreshed.get(provider).copied().unwrap_or_default()
    }

    /// How many of its grants a provider takes.
    pub fn grants(&self, provider: &str) -> usize {
        self.refresh.values().filter(|of| *of == provider).count()
    }

    /// The next access token for a refresh token that stays good; none if it is not.
    pub fn renew(&mut self, provider: &str, refresh: &str) -> Option<Value> {
        self.refresh.get(refresh).filter(|of| *of == provider)?;
        *self.refreshed.entry(provider.to_owned()).or_default() += 1;
        let mut grant = self.grant(provider);
        let anew = grant["refresh_token"].as_str().map(str::to_owned);
        anew.and_then(|anew| self.refresh.remove(&anew));
        grant["refresh_token"] = refresh.into();
        Some(grant)
    }

    pub fn grant(&mut self, provider: &str) -> Value {
        let (access, refresh) = (random(), random());
        self.access.insert(access.clone(), (provider.to_owned(), Utc::now().timestamp() + self.lasts));
        self.refresh.insert(refresh.clone(), provider.to_owned());
        json!({ "access_token": access, "refresh_token": refresh, "expires_in": self.lasts, "token_type": "Bearer" })
    }
}

/// What Xero has.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Xero {
    pub organisations: Vec<(String, String)>,
    pub contacts: BTreeMap<String, Value>,
    pub invoices: BTreeMap<String, Value>,
    pub closed_until: Option<NaiveDate>,
    /// So many percent are the tax of everything, whatever is said of it.
    #[serde(default)]
    pub own_tax: Option<i64>,
    /// What was done under an `Idempotency-Key`.
    pub done: HashMap<String, (u16, Value)>,
    pub changed: HashMap<String, DateTime<Utc>>,
    pub sequence: u64,
}

impl Xero {
    pub fn new() -> Self {
        Self {
            organisations: vec![organisation()],
            contacts: BTreeMap::new(),
            invoices: BTreeMap::new(),
            closed_until: None,
            own_tax: None,
            done: HashMap::new(),
            changed: HashMap::new(),
            sequence: 0,
        }
    }
}

/// What DocuSign has.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Docusign {
    /// As it was sent, with its status.
    pub envelopes: BTreeMap<String, Value>,
    pub changed: HashMap<String, DateTime<Utc>>,
}

/// What Dropbox Sign has.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct DropboxSign {
    /// As answers show them, and under `lab` what they do not; the newest last.
    pub requests: BTreeMap<String, Value>,
    /// Those that were cancelled.
    pub gone: BTreeSet<String>,
    /// So many downloads are asked for too early.
    pub late: u32,
    /// Calls of a minute, if they are counted, and how many there were in which.
    pub allows: Option<u32>,
    pub spent: (i64, u32),
}

/// An envelope as lists and answers show it: without its papers.
pub(crate) fn shown(envelope: &Value) -> Value {
    let mut shown = envelope.clone();
    if let Some(object) = shown.as_object_mut() {
        object.remove("documents");
        object.remove("eventNotification");
    }
    shown
}

pub(crate) fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}

/// The organisation that is there without further ado.
pub(crate) fn organisation() -> (String, String) {
    (XERO_TENANT.to_owned(), "Lab Organisation".to_owned())
}
