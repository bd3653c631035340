//! A log, a relay and a consumer that follows the documented rule, on real servers.

use async_nats::Client;
use event_store::Log;
use local_servers::{Dirs, Nats, NatsOptions, ensure_installed, free_ports};
use messaging::{Audit, Feed, Relay, RelayOptions, StreamSettings, audit};
use sqlx::PgPool;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testing::TestDatabase;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// One log of one test, with its stream on some server.
pub struct World {
    pub database: TestDatabase,
    pub owner: PgPool,
    pub log: Log,
    pub nats: Client,
    pub options: RelayOptions,
}

impl World {
    /// On the server that all tests share.
    pub async fn shared() -> Self {
        let shared = testing::TestNats::new();
        let mut world = Self::at(&shared.url).await;
        world.options.stream.name = shared.stream;
        world.options.stream.prefix = shared.prefix;
        world
    }

    pub async fn at(url: &str) -> Self {
        let database = TestDatabase::create().await;
        let stream = StreamSettings {
            name: "EVENTS".into(),
            prefix: "ubos.events".into(),
            replicas: 1,
            max_age: Duration::from_secs(30 * 86_400),
        };
        Self {
            owner: database.owner().await,
            log: Log::new(database.worker().await),
            nats: messaging::connect(url, "test").await.expect("a NATS URL"),
            // Slow enough for batches, however quick the disk is.
            options: RelayOptions { service_time: Some(Duration::from_millis(1)), ..RelayOptions::new(stream) },
            database,
        }
    }

    /// Appends `count` events at once, as the append function leaves them.
    pub async fn append(&self, count: i64) -> i64 {
        append(&self.owner, count, r#"{"name": "Łódź"}"#).await
    }

    pub fn relay(&self) -> Running {
        self.relay_with(self.options.clone())
    }

    pub fn relay_with(&self, options: RelayOptions) -> Running {
        let stop = CancellationToken::new();
        let relay = Relay::new(self.log.clone(), self.nats.clone(), options);
        let task = tokio::spawn(relay.run(stop.clone()));
        Running { stop, task: Some(task) }
    }

    pub async fn feed(&self) -> Feed {
        Feed::start(self.log.clone(), Some((self.nats.clone(), self.options.stream.clone()))).await.expect("a feed")
    }

    /// A consumer from the beginning that keeps every event id it was given, in order.
    pub async fn consumer(&self) -> Consumer {
        Consumer::start(self.feed().await)
    }

    pub async fn cursor(&self) -> i64 {
        let cursor = sqlx::query_scalar("select position from eventstore.relay");
        cursor.fetch_one(self.log.pool()).await.expect("the relay's row")
    }

    /// Waits until the stored cursor is at `position`.
    pub async fn published(&self, position: i64) {
        eventually(&format!("the cursor is at {position}"), || async { self.cursor().await >= position }).await;
    }

    pub async fn audit(&self) -> Audit {
        audit(&self.log, &self.nats, &self.options).await.expect("an audit")
    }

    /// The stream has every event once and in order.
    pub async fn assert_stream_is_perfect(&self, from: i64, to: i64) {
        let report = self.audit().await;
        assert_eq!((report.from, report.to), (from, to), "{report}");
        assert!(report.is_complete() && report.duplicates == 0 && report.out_of_order == 0, "{report}");
    }

    /// As part of which batch each of these messages came; none if alone.
    pub async fn batches(&self, first: u64, last: u64) -> Vec<Option<String>> {
        let context = async_nats::jetstream::new(self.nats.clone());
        let stream = context.get_stream(&self.options.stream.name).await.expect("a stream");
        let mut batches = vec![];
        for sequence in first..=last {
            let message = stream.get_raw_message(sequence).await.expect("a message");
            batches.push(message.headers.get("Nats-Batch-Id").map(|id| id.as_str().to_owned()));
        }
        batches
    }

    pub async fn event_ids(&self) -> Vec<Uuid> {
        let ids = sqlx::query_scalar("select event_id from eventstore.events order by position");
        ids.fetch_all(&self.owner).await.expect("the log")
    }
}

/// A relay in a task.
pub struct Running {
    pub stop: CancellationToken,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    /// As `kill -9` would: nothing is finished, nothing is said.
    pub async fn kill(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            task.await.ok();
        }
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.expect("no panic").expect("no error");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub struct Consumer {
    task: JoinHandle<()>,
    seen: std::sync::Arc<parking_lot::Mutex<Vec<Uuid>>>,
}

impl Consumer {
    pub fn start(feed: Feed) -> Self {
        let seen = std::sync::Arc::new(parking_lot::Mutex::new(vec![]));
        let kept = seen.clone();
        let task = tokio::spawn(async move {
            let mut last = 0;
            loop {
                let Ok(events) = feed.read(last, 500).await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                for event in events {
                    assert_eq!(event.position, last + 1, "the feed is contiguous");
                    last = event.position;
                    kept.lock().push(event.event_id);
                }
            }
        });
        Self { task, seen }
    }

    /// Waits until it has as many events as the log, then says that they are the log's, each once.
    pub async fn assert_saw_everything(self, world: &World) {
        let expected = world.event_ids().await;
        eventually("the consumer has caught up", || async { self.seen.lock().len() >= expected.len() }).await;
        self.task.abort();
        assert!(*self.seen.lock() == expected, "every position exactly once");
    }
}

pub async fn append(owner: &PgPool, count: i64, payload: &str) -> i64 {
    let metadata = serde_json::json!({
        "actor": { "kind": "system", "name": "test" },
        "correlation_id": Uuid::from_u128(7),
        "command": "crm.client.create",
    });
    let mut transaction = event_store::begin(owner).await.expect("a transaction");
    let head: i64 = sqlx::query_scalar("update eventstore.head set position = position + $1 returning position")
        .bind(count)
        .fetch_one(&mut *transaction)
        .await
        .expect("the head moves");
    sqlx::query(
        "insert into eventstore.events
         select $2 - $1 + n, gen_random_uuid(), '00000000-0000-0000-0000-0000007e4a47', 'crm', 'crm.client',
                gen_random_uuid(), 1, 'client.created', 2, $3::json, $4, clock_timestamp()
         from generate_series(1, $1) n",
    )
    .bind(count)
    .bind(head)
    .bind(payload)
    .bind(metadata)
    .execute(&mut *transaction)
    .await
    .expect("events");
    transaction.commit().await.expect("committed");
    sqlx::query("select pg_notify('ubos_events', $1)").bind(head.to_string()).execute(owner).await.expect("notified");
    head
}

pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A NATS server of one's own, to be broken.
pub struct Broken {
    pub server: Nats,
    pub dirs: Dirs,
}

impl Broken {
    pub fn start() -> Self {
        let programs = ensure_installed(&mut |_| ()).expect("programs");
        let dirs = Dirs::throwaway().expect("a folder");
        let [port, monitor] = free_ports().expect("ports");
        let options = NatsOptions { sync_always: false };
        let server = Nats::start(&programs, &dirs, port, monitor, options).expect("NATS starts");
        Self { server, dirs }
    }

    pub fn store(&self) -> PathBuf {
        self.dirs.root().join("nats")
    }
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
