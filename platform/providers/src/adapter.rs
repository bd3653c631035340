//! What a provider is to those who know none by name.

use crate::OAuth;
use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use ports::{Fault, Place};
use reactions::Outcome;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// An account that a grant reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider's id of it.
    pub id: String,
    /// What the provider calls it.
    pub label: String,
    /// Where it is asked for things, without a slash at the end.
    pub base_url: String,
}

/// Something that may have changed at a provider. How it is now is asked there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hint {
    /// What it is: `invoice`, `envelope`.
    pub kind: String,
    /// The provider's id of it.
    pub id: String,
}

/// What claims to come from the provider does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not that of the provider")]
pub struct NotGenuine;

/// A provider, as the door sees it: who comes in there, and what is said there.
pub trait Adapter: Send + Sync + 'static {
    /// Its name: `xero`.
    fn provider(&self) -> &'static str;

    /// Where people agree.
    fn oauth(&self) -> &OAuth;

    /// The accounts that a grant reaches.
    fn accounts<'a>(&'a self, access: &'a SecretString) -> BoxFuture<'a, Result<Vec<Account>>>;

    /// The same, where only the address that the browser came back to says which: `told` are the pairs that stood there.
    fn accounts_told<'a>(
        &'a self,
        access: &'a SecretString,
        _told: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Vec<Account>>> {
        self.accounts(access)
    }

    /// What a message is answered with once it is taken in; a provider that looks for other words sends it again.
    fn thanks(&self) -> &'static str {
        ""
    }

    /// What a message says that may have changed in this account. `header` answers the header of a name, if there is one.
    ///
    /// # Errors
    /// [`NotGenuine`] unless it is signed with the provider's key, over these very bytes.
    fn hear(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        account_id: &str,
    ) -> Result<Vec<Hint>, NotGenuine>;
}

/// A provider, as whoever looks after its connections sees it.
pub trait Sweeper: Send + Sync + 'static {
    /// Its name: `xero`.
    fn provider(&self) -> &'static str;

    /// How often it is asked what no message said.
    fn every(&self) -> Duration;

    /// Everything that has changed since then.
    fn sweep<'a>(&'a self, at: Place, since: DateTime<Utc>) -> BoxFuture<'a, Result<Vec<Hint>, Fault>>;

    /// Gives the grant back, if the provider takes it.
    fn revoke<'a>(&'a self, at: Place) -> BoxFuture<'a, Result<(), Fault>>;
}

/// Wants to know when something may have changed at a provider.
pub trait Hears: Send + Sync + 'static {
    /// Of which provider, and what kind of thing.
    fn of(&self) -> (&'static str, &'static str);

    /// Asks the provider how it is now, and tells the record. Comes again with the same id, also for what did not change.
    fn changed<'a>(&'a self, at: Place, id: &'a str) -> BoxFuture<'a, Outcome>;
}
