//! Lets programs of others read their firm's events from NATS, and nothing else.
//!
//! NATS asks here about everybody whom its own settings do not know (its "auth callout"). Who shows the secret of an
//! subscriber of a firm gets a ticket for one connection: for that subscriber's own consumer, made here, whose messages it
//! may ask for and acknowledge. What was let in is looked at again every second, and ended once it may read no longer. Any
//! number of gates may run; while none does nobody new comes in, and who is in stays.

mod connections;
mod reader;
mod ticket;

pub use reader::Reader;
pub use ticket::Seal;

use anyhow::{Context, Result};
use async_nats::{Client, Message};
use chrono::{DateTime, TimeDelta, Utc};
use connections::{Connections, Counts};
use credentials::{Directory, Standing, shortened};
use futures::StreamExt;
use kernel::EventScope;
use messaging::{Outside, ReaderConsumers};
use metrics::counter;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use ticket::Question;
use tokio_util::sync::CancellationToken;

/// What a secret of ours begins with.
pub const SECRET_PREFIX: &str = "ubi";
/// Where NATS asks who may come in.
const QUESTIONS: &str = "$SYS.REQ.USER.AUTH";
/// Each question goes to one gate of this group.
const GROUP: &str = "ubos-gate";
/// Questions that are answered at once.
const QUESTIONS_IN_FLIGHT: usize = 64;
/// How long an answer may take; NATS waits a little longer.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);
/// How often everybody who is in is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked at how far each reader is: at each fifteenth look.
const MEASURED_EVERY: u32 = 15;
/// A ticket is good for so long, so that nobody stays for ever should every gate be down.
const TICKET_HOURS: i64 = 24;

/// Stands between NATS and whoever wants to read.
pub struct Gate {
    system: Client,
    directory: Arc<dyn Directory>,
    consumers: ReaderConsumers,
    seal: Seal,
    stream: String,
    counts: Mutex<Counts>,
}

impl Gate {
    /// `system` connects to NATS' system account, `seal` is the key whose tickets NATS believes, `stream` is the one that
    /// is read.
    pub fn new(
        system: Client,
        directory: Arc<dyn Directory>,
        consumers: ReaderConsumers,
        seal: Seal,
        stream: String,
    ) -> Self {
        Self { system, directory, consumers, seal, stream, counts: Mutex::default() }
    }

    /// Answers and looks after who is in, until asked to stop.
    ///
    /// # Errors
    /// If the connection to NATS is closed for good.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let questions = self.system.queue_subscribe(QUESTIONS, GROUP.to_owned()).await.context("listening to NATS")?;
        let questions = questions.take_until(stop.clone().cancelled_owned());
        let gate = Arc::new(self);
        let answering = questions.for_each_concurrent(QUESTIONS_IN_FLIGHT, |message| {
            let gate = gate.clone();
            async move { gate.answer(message).await }
        });
        tokio::join!(answering, gate.look_after(&stop));
        Ok(())
    }

    async fn answer(&self, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let question = match Question::read(&message.payload) {
            Ok(question) => question,
            Err(error) => return tracing::error!(error = format!("{error:#}"), "NATS asks what cannot be read"),
        };
        let judged = tokio::time::timeout(ANSWER_WITHIN, self.judge(&question)).await;
        let (outcome, answer) = match judged {
            Ok(Ok(Ok((reader, until)))) => {
                tracing::info!(tenant = %reader.tenant, subscriber = %reader.id, host = question.host(), "let in");
                ("in", self.seal.let_in(&question, &reader, &self.stream, until))
            }
            Ok(Ok(Err(why))) => {
                if question.host().parse().map_or(true, credentials::may_say) {
                    tracing::info!(host = &*shortened(question.host()), why, "kept out");
                }
                ("out", self.seal.keep_out(&question))
            }
            Ok(Err(error)) => {
                tracing::warn!(error = format!("{error:#}"), "who may read cannot be found out");
                ("unknown", self.seal.keep_out(&question))
            }
            Err(_) => {
                tracing::warn!("who may read was not found out in time");
                ("unknown", self.seal.keep_out(&question))
            }
        };
        counter!("subscriber_admissions_total", "outcome" => outcome).increment(1);
        let sent = match answer {
            Ok(answer) => self.system.publish(reply, answer.into()).await.context("answering NATS"),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::error!(error = format!("{error:#}"), "NATS was not answered");
        }
    }

    /// Whoever comes in and until when, or why not.
    async fn judge(&self, question: &Question) -> Result<Result<(Reader, DateTime<Utc>), &'static str>> {
        let Some(reader) = question.secret().and_then(Reader::showing) else {
            return Ok(Err("shows no secret of a subscriber, or a mistyped one"));
        };
        let (until, scopes) = match self.standing(&reader).await? {
            Standing::Reads { until, scopes } => (until, scopes),
            Standing::Out(why, _) => return Ok(Err(why)),
            Standing::In(..) | Standing::Unregistered => return Ok(Err("the firm is not registered")),
        };
        if let Err(why) = self.counts.lock().one_more((reader.tenant, reader.id)) {
            return Ok(Err(why));
        }
        if let Err(error) = self.ensure(&reader, &scopes).await {
            // It is made when the connection is looked at.
            tracing::warn!(error = format!("{error:#}"), subscriber = %reader.id, "no consumer yet");
        }
        let longest = Utc::now() + TimeDelta::hours(TICKET_HOURS);
        Ok(Ok((reader, until.map_or(longest, |until| until.min(longest)))))
    }

    /// The consumer of its own that a reader has; what it may not see does not come to it.
    pub(crate) async fn ensure(&self, reader: &Reader, scopes: &[EventScope]) -> Result<()> {
        let scopes: Vec<&str> = scopes.iter().map(EventScope::as_str).collect();
        let outside = Outside { name: &reader.consumer(), tenant: reader.tenant.0, scopes: &scopes };
        self.consumers.ensure(outside).await
    }

    async fn standing(&self, reader: &Reader) -> Result<Standing> {
        let credential = reader.credential();
        match self.directory.recall(reader.tenant, &credential) {
            Some(standing) => Ok(standing),
            None => self.directory.look_up(reader.tenant, &credential).await,
        }
    }

    async fn look_after(&self, stop: &CancellationToken) {
        let connections = Connections::new(self.system.clone());
        let mut looks = 0_u32;
        while tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await.is_err() {
            if let Err(error) = self.look(&connections).await {
                tracing::warn!(error = format!("{error:#}"), "who is in cannot be looked at");
            }
            looks += 1;
            if looks.is_multiple_of(MEASURED_EVERY)
                && let Err(error) = self.measure().await
            {
                tracing::warn!(error = format!("{error:#}"), "how far readers are cannot be looked at");
            }
        }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("stream", &self.stream).finish_non_exhaustive()
    }
}
