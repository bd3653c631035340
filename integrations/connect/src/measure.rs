//! How the connections of all firms are, for graphs and alarms: by provider, and never by firm.

use anyhow::Result;
use metrics::gauge;
use providers::{Census, Links, census};

/// Reads how they are. `known` are the providers that are set up here, which are shown also while nobody is connected with them.
pub async fn measure(links: &Links, known: impl Iterator<Item = &'static str>) -> Result<()> {
    let found = census(links.pool()).await?;
    for provider in known.filter(|name| found.iter().all(|census| census.provider != *name)) {
        show(&nobody(provider));
    }
    found.iter().for_each(show);
    Ok(())
}

/// A provider with whom nobody is connected.
fn nobody(provider: &str) -> Census {
    Census {
        provider: provider.to_owned(),
        connected: 0,
        degraded: 0,
        auth_error: 0,
        paused: 0,
        lag_seconds: 0.0,
        waiting: 0,
        calls_left: None,
    }
}

fn show(census: &Census) {
    let Census { provider, connected, degraded, auth_error, paused, lag_seconds, waiting, calls_left } = census;
    let states = [("connected", connected), ("degraded", degraded), ("auth_error", auth_error), ("paused", paused)];
    for (state, count) in states {
        gauge!("provider_connections", "provider" => provider.clone(), "state" => state).set(*count as f64);
    }
    gauge!("provider_sync_lag_seconds", "provider" => provider.clone()).set(*lag_seconds);
    gauge!("provider_jobs_waiting", "provider" => provider.clone()).set(*waiting as f64);
    if let Some(calls_left) = calls_left {
        gauge!("provider_calls_left", "provider" => provider.clone()).set(*calls_left as f64);
    }
}
