//! A server that takes letters.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Takes letters as RFC 5321 has it, or answers DATA as it was told to.
#[derive(Debug)]
pub struct SmtpSink {
    port: u16,
    letters: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<&'static str>>,
}

impl SmtpSink {
    /// Listens on a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let sink = Self { port, letters: Arc::default(), answer: Arc::new(Mutex::new("250 taken")) };
        let (letters, answer) = (sink.letters.clone(), sink.answer.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (letters, answer) = (letters.clone(), answer.clone());
                tokio::spawn(async move { drop(converse(connection, &letters, &answer).await) });
            }
        });
        sink
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What it answers to letters from now on: `451 not now`.
    pub fn answer(&self, answer: &'static str) {
        *self.answer.lock().expect("nobody panics with it") = answer;
    }

    /// The letters that it took, as they came.
    pub fn letters(&self) -> Vec<String> {
        self.letters.lock().expect("nobody panics with it").clone()
    }
}

async fn converse(
    connection: TcpStream,
    letters: &Mutex<Vec<String>>,
    answer: &Mutex<&'static str>,
) -> std::io::Result<()> {
    let (reader, mut writer) = connection.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 sink\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let reply = match line.split(' ').next().unwrap_or_default() {
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    letter.push_str(&line);
                    letter.push('\n');
                }
                let answer = *answer.lock().expect("nobody panics with it");
                if answer.starts_with('2') {
                    letters.lock().expect("nobody panics with it").push(letter);
                }
                answer
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}
