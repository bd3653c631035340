//! The one way to connect to NATS.

use anyhow::{Context as _, Result};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use parking_lot::Mutex;
use runtime::tls::TlsFiles;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that waits for NATS in the background, now and whenever it goes away. Fails only for a URL that is none.
///
/// User and password come from the URL, which the client library leaves unread; several servers of a cluster are
/// separated by commas.
pub async fn connect(url: &str, name: &str) -> Result<Client> {
    connect_with(url, name, &TlsFiles::default()).await
}

/// The same with files for TLS; with authorities a server without TLS is told nothing.
pub async fn connect_with(url: &str, name: &str, tls: &TlsFiles) -> Result<Client> {
    let servers = servers(url)?;
    let place = place(url);
    let said = Arc::new(Mutex::new(None::<Instant>));
    let options = options(name, &servers, tls).retry_on_initial_connect().event_callback(move |event| {
        // The library tries on for ever and says nothing by itself; a try fails many times a minute.
        let mut last = said.lock();
        match event {
            Event::Connected => *last = None,
            Event::ClientError(error) if last.is_none_or(|last| last.elapsed() > SAY_AGAIN) => {
                *last = Some(Instant::now());
                tracing::warn!(error = %error, "{place} cannot be reached, trying on");
            }
            _ => {}
        }
        std::future::ready(())
    });
    options.connect(servers).await.context("connecting to NATS")
}

/// While NATS is away this is said again at this interval.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// A client for somebody who waits at a prompt: NATS is there now, or the error says where it is not and why.
///
/// # Errors
/// When none of the servers lets us in.
pub async fn connect_now(url: &str, name: &str, tls: &TlsFiles) -> Result<Client> {
    let servers = servers(url)?;
    let unreachable = || format!("{} cannot be reached", place(url));
    options(name, &servers, tls).connect(servers).await.with_context(unreachable)
}

/// Where the servers of a URL are, without users and passwords: `NATS at a.example:4222, b.example:4222`.
pub fn place(url: &str) -> String {
    let servers = servers(url).unwrap_or_default();
    let servers: Vec<_> = servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
    format!("NATS at {}", servers.join(", "))
}

fn servers(url: &str) -> Result<Vec<ServerAddr>> {
    // The error must not show the password.
    let parsed = url.split(',').map(|url| url.trim().parse::<ServerAddr>().ok().context("nats.url is not a NATS URL"));
    parsed.collect()
}

fn options(name: &str, servers: &[ServerAddr], tls: &TlsFiles) -> ConnectOptions {
    let mut options = ConnectOptions::new()
        .name(name)
        .connection_timeout(Duration::from_secs(3))
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(|attempts| Duration::from_millis(50 * attempts.min(20) as u64));
    if let Some((user, password)) = servers.iter().find_map(|s| Some((s.username()?, s.password()?))) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    if let Some(authorities) = &tls.authorities {
        options = options.add_root_certificates(authorities.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    options
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_wrong_url_is_named_without_its_password() {
        let error = super::connect("nats://user:secret@:::", "test").await.unwrap_err();
        assert_eq!(format!("{error:#}"), "nats.url is not a NATS URL");
    }

    #[tokio::test]
    async fn whoever_waits_at_a_prompt_is_told_which_server_is_away_and_why() {
        let url = "nats://reader:s3cret@127.0.0.1:1,nats://reader:s3cret@127.0.0.1:2";
        let error = super::connect_now(url, "test", &super::TlsFiles::default()).await.unwrap_err();
        let message = format!("{error:#}");
        assert!(message.starts_with("NATS at 127.0.0.1:1, 127.0.0.1:2 cannot be reached: "), "{message}");
        assert!(message.contains("refused") && !message.contains("s3cret"), "{message}");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_waited_for() {
        let client = super::connect("nats://127.0.0.1:1,nats://127.0.0.1:2", "test").await.unwrap();
        assert_ne!(client.connection_state(), async_nats::connection::State::Connected);
    }
}
