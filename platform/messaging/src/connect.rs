//! The one way to connect to NATS.

use anyhow::{Context as _, Result};
use async_nats::{Client, ConnectOptions, ServerAddr};
use runtime::tls::TlsFiles;
use std::time::Duration;

/// A client that waits for NATS in the background, now and whenever it goes away. Fails only for a URL that is none.
///
/// User and password come from the URL, which the client library leaves unread; several servers of a cluster are
/// separated by commas.
pub async fn connect(url: &str, name: &str) -> Result<Client> {
    connect_with(url, name, &TlsFiles::default()).await
}

/// The same with files for TLS; with authorities a server without TLS is told nothing.
pub async fn connect_with(url: &str, name: &str, tls: &TlsFiles) -> Result<Client> {
    let mut servers = vec![];
    for url in url.split(',') {
        // The error must not show the password.
        servers.push(url.trim().parse::<ServerAddr>().ok().context("nats.url is not a NATS URL")?);
    }
    let mut options = ConnectOptions::new()
        .name(name)
        .retry_on_initial_connect()
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
    options.connect(servers).await.context("connecting to NATS")
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_wrong_url_is_named_without_its_password() {
        let error = super::connect("nats://user:secret@:::", "test").await.unwrap_err();
        assert_eq!(format!("{error:#}"), "nats.url is not a NATS URL");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_waited_for() {
        let client = super::connect("nats://127.0.0.1:1,nats://127.0.0.1:2", "test").await.unwrap();
        assert_ne!(client.connection_state(), async_nats::connection::State::Connected);
    }
}
