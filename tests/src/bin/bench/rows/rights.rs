//! How soon a right that was taken away is gone on every copy.

use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::product::{Process, Product};
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::{tenant, user};
use crate::wire::{self, Connection};
use anyhow::{Context, Result, ensure};
use event_store::{CommandBus, Request, Store, StoreOptions};
use kernel::Actor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use uuid::Uuid;

const REVOKED: Series = Series::of("key revoked to refused by all four copies, beside 500 renames a second", "UBOS");

/// Renames a second beside it.
const BESIDE: u64 = 500;
/// Keys that are revoked in a pass, one after the other.
const KEYS: u64 = 40;

/// The family.
pub const FAMILY: Family = Family {
    word: "rights",
    title: "A right that is taken away",
    about: "Two copies of command-api and of query-api as processes. An owner issues a key, each copy answers it, the owner revokes \
            it; then each copy is asked again and again, without a pause, until it refuses. The time is from the answer to the owner \
            until the last of the four has refused. Beside it clients of the same firm are renamed.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[Goal::limit(1_000.0, Figure::P99, REVOKED)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

/// A process, and what it is asked to see whether a key still opens.
#[derive(Clone, Copy)]
struct Instance {
    at: SocketAddr,
    asked: fn(&str) -> Vec<u8>,
}

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let product = Product::on(&log, &TestNats::new().url)?;
    register(&log).await?;
    let owner = product.token(tenant(0))?;
    let mut commands = vec![];
    let mut queries = vec![];
    for _ in 0..2 {
        commands.push(product.start("command-api").await?);
        queries.push(product.start("query-api").await?);
    }
    let of = |processes: &[Process], asked: fn(&str) -> Vec<u8>| {
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
                let body = format!(r#"{{"name":"{}"}}"#, super::new_name(turn));
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
    }
    Ok(())
}

/// The firm is registered, so what counts is what its own log says, and the bench's user owns it.
async fn register(log: &TestDatabase) -> Result<()> {
    let mut bus = CommandBus::new(Store::start(log.command().await, StoreOptions::default()));
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
            let status = connection.send(&(self.asked)(key)).await?.status;
            if wanted(status) {
                return Ok(());
            }
            ensure!(started.elapsed() < Duration::from_secs(20), "{} still answers {status}", self.at);
        }
    }
}

/// A command about a client that nobody has, which is 404 for whoever comes in.
fn renamed(key: &str) -> Vec<u8> {
    let path = format!("/v1/crm/clients/{}/rename", Uuid::now_v7());
    wire::post(&path, key, &Uuid::now_v7().to_string(), r#"{"name":"Nobody"}"#)
}

/// The same as a query.
fn read(key: &str) -> Vec<u8> {
    wire::get(&format!("/v1/crm/clients/{}", Uuid::now_v7()), key, "")
}

async fn post(at: SocketAddr, path: &str, token: &str, body: &Value) -> Result<Value> {
    let mut connection = Connection::open(at).await?;
    let request = wire::post(path, token, &Uuid::now_v7().to_string(), &body.to_string());
    let answer = connection.send(&request).await?;
    ensure!((200..300).contains(&answer.status), "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
    Ok(serde_json::from_slice(answer.body)?)
}
