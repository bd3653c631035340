//! What stands before both services, from the settings.

use ::web::{
    ForwardedHeader, Front, HeadLimits, Limits, Quota, Quotas, ServerSettings, TrustedProxies, strict_transport,
};
use anyhow::{Context, Result, ensure};
use runtime::settings::{self, HttpSettings, RateLimitSettings, Settings};
use runtime::tls;
use std::time::Duration;
use url::Url;

/// Reads the settings; fails for one that means nothing.
pub fn build(settings: &Settings) -> Result<Front> {
    let http = &settings.http;
    for origin in &http.cors_origins {
        let parsed = Url::parse(origin).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
        let is_one = parsed.is_some_and(|parsed| parsed.ascii_serialization() == *origin);
        ensure!(
            is_one,
            "settings: http.cors_origins: expected an origin such as https://app.example.com, got {origin}"
        );
    }
    let network = |text: &String| {
        text.parse().with_context(|| {
            format!("settings: http.trusted_proxies: expected a network such as 10.0.0.0/8, got {text}")
        })
    };
    let header = match http.forwarded_header {
        settings::ForwardedHeader::XForwardedFor => ForwardedHeader::XForwardedFor,
        settings::ForwardedHeader::Forwarded => ForwardedHeader::Forwarded,
    };
    let networks = http.trusted_proxies.iter().map(network).collect::<Result<_>>()?;
    Ok(Front {
        limits: limits(settings)?,
        proxies: TrustedProxies { networks, header },
        head: HeadLimits {
            uri_bytes_max: http.uri_bytes_max,
            headers_max: http.headers_max,
            header_bytes_max: http.header_bytes_max,
        },
        origins: http.cors_origins.clone(),
        strict_transport: strict_transport(Duration::from_secs(http.hsts_seconds)),
        ..Front::default()
    })
}

fn limits(settings: &Settings) -> Result<Option<Limits>> {
    let limits @ RateLimitSettings { enabled, window_seconds, .. } = &settings.rate_limits;
    if !enabled {
        return Ok(None);
    }
    let quota = |requests, seconds| (requests > 0).then_some(Quota { requests, window: Duration::from_secs(seconds) });
    let quotas = Quotas {
        address: quota(limits.address_requests, *window_seconds),
        failures: quota(limits.address_failures, 60),
        logins: quota(limits.address_logins, 60),
        caller: quota(limits.caller_requests, *window_seconds),
        key: quota(limits.key_requests, *window_seconds),
        tenant: quota(limits.tenant_requests, *window_seconds),
    };
    let Some(redis) = tls::redis_client(&settings.redis)? else { return Ok(Some(Limits::local(quotas))) };
    Ok(Some(Limits::shared(quotas, redis, Duration::from_millis(limits.redis_timeout_ms))?))
}

/// What clients may take up.
pub fn server(http: &HttpSettings) -> ServerSettings {
    ServerSettings {
        workers: http.workers,
        connections_max: http.connections_max,
        connections_per_address_max: http.connections_per_address_max,
        header_timeout: Duration::from_millis(http.header_timeout_ms),
        keep_alive: Duration::from_millis(http.keep_alive_ms),
        answer_timeout: Duration::from_millis(http.answer_timeout_ms),
        drain_timeout: Duration::from_millis(http.drain_timeout_ms),
    }
}
