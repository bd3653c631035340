//! What the pages and the door need.

use ::web::{BodyLimits, Sessions};
use event_store::Store;
use providers::{Adapter, Keeper};
use std::sync::Arc;

/// Where somebody of the firm connects it with a provider, and where providers come in.
pub struct Desk {
    pub(crate) store: Store,
    pub(crate) keeper: Keeper,
    /// Where it is put aside who is at a provider; without it nobody goes there.
    pub(crate) sessions: Option<Sessions>,
    adapters: Vec<Arc<dyn Adapter>>,
    /// What a message of a provider may cost.
    pub(crate) limits: BodyLimits,
    /// Where browsers find this service, without a slash at the end.
    pub(crate) public_url: String,
    /// Where users go when they are done, without a slash at the end.
    pub(crate) app_url: String,
}

impl Desk {
    /// For these providers. `public_url` is where browsers and providers find command-api, `app_url` where users go afterwards.
    pub fn new(
        store: Store,
        keeper: Keeper,
        sessions: Option<Sessions>,
        adapters: Vec<Arc<dyn Adapter>>,
        limits: BodyLimits,
        (public_url, app_url): (String, String),
    ) -> Self {
        Self { store, keeper, sessions, adapters, limits, public_url, app_url }
    }

    /// The provider of this name, if it is set up here.
    pub(crate) fn adapter(&self, name: &str) -> Option<&dyn Adapter> {
        self.adapters.iter().find(|adapter| adapter.provider() == name).map(|adapter| &**adapter)
    }
}
