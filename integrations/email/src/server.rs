//! The mail server: hands emails in, and says what its answer means.

use anyhow::{Context, Result};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use reactions::Outcome;
use std::sync::Arc;
use std::time::Duration;

/// How long the server may take for one email.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where emails are handed in. Cheap to clone.
#[derive(Clone)]
pub struct MailServer {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    /// Host and port, for whoever reads why an email did not go.
    place: Arc<str>,
    /// Whom emails are from.
    pub from: Arc<Mailbox>,
}

impl MailServer {
    pub fn new(smtp_url: &str, from: &str) -> Result<Self> {
        let smtp = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url).context("settings: mail.smtp_url")?;
        let smtp = smtp.timeout(Some(PATIENCE)).build();
        let from: Mailbox = from.parse().context("settings: mail.from")?;
        Ok(Self { smtp, place: place(smtp_url).into(), from: Arc::new(from) })
    }

    /// Hands an email in.
    pub async fn send(&self, email: Message) -> Outcome {
        let is_ascii = email.envelope().to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii());
        match self.smtp.send(email).await {
            Ok(_) => Outcome::Done,
            Err(error) if is_final(&error, is_ascii) => Outcome::Never("refused", causes(&error)),
            Err(error) => Outcome::Later(None, format!("mail server {}: {}", self.place, causes(&error))),
        }
    }
}

/// What became of an email that was handed in.
#[derive(Debug)]
pub enum Handed {
    /// The server has it.
    Taken,
    /// The server wants neither it nor a repeat: no such mailbox, no such sender, too large.
    Refused(String),
    /// The server does not have it, and may take it later: it is away, busy, or puts whoever it does not know off (4yz).
    NotNow(String),
    /// The email was on its way and no answer came, so the server may have it.
    Unknown(String),
}

impl MailServer {
    /// Hands an email in, and tells what is certain from what is not. Whether the server is there is asked first: from then on an
    /// error that is no answer of the server's may have come after it had taken the email.
    pub async fn hand_in(&self, email: Message) -> Handed {
        let is_ascii = email.envelope().to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii());
        let why = |error: &Error| format!("mail server {}: {}", self.place, causes(error));
        match self.smtp.test_connection().await {
            Ok(true) => {}
            Ok(false) => return Handed::NotNow(format!("the mail server {} does not let us in", self.place)),
            Err(error) => return Handed::NotNow(why(&error)),
        }
        match self.smtp.send(email).await {
            Ok(_) => Handed::Taken,
            Err(error) if is_final(&error, is_ascii) => Handed::Refused(causes(&error)),
            Err(error) if error.is_transient() || error.is_client() => Handed::NotNow(why(&error)),
            Err(error) => Handed::Unknown(why(&error)),
        }
    }
}

/// Where the mail server of a URL is, without user and password: `mail.example:587`.
pub fn place(smtp_url: &str) -> String {
    let url = url::Url::parse(smtp_url).ok();
    let Some(host) = url.as_ref().and_then(url::Url::host_str) else { return "of an unreadable URL".to_owned() };
    let port = url.as_ref().and_then(url::Url::port);
    let usual = if smtp_url.starts_with("smtps:") { 465 } else { 25 };
    format!("{host}:{}", port.unwrap_or(usual))
}

/// Whether the mail server lets us in, without an email.
///
/// # Errors
/// That name the server and say why it does not.
pub async fn reach(smtp_url: &str) -> Result<()> {
    let smtp = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url).context("settings: mail.smtp_url")?;
    let smtp: AsyncSmtpTransport<Tokio1Executor> = smtp.timeout(Some(Duration::from_secs(5))).build();
    let server = place(smtp_url);
    match smtp.test_connection().await {
        Ok(true) => Ok(()),
        Ok(false) => anyhow::bail!("the mail server {server} does not let us in"),
        Err(error) => anyhow::bail!("the mail server {server} cannot be reached: {}", causes(&error)),
    }
}

/// An error with what is behind it, on one line.
fn causes(error: &Error) -> String {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_said = cause.to_string();
        if !said.contains(&cause_said) {
            said = format!("{said}: {cause_said}");
        }
        source = cause.source();
    }
    said
}

/// A reply of the form 5yz says not to come again (RFC 5321 §4.2.1). Neither does an address beyond ASCII reach a server that
/// does not say that it takes any (RFC 6531 §3.1).
fn is_final(error: &Error, is_ascii: bool) -> bool {
    error.is_permanent() || !is_ascii && error.is_client()
}
