//! What every page of a login needs, and where things are.

use crate::provider::Provider;
use crate::reply::invalid;
use ::web::{BodyLimits, Problem, Sessions};
use event_store::CommandBus;
use sqlx::PgPool;
use std::time::Duration;
use url::Url;

/// Bytes of what is asked for in a body here.
pub(crate) const BODY_BYTES_MAX: usize = 4_096;
/// How long it may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// How long somebody may take at the provider.
pub(crate) const AWAY: Duration = Duration::from_secs(600);

/// Everything a login needs.
pub struct Login {
    pub(crate) bus: CommandBus,
    pub(crate) pool: PgPool,
    pub(crate) sessions: Sessions,
    pub(crate) limits: BodyLimits,
    providers: Vec<Provider>,
    pub(crate) public_url: String,
    pub(crate) app_url: String,
    pub(crate) portal_url: String,
}

/// Where things are, each without a slash at the end.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Where browsers find this service.
    pub public_url: String,
    /// Where users go when they are in.
    pub app_url: String,
    /// Where portal users go when they are in.
    pub portal_url: String,
}

impl Login {
    /// Lets people in through `providers`, and portal users by links. `pool` connects as `ubos_command`.
    pub fn new(
        bus: CommandBus,
        pool: PgPool,
        sessions: Sessions,
        providers: Vec<Provider>,
        addresses: Addresses,
    ) -> Self {
        let Addresses { public_url, app_url, portal_url } = addresses;
        let limits = BodyLimits { bytes_max: BODY_BYTES_MAX, time_max: BODY_TIME_MAX };
        Self { bus, pool, sessions, limits, providers, public_url, app_url, portal_url }
    }

    /// The portal's origin, for a browser that asks where a form may lead.
    pub(crate) fn portal_origin(&self) -> String {
        origin(&self.portal_url)
    }

    /// The app's.
    pub(crate) fn app_origin(&self) -> String {
        origin(&self.app_url)
    }

    pub(crate) fn provider(&self, name: &str) -> Result<&Provider, Problem> {
        let known = self.providers.iter().find(|provider| provider.name() == name);
        known.ok_or_else(|| {
            let names: Vec<&str> = self.providers.iter().map(Provider::name).collect();
            invalid("provider", &format!("expected one of {}", names.join(", ")))
        })
    }

    pub(crate) fn callback(&self) -> String {
        format!("{}/v1/login/callback", self.public_url)
    }
}

fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}
