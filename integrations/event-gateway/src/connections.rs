//! Who is connected to NATS as a subscriber, asked of every server of the cluster, and ending a connection.

use crate::{Gate, Reader};
use anyhow::{Context, Result, ensure};
use async_nats::Client;
use chrono::{DateTime, TimeDelta, Utc};
use credentials::Standing;
use futures::StreamExt;
use futures::future::join_all;
use kernel::{EventScope, SubscriberId, TenantId};
use metrics::{counter, gauge};
use serde::Deserialize;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Connections of one subscriber at the same time.
const OF_SUBSCRIBER_MAX: usize = 16;
/// Connections of all subscribers of one firm.
const OF_FIRM_MAX: usize = 64;
/// Connections of all, of the 1,000 that NATS' settings leave to their account.
const OF_ALL_MAX: usize = 900;
/// When there are so many, only firms come in that have few.
const CROWDED: usize = 600;
/// What few are then.
const OF_FIRM_WHEN_CROWDED: usize = 4;
/// Connections per answer.
const PAGE: usize = 1_024;
/// How long the first server may take to answer.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long the others may take after that.
const NEXT_ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// Whoever is in for so long is sent away to come again at once, long before the ticket ends: a client comes back by
/// itself when its connection breaks, but not all do when they are told that their time is up.
const STAY_HOURS: i64 = 12;

#[derive(Deserialize)]
struct Answer {
    server: Server,
    data: Page,
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

#[derive(Deserialize)]
struct Page {
    total: usize,
    #[serde(default)]
    connections: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    cid: u64,
    start: DateTime<Utc>,
    #[serde(default)]
    authorized_user: String,
}

/// One connection of the subscribers' account.
struct Connection {
    server: String,
    number: u64,
    since: DateTime<Utc>,
    /// As it was named when it was let in.
    name: String,
}

/// Whose connections: the firm's subscriber.
type Whose = (TenantId, SubscriberId);

/// How many connections each subscriber has. Rather one too many than one too few: who was let in before the last look
/// but one counts again until the next.
#[derive(Default)]
pub(crate) struct Counts {
    seen: HashMap<Whose, usize>,
    /// Let in since the last look began, and before that since the one before.
    lately: [HashMap<Whose, usize>; 2],
}

impl Counts {
    /// Counts one more, unless that were too many, and why.
    pub(crate) fn one_more(&mut self, whose: Whose) -> Result<(), &'static str> {
        let (mut of_subscriber, mut of_firm, mut of_all) = (0, 0, 0);
        for ((tenant, id), count) in self.lately.iter().chain([&self.seen]).flatten() {
            of_all += count;
            of_firm += if *tenant == whose.0 { *count } else { 0 };
            of_subscriber += if (*tenant, *id) == whose { *count } else { 0 };
        }
        if of_subscriber >= OF_SUBSCRIBER_MAX {
            return Err("the subscriber has too many connections");
        }
        if of_firm >= OF_FIRM_MAX {
            return Err("the firm has too many connections");
        }
        if of_all >= OF_ALL_MAX || (of_all >= CROWDED && of_firm >= OF_FIRM_WHEN_CROWDED) {
            return Err("there are too many connections, and the firm has some");
        }
        *self.lately[0].entry(whose).or_default() += 1;
        Ok(())
    }

    fn look_begins(&mut self) {
        self.lately[1] = std::mem::take(&mut self.lately[0]);
    }
}

/// Asks NATS' servers.
pub(crate) struct Connections(Client);

impl Connections {
    pub(crate) fn new(system: Client) -> Self {
        Self(system)
    }

    async fn all(&self) -> Result<Vec<Connection>> {
        let inbox = self.0.new_inbox();
        let mut answers = self.0.subscribe(inbox.clone()).await?;
        self.0.publish_with_reply("$SYS.REQ.SERVER.PING.CONNZ", inbox, page(0).into()).await?;
        let (mut found, mut patience, mut servers) = (vec![], FIRST_ANSWER_WITHIN, 0);
        while let Ok(Some(message)) = tokio::time::timeout(patience, answers.next()).await {
            (patience, servers) = (NEXT_ANSWER_WITHIN, servers + 1);
            let mut answer = read(&message.payload)?;
            let mut seen = 0;
            loop {
                let count = answer.data.connections.len();
                seen += count;
                let server = &answer.server.id;
                found.extend(answer.data.connections.into_iter().map(|listed| Connection {
                    server: server.clone(),
                    number: listed.cid,
                    since: listed.start,
                    name: listed.authorized_user,
                }));
                if count == 0 || seen >= answer.data.total {
                    break;
                }
                let more = format!("$SYS.REQ.SERVER.{server}.CONNZ");
                answer = read(&self.0.request(more, page(seen).into()).await.context("asking for more")?.payload)?;
            }
        }
        ensure!(servers > 0, "no server of NATS says who is connected");
        Ok(found)
    }

    async fn end(&self, connection: &Connection) -> Result<()> {
        let subject = format!("$SYS.REQ.SERVER.{}.KICK", connection.server);
        let body = json!({ "cid": connection.number }).to_string();
        self.0.request(subject, body.into()).await.context("ending a connection")?;
        Ok(())
    }
}

fn page(offset: usize) -> String {
    json!({ "acc": crate::ticket::ACCOUNT, "auth": true, "limit": PAGE, "offset": offset }).to_string()
}

fn read(payload: &[u8]) -> Result<Answer> {
    serde_json::from_slice(payload).context("who is connected cannot be read")
}

impl Gate {
    /// Ends the connections of those who may read no longer, and makes the consumers that were lost.
    pub(crate) async fn look(&self, connections: &Connections) -> Result<()> {
        self.counts.lock().look_begins();
        let all = connections.all().await?;
        gauge!("subscriber_connections").set(all.len() as f64);
        // All at once: whoever may not stay is believed to be out only when the log has been looked at again.
        let verdicts = join_all(all.iter().map(|connection| self.may_stay(connection))).await;
        let (mut counts, mut staying) = (HashMap::<Whose, usize>::new(), HashMap::new());
        for (connection, verdict) in all.iter().zip(verdicts) {
            match verdict {
                Ok(Ok((reader, scopes))) => {
                    *counts.entry((reader.tenant, reader.id)).or_default() += 1;
                    staying.insert(reader.id, (reader, scopes));
                }
                Ok(Err(why)) => {
                    // The name ends with what the secret hashes to.
                    let name = connection.name.rsplit_once('.').map_or("", |(name, _)| name);
                    tracing::info!(name, why, "ending a connection");
                    connections.end(connection).await?;
                    counter!("subscriber_connections_ended_total").increment(1);
                }
                // Nobody is sent away because the log does not answer; nobody comes in meanwhile either.
                Err(error) => tracing::warn!(error = format!("{error:#}"), "who may stay cannot be found out"),
            }
        }
        self.counts.lock().seen = counts;
        if staying.is_empty() {
            return Ok(());
        }
        let there: HashSet<String> = self.consumers.names().await?;
        for (lost, scopes) in staying.into_values().filter(|(reader, _)| !there.contains(&reader.consumer())) {
            self.ensure(&lost, &scopes).await?;
        }
        Ok(())
    }

    /// Says how far each reader is.
    pub(crate) async fn measure(&self) -> Result<()> {
        for name in self.consumers.names().await? {
            // Others have consumers too.
            if name.parse::<SubscriberId>().is_err() {
                continue;
            }
            let Some(backlog) = self.consumers.backlog(&name).await? else { continue };
            let series = [("subscriber", name)];
            gauge!("subscriber_waiting_events", &series).set(backlog.waiting as f64);
            gauge!("subscriber_unacknowledged_events", &series).set(backlog.unacknowledged as f64);
            if let Some(at) = backlog.acknowledged_at {
                gauge!("subscriber_acknowledged_timestamp_seconds", &series).set(at.timestamp() as f64);
            }
        }
        Ok(())
    }

    async fn may_stay(&self, connection: &Connection) -> Result<Result<(Reader, Arc<[EventScope]>), &'static str>> {
        let Ok(reader) = connection.name.parse::<Reader>() else { return Ok(Err("nobody whom we let in")) };
        if connection.since < Utc::now() - TimeDelta::hours(STAY_HOURS) {
            return Ok(Err("shows its secret anew"));
        }
        Ok(match self.standing(&reader).await? {
            Standing::Reads { scopes, .. } => Ok((reader, scopes)),
            Standing::Out(why, _) => Err(why),
            Standing::In(..) | Standing::Unregistered => Err("the firm is not registered"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn nobody_has_more_connections_than_allowed_whenever_they_are_looked_at() {
        let (id, other) = (whose(1, 1), whose(1, 2));
        let mut counts = Counts::default();
        let in_at_first = (0..40).filter(|_| counts.one_more(id).is_ok()).count();
        assert_eq!(in_at_first, OF_SUBSCRIBER_MAX);
        assert!(counts.one_more(other).is_ok());
        counts.look_begins();
        assert!(counts.one_more(id).is_err(), "they may not be listed yet");
        counts.seen = HashMap::from([(id, OF_SUBSCRIBER_MAX)]);
        assert!(counts.one_more(id).is_err());
        counts.look_begins();
        counts.seen = HashMap::from([(id, 1)]);
        assert_eq!((0..40).filter(|_| counts.one_more(id).is_ok()).count(), OF_SUBSCRIBER_MAX - 1);
    }

    fn whose(firm: u128, subscriber: u128) -> Whose {
        (TenantId(Uuid::from_u128(firm)), SubscriberId(Uuid::from_u128(subscriber)))
    }

    #[test]
    fn however_many_subscribers_a_firm_adds_others_come_in() {
        let mut counts = Counts::default();
        let mut let_in = |firm, subscribers: std::ops::Range<u128>| {
            let all = subscribers.flat_map(|id| [id; OF_SUBSCRIBER_MAX]);
            all.filter(|id| counts.one_more(whose(firm, *id)).is_ok()).count()
        };
        assert_eq!(let_in(1, 0..63), OF_FIRM_MAX, "one firm with 63 of them");
        let others: usize = (2..65).map(|firm| let_in(firm, 0..1)).sum();
        assert!(others + OF_FIRM_MAX < OF_ALL_MAX, "63 firms with all that they may have: {others}");
        assert_eq!(let_in(100, 0..4), OF_FIRM_WHEN_CROWDED, "and one more comes in");
    }
}
