//! Stands between a client and PostgreSQL and counts what passes.

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What passed since the last look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// How often each statement was executed.
    pub statements: BTreeMap<String, u64>,
    /// How often a client had to wait for an answer.
    pub round_trips: u64,
    /// Rows inserted, updated or deleted.
    pub rows_written: u64,
}

/// A proxy that ends with the test.
pub struct Proxy {
    port: u16,
    counts: Arc<Mutex<Counts>>,
}

impl Proxy {
    /// In front of the server that this URL names.
    pub async fn start(url: &str) -> Self {
        let server = PgConnectOptions::from_str(url).unwrap();
        let server = (server.get_host().to_owned(), server.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::new(Mutex::new(Counts::default()));
        let counted = counts.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((server.0.as_str(), server.1)).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(requests(from_client, to_server, counted.clone()));
                tokio::spawn(answers(from_server, to_client, counted.clone()));
            }
        });
        Self { port, counts }
    }

    /// The same URL through the proxy, without encryption.
    pub fn url(&self, url: &str) -> String {
        let options = PgConnectOptions::from_str(url).unwrap().port(self.port).ssl_mode(PgSslMode::Disable);
        options.to_url_lossy().to_string()
    }

    /// What passed since the last time.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

/// A message with its type; the length counts itself but not the type.
async fn message(from: &mut OwnedReadHalf) -> std::io::Result<(u8, Vec<u8>)> {
    let (kind, length) = (from.read_u8().await?, from.read_u32().await?);
    let mut body = vec![0; length as usize - 4];
    from.read_exact(&mut body).await?;
    Ok((kind, body))
}

async fn pass_on(to: &mut OwnedWriteHalf, kind: u8, body: &[u8]) -> std::io::Result<()> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    to.write_all(&bytes).await
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<Mutex<Counts>>) -> std::io::Result<()> {
    // The first message has no type.
    let length = from.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    from.read_exact(&mut startup).await?;
    to.write_all(&[&length.to_be_bytes()[..], &startup].concat()).await?;
    let (mut prepared, mut bound) = (HashMap::new(), String::new());
    loop {
        let (kind, body) = message(&mut from).await?;
        let mut words = body.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let mut word = || words.next().unwrap_or_default();
        {
            let mut counts = counts.lock().unwrap();
            match kind {
                b'P' => drop(prepared.insert(word(), word())),
                b'B' => {
                    let (_portal, statement) = (word(), word());
                    bound = prepared.get(&statement).cloned().unwrap_or_default();
                }
                b'E' => *counts.statements.entry(bound.clone()).or_default() += 1,
                b'S' => counts.round_trips += 1,
                b'Q' => {
                    *counts.statements.entry(word()).or_default() += 1;
                    counts.round_trips += 1;
                }
                _ => {}
            }
        }
        pass_on(&mut to, kind, &body).await?;
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<Mutex<Counts>>) -> std::io::Result<()> {
    loop {
        let (kind, body) = message(&mut from).await?;
        if kind == b'C' {
            let tag = String::from_utf8_lossy(&body);
            let tag = tag.trim_end_matches('\0');
            if ["INSERT", "UPDATE", "DELETE", "COPY"].iter().any(|verb| tag.starts_with(verb)) {
                let rows = tag.rsplit(' ').next().and_then(|rows| rows.parse().ok()).unwrap_or(0);
                counts.lock().unwrap().rows_written += rows;
            }
        }
        pass_on(&mut to, kind, &body).await?;
    }
}
