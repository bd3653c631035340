//! Runs of four steps, beside five commits by hand and, if asked for, DBOS.

use crate::clients;
use crate::family::Family;
use crate::goal::Goal;
use crate::load;
use crate::peers;
use crate::plan::Plan;
use crate::processor::Used;
use crate::product::{self, Product};
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::tenant;
use anyhow::Result;
use event_store::{CommandBus, Store, StoreOptions};
use messaging::Feed;
use serde::Deserialize;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, PgPool};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testing::TestDatabase;
use tokio::sync::oneshot;
use uuid::Uuid;

const WHAT: &str = "workflow runs of 4 steps";
const OURS: Series = Series::of(WHAT, "UBOS");
const BY_HAND: Series = Series::of(WHAT, "five commits by hand");
const DBOS: Series = Series::of(WHAT, "DBOS");

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The family.
pub const FAMILY: Family = Family {
    word: "workflows",
    title: "Workflow runs",
    about: "A published definition of four steps, each a command that tags the client whose creation started the run. `ubos \
            relay` and `ubos workflow` run as processes, NATS syncs when it usually does. A run counts from the command \
            that creates the client until `run.succeeded` is in the log. By hand a run is five commits from a pool with a \
            connection for each: the run, then for each step its result, its effect and the run's state in one statement. \
            DBOS runs the same four steps, one insert each, with as many connections as runs.",
    load: "at once",
    unit: "runs per second",
    quick: false,
    goals: &[
        Goal::at_least(0.7, OURS.at(16), BY_HAND.at(16)),
        Goal::at_least(1.0, OURS.at(64), BY_HAND.at(64)),
        Goal::at_least(5.0, OURS.at(16), DBOS.at(16)),
        Goal::at_least(10.0, OURS.at(64), DBOS.at(64)),
        Goal::limit(30.0, Figure::P50, OURS.at(16)),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let (log, by_hand, dbos) =
        (TestDatabase::create().await, TestDatabase::create().await, TestDatabase::create().await);
    let limit = by_hand.superuser().await;
    sqlx::raw_sql(
        "create table runs (id uuid primary key, state text not null, step integer not null, input jsonb not null);
         create table results (run uuid not null, step integer not null, result jsonb not null, primary key (run, step));
         create table effects (id uuid primary key, tag text not null, client uuid not null)",
    )
    .execute(&limit)
    .await?;
    let nats = super::relay::usual_nats()?;
    let product = Product::on(&log, &nats.url)?;
    let mut bus = CommandBus::new(product::store(&log, StoreOptions::default()).await?);
    registry::mount_all(&mut bus);
    workflow_engine::publish(&bus, tenant(0), "bench", &four_tags()).await?;
    let _roles = (product.start("relay").await?, product.start("workflow").await?);
    let finished = Finished::watch(log.worker().await).await?;
    for pass in 0..=plan.passes {
        let seconds = if pass == 0 { 1 } else { plan.seconds };
        for at_once in [16, 64] {
            let (store, waiting) = (bus.store().clone(), finished.clone());
            let before = Used::now(&limit).await?;
            let ours = load::closed(at_once, seconds, move |turn| {
                let (store, waiting) = (store.clone(), waiting.clone());
                async move { run(&store, &waiting, turn).await }
            });
            let ours = ours.await;
            if pass == plan.passes {
                let used = Used::now(&limit).await?.since(&before);
                records.note(FAMILY.word, format!("Cores with {at_once} runs at once, in the last pass: {used}."));
            }
            let connections = u32::try_from(at_once)?;
            let options = limit.connect_options().as_ref().clone().disable_statement_logging();
            let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections);
            let pool = pool.connect_with(options).await?;
            let runs = pool.clone();
            let hand = load::closed(at_once, seconds, move |_| five_commits(runs.clone()));
            let hand = hand.await;
            pool.close().await;
            let peer: Option<Sample> = match plan.peers {
                true => Some(peers::dbos(&dbos.superuser_url(), at_once, seconds).await?),
                false => None,
            };
            if pass > 0 {
                records.add(OURS.at(at_once), ours);
                records.add(BY_HAND.at(at_once), hand);
                peer.into_iter().for_each(|peer| records.add(DBOS.at(at_once), peer));
            }
        }
    }
    Ok(())
}

/// The definition.
pub fn four_tags() -> String {
    let steps = ["one", "two", "three", "four"].map(|tag| {
        json!({ "type": "command", "command": "crm.client.tag", "target": "{{ event.aggregate_id }}",
                "parameters": { "tag": tag } })
    });
    let definition = json!({
        "name": "Four tags", "runs_as": ["crm.client.tag"], "trigger": { "event_type": "client.created" }, "actions": steps,
    });
    definition.to_string()
}

/// What `run.started` says of the event that started it.
#[derive(Deserialize)]
struct Started {
    trigger: Trigger,
}

#[derive(Deserialize)]
struct Trigger {
    aggregate_id: Uuid,
}

/// Creates a client and waits for the run that its creation starts.
async fn run(store: &Store, finished: &Finished, turn: u64) -> bool {
    let client = Uuid::now_v7();
    let done = finished.expect(client);
    if clients::create_one_as(store, client, turn).await.is_none() {
        return false;
    }
    tokio::time::timeout(PATIENCE, done).await.is_ok_and(|done| done.is_ok())
}

async fn five_commits(pool: PgPool) -> bool {
    let (run, client) = (Uuid::now_v7(), Uuid::now_v7());
    let begin =
        sqlx::query("insert into runs values ($1, 'running', 0, $2)").bind(run).bind(json!({ "client": client }));
    if begin.execute(&pool).await.is_err() {
        return false;
    }
    for step in 1..=4 {
        let sql = "with result as (insert into results values ($1, $2, $3)),
                        effect as (insert into effects values ($4, $5, $6))
                   update runs set step = $2, state = case $2 when 4 then 'succeeded' else 'running' end where id = $1";
        let query = sqlx::query(sql).bind(run).bind(step).bind(json!({ "id": client, "version": step + 1 }));
        if query.bind(Uuid::now_v7()).bind(format!("tag {step}")).bind(client).execute(&pool).await.is_err() {
            return false;
        }
    }
    true
}

/// Sees in the log which clients' runs have succeeded.
#[derive(Clone)]
struct Finished(Arc<Mutex<HashMap<Uuid, oneshot::Sender<()>>>>);

impl Finished {
    async fn watch(worker: PgPool) -> Result<Self> {
        let finished = Self(Arc::default());
        let watched = finished.clone();
        // Woken by every append: whoever asks the log now and then would add the time between to each run.
        let feed = Feed::start(product::log(worker)?, None).await?;
        let mut at = feed.head();
        tokio::spawn(async move {
            let mut runs: HashMap<Uuid, Uuid> = HashMap::new();
            while let Ok(events) = feed.read(at, 10_000).await {
                for event in events {
                    at = event.position;
                    match event.event_type.as_str() {
                        "run.started" => {
                            let started: Option<Started> = serde_json::from_str(event.payload.get()).ok();
                            runs.extend(started.map(|started| (event.aggregate_id, started.trigger.aggregate_id)));
                        }
                        "run.succeeded" => runs.remove(&event.aggregate_id).into_iter().for_each(|c| watched.done(c)),
                        _ => {}
                    }
                }
            }
        });
        Ok(finished)
    }

    fn expect(&self, client: Uuid) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(client, done);
        waiting
    }

    fn done(&self, client: Uuid) {
        if let Some(waiting) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&client) {
            // Whoever waited may have lost patience.
            waiting.send(()).ok();
        }
    }
}
