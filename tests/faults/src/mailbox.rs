//! A mail server outside of the product: it writes down what came, and is at times busy, or silent about what it has taken.

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Whoever has an address that begins so has no mailbox here.
pub const REFUSED: &str = "refused-";
/// Of so many emails one is not taken now.
const BUSY_OF: u32 = 20;
/// And of so many the answer to one is lost.
const SILENT_OF: u32 = 30;

/// The server. It ends with the process.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Vec<Value>>,
    behaves: AtomicBool,
}

impl Mailbox {
    /// Listens on a port of its own.
    pub fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("a port for emails")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let shared = serving.clone();
                // A client that goes away is no trouble of ours.
                tokio::spawn(async move { drop(converse(connection, &shared).await) });
            }
        });
        Ok(Self { port, shared })
    }

    /// From now on it takes everything that it can.
    pub fn behave(&self) {
        self.shared.behaves.store(true, Ordering::Relaxed);
    }

    /// Writes `emails.jsonl`: a line for each email that was taken.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let lines: String = self.shared.taken.lock().iter().map(|email| format!("{email}\n")).collect();
        Ok(fs::write(folder.join("emails.jsonl"), lines)?)
    }
}

async fn converse(connection: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (reader, mut writer) = connection.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut to = String::new();
    writer.write_all(b"220 mailbox\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "RCPT" => {
                to = line.split_once('<').map(|(_, rest)| rest.trim_end_matches('>').to_owned()).unwrap_or_default();
                "250 ok"
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut id = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    if let Some(found) = line.strip_prefix("Message-ID: ") {
                        id = found.trim().to_owned();
                    }
                }
                let behaves = shared.behaves.load(Ordering::Relaxed);
                let unlucky = |of: u32| !behaves && rand::random_range(0..of) == 0;
                if to.starts_with(REFUSED) {
                    "550 no such mailbox"
                } else if unlucky(BUSY_OF) {
                    "451 busy"
                } else {
                    let silent = unlucky(SILENT_OF);
                    shared.taken.lock().push(json!({ "message_id": id, "to": to, "answered": !silent }));
                    if silent {
                        return Ok(());
                    }
                    "250 taken"
                }
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}
