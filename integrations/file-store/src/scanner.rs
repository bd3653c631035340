//! clamd, asked over its own protocol: `INSTREAM`, lengths in front of pieces, and one line that says what was found.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long the scanner may take to answer, or to take a piece.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of a piece; more than the default of clamd's own limit for one is never sent.
const PIECE: usize = 64 << 10;
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 4 << 10;

/// Where clamd is.
#[derive(Debug, Clone)]
pub enum Scanner {
    /// `tcp://127.0.0.1:3310`
    Tcp(String),
    /// `unix:///run/clamav/clamd.ctl`
    Unix(PathBuf),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing harmful.
    Clean,
    /// Something harmful, as the scanner calls it.
    Found(String),
    /// The scanner does not take so much.
    TooLarge,
}

trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

impl Scanner {
    /// From a setting.
    ///
    /// # Errors
    /// If it is neither `tcp://host:port` nor `unix:///path`.
    pub fn at(url: &str) -> Result<Self> {
        match url.split_once("://") {
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => bail!("the scanner is at tcp://host:port or unix:///path, not at {url:?}"),
        }
    }

    /// Begins to show it something.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn begin(&self) -> Result<Scan> {
        let connect = async {
            let pipe: Box<dyn Pipe> = match self {
                Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
                Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            };
            anyhow::Ok(pipe)
        };
        let pipe = timeout(PATIENCE, connect).await.context("the scanner does not answer")??;
        let mut scan = Scan { pipe, is_closed: false };
        scan.send(b"zINSTREAM\0").await;
        Ok(scan)
    }
}

/// Something that is being shown to the scanner.
pub struct Scan {
    pipe: Box<dyn Pipe>,
    /// It takes no more: its answer says why.
    is_closed: bool,
}

impl Scan {
    /// Shows it some bytes.
    pub async fn show(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            let length = u32::try_from(piece.len()).unwrap_or_default().to_be_bytes();
            self.send(&length).await;
            self.send(piece).await;
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        if !self.is_closed {
            self.is_closed = !matches!(timeout(PATIENCE, self.pipe.write_all(bytes)).await, Ok(Ok(())));
        }
    }

    /// There is no more; what did it find?
    ///
    /// # Errors
    /// When it does not say.
    pub async fn end(mut self) -> Result<Verdict> {
        self.send(&0_u32.to_be_bytes()).await;
        let mut answer = vec![];
        let mut reading = (&mut self.pipe).take(ANSWER_MAX);
        // What it said before it hung up counts.
        let ended = timeout(PATIENCE, reading.read_to_end(&mut answer)).await.context("the scanner does not answer")?;
        let answer = String::from_utf8_lossy(&answer);
        let answer = answer.split('\0').next().unwrap_or_default().trim();
        if answer.is_empty() {
            ended.context("the scanner hung up")?;
            bail!("the scanner hung up");
        }
        verdict(answer)
    }
}

fn verdict(answer: &str) -> Result<Verdict> {
    let answer = answer.strip_prefix("stream: ").unwrap_or(answer);
    match answer {
        "OK" => Ok(Verdict::Clean),
        found if found.ends_with(" FOUND") => Ok(Verdict::Found(found.trim_end_matches(" FOUND").to_owned())),
        error if error.contains("size limit exceeded") => Ok(Verdict::TooLarge),
        other => bail!("the scanner says {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_the_scanner_means_one_thing() {
        assert_eq!(verdict("stream: OK").unwrap(), Verdict::Clean);
        let found = verdict("stream: Win.Test.EICAR_HDB-1 FOUND").unwrap();
        assert_eq!(found, Verdict::Found("Win.Test.EICAR_HDB-1".to_owned()));
        assert_eq!(verdict("INSTREAM size limit exceeded. ERROR").unwrap(), Verdict::TooLarge);
        assert!(verdict("UNKNOWN COMMAND").is_err());
    }

    #[test]
    fn a_scanner_is_at_a_port_or_at_a_path() {
        assert!(matches!(Scanner::at("tcp://127.0.0.1:3310"), Ok(Scanner::Tcp(_))));
        assert!(matches!(Scanner::at("unix:///run/clamd.ctl"), Ok(Scanner::Unix(_))));
        for wrong in ["", "127.0.0.1:3310", "tcp://localhost", "unix://run", "http://x:1"] {
            assert!(Scanner::at(wrong).is_err(), "{wrong}");
        }
    }
}
