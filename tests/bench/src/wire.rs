//! A lean HTTP/1.1 client over plain TCP: one request at a time per connection, nothing parsed that is not needed.
//!
//! Load generators of general use take as much processor as what they measure, and here both share the cores.

use crate::load;
use crate::processor;
use crate::record::Sample;
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that is kept alive.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer's status and body.
#[derive(Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a whole request and reads the whole answer.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length) = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break (end + 4, content_length(&self.buffer[..end])?);
            }
            self.fill().await?;
        };
        while self.buffer.len() < head + length {
            self.fill().await?;
        }
        let status = self.buffer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        Ok(Answer { status: status.context("no status")?, body: &self.buffer[head..head + length] })
    }

    async fn fill(&mut self) -> Result<()> {
        let read =
            tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await.context("no answer")??;
        ensure!(read > 0, "the connection was closed");
        Ok(())
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    for line in head.split(|byte| *byte == b'\n') {
        if line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:") {
            return Ok(std::str::from_utf8(&line[15..])?.trim().parse()?);
        }
    }
    bail!("an answer of unknown length")
}

/// A `GET` with a token.
pub fn get(path: &str, token: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n{headers}\r\n").into_bytes()
}

/// A `POST` of JSON with a token and an idempotency key.
pub fn post(path: &str, token: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What a closed loop over HTTP saw, and how much processor its clients took.
#[derive(Debug)]
pub struct Driven {
    /// Rate and latencies.
    pub sample: Sample,
    /// Cores that this process was busy on, 1.0 is one core.
    pub client_cores: f64,
}

/// Keeps one request in flight on each of `connections` connections, dealt out over `servers`.
pub async fn closed<F>(servers: &[SocketAddr], connections: usize, seconds: u64, request: F) -> Result<Driven>
where
    F: Fn(u64) -> Vec<u8> + Send + Sync + 'static,
{
    let mut open = vec![];
    for number in 0..connections {
        open.push(Connection::open(servers[number % servers.len()]).await?);
    }
    let (request, turns) = (Arc::new(request), Arc::new(AtomicU64::new(0)));
    let (started, used) = (Instant::now(), processor::own_time());
    let end = started + Duration::from_secs(seconds);
    let clients = open.into_iter().map(|mut connection| {
        let (request, turns) = (request.clone(), turns.clone());
        tokio::spawn(async move {
            let (mut latencies, mut errors) = (vec![], 0);
            while Instant::now() < end {
                let bytes = request(turns.fetch_add(1, Ordering::Relaxed));
                let begun = Instant::now();
                match connection.send(&bytes).await {
                    Ok(answer) if (200..300).contains(&answer.status) => latencies.push(begun.elapsed()),
                    Ok(_) => errors += 1,
                    // A broken connection is one failure; this client sends no more.
                    Err(_) => return (latencies, errors + 1),
                }
            }
            (latencies, errors)
        })
    });
    let sample = load::gather(clients.collect(), started).await;
    let client_cores = (processor::own_time() - used).as_secs_f64() / started.elapsed().as_secs_f64();
    Ok(Driven { sample, client_cores })
}
