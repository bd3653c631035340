//! How soon a query sees what a command was answered for.

use crate::clients;
use crate::family::Family;
use crate::goal::Goal;
use crate::load;
use crate::plan::Plan;
use crate::product::Product;
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::{scattered, tenant};
use crate::wire::{self, Connection};
use anyhow::{Context, Result};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use uuid::Uuid;

const OURS: Series = Series::of("command answered to query answered, half load", "UBOS");

/// Clients that are renamed.
const CLIENTS: u64 = 1_000;

/// The family.
pub const FAMILY: Family = Family {
    word: "answers",
    title: "A command's effect in a query",
    about: "command-api, query-api, relay and projections as processes. A rename is sent; when it is answered, the record is \
            asked for with the answer's position as `Min-Position`; the time is from one answer to the other. Pairs come \
            evenly at half of what 64 clients reached together before the passes. Every message is synced to the disk.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[Goal::limit(15.0, Figure::P50, OURS), Goal::limit(60.0, Figure::P99, OURS)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

/// Both APIs, and connections to both that nobody uses just now.
struct Apis {
    command: SocketAddr,
    query: SocketAddr,
    token: String,
    clients: Vec<String>,
    idle: Mutex<Vec<(Connection, Connection)>>,
}

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let product = Product::on(&log, &TestNats::new().url)?;
    let token = product.token(tenant(0))?;
    let (command, query) = (product.start("command-api").await?, product.start("query-api").await?);
    let _readers = (product.start("relay").await?, product.start("projections").await?);
    let clients = create(command.address, &token).await?;
    let apis =
        Arc::new(Apis { command: command.address, query: query.address, token, clients, idle: Mutex::default() });
    let pairs = apis.clone();
    let most = load::closed(64, 3, move |turn| {
        let apis = pairs.clone();
        async move { apis.pair(turn).await.is_ok() }
    });
    let most = most.await.value;
    let half = ((most / 2.0) as u64).max(1);
    records.note(FAMILY.word, format!("64 clients reached {most:.0} pairs per second; half load was {half}."));
    for _ in 0..plan.passes {
        let apis = apis.clone();
        let sample: Sample = load::open(half, plan.seconds, move |turn, _| {
            let apis = apis.clone();
            async move { apis.pair(turn).await.ok() }
        })
        .await;
        records.add(OURS, sample);
    }
    Ok(())
}

async fn create(address: SocketAddr, token: &str) -> Result<Vec<String>> {
    let mut connection = Connection::open(address).await?;
    let mut clients = vec![];
    for turn in 0..CLIENTS {
        let body = format!(r#"{{"name":"{}"}}"#, clients::new_name(turn));
        let request = wire::post("/v1/crm/clients", token, &Uuid::now_v7().to_string(), &body);
        let answer: Value = serde_json::from_slice(connection.send(&request).await?.body)?;
        clients.push(answer["id"].as_str().context("an id")?.to_owned());
    }
    Ok(clients)
}

impl Apis {
    /// A command, then a query that must have seen it; answers the time between their answers.
    async fn pair(&self, turn: u64) -> Result<Duration> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut command, mut query) = match idle {
            Some(both) => both,
            None => (Connection::open(self.command).await?, Connection::open(self.query).await?),
        };
        let client = &self.clients[(scattered(turn) % CLIENTS) as usize];
        let name = clients::new_name(turn);
        let path = format!("/v1/crm/clients/{client}");
        let rename = wire::post(
            &format!("{path}/rename"),
            &self.token,
            &Uuid::now_v7().to_string(),
            &format!(r#"{{"name":"{name}"}}"#),
        );
        let answer = command.send(&rename).await?;
        anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        let position = serde_json::from_slice::<Value>(answer.body)?["position"].as_i64().context("a position")?;
        let answered = Instant::now();
        let seen = query.send(&wire::get(&path, &self.token, &format!("Min-Position: {position}\r\n"))).await?;
        anyhow::ensure!(seen.status == 200, "{}: {}", seen.status, String::from_utf8_lossy(seen.body));
        let took = answered.elapsed();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((command, query));
        Ok(took)
    }
}
