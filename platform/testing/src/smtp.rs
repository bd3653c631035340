//! A server that takes emails.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Takes emails as RFC 5321 has it, or answers DATA as it was told to.
#[derive(Debug)]
pub struct SmtpSink {
    port: u16,
    emails: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<&'static str>>,
    recipients: Arc<Mutex<&'static str>>,
}

impl SmtpSink {
    /// Listens on a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let sink = Self {
            port,
            emails: Arc::default(),
            answer: Arc::new(Mutex::new("250 taken")),
            recipients: Arc::new(Mutex::new("250 ok")),
        };
        let (emails, answer, recipients) = (sink.emails.clone(), sink.answer.clone(), sink.recipients.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (emails, answer, recipients) = (emails.clone(), answer.clone(), recipients.clone());
                tokio::spawn(async move { drop(converse(connection, &emails, &answer, &recipients).await) });
            }
        });
        sink
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What it answers to recipients from now on: `550 no such mailbox`.
    pub fn answer_recipients(&self, answer: &'static str) {
        *self.recipients.lock().expect("nobody panics with it") = answer;
    }

    /// What it answers to emails from now on: `451 not now`. If that is nothing, it takes the email and hangs up.
    pub fn answer(&self, answer: &'static str) {
        *self.answer.lock().expect("nobody panics with it") = answer;
    }

    /// The emails that it took, as they came.
    pub fn emails(&self) -> Vec<String> {
        self.emails.lock().expect("nobody panics with it").clone()
    }
}

async fn converse(
    connection: TcpStream,
    emails: &Mutex<Vec<String>>,
    answer: &Mutex<&'static str>,
    recipients: &Mutex<&'static str>,
) -> std::io::Result<()> {
    let (reader, mut writer) = connection.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 sink\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let reply = match line.split(' ').next().unwrap_or_default() {
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut email = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    email.push_str(&line);
                    email.push('\n');
                }
                let answer = *answer.lock().expect("nobody panics with it");
                if answer.starts_with('2') || answer.is_empty() {
                    emails.lock().expect("nobody panics with it").push(email);
                }
                if answer.is_empty() {
                    return Ok(());
                }
                answer
            }
            "RCPT" => *recipients.lock().expect("nobody panics with it"),
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}
