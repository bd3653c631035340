//! How soon a subscriber has what was appended.

use crate::clients;
use crate::family::Family;
use crate::goal::Goal;
use crate::limits::relay as limit;
use crate::load;
use crate::plan::Plan;
use crate::product;
use crate::record::{Figure, Records, Sample, Series};
use anyhow::{Context as _, Result};
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::pull::Config;
use crm::Client;
use crm::client::ClientCommand;
use event_store::{Request, Store, StoreOptions};
use futures::StreamExt;
use futures::future::BoxFuture;
use messaging::{Relay, RelayOptions};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WHAT: &str = "append to subscriber, half load";
const OURS: Series = Series::of(WHAT, "UBOS");
const BARE: Series = Series::of(WHAT, "bare NOTIFY relay");
const OURS_ANSWERED: Series = Series::of(WHAT, "UBOS, until answered");
const BARE_ANSWERED: Series = Series::of(WHAT, "bare, until committed");

/// Clients that are renamed.
const CLIENTS: u64 = 1_000;
/// How long the last message may take.
const GRACE: Duration = Duration::from_secs(10);

/// The family.
pub const FAMILY: Family = Family {
    word: "delivery",
    title: "Append to subscriber",
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
        for (way, answered, arrived) in [(&ours, OURS_ANSWERED, OURS), (&bare, BARE_ANSWERED, BARE)] {
            let (first, second) = way.at(half.max(1), plan.seconds).await;
            records.add(answered, first);
            records.add(arrived, second);
        }
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
    runs: AtomicU64,
    _database: TestDatabase,
}

/// Who waits for which turn.
#[derive(Default)]
struct Seen(Mutex<HashMap<u64, oneshot::Sender<Instant>>>);

impl Seen {
    fn expect(&self, turn: u64) -> oneshot::Receiver<Instant> {
        let (arrived, waiting) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(turn, arrived);
        waiting
    }

    fn arrived(&self, payload: &[u8]) {
        let digits = payload.iter().copied().filter(u8::is_ascii_digit).map(char::from).collect::<String>();
        let Ok(turn) = digits.parse() else { return };
        if let Some(waiting) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&turn) {
            // Whoever waited may have lost patience.
            waiting.send(Instant::now()).ok();
        }
    }
}

impl Way {
    /// Appends and waits for the message; answers when the append was answered, and when the message came.
    fn deliver(
        &self,
    ) -> impl Fn(u64) -> BoxFuture<'static, Option<(Instant, Instant)>> + Send + Sync + Clone + 'static {
        // No turn comes twice, so no name is "already so" and no late message is taken for another's.
        let first = self.runs.fetch_add(1, Ordering::Relaxed) * 10_000_000;
        let (append, seen) = (self.append.clone(), self.seen.clone());
        move |turn| {
            let (arrives, sent) = (seen.expect(first + turn), append(first + turn));
            Box::pin(async move {
                if !sent.await {
                    return None;
                }
                let answered = Instant::now();
                Some((answered, tokio::time::timeout(GRACE, arrives).await.ok()?.ok()?))
            })
        }
    }

    /// Things per second from end to end with 64 in flight.
    async fn sustained(&self) -> Result<f64> {
        let deliver = self.deliver();
        let sample = load::closed(64, 3, move |turn| {
            let arrives = deliver(turn);
            async move { arrives.await.is_some() }
        });
        let sample = sample.await;
        anyhow::ensure!(sample.value > 0.0 && sample.errors == 0, "{} messages did not arrive", sample.errors);
        Ok(sample.value)
    }

    /// How long appends took at this rate, and how long messages.
    async fn at(&self, per_second: u64, seconds: u64) -> (Sample, Sample) {
        let (deliver, appends) = (self.deliver(), Arc::new(Mutex::new(vec![])));
        let noted = appends.clone();
        let arrived = load::open(per_second, seconds, move |turn, due| {
            let (arrives, noted) = (deliver(turn), noted.clone());
            async move {
                let (answered, arrived) = arrives.await?;
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(answered.duration_since(due));
                Some(arrived.duration_since(due))
            }
        })
        .await;
        let appends = std::mem::take(&mut *appends.lock().unwrap_or_else(PoisonError::into_inner));
        (Sample::timed(appends, Duration::from_secs(seconds), arrived.errors), arrived)
    }
}

async fn ours() -> Result<Way> {
    let database = TestDatabase::create().await;
    let store = product::store(&database, StoreOptions::default()).await?;
    let mut clients = vec![];
    for turn in 0..CLIENTS {
        clients.push(clients::create_one(&store, 0, turn).await.context("a client")?);
    }
    let names = TestNats::new();
    let nats = messaging::connect(&names.url, "bench").await?;
    let (stop, log) = (CancellationToken::new(), product::log(database.worker().await)?);
    let relay = Relay::new(log.clone(), nats.clone(), RelayOptions::new(super::relay::settings(&names)));
    tokio::spawn(relay.run(stop.clone()));
    let context = limit::context(&nats);
    let seen = Arc::new(Seen::default());
    consume(&context, &names, seen.clone()).await?;
    let append: Append = Arc::new(move |turn| {
        let (store, client) = (store.clone(), clients[(turn % CLIENTS) as usize]);
        Box::pin(async move { rename(&store, client, turn).await })
    });
    Ok(Way { append, seen, stop, runs: AtomicU64::new(1), _database: database })
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
    Ok(Way { append, seen, stop, runs: AtomicU64::new(1), _database: database })
}

/// A consumer such as a subscriber has, without acknowledgements.
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
