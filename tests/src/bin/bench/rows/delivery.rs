//! How soon an integrator has what was appended.

use crate::family::Family;
use crate::goal::Goal;
use crate::limits::relay as limit;
use crate::load;
use crate::plan::Plan;
use crate::record::{Figure, Records, Sample, Series};
use anyhow::{Context as _, Result};
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::pull::Config;
use crm::Client;
use crm::client::ClientCommand;
use event_store::{Log, Request, Store, StoreOptions};
use futures::StreamExt;
use futures::future::BoxFuture;
use messaging::{Relay, RelayOptions};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WHAT: &str = "append to integrator, half load";
const OURS: Series = Series::of(WHAT, "UBOS");
const BARE: Series = Series::of(WHAT, "bare NOTIFY relay");

/// Clients that are renamed.
const CLIENTS: u64 = 1_000;
/// How long the last message may take.
const GRACE: Duration = Duration::from_secs(10);

/// The family.
pub const FAMILY: Family = Family {
    word: "delivery",
    title: "Append to integrator",
    about: "From when a command was due to when a JetStream consumer had its event. Commands come evenly, at half of what the \
            slower of the two sustained from end to end at 64 in flight, found before the passes. The bare relay is woken by \
            a NOTIFY in the transaction that writes an outbox row, publishes what it finds, and deletes it. Every message \
            is synced to the disk.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[Goal::at_most(2.0, Figure::P50, OURS, BARE), Goal::at_most(2.0, Figure::P99, OURS, BARE)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

/// Sends one thing whose message names the turn.
type Append = Arc<dyn Fn(u64) -> BoxFuture<'static, bool> + Send + Sync>;

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let (ours, bare) = (ours().await?, bare().await?);
    let (fastest, most) = (ours.sustained().await?, bare.sustained().await?);
    let half = (fastest.min(most) / 2.0) as u64;
    records.note(
        FAMILY.word,
        format!(
            "From end to end UBOS sustained {fastest:.0} per second, the bare relay {most:.0}; half load was {half}."
        ),
    );
    for _ in 0..plan.passes {
        records.add(OURS, ours.at(half.max(1), plan.seconds).await?);
        records.add(BARE, bare.at(half.max(1), plan.seconds).await?);
    }
    ours.stop.cancel();
    bare.stop.cancel();
    Ok(())
}

/// A way from an append to a consumer.
struct Way {
    append: Append,
    seen: Arc<Seen>,
    stop: CancellationToken,
    _database: TestDatabase,
}

/// When turns were due, and how long after that they came.
#[derive(Default)]
struct Seen {
    due: Mutex<HashMap<u64, Instant>>,
    latencies: Mutex<Vec<Duration>>,
}

impl Seen {
    fn expect(&self, turn: u64, due: Instant) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).insert(turn, due);
    }

    fn arrived(&self, payload: &[u8]) {
        let digits = payload.iter().copied().filter(u8::is_ascii_digit).map(char::from).collect::<String>();
        let Ok(turn) = digits.parse() else { return };
        if let Some(due) = self.due.lock().unwrap_or_else(PoisonError::into_inner).remove(&turn) {
            self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(due.elapsed());
        }
    }

    fn missing(&self) -> usize {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits for what is still to come; answers what came and how much never did.
    async fn take(&self) -> (Vec<Duration>, u64) {
        let waited = Instant::now();
        while self.missing() > 0 && waited.elapsed() < GRACE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let lost = std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner)).len() as u64;
        (std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner)), lost)
    }
}

impl Way {
    /// Things per second from end to end with 64 in flight.
    async fn sustained(&self) -> Result<f64> {
        let (append, seen, started) = (self.append.clone(), self.seen.clone(), Instant::now());
        let sent = load::closed(64, 3, move |turn| {
            seen.expect(turn, Instant::now());
            append(turn)
        });
        sent.await;
        let (latencies, lost) = self.seen.take().await;
        anyhow::ensure!(!latencies.is_empty(), "nothing arrives");
        anyhow::ensure!(lost == 0, "{lost} did not arrive");
        Ok(latencies.len() as f64 / started.elapsed().as_secs_f64())
    }

    async fn at(&self, per_second: u64, seconds: u64) -> Result<Sample> {
        let (append, seen) = (self.append.clone(), self.seen.clone());
        let sent = load::open(per_second, seconds, move |turn, due| {
            seen.expect(turn, due);
            let sent = append(turn);
            async move { sent.await.then(|| due.elapsed()) }
        });
        let sent = sent.await;
        let (latencies, lost) = self.seen.take().await;
        let sample = Sample::timed(latencies, Duration::from_secs(seconds), sent.errors + lost);
        Ok(Sample { value: sent.value, ..sample })
    }
}

async fn ours() -> Result<Way> {
    let database = TestDatabase::create().await;
    let store = Store::start(database.command().await, StoreOptions::default());
    let mut clients = vec![];
    for turn in 0..CLIENTS {
        clients.push(super::create_one(&store, 0, turn).await.context("a client")?);
    }
    let names = TestNats::new();
    let nats = messaging::connect(&names.url, "bench").await?;
    let (stop, log) = (CancellationToken::new(), Log::new(database.worker().await));
    let relay = Relay::new(log.clone(), nats.clone(), RelayOptions::new(super::relay::settings(&names)));
    tokio::spawn(relay.run(stop.clone()));
    let context = limit::context(&nats);
    let seen = Arc::new(Seen::default());
    consume(&context, &names, seen.clone()).await?;
    let append: Append = Arc::new(move |turn| {
        let (store, client) = (store.clone(), clients[(turn % CLIENTS) as usize]);
        Box::pin(async move { rename(&store, client, turn).await })
    });
    Ok(Way { append, seen, stop, _database: database })
}

async fn rename(store: &Store, client: Uuid, turn: u64) -> bool {
    let request = Request::new(crate::seed::tenant(0), crate::seed::actor());
    let Ok(name) = format!("Engines {turn}").parse() else { return false };
    store.execute::<Client>(Some(client), ClientCommand::Rename { name }, &request).await.is_ok()
}

async fn bare() -> Result<Way> {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    limit::prepare(&pool).await?;
    let names = TestNats::new();
    let nats = messaging::connect(&names.url, "bench").await?;
    let (context, stop) = (limit::context(&nats), CancellationToken::new());
    limit::stream(&context, &names).await?;
    tokio::spawn(limit::woken(database.superuser().await, context.clone(), names.clone(), stop.clone()));
    let seen = Arc::new(Seen::default());
    consume(&context, &names, seen.clone()).await?;
    let append: Append = Arc::new(move |turn| {
        let pool = pool.clone();
        Box::pin(async move { limit::append(&pool, &format!(r#"{{"name": "Engines {turn}"}}"#)).await.is_ok() })
    });
    Ok(Way { append, seen, stop, _database: database })
}

/// A consumer such as an integrator has, without acknowledgements.
async fn consume(context: &Context, names: &TestNats, seen: Arc<Seen>) -> Result<()> {
    let started = Instant::now();
    let stream = loop {
        match context.get_stream(&names.stream).await {
            Ok(stream) => break stream,
            Err(error) if started.elapsed() > GRACE => return Err(error).context("the stream"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let config = Config { ack_policy: AckPolicy::None, ..Config::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            seen.arrived(&message.payload);
        }
    });
    Ok(())
}
