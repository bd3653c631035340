//! `ubos event-gateway …`: programs that read their firm's events from NATS.

use crate::connect::{self, PATIENCE, known, worker_pool};
use crate::output::{Done, Output, Table, minute, say};
use crate::tenants::Operator;
use ::event_gateway::Seal;
use access::LogDirectory;
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use credentials::Standing;
use identity_events::SubscriberStatus;
use kernel::{EventScope, Name, Status, TenantId};
use messaging::{Beginning, Outside, ReaderConsumers, UNACKNOWLEDGED_MAX};
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

/// What can be asked about subscribers.
#[derive(Debug, Subcommand)]
pub enum EventGatewayVerb {
    /// Lets a program read all events of a firm. Prints its id and its secret, which is shown this once.
    Add {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// What it is called.
        #[arg(long)]
        name: Name,
        /// Until when it may, such as 2027-01-31T00:00:00Z; for ever unless given.
        #[arg(long)]
        expires_at: Option<DateTime<Utc>>,
        /// Which events, such as projects.> or crm.client.created; all unless given, and several if given more than once.
        #[arg(long)]
        scope: Vec<EventScope>,
        /// Where it begins: first, which the stream keeps, new, or a position of the log.
        #[arg(long, default_value = "first", value_parser = beginning)]
        start: Beginning,
    },
    /// Lets it read again from somewhere, or leave out what waits for it.
    Rewind {
        #[command(flatten)]
        which: Which,
        /// Where it goes on: first, which the stream keeps, new, or a position of the log.
        #[arg(long, value_parser = beginning)]
        to: Beginning,
    },
    /// How far one subscriber is.
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Gives it another secret, and prints that.
    Rotate {
        #[command(flatten)]
        which: Which,
        /// Hours for which the secret before it stays good, 24 unless given, at most 168.
        #[arg(long)]
        overlap_hours: Option<u32>,
    },
    /// Lets it read nothing any more, and ends its connections.
    Revoke {
        #[command(flatten)]
        which: Which,
        /// Why.
        #[arg(long)]
        reason: Name,
    },
    /// Every subscriber of a firm.
    List {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
    },
    /// Makes the key of the role `event-gateway`: the seed for its settings, the public half for NATS'.
    Key,
}

/// Which subscriber.
#[derive(Debug, Args)]
pub struct Which {
    /// The firm.
    #[arg(long)]
    tenant: Uuid,
    /// The subscriber.
    subscriber: Uuid,
}

/// `ubos event-gateway …`
pub async fn run(settings: &Settings, verb: EventGatewayVerb, out: &Output) -> Result<Done> {
    let operator = Operator::connect(settings).await?;
    let done = match verb {
        EventGatewayVerb::Add { tenant, name, expires_at, scope, start } => {
            ensure!(firm(settings, tenant).await?.is_registered(), "no firm {tenant} is registered");
            let id = Uuid::now_v7();
            let body = json!({ "name": name.as_str(), "expires_at": expires_at, "scopes": scope });
            let secret = operator.mint("identity.subscriber.add", tenant, id, &body).await?;
            // Before anybody has the secret; which is shown even if that fails, because nobody could ask for it again.
            let begun = match start {
                Beginning::First => Ok(()),
                start => begin(settings, tenant, id, start).await,
            };
            say!(out, "subscriber {id}\nsecret {secret}");
            begun.context("it was added, and begins with the first event: rewind says otherwise")?;
            Done::with(json!({ "id": id, "secret": secret }))
        }
        EventGatewayVerb::Rotate { which: Which { tenant, subscriber }, overlap_hours } => {
            let body = json!({ "overlap_hours": overlap_hours });
            let secret = operator.mint("identity.subscriber.rotate", tenant, subscriber, &body).await?;
            say!(out, "secret {secret}");
            Done::with(json!({ "id": subscriber, "secret": secret }))
        }
        EventGatewayVerb::Revoke { which: Which { tenant, subscriber }, reason } => {
            let body = json!({ "reason": reason.as_str() });
            operator.command("identity.subscriber.revoke", tenant, subscriber, &body).await?;
            say!(out, "done");
            Done::with(json!({ "id": subscriber }))
        }
        EventGatewayVerb::Rewind { which: Which { tenant, subscriber }, to } => {
            begin(settings, tenant, subscriber, to).await?;
            say!(out, "done");
            Done::with(json!({ "id": subscriber }))
        }
        EventGatewayVerb::Show { which: Which { tenant, subscriber } } => {
            list(settings, tenant, Some(subscriber), out).await
        }
        EventGatewayVerb::List { tenant } => list(settings, tenant, None, out).await,
        EventGatewayVerb::Key => key(out),
    };
    operator.drained().await?;
    done
}

/// `ubos event-gateway key`, which needs no settings.
pub fn key(out: &Output) -> Result<Done> {
    let (seed, public) = Seal::fresh()?;
    say!(out, "nats.issuer_seed {}\nUBOS_NATS_ISSUER {public}", seed.expose_secret());
    Done::with(json!({ "nats.issuer_seed": seed.expose_secret(), "UBOS_NATS_ISSUER": public }))
}

async fn firm(settings: &Settings, tenant: Uuid) -> Result<std::sync::Arc<access::Firm>> {
    let url = settings.database.command_url.expose_secret();
    let pool = schema::connect(url, "operator", 1, PATIENCE).await?;
    LogDirectory::start(pool).firm(TenantId(tenant)).await
}

/// `first`, `new` or a position.
fn beginning(text: &str) -> Result<Beginning, String> {
    match (text, text.parse()) {
        ("first", _) => Ok(Beginning::First),
        ("new", _) => Ok(Beginning::New),
        (_, Ok(position @ 1..)) => Ok(Beginning::Position(position)),
        _ => Err("expected first, new, or a position from 1".to_owned()),
    }
}

/// Consumers as whoever works with the stream sees them.
async fn consumers(settings: &Settings) -> Result<ReaderConsumers> {
    let pool = worker_pool(settings).await?;
    let nats = connect::nats_now(settings, settings.nats.relay()).await?;
    Ok(ReaderConsumers::new(pool, nats, connect::stream(settings)))
}

async fn begin(settings: &Settings, tenant: Uuid, subscriber: Uuid, beginning: Beginning) -> Result<()> {
    let firm = firm(settings, tenant).await?;
    let known = firm.subscribers(Utc::now()).find(|(id, ..)| id.0 == subscriber);
    let (_, _, standing) = known.with_context(|| format!("the firm has no subscriber {subscriber}"))?;
    let Standing::Reads { scopes, .. } = standing else { bail!("subscriber {subscriber} reads nothing any more") };
    let scopes: Vec<&str> = scopes.iter().map(EventScope::as_str).collect();
    let reader = Outside { name: &subscriber.to_string(), tenant, scopes: &scopes };
    consumers(settings).await?.begin(reader, beginning).await
}

/// From the log, not from a read model, which may lag; how far each is, NATS says.
async fn list(settings: &Settings, tenant: Uuid, only: Option<Uuid>, out: &Output) -> Result<Done> {
    known(&worker_pool(settings).await?, tenant).await?;
    let firm = firm(settings, tenant).await?;
    let consumers = consumers(settings).await?;
    let mut rows = vec![];
    for (id, name, standing) in firm.subscribers(Utc::now()).filter(|(id, ..)| only.is_none_or(|only| only == id.0)) {
        let (state, until, scopes) = match standing {
            Standing::Reads { until, scopes } => (SubscriberStatus::Active.as_str(), until, scopes.to_vec()),
            Standing::Out(why, _) => (why, None, vec![]),
            Standing::In(..) | Standing::Unregistered => ("the firm is not registered", None, vec![]),
        };
        let backlog = consumers.backlog(&id.to_string()).await?;
        rows.push(json!({ "id": id, "name": name, "state": state, "expires_at": until, "scopes": scopes, "backlog": backlog }));
    }
    if let Some(only) = only {
        ensure!(!rows.is_empty(), "the firm has no subscriber {only}");
    }
    let headings = ["SUBSCRIBER", "STATE", ">WAITING", ">OUT", "LAST ACK"];
    let mut table = Table::new(&headings, "no subscribers");
    for row in &rows {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let scopes = row["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        let scopes = if scopes.is_empty() { String::new() } else { format!("\nreads {}", scopes.join(" ")) };
        let until = match row["expires_at"].as_str() {
            Some(until) => format!("{} until {until}", text("state")),
            None => text("state"),
        };
        let backlog = &row["backlog"];
        let number = |field: &str| backlog[field].as_u64().map_or("-".to_owned(), |number| number.to_string());
        let acknowledged = backlog["acknowledged_at"].as_str().and_then(|at| at.parse().ok()).map(minute);
        let acknowledged = acknowledged.unwrap_or_else(|| "never".to_owned());
        let who = format!("{}\n{}{scopes}", text("id"), text("name"));
        table.row([who, until, number("waiting"), number("unacknowledged"), acknowledged]);
    }
    out.say(table);
    if !rows.is_empty() {
        say!(out, "OUT is at most {UNACKNOWLEDGED_MAX}; \"-\": it has not connected yet");
    }
    Done::with(rows)
}
