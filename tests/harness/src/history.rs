//! A log that tests write to directly, as the append would.

use crate::app::catch_up;
use crate::{Setup, TestApp};
use catalogue::AnyEvent;
use chrono::Utc;
use crm_events::{ClientEvent, ClientKind};
use event_store::{Log, RawEvent};
use kernel::{Actor, Metadata, TenantId};
use projections::Group;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use testing::TestDatabase;
use uuid::Uuid;

/// A database of its own, and what goes into its log with the next write.
pub struct History {
    /// Where it is.
    pub database: Arc<TestDatabase>,
    /// As the owner of every schema.
    pub owner: PgPool,
    /// As the projections.
    pub worker: PgPool,
    /// What was written.
    pub log: Log,
    sequences: HashMap<Uuid, i64>,
    pending: Vec<Pending>,
}

struct Pending {
    tenant: TenantId,
    stream: &'static str,
    id: Uuid,
    sequence: i64,
    event_type: String,
    version: i32,
    payload: Value,
}

/// A tenant of one's own.
pub fn tenant(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(number))
}

/// A client is made.
pub fn client(name: &str) -> ClientEvent {
    let name = name.parse::<kernel::Name>().unwrap().into();
    ClientEvent::Created { name, kind: ClientKind::Organisation, details: Default::default() }
}

/// A client is called something else.
pub fn renamed(name: &str) -> ClientEvent {
    ClientEvent::Renamed { name: name.parse::<kernel::Name>().unwrap().into() }
}

/// A client gets a tag.
pub fn tagged(tag: &str) -> ClientEvent {
    ClientEvent::Tagged { tag: tag.parse().unwrap() }
}

/// The read models of clients and contacts.
pub fn crm() -> &'static Group {
    projections::group("crm").unwrap()
}

/// Parts that are made by events of their own too.
const MADE_LATER: [&str; 8] =
    ["line", "message", "payment", "plan_entry", "recipient", "request_item", "upload", "version"];

/// The golden payload of an event, about the parts that the stream's first event made.
fn golden(entry: &'static kernel::EventEntry, version: u32, first: &Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(catalogue::golden_path(entry, version));
    let mut payload: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (field, made_by) in [("task_id", "tasks"), ("milestone_id", "milestones"), ("folder_id", "subfolders")] {
        if !payload[field].is_null() && !first[made_by][0]["id"].is_null() {
            payload[field] = first[made_by][0]["id"].clone();
        }
    }
    // What is made by an event of its own is one, and the others are about it.
    for part in MADE_LATER {
        let made = match &first[format!("{part}s")][0]["id"] {
            Value::Null => json!(Uuid::from_u128(1)),
            id => id.clone(),
        };
        for at in [format!("/{part}_id"), format!("/{part}/id"), format!("/{part}s/0/id"), format!("/{part}_ids/0")] {
            payload.pointer_mut(&at).into_iter().filter(|id| id.is_string()).for_each(|id| *id = made.clone());
        }
    }
    // The one that there is stays.
    if payload["dropped"].is_array() {
        payload["dropped"] = json!([]);
    }
    if payload["step"].is_string() && first["steps"][0].is_string() {
        payload["step"] = first["steps"][0].clone();
    }
    payload
}

/// A client's row in the words of PostgreSQL, read as query-api reads as one firm.
pub async fn read_as(query: &PgPool, tenant: TenantId, id: Uuid) -> Option<String> {
    let sql = "select found.* from set_config('ubos.tenant_id', ($1::uuid)::text, true) t(tenant)
               cross join lateral (select row_to_json(r)::text from crm.clients r
                                   where r.tenant_id = t.tenant::uuid and r.id = $2) found";
    sqlx::query_scalar(sql).bind(tenant.0).bind(id).fetch_optional(query).await.unwrap()
}

impl History {
    /// An empty one.
    pub async fn new() -> Self {
        let database = Arc::new(TestDatabase::create().await);
        let (owner, worker) = (database.owner().await, database.worker().await);
        Self { log: Log::new(worker.clone()), database, owner, worker, sequences: HashMap::new(), pending: vec![] }
    }

    /// Two firms with one stream of each kind, made of every published event; and the head.
    pub async fn of_golden_events() -> (Self, i64) {
        let mut world = Self::new().await;
        let mut streams: BTreeMap<&str, Vec<&'static kernel::EventEntry>> = BTreeMap::new();
        for entry in catalogue::entries() {
            streams.entry(entry.stream).or_default().push(entry);
        }
        for firm in 1..=2u128 {
            for (number, (stream, entries)) in (1u128..).zip(&streams) {
                let id = Uuid::from_u128(number * 1_000);
                let first = golden(entries[0], entries[0].version, &Value::Null);
                for entry in entries {
                    for version in 1..=entry.version {
                        world.stored(
                            tenant(firm),
                            stream,
                            id,
                            entry.event_type,
                            version as i32,
                            golden(entry, version, &first),
                        );
                    }
                }
            }
        }
        let head = world.write().await;
        (world, head)
    }

    /// Puts an event of today's version into the next write.
    pub fn event(&mut self, tenant: TenantId, id: Uuid, event: impl Into<AnyEvent>) {
        let event = event.into();
        let entry = event.entry();
        let payload = serde_json::to_value(&event).unwrap();
        self.stored(tenant, entry.stream, id, entry.event_type, entry.version as i32, payload);
    }

    /// Puts anything into the next write, readable or not.
    pub fn stored(
        &mut self,
        tenant: TenantId,
        stream: &'static str,
        id: Uuid,
        event_type: &str,
        version: i32,
        payload: Value,
    ) {
        let sequence = self.sequences.entry(id).or_default();
        *sequence += 1;
        let (sequence, event_type) = (*sequence, event_type.to_owned());
        self.pending.push(Pending { tenant, stream, id, sequence, event_type, version, payload });
    }

    /// Appends what was put in, and answers the head.
    pub async fn write(&mut self) -> i64 {
        let actor = Actor::System { name: "test".into() };
        let (correlation_id, command) = (Uuid::from_u128(9), "test.test.test".to_owned());
        let metadata = Metadata {
            actor,
            correlation_id,
            causation_id: None,
            command,
            traceparent: None,
            concerns: vec![],
            unit: None,
        };
        let rows: Vec<Value> = self
            .pending
            .drain(..)
            .map(|e| {
                json!({ "tenant_id": e.tenant, "domain": e.stream.split('.').next(), "aggregate_type": e.stream,
                        "aggregate_id": e.id, "sequence": e.sequence, "event_type": e.event_type,
                        "event_version": e.version, "payload": e.payload, "metadata": metadata,
                        "event_id": Uuid::now_v7(), "recorded_at": Utc::now() })
            })
            .collect();
        let mut tx = event_store::begin(&self.owner).await.unwrap();
        let base: i64 =
            sqlx::query_scalar("select position from eventstore.head for update").fetch_one(&mut *tx).await.unwrap();
        sqlx::query(
            "insert into eventstore.events (position, event_id, tenant_id, domain, aggregate_type, aggregate_id, sequence,
                 event_type, event_version, payload, metadata, recorded_at)
             select $1 + o.ordinality, (o.e->>'event_id')::uuid, (o.e->>'tenant_id')::uuid, o.e->>'domain',
                    o.e->>'aggregate_type', (o.e->>'aggregate_id')::uuid, (o.e->>'sequence')::bigint, o.e->>'event_type',
                    (o.e->>'event_version')::int, o.e->'payload', o.e->'metadata', (o.e->>'recorded_at')::timestamptz
             from jsonb_array_elements($2) with ordinality as o(e, ordinality)",
        )
        .bind(base)
        .bind(Value::Array(rows.clone()))
        .execute(&mut *tx)
        .await
        .unwrap();
        let head = base + rows.len() as i64;
        sqlx::query("update eventstore.head set position = $1").bind(head).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        head
    }

    /// What was written after a position.
    pub async fn read(&self, after: i64, max: i64) -> Vec<Arc<RawEvent>> {
        self.log.read(after, max).await.unwrap().into_iter().map(Arc::new).collect()
    }

    /// Applies the whole log to the live tables of a group in batches.
    pub async fn catch_up(&self, group: &'static Group, batch: i64) -> i64 {
        catch_up(&self.log, &self.worker, group, batch).await
    }

    /// Both services on it, to which a token says what its subject may do.
    pub async fn app(&self) -> TestApp {
        self.app_with(Setup::default()).await
    }

    /// The same, set up otherwise.
    pub async fn app_with(&self, setup: Setup) -> TestApp {
        TestApp::start(Setup { database: Some(self.database.clone()), roles_in_tokens: true, ..setup }).await
    }

    /// One column of one client.
    pub async fn client_column(&self, id: Uuid, column: &str) -> Option<String> {
        let sql = format!("select {column}::text from crm.clients where id = $1");
        sqlx::query_scalar(&sql).bind(id).fetch_optional(&self.worker).await.unwrap()
    }

    /// All rows of a table as text, in order.
    pub async fn rows(&self, table: &str) -> Vec<String> {
        let sql = format!("select r::text from {table} r order by tenant_id, id");
        sqlx::query_scalar(&sql).fetch_all(&self.worker).await.unwrap()
    }

    /// A number that the database knows.
    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.owner).await.unwrap()
    }
}
