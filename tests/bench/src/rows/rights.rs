//! How soon a right that was taken away is gone on every copy, and whether time tells what nobody may know.

use crate::clients;
use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::product::{self, Process, Product};
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::{Seed, scattered, tenant, user};
use crate::wire::{self, Connection};
use anyhow::{Context, Result, ensure};
use event_store::{CommandBus, Request, StoreOptions};
use kernel::Actor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use uuid::Uuid;

const REVOKED: Series = Series::of("key revoked to refused by all four copies, beside 500 renames a second", "UBOS");

const FOREIGN: Series = Series::of("404 to a query", "another firm's record");
const MISSING: Series = Series::of("404 to a query", "nobody's record");
const FOREIGN_COMMAND: Series = Series::of("404 to a command", "another firm's record");
const MISSING_COMMAND: Series = Series::of("404 to a command", "nobody's record");

/// Two firms with a few thousand clients each.
const FIRMS: Seed = Seed { streams: 10_000, events: 1, tenants: 2, recent: false };
/// How often each of both is asked for in a pass.
const SAMPLES: u64 = 10_000;
/// The median of one may be so much longer than the other's; nobody sees less across a network.
const ALIKE: f64 = 1.05;

/// Renames a second beside it.
const BESIDE: u64 = 500;
/// Keys that are revoked in a pass, one after the other.
const KEYS: u64 = 40;

/// The family.
pub const FAMILY: Family = Family {
    word: "rights",
    title: "A right that is taken away, and what time tells",
    about: "Two copies of command-api and of query-api as processes. An owner issues a key, each copy answers it, the owner revokes \
            it; then each copy is asked again and again, without a pause, until it refuses. The time is from the answer to the owner \
            until the last of the four has refused. Beside it clients of the same firm are renamed. Then, with nothing else \
            about, the owner asks in turn for another firm's client and for one that nobody has: both are answered 404, and \
            neither is slower, or whoever guesses ids would learn which are somebody's.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[
        Goal::limit(1_000.0, Figure::P99, REVOKED),
        Goal::at_most(ALIKE, Figure::P50, FOREIGN, MISSING),
        Goal::at_most(ALIKE, Figure::P50, MISSING, FOREIGN),
        Goal::at_most(ALIKE, Figure::P50, FOREIGN_COMMAND, MISSING_COMMAND),
        Goal::at_most(ALIKE, Figure::P50, MISSING_COMMAND, FOREIGN_COMMAND),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

/// A process, and what it is asked: for a client that nobody has it is 404 to whoever comes in.
#[derive(Clone, Copy)]
struct Instance {
    at: SocketAddr,
    asked: fn(&str, Uuid) -> Vec<u8>,
}

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let superuser = log.superuser().await;
    FIRMS.log(&superuser).await?;
    FIRMS.rows(&superuser).await?;
    let product = Product::on(&log, &TestNats::new().url)?;
    register(&log).await?;
    let owner = product.token(tenant(0))?;
    let mut commands = vec![];
    let mut queries = vec![];
    for _ in 0..2 {
        commands.push(product.start("command-api").await?);
        queries.push(product.start("query-api").await?);
    }
    let of = |processes: &[Process], asked: fn(&str, Uuid) -> Vec<u8>| {
        processes.iter().map(|copy| Instance { at: copy.address, asked }).collect::<Vec<_>>()
    };
    let copies = [of(&commands, renamed), of(&queries, read)].concat();
    let at = commands[0].address;
    let client = post(at, "/v1/crm/clients", &owner, &json!({ "name": "Engines" })).await?;
    let client = client["id"].as_str().context("an id")?.to_owned();
    for _ in 0..plan.passes {
        let (token, path) = (owner.clone(), format!("/v1/crm/clients/{client}/rename"));
        let beside = tokio::spawn(async move {
            let mut connection = Connection::open(at).await?;
            let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / BESIDE));
            for turn in 0.. {
                ticks.tick().await;
                let body = format!(r#"{{"name":"{}"}}"#, clients::new_name(turn));
                connection.send(&wire::post(&path, &token, &Uuid::now_v7().to_string(), &body)).await?;
            }
            anyhow::Ok(())
        });
        let (started, mut latencies) = (Instant::now(), vec![]);
        for _ in 0..KEYS {
            latencies.push(revoke_one(at, &copies, &owner).await?);
        }
        ensure!(!beside.is_finished(), "the renames ended before the keys: {:?}", beside.await);
        beside.abort();
        records.add(REVOKED, Sample::timed(latencies, started.elapsed(), 0));
        alike(records, &of(&commands, renamed)[0], [FOREIGN_COMMAND, MISSING_COMMAND], &owner).await?;
        alike(records, &of(&queries, read)[0], [FOREIGN, MISSING], &owner).await?;
    }
    Ok(())
}

/// Asks in turn for what is another firm's and for what is nobody's.
async fn alike(records: &mut Records, copy: &Instance, series: [Series; 2], owner: &str) -> Result<()> {
    let mut connection = Connection::open(copy.at).await?;
    let mut latencies = [vec![], vec![]];
    let started = Instant::now();
    for turn in 0..SAMPLES {
        // Every second client is of the second firm.
        let (_, foreign) = FIRMS.client(2 * scattered(turn) + 1);
        for (id, latencies) in [foreign, Uuid::now_v7()].into_iter().zip(&mut latencies) {
            let request = (copy.asked)(owner, id);
            let begun = Instant::now();
            let status = connection.send(&request).await?.status;
            latencies.push(begun.elapsed());
            ensure!(status == 404, "{id} is answered {status}");
        }
    }
    for (series, latencies) in series.into_iter().zip(latencies) {
        records.add(series, Sample::timed(latencies, started.elapsed(), 0));
    }
    Ok(())
}

/// The firm is registered, so what counts is what its own log says, and the bench's user owns it.
async fn register(log: &TestDatabase) -> Result<()> {
    let mut bus = CommandBus::new(product::store(log, StoreOptions::default()).await?);
    registry::mount_all(&mut bus);
    let done = async |name: &str, id: Uuid, body: Value| {
        let info = *bus.command(name).context("a command")?;
        let request = Request::new(tenant(0), Actor::System { name: "bench".to_owned() });
        bus.execute(&info, Some(id), body.to_string(), request).await.with_context(|| name.to_owned())
    };
    let owner = user().0;
    done("identity.user.invite", owner, json!({ "email": "owner@example.com", "name": "Owner", "roles": [] })).await?;
    let (state, _) = bus.store().load::<identity::User>(tenant(0), owner).await?;
    let invitation = state.invitation().context("an invitation")?;
    done("identity.user.accept_invitation", owner, json!({ "invitation_id": invitation })).await?;
    done("identity.tenant.register", tenant(0).0, json!({ "name": "Engines", "owner_id": owner })).await?;
    Ok(())
}

async fn revoke_one(at: SocketAddr, copies: &[Instance], owner: &str) -> Result<Duration> {
    let issue = json!({ "name": "Short-lived", "principal": { "kind": "user", "id": user().0 } });
    let issued = post(at, "/v1/identity/api-keys", owner, &issue).await?;
    let (id, key) = (issued["id"].as_str().context("an id")?, issued["secret"].as_str().context("a secret")?);
    for copy in copies {
        copy.until(key, |status| status != 401).await?;
    }
    post(at, &format!("/v1/identity/api-keys/{id}/revoke"), owner, &json!({ "reason": "measured" })).await?;
    let answered = Instant::now();
    let refusals = copies.iter().map(|copy| copy.until(key, |status| status == 401));
    futures::future::try_join_all(refusals).await?;
    Ok(answered.elapsed())
}

impl Instance {
    /// Asks with a key until the status is as wanted.
    async fn until(&self, key: &str, wanted: impl Fn(u16) -> bool) -> Result<()> {
        let mut connection = Connection::open(self.at).await?;
        let started = Instant::now();
        loop {
            let status = connection.send(&(self.asked)(key, Uuid::now_v7())).await?.status;
            if wanted(status) {
                return Ok(());
            }
            ensure!(started.elapsed() < Duration::from_secs(20), "{} still answers {status}", self.at);
        }
    }
}

/// A command about a client.
fn renamed(token: &str, client: Uuid) -> Vec<u8> {
    let path = format!("/v1/crm/clients/{client}/rename");
    wire::post(&path, token, &Uuid::now_v7().to_string(), r#"{"name":"Nobody"}"#)
}

/// A query for a client.
fn read(token: &str, client: Uuid) -> Vec<u8> {
    wire::get(&format!("/v1/crm/clients/{client}"), token, "")
}

async fn post(at: SocketAddr, path: &str, token: &str, body: &Value) -> Result<Value> {
    let mut connection = Connection::open(at).await?;
    let request = wire::post(path, token, &Uuid::now_v7().to_string(), &body.to_string());
    let answer = connection.send(&request).await?;
    ensure!((200..300).contains(&answer.status), "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
    Ok(serde_json::from_slice(answer.body)?)
}
