//! Who is connected to NATS as an integrator, asked of every server of the cluster, and ending a connection.

use crate::{Gate, Reader};
use anyhow::{Context, Result, ensure};
use async_nats::Client;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::future::join_all;
use kernel::IntegratorId;
use metrics::{counter, gauge};
use serde::Deserialize;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use web::Standing;

/// Connections of one integrator at the same time.
const CONNECTIONS_MAX: usize = 16;
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

/// One connection of the integrators' account.
struct Connection {
    server: String,
    number: u64,
    since: DateTime<Utc>,
    /// As it was named when it was let in.
    name: String,
}

/// How many connections each integrator has. Rather one too many than one too few: who was let in before the last look
/// but one counts again until the next.
#[derive(Default)]
pub(crate) struct Counts {
    seen: HashMap<IntegratorId, usize>,
    /// Let in since the last look began, and before that since the one before.
    lately: [HashMap<IntegratorId, usize>; 2],
}

impl Counts {
    /// Counts one more, unless that were too many.
    pub(crate) fn one_more(&mut self, id: IntegratorId) -> bool {
        let of = |counts: &HashMap<_, usize>| counts.get(&id).copied().unwrap_or_default();
        if of(&self.seen) + self.lately.iter().map(of).sum::<usize>() >= CONNECTIONS_MAX {
            return false;
        }
        *self.lately[0].entry(id).or_default() += 1;
        true
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
        gauge!("integrator_connections").set(all.len() as f64);
        // All at once: whoever may not stay is believed to be out only when the log has been looked at again.
        let verdicts = join_all(all.iter().map(|connection| self.may_stay(connection))).await;
        let (mut counts, mut staying) = (HashMap::<IntegratorId, usize>::new(), HashMap::new());
        for (connection, verdict) in all.iter().zip(verdicts) {
            match verdict {
                Ok(Ok(reader)) => {
                    *counts.entry(reader.id).or_default() += 1;
                    staying.insert(reader.id, reader);
                }
                Ok(Err(why)) => {
                    // The name ends with what the secret hashes to.
                    let name = connection.name.rsplit_once('.').map_or("", |(name, _)| name);
                    tracing::info!(name, why, "ending a connection");
                    connections.end(connection).await?;
                    counter!("integrator_connections_ended_total").increment(1);
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
        for lost in staying.into_values().filter(|reader| !there.contains(&reader.consumer())) {
            self.consumers.ensure(&lost.consumer(), lost.tenant.0).await?;
        }
        Ok(())
    }

    async fn may_stay(&self, connection: &Connection) -> Result<Result<Reader, &'static str>> {
        let Ok(reader) = connection.name.parse::<Reader>() else { return Ok(Err("nobody whom we let in")) };
        if connection.since < Utc::now() - TimeDelta::hours(STAY_HOURS) {
            return Ok(Err("shows its secret anew"));
        }
        Ok(match self.standing(&reader).await? {
            Standing::Reads(_) => Ok(reader),
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
        let (id, other) = (IntegratorId(Uuid::from_u128(1)), IntegratorId(Uuid::from_u128(2)));
        let mut counts = Counts::default();
        let in_at_first = (0..40).filter(|_| counts.one_more(id)).count();
        assert_eq!(in_at_first, CONNECTIONS_MAX);
        assert!(counts.one_more(other));
        counts.look_begins();
        assert!(!counts.one_more(id), "they may not be listed yet");
        counts.seen = HashMap::from([(id, CONNECTIONS_MAX)]);
        assert!(!counts.one_more(id));
        counts.look_begins();
        counts.seen = HashMap::from([(id, 1)]);
        assert_eq!((0..40).filter(|_| counts.one_more(id)).count(), CONNECTIONS_MAX - 1);
    }
}
