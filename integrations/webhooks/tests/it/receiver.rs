//! A receiver in the test's own process: keeps what comes, and answers as it is told.

use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a receiver does with a message.
#[derive(Debug, Clone)]
pub enum Does {
    /// Answers with this status.
    Answers(u16),
    /// Answers with this status and wants to be left alone for so many seconds.
    AsksFor(u16, u64),
    /// Sends whoever asks elsewhere.
    Redirects(String),
    /// Takes the message, and says nothing for so long.
    Hangs(Duration),
    /// Takes the message and breaks the connection.
    Breaks,
    /// Answers well, and then goes on and on.
    Babbles,
}

/// A message that came.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Which event.
    pub fn event_type(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

#[derive(Debug)]
struct State {
    got: Vec<Got>,
    /// What becomes of the next messages, one each.
    next: VecDeque<Does>,
    /// And of all after these.
    then: Does,
    /// Messages that say this are never taken.
    refused: Option<String>,
}

pub struct Receiver {
    pub port: u16,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { got: vec![], next: VecDeque::new(), then: Does::Answers(204), refused: None };
        let state = Arc::new(Mutex::new(state));
        let kept = state.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = kept.clone();
                tokio::spawn(async move { drop(serve(stream, state).await) });
            }
        });
        Self { port, state, serving }
    }

    /// Its address under a name that the guard's names know.
    pub fn url(&self, path: &str) -> String {
        format!("http://hooks.example:{}/{path}", self.port)
    }

    /// From now on.
    pub fn does(&self, what: Does) {
        self.state.lock().then = what;
    }

    /// With the next messages, one each.
    pub fn first(&self, what: impl IntoIterator<Item = Does>) {
        self.state.lock().next.extend(what);
    }

    /// Takes no message that says this.
    pub fn refuses(&self, what: &str) {
        self.state.lock().refused = Some(what.to_owned());
    }

    pub fn got(&self) -> Vec<Got> {
        self.state.lock().got.clone()
    }

    /// The kinds of events that came, in order.
    pub fn types(&self) -> Vec<String> {
        self.got().iter().map(Got::event_type).collect()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut read = vec![];
    loop {
        let Some(got) = request(&mut stream, &mut read).await? else { return Ok(()) };
        let what = {
            let mut state = state.lock();
            let says = |what: &String| String::from_utf8_lossy(&got.body).contains(what.as_str());
            let is_refused = state.refused.as_ref().is_some_and(says);
            state.got.push(got);
            match state.next.pop_front() {
                Some(does) => does,
                None if is_refused => Does::Answers(500),
                None => state.then.clone(),
            }
        };
        let answer = match what {
            Does::Answers(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"),
            Does::AsksFor(status, seconds) => {
                format!("HTTP/1.1 {status} X\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n")
            }
            Does::Redirects(to) => format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"),
            Does::Hangs(time) => {
                tokio::time::sleep(time).await;
                return Ok(());
            }
            Does::Breaks => return Ok(()),
            Does::Babbles => {
                stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                loop {
                    stream.write_all(b"1000\r\n").await?;
                    stream.write_all(&[b'x'; 0x1000]).await?;
                    stream.write_all(b"\r\n").await?;
                }
            }
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The next request of a connection.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> std::io::Result<Option<Got>> {
    let mut more = async |read: &mut Vec<u8>| {
        let mut chunk = [0; 4_096];
        let count = stream.read(&mut chunk).await?;
        read.extend_from_slice(&chunk[..count]);
        std::io::Result::Ok(count)
    };
    let head = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if more(read).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let all = head + 4 + length;
    while read.len() < all {
        if more(read).await? == 0 {
            return Ok(None);
        }
    }
    let rest = read.split_off(all);
    let body = std::mem::replace(read, rest).split_off(head + 4);
    Ok(Some(Got { path, headers, body }))
}
