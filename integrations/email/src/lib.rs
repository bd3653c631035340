//! Sends the emails that events ask for, those that the firm writes, and the links that portal users ask for: each kind is a
//! reaction.
//!
//! An email that the server refuses for good is parked for an operator, one that it cannot take now is tried again for two days.
//! Whoever invited sees on the record that an email could not be sent, and why.

mod addresses;
mod appointment;
mod attachments;
mod calendar;
mod email;
mod file_requests;
mod invitation;
mod letter;
mod magic_link;
mod markdown;
mod meeting;
mod messages;
mod note;
mod notification;
mod outgoing;
mod people;
mod reminder;
mod server;
mod to_clients;

pub use addresses::forget;
pub use email::{Links, addressed};
pub use server::{place, reach};

use crate::appointment::AppointmentLetters;
use crate::attachments::Attachments;
use crate::file_requests::FileRequestLetters;
use crate::invitation::Invitation;
use crate::magic_link::MagicLinks;
use crate::messages::MessageLetters;
use crate::notification::Notified;
use crate::outgoing::Outgoing;
use crate::people::People;
use crate::reminder::Reminders;
use crate::server::MailServer;
use anyhow::Result;
use chrono::{DateTime, Utc};
use event_store::{Log, Store};
use messaging::Events;
use objects::ObjectStore;
use reactions::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is asked who wants a link.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sends emails.
pub struct Mailer {
    engine: Engine,
    log: Log,
}

/// What every kind of email needs.
#[derive(Clone)]
pub(crate) struct Office {
    people: People,
    store: Store,
    server: MailServer,
    links: Arc<Links>,
    attachments: Attachments,
    now: fn() -> DateTime<Utc>,
}

impl Mailer {
    /// `log` and `store` connect as `ubos_worker`; `smtp_url` is `smtp://user:password@host:587?tls=required` or `smtps://…`. Without a
    /// store of `objects` no email goes out that comes with files.
    ///
    /// # Errors
    /// If the URL or the sender's address cannot be read; nothing is connected yet.
    pub fn new(
        log: Log,
        store: Store,
        objects: Option<ObjectStore>,
        smtp_url: &str,
        from: &str,
        links: Links,
    ) -> Result<Self> {
        Self::by_clock(log, store, objects, smtp_url, from, links, Utc::now)
    }

    /// The same, for whom it is the time that `now` says.
    ///
    /// # Errors
    /// As [`Mailer::new`].
    pub fn by_clock(
        log: Log,
        store: Store,
        objects: Option<ObjectStore>,
        smtp_url: &str,
        from: &str,
        links: Links,
        now: fn() -> DateTime<Utc>,
    ) -> Result<Self> {
        let server = MailServer::new(smtp_url, from)?;
        let (people, attachments) = (People(log.clone()), Attachments { log: log.clone(), objects });
        let office = Office { people, store, server, links: Arc::new(links), attachments, now };
        let engine = Engine::new(log.clone())
            .reading(addresses::Addresses(log.clone()))
            .with(Invitation(office.clone()))
            .with(Outgoing(office.clone()))
            .with(Notified(office.clone()))
            .with(AppointmentLetters(office.clone()))
            .with(Reminders(office.clone()))
            .with(FileRequestLetters(office.clone()))
            .with(MessageLetters(office.clone()))
            .with(MagicLinks(office));
        Ok(Self { engine, log })
    }

    /// Works until asked to stop; what it has begun to send it finishes.
    pub async fn run(&self, events: Arc<dyn Events>, stop: CancellationToken) {
        tokio::join!(self.engine.run(events, stop.clone()), self.answer_requests(&stop));
    }

    /// Takes in what the log has and who asks for links, and sends everything that is due.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn round(&self) -> Result<()> {
        self.engine.take_in().await?;
        magic_link::take_in_requests(&self.log).await?;
        self.engine.perform_due().await
    }

    async fn answer_requests(&self, stop: &CancellationToken) {
        while tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await.is_err() {
            match magic_link::take_in_requests(&self.log).await {
                Ok(0) => {}
                Ok(_) => self.engine.wake(),
                Err(error) => tracing::error!(error = format!("{error:#}"), "requests for links cannot be looked at"),
            }
        }
    }
}
