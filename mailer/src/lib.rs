//! Sends the emails that events ask for: an invitation is an event, and the email about it goes out at least once.
//!
//! Intake looks through identity's events and notes which ask for an email; sending takes what is due under a lease. Any
//! number of mailers may run. An email that the server refuses for good is set aside for an operator, one that it
//! cannot take now is tried again for two days. Whoever invited sees on the record that an email could not be sent, and why.

mod email;
mod note;
mod portal;
mod queue;

pub use email::{Links, addressed};
pub use queue::{Failed, failed, forget, retry};

use anyhow::{Context, Result};
use credentials::magic_link::MagicLink;
use event_store::{Log, Store};
use futures::future::{join_all, try_join_all};
use futures::{join, try_join};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use metrics::{counter, gauge};
use note::Outcome;
use queue::{Due, Queue};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Emails, and links, that are sent at the same time: a mail server that takes its time with one holds up few others.
const SENDERS: usize = 4;
/// How often the log and the emails are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sends emails.
pub struct Mailer {
    queue: Queue,
    store: Store,
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    /// Host and port, for whoever reads why an email did not go.
    server: String,
    from: Mailbox,
    links: Links,
}

impl Mailer {
    /// `log` and `store` connect as `ubos_worker`; `smtp_url` is `smtp://user:password@host:587?tls=required` or `smtps://…`.
    ///
    /// # Errors
    /// If the URL or the sender's address cannot be read; nothing is connected yet.
    pub fn new(log: Log, store: Store, smtp_url: &str, from: &str, links: Links) -> Result<Self> {
        let smtp = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url).context("settings: mail.smtp_url")?;
        let smtp = smtp.timeout(Some(Duration::from_secs(20))).build();
        let from = from.parse().context("settings: mail.from")?;
        Ok(Self { queue: Queue::new(log), store, smtp, server: place(smtp_url), from, links })
    }

    /// Works until asked to stop; what it has begun to send it finishes.
    pub async fn run(&self, stop: CancellationToken) {
        let intake = keep_on(&stop, || self.take_in());
        let emails = join_all((0..SENDERS).map(|_| keep_on(&stop, || self.send_emails(&stop))));
        let links = join_all((0..SENDERS).map(|_| keep_on(&stop, || self.send_magic_links(&stop))));
        join!(intake, emails, links);
    }

    /// Takes in what the log has, and sends everything that is due: emails and links beside each other, because whoever
    /// wants to come in does not wait for what others are invited to.
    pub async fn round(&self) -> Result<()> {
        let on = CancellationToken::new();
        self.take_in().await?;
        let emails = try_join_all((0..SENDERS).map(|_| self.send_emails(&on)));
        let links = try_join_all((0..SENDERS).map(|_| self.send_magic_links(&on)));
        try_join!(emails, links)?;
        Ok(())
    }

    fn said(&self, error: &Error) -> String {
        format!("mail server {}: {}", self.server, causes(error))
    }

    async fn take_in(&self) -> Result<()> {
        self.queue.take_in().await?;
        self.queue.take_in_addresses().await?;
        let (waiting, failed) = self.queue.counts().await?;
        gauge!("mail_emails", "state" => "due").set(waiting as f64);
        gauge!("mail_emails", "state" => "failed").set(failed as f64);
        Ok(())
    }

    async fn send_emails(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let Some(due) = self.queue.take().await? else { break };
            let position = due.position;
            let email = match email::write(&self.queue, &due, &self.from, &self.links).await {
                Ok(email) => email,
                Err(error) => {
                    // Nothing is sent that cannot be written, and trying again changes nothing until we are corrected.
                    self.give_up(&due, &format!("{error:#}")).await?;
                    continue;
                }
            };
            let is_ascii = is_ascii(&email);
            match self.smtp.send(email).await {
                Ok(_) => {
                    if due.was_refused {
                        note::email(&self.store, &self.queue, position, Outcome::Sent).await?;
                    }
                    self.queue.sent(position).await?;
                    counter!("mail_emails_total", "outcome" => "sent").increment(1);
                }
                Err(error) if is_final(&error, is_ascii) => {
                    // What the server says may name the person.
                    tracing::warn!(position, "an email was refused, `ubos mailer failed` says why");
                    self.give_up(&due, &causes(&error)).await?;
                    counter!("mail_emails_total", "outcome" => "refused").increment(1);
                }
                Err(error) if due.is_last() => {
                    tracing::warn!(
                        position,
                        error = self.said(&error),
                        "an email is given up, `ubos mailer failed` says why"
                    );
                    self.give_up(&due, &causes(&error)).await?;
                    counter!("mail_emails_total", "outcome" => "refused").increment(1);
                }
                Err(error) => {
                    tracing::warn!(position, error = self.said(&error), "an email cannot be sent now");
                    self.queue.put_off(&due, &self.said(&error)).await?;
                    counter!("mail_emails_total", "outcome" => "put_off").increment(1);
                }
            }
        }
        Ok(())
    }

    /// The record says so first: whoever is told of an email twice is told the same.
    async fn give_up(&self, due: &Due, why: &str) -> Result<()> {
        note::email(&self.store, &self.queue, due.position, Outcome::Failed(why)).await?;
        self.queue.set_aside(due.position, why).await
    }
}

impl Mailer {
    /// Makes and sends the links that portal users asked for. Each is made when its email is written, so that it stands
    /// nowhere else; an email that is tried again has another one.
    async fn send_magic_links(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let Some(asked) = self.queue.take_request().await? else { break };
            let mut put_off = false;
            for person in self.queue.portal_users_at(&asked).await? {
                let link = MagicLink::make(person.tenant, person.id);
                let firm = self.queue.firm(person.tenant).await?.unwrap_or_else(|| "a firm".to_owned());
                let email = match email::magic_link(&person, &firm, &link, &self.from, &self.links) {
                    Ok(email) => email,
                    Err(error) => {
                        tracing::error!(tenant = %person.tenant, portal_user = %person.id, error = format!("{error:#}"), "a magic link cannot be written");
                        note::magic_link(&self.store, &person, Outcome::Failed(&format!("{error:#}"))).await?;
                        continue;
                    }
                };
                self.queue.keep_link(&link).await?;
                let is_ascii = is_ascii(&email);
                let outcome = match self.smtp.send(email).await {
                    Ok(_) => {
                        note::magic_link(&self.store, &person, Outcome::Sent).await?;
                        "sent"
                    }
                    Err(error) if is_final(&error, is_ascii) => {
                        note::magic_link(&self.store, &person, Outcome::Failed(&causes(&error))).await?;
                        "refused"
                    }
                    Err(error) => {
                        tracing::warn!(portal_user = %person.id, error = self.said(&error), "a magic link cannot be sent now");
                        put_off = true;
                        "put_off"
                    }
                };
                counter!("mail_magic_links_total", "outcome" => outcome).increment(1);
            }
            self.queue.request_done(&asked, put_off).await?;
        }
        Ok(())
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

/// Does the work again and again until asked to stop.
async fn keep_on<W: Future<Output = Result<()>>>(stop: &CancellationToken, work: impl Fn() -> W) {
    while !stop.is_cancelled() {
        if let Err(error) = work().await {
            tracing::error!(error = format!("{error:#}"), "emails cannot be looked at");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A reply of the form 5yz says not to come again (RFC 5321 §4.2.1). Neither does an address beyond ASCII reach a server that
/// does not say that it takes any (RFC 6531 §3.1).
fn is_final(error: &Error, is_ascii: bool) -> bool {
    error.is_permanent() || !is_ascii && error.is_client()
}

fn is_ascii(email: &Message) -> bool {
    email.envelope().to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii())
}
