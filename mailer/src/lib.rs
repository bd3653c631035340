//! Sends the letters that events ask for: an invitation is an event, and the letter about it goes out at least once.
//!
//! Intake looks through identity's events and notes which ask for a letter; sending takes what is due under a lease. Any
//! number of mailers may run. A letter that the server refuses for good is set aside for an operator, one that it
//! cannot take now is tried again for two days. Whoever invited sees on the record that a letter could not be sent, and why.

mod letter;
mod note;
mod portal;
mod queue;

pub use letter::{Links, addressed};
pub use queue::{Failed, failed, forget, retry};

use anyhow::{Context, Result};
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
use web::portal_link::PortalLink;

/// Letters, and links, that are sent at the same time: a mail server that takes its time with one holds up few others.
const SENDERS: usize = 4;
/// How often the log and the letters are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sends letters.
pub struct Mailer {
    queue: Queue,
    store: Store,
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    /// Host and port, for whoever reads why a letter did not go.
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
        let letters = join_all((0..SENDERS).map(|_| keep_on(&stop, || self.send_letters(&stop))));
        let links = join_all((0..SENDERS).map(|_| keep_on(&stop, || self.send_ways_in(&stop))));
        join!(intake, letters, links);
    }

    /// Takes in what the log has, and sends everything that is due: letters and links beside each other, because whoever
    /// wants to come in does not wait for what others are invited to.
    pub async fn round(&self) -> Result<()> {
        let on = CancellationToken::new();
        self.take_in().await?;
        let letters = try_join_all((0..SENDERS).map(|_| self.send_letters(&on)));
        let links = try_join_all((0..SENDERS).map(|_| self.send_ways_in(&on)));
        try_join!(letters, links)?;
        Ok(())
    }

    fn said(&self, error: &Error) -> String {
        format!("mail server {}: {}", self.server, causes(error))
    }

    async fn take_in(&self) -> Result<()> {
        self.queue.take_in().await?;
        self.queue.take_in_addresses().await?;
        let (waiting, failed) = self.queue.counts().await?;
        gauge!("mail_letters", "state" => "due").set(waiting as f64);
        gauge!("mail_letters", "state" => "failed").set(failed as f64);
        Ok(())
    }

    async fn send_letters(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let Some(due) = self.queue.take().await? else { break };
            let position = due.position;
            let letter = match letter::write(&self.queue, &due, &self.from, &self.links).await {
                Ok(letter) => letter,
                Err(error) => {
                    // Nothing is sent that cannot be written, and trying again changes nothing until we are corrected.
                    self.give_up(&due, &format!("{error:#}")).await?;
                    continue;
                }
            };
            let is_ascii = is_ascii(&letter);
            match self.smtp.send(letter).await {
                Ok(_) => {
                    if due.was_refused {
                        note::letter(&self.store, &self.queue, position, Outcome::Sent).await?;
                    }
                    self.queue.sent(position).await?;
                    counter!("mail_letters_total", "outcome" => "sent").increment(1);
                }
                Err(error) if is_final(&error, is_ascii) => {
                    // What the server says may name the person.
                    tracing::warn!(position, "a letter was refused, `ubos mailer failed` says why");
                    self.give_up(&due, &causes(&error)).await?;
                    counter!("mail_letters_total", "outcome" => "refused").increment(1);
                }
                Err(error) if due.is_last() => {
                    tracing::warn!(
                        position,
                        error = self.said(&error),
                        "a letter is given up, `ubos mailer failed` says why"
                    );
                    self.give_up(&due, &causes(&error)).await?;
                    counter!("mail_letters_total", "outcome" => "refused").increment(1);
                }
                Err(error) => {
                    tracing::warn!(position, error = self.said(&error), "a letter cannot be sent now");
                    self.queue.put_off(&due, &self.said(&error)).await?;
                    counter!("mail_letters_total", "outcome" => "put_off").increment(1);
                }
            }
        }
        Ok(())
    }

    /// The record says so first: whoever is told of a letter twice is told the same.
    async fn give_up(&self, due: &Due, why: &str) -> Result<()> {
        note::letter(&self.store, &self.queue, due.position, Outcome::Failed(why)).await?;
        self.queue.set_aside(due.position, why).await
    }
}

impl Mailer {
    /// Makes and sends the links that portal users asked for. Each is made when its letter is written, so that it stands
    /// nowhere else; a letter that is tried again has another one.
    async fn send_ways_in(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let Some(asked) = self.queue.take_request().await? else { break };
            let mut put_off = false;
            for person in self.queue.portal_users_at(&asked).await? {
                let link = PortalLink::make(person.tenant, person.id);
                let firm = self.queue.firm(person.tenant).await?.unwrap_or_else(|| "a firm".to_owned());
                let letter = match letter::way_in(&person, &firm, &link, &self.from, &self.links) {
                    Ok(letter) => letter,
                    Err(error) => {
                        tracing::error!(tenant = %person.tenant, portal_user = %person.id, error = format!("{error:#}"), "a link cannot be written");
                        note::link(&self.store, &person, Outcome::Failed(&format!("{error:#}"))).await?;
                        continue;
                    }
                };
                self.queue.keep_link(&link).await?;
                let is_ascii = is_ascii(&letter);
                let outcome = match self.smtp.send(letter).await {
                    Ok(_) => {
                        note::link(&self.store, &person, Outcome::Sent).await?;
                        "sent"
                    }
                    Err(error) if is_final(&error, is_ascii) => {
                        note::link(&self.store, &person, Outcome::Failed(&causes(&error))).await?;
                        "refused"
                    }
                    Err(error) => {
                        tracing::warn!(portal_user = %person.id, error = self.said(&error), "a link cannot be sent now");
                        put_off = true;
                        "put_off"
                    }
                };
                counter!("mail_portal_links_total", "outcome" => outcome).increment(1);
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

/// Whether the mail server lets us in, without a letter.
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
            tracing::error!(error = format!("{error:#}"), "letters cannot be looked at");
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

fn is_ascii(letter: &Message) -> bool {
    letter.envelope().to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii())
}
