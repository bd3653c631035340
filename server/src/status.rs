//! `ubos status`: whether the servers answer, and every queue with its leader and its lag, on one screen.

use crate::connect::{nats_now, stream, worker_pool};
use crate::operate::notes;
use crate::output::{Done, Outcome, Output, Table, say};
use crate::vault;
use anyhow::{Context, Result};
use messaging::{ReaderConsumers, RelayOptions};
use runtime::settings::Settings;
use runtime::tls;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;

/// A server that does not answer by then is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Subscribers whose backlogs are asked for: each is a question to NATS.
const SUBSCRIBERS_MAX: i64 = 100;

/// A server of others'.
#[derive(Debug, Serialize)]
struct Server {
    server: &'static str,
    place: String,
    /// None if it answers.
    error: Option<String>,
}

/// Something that follows the log, or work that waits.
#[derive(Debug, Serialize)]
struct Queue {
    queue: String,
    /// Who leads it: a name, `yes`, `nobody`, or `any copy` where none is needed.
    leader: String,
    position: Option<i64>,
    /// Events that it has not seen, or pieces of work that are due.
    lag: i64,
    notes: String,
    /// Somebody should look.
    attention: bool,
}

impl Queue {
    /// One that needs no leader.
    fn shared(name: &str, position: Option<i64>, lag: i64, notes: String, attention: bool) -> Self {
        Self { queue: name.to_owned(), leader: "any copy".to_owned(), position, lag, notes, attention }
    }
}

/// `ubos status`
///
/// # Errors
/// When PostgreSQL is away, without which nothing can be said.
pub async fn run(settings: &Settings, out: &Output) -> Result<Done> {
    let pool = worker_pool(settings).await?;
    let log = vault::log(settings, &pool)?;
    let head = log.head().await?;
    let relay_url = settings.nats.relay();
    let nats = tokio::time::timeout(PATIENCE, nats_now(settings, relay_url)).await;
    let nats = nats.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")));
    let worker = settings.database.worker_url.expose_secret().parse::<sqlx::postgres::PgConnectOptions>();
    let place = worker.map(|worker| format!("{}:{}", worker.get_host(), worker.get_port())).unwrap_or_default();
    let mut servers = vec![Server { server: "PostgreSQL", place, error: None }];
    servers.push(Server {
        server: "NATS",
        place: messaging::place(relay_url.expose_secret()).trim_start_matches("NATS at ").to_owned(),
        error: nats.as_ref().err().map(|error| format!("{error:#}")),
    });
    servers.extend(redis(settings).await?);
    if let Some(url) = &settings.mail.smtp_url {
        let reached = tokio::time::timeout(PATIENCE, ::email::reach(url.expose_secret())).await;
        let error = match reached {
            Ok(reached) => reached.err().map(|error| format!("{error:#}")),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        servers.push(Server { server: "mail", place: ::email::place(url.expose_secret()), error });
    }

    let mut queues = vec![];
    let options = RelayOptions::new(stream(settings));
    let relay = messaging::status(&log, nats.as_ref().ok(), &options).await.context("asking for the relay")?;
    let told = relay.stream_messages.map_or("stream not seen".to_owned(), |n| format!("{n} messages"));
    queues.push(Queue {
        queue: "relay".to_owned(),
        leader: if relay.is_alive { relay.leader } else { "nobody".to_owned() },
        position: Some(relay.cursor),
        lag: relay.lag_events,
        notes: match relay.dead_letters {
            0 => told,
            letters => format!("{told}, {letters} dead letters"),
        },
        attention: !relay.is_alive || relay.dead_letters > 0,
    });
    for group in projections::status(&pool).await?.groups {
        let parked = (group.parked > 0).then(|| format!("{} parked", group.parked));
        let missing = (group.missing_events != 0).then(|| format!("{} MISSING", group.missing_events));
        let notes = [missing, parked, Some(notes(&group)).filter(|notes| !notes.is_empty())];
        queues.push(Queue {
            queue: format!("projections {}", group.group),
            leader: if group.led { "yes" } else { "nobody" }.to_owned(),
            position: Some(group.position),
            lag: group.lag_events,
            notes: notes.into_iter().flatten().collect::<Vec<_>>().join(", "),
            attention: !group.led || group.parked > 0 || group.missing_events != 0 || group.replay_needed,
        });
    }
    queues.extend(work(&pool, head).await?);
    queues.extend(jobs(&pool, settings.mail.smtp_url.is_some()).await?);
    queues.extend(connections(&pool).await?);
    if let Ok(nats) = &nats {
        queues.extend(subscribers(&pool, ReaderConsumers::new(pool.clone(), nats.clone(), stream(settings))).await?);
    }
    show(head, &servers, &queues, out);
    let away = servers.iter().any(|server| server.error.is_some());
    let attention = queues.iter().any(|queue| queue.attention);
    Done::as_is(Outcome::of(!away, attention), json!({ "head": head, "servers": servers, "queues": queues }))
}

async fn redis(settings: &Settings) -> Result<Option<Server>> {
    let Some(client) = tls::redis_client(&settings.redis)? else { return Ok(None) };
    let place = client.get_connection_info().addr().to_string();
    let asked = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    let error = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.err().map(|error| format!("Redis at {place} cannot be reached: {error}")),
        Err(_) => Some(format!("Redis at {place}: no answer within {PATIENCE:?}")),
    };
    Ok(Some(Server { server: "Redis", place, error }))
}

type Work = (i64, i64, i64, i64);

/// What the engine has before it. Any copy of its role takes it.
async fn work(pool: &PgPool, head: i64) -> Result<Vec<Queue>> {
    let sql = "
        select (select position from engine.checkpoint where name = 'intake'),
               (select count(*) from engine.tasks where due_at <= now() and state <> 'parked'),
               (select count(*) from engine.tasks where state = 'waiting'),
               (select count(*) from engine.tasks where state = 'parked')";
    let (intake, due, waiting, parked): Work =
        sqlx::query_as(sql).fetch_one(pool).await.context("asking for what is due")?;
    Ok(vec![
        Queue::shared("workflow intake", Some(intake), (head - intake).max(0), String::new(), false),
        Queue::shared("workflow runs", None, due, format!("{waiting} waiting, {parked} parked"), parked > 0),
    ])
}

/// What every reaction has before it: how far it has read, and its jobs.
async fn jobs(pool: &PgPool, has_mail: bool) -> Result<Vec<Queue>> {
    let mut queues = vec![];
    let lines = reactions::lines(pool).await.context("asking for jobs")?;
    // Without a server to send with, emails wait; that is no trouble.
    let no_mail = || (!has_mail).then(|| "mail is not set up".to_owned());
    for line in &lines {
        let counts = [(line.unknown, "unknown"), (line.blocked, "blocked"), (line.parked, "parked")];
        let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}"));
        let notes = counts.chain(no_mail().filter(|_| is_email(line))).collect::<Vec<_>>().join(", ");
        let attention = line.blocked + line.parked > 0;
        if let Some(position) = line.position {
            let name = format!("{} intake", line.reaction);
            queues.push(Queue::shared(&name, Some(position), line.lag, String::new(), false));
        }
        queues.push(Queue::shared(&line.reaction, None, line.due, notes, attention));
    }
    // A reaction is known to the database since its role has run for the first time.
    if !lines.iter().any(is_email) {
        let notes = no_mail().unwrap_or_else(|| "no mailer has run yet".to_owned());
        queues.push(Queue::shared("emails", None, 0, notes, has_mail));
    }
    Ok(queues)
}

fn is_email(line: &reactions::Line) -> bool {
    line.reaction.starts_with("email.")
}

/// What waits for connections to each provider, and how they are.
async fn connections(pool: &PgPool) -> Result<Vec<Queue>> {
    let found = ::providers::census(pool).await.context("asking for connections")?;
    let queue = |census: &::providers::Census| {
        let counts = [
            (census.connected, "connected"),
            (census.degraded, "degraded"),
            (census.auth_error, "auth_error"),
            (census.paused, "paused"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}"));
        let (name, notes) = (format!("connections {}", census.provider), counts.collect::<Vec<_>>().join(", "));
        // What works badly mends by itself.
        Queue::shared(&name, None, census.waiting, notes, census.auth_error > 0)
    };
    Ok(found.iter().map(queue).collect())
}

/// What subscribers have before them: the one that is furthest behind.
async fn subscribers(pool: &PgPool, consumers: ReaderConsumers) -> Result<Option<Queue>> {
    let (some, count) = projections::identity::readers(pool, SUBSCRIBERS_MAX).await?;
    if some.is_empty() {
        return Ok(None);
    }
    let mut behind = 0;
    for id in &some {
        if let Some(backlog) = consumers.backlog(&id.to_string()).await? {
            behind = behind.max(backlog.waiting + backlog.unacknowledged);
        }
    }
    let looked = if count > SUBSCRIBERS_MAX { format!(", {SUBSCRIBERS_MAX} looked at") } else { String::new() };
    Ok(Some(Queue {
        queue: "subscribers".to_owned(),
        leader: "any copy".to_owned(),
        position: None,
        lag: i64::try_from(behind).unwrap_or(i64::MAX),
        notes: format!("{count} may read{looked}; the lag is of the one furthest behind"),
        attention: false,
    }))
}

fn show(head: i64, servers: &[Server], queues: &[Queue], out: &Output) {
    let mut table = Table::new(&["SERVER", "PLACE", "STATE"], "no servers");
    for Server { server, place, error } in servers {
        table.row([(*server).to_owned(), place.clone(), error.clone().unwrap_or_else(|| "answers".to_owned())]);
    }
    out.say(table);
    say!(out, "\nlog head {head}\n");
    let mut table = Table::new(&["QUEUE", "LEADER", ">POSITION", ">LAG", "", "NOTES"], "no queues");
    for queue in queues {
        table.row([
            queue.queue.clone(),
            queue.leader.clone(),
            queue.position.map(|position| position.to_string()).unwrap_or_default(),
            queue.lag.to_string(),
            if queue.attention { "!" } else { "" }.to_owned(),
            queue.notes.clone(),
        ]);
    }
    out.say(table);
    if queues.iter().any(|queue| queue.attention) {
        say!(out, "\n!  somebody should look: docs/operations.md, \"When something is wrong\"");
    }
}
