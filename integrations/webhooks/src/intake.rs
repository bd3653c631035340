//! Reads the log: what happens to endpoints changes what is sent where from then on, and everything else is to be sent to whoever asks for
//! it. Both in the order of the log, so an endpoint is sent what comes after it was added, and nothing twice.

use crate::delivery::DELIVERY;
use crate::desk::asks_for;
use crate::way::{Way, blocked_on, job};
use anyhow::{Context, Result};
use catalogue::AnyEvent;
use connections_events::{WebhookEndpointEvent as E, WebhookOrder};
use event_store::RawEvent;
use futures::future::BoxFuture;
use kernel::{Event as _, EventScope, Principal};
use reactions::{Intake, NewJob, StartAt, put};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Its checkpoint, so it never changes.
const NAME: &str = "webhooks";

/// See above.
pub struct Endpoints;

/// What an endpoint asks for.
#[derive(Debug, Clone)]
struct Asked {
    scopes: Vec<String>,
    is_ordered: bool,
}

/// The endpoints of these firms to which something is sent, or will be when they are resumed.
type Known = HashMap<Uuid, HashMap<Uuid, Asked>>;

impl Intake for Endpoints {
    fn name(&self) -> &'static str {
        NAME
    }

    /// An endpoint that was added before this ran for the first time is not forgotten.
    fn start(&self) -> StartAt {
        StartAt::Beginning
    }

    fn wants(&self, _: &RawEvent) -> bool {
        true
    }

    fn take_in<'a>(&'a self, tx: &'a mut PgConnection, events: &'a [Arc<RawEvent>]) -> BoxFuture<'a, Result<()>> {
        Box::pin(take_in(tx, events))
    }
}

async fn take_in(tx: &mut PgConnection, events: &[Arc<RawEvent>]) -> Result<()> {
    let mut known = known(tx, events).await.context("asking for endpoints")?;
    let mut jobs: Vec<NewJob> = vec![];
    for event in events {
        let about = (event.event_id, event.position, event.aggregate_id);
        let own = (event.aggregate_type == E::STREAM).then_some(event.aggregate_id);
        if let Some(endpoint) = own {
            match catalogue::decode(RawEvent::clone(event)).map(|event| event.payload) {
                Ok(AnyEvent::WebhookEndpoint(E::Tested {})) => {
                    jobs.push(job(event.tenant_id, endpoint, Way::Test(event.event_id), about));
                }
                Ok(AnyEvent::WebhookEndpoint(change)) => {
                    follow(tx, &mut known, event, &change).await.context("following an endpoint")?;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(position = event.position, error = %error, "an endpoint's event cannot be read");
                }
            }
        }
        let endpoints = known.get(&event.tenant_id.0).into_iter().flatten();
        for (endpoint, asked) in endpoints {
            // Nobody is told of themselves: that one fails is of no use to the one that fails.
            if own == Some(*endpoint) || !asks_for(&asked.scopes, event) {
                continue;
            }
            let way = if asked.is_ordered { Way::InTurn(event.aggregate_id) } else { Way::New };
            jobs.push(job(event.tenant_id, *endpoint, way, about));
        }
    }
    put(tx, DELIVERY, &jobs, false).await.context("adding what is to be sent")
}

async fn known(tx: &mut PgConnection, events: &[Arc<RawEvent>]) -> sqlx::Result<Known> {
    let mut tenants: Vec<Uuid> = events.iter().map(|event| event.tenant_id.0).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let sql = "select tenant_id, endpoint_id, scopes, is_ordered from webhooks.endpoints
               where tenant_id = any($1) and status in ('active', 'paused')";
    let rows: Vec<(Uuid, Uuid, Vec<String>, bool)> = sqlx::query_as(sql).bind(tenants).fetch_all(tx).await?;
    let mut known = Known::new();
    for (tenant, endpoint, scopes, is_ordered) in rows {
        known.entry(tenant).or_default().insert(endpoint, Asked { scopes, is_ordered });
    }
    Ok(known)
}

/// Changes an endpoint as its record was changed.
async fn follow(tx: &mut PgConnection, known: &mut Known, event: &RawEvent, change: &E) -> sqlx::Result<()> {
    let (tenant, endpoint) = (event.tenant_id.0, event.aggregate_id);
    let of_firm = known.entry(tenant).or_default();
    match change {
        E::Added { url, events, order, owner, description: _ } => {
            let asked = Asked { scopes: texts(events), is_ordered: is_ordered(*order) };
            let sql = "insert into webhooks.endpoints
                           (tenant_id, endpoint_id, status, url, scopes, is_ordered, owner, secret_version)
                       values ($1, $2, 'active', $3, $4, $5, $6, $7) on conflict (tenant_id, endpoint_id) do nothing";
            let added = sqlx::query(sql).bind(tenant).bind(endpoint).bind(url.as_str()).bind(&asked.scopes);
            added.bind(asked.is_ordered).bind(owner.map(Json)).bind(event.sequence).execute(tx).await?;
            of_firm.insert(endpoint, asked);
        }
        E::AddressChanged { url, owner } => {
            // What is there now has failed nobody yet.
            let sql = "update webhooks.endpoints
                       set url = $3, owner = $4, failures = 0, failing_since = null, shut_until = '-infinity'
                       where tenant_id = $1 and endpoint_id = $2";
            let moved = sqlx::query(sql).bind(tenant).bind(endpoint).bind(url.as_str()).bind(owner.map(Json));
            moved.execute(&mut *tx).await?;
            go_on(tx, tenant, endpoint).await?;
        }
        E::EventsChosen { events, order, owner } => {
            let asked = Asked { scopes: texts(events), is_ordered: is_ordered(*order) };
            let sql = "update webhooks.endpoints set scopes = $3, is_ordered = $4, owner = $5
                       where tenant_id = $1 and endpoint_id = $2";
            let chosen = sqlx::query(sql).bind(tenant).bind(endpoint).bind(&asked.scopes).bind(asked.is_ordered);
            chosen.bind(owner.map(Json::<Principal>)).execute(tx).await?;
            if let Some(before) = of_firm.get_mut(&endpoint) {
                *before = asked;
            }
        }
        E::SecretRotated { previous_until } => {
            let sql = "update webhooks.endpoints
                       set previous_version = secret_version, previous_until = $3, secret_version = $4
                       where tenant_id = $1 and endpoint_id = $2 and secret_version < $4";
            let rotated = sqlx::query(sql).bind(tenant).bind(endpoint).bind(previous_until.utc()).bind(event.sequence);
            rotated.execute(tx).await?;
        }
        E::Paused {} => status(tx, (tenant, endpoint), "paused").await?,
        E::Resumed {} => {
            let sql = "update webhooks.endpoints
                       set status = 'active', failures = 0, failing_since = null, shut_until = '-infinity', is_told = false
                       where tenant_id = $1 and endpoint_id = $2 returning scopes, is_ordered";
            let resumed = sqlx::query_as(sql).bind(tenant).bind(endpoint).fetch_optional(&mut *tx).await?;
            let resumed: Option<(Vec<String>, bool)> = resumed;
            if let Some((scopes, is_ordered)) = resumed {
                of_firm.insert(endpoint, Asked { scopes, is_ordered });
            }
            go_on(tx, tenant, endpoint).await?;
        }
        E::Disabled { .. } => {
            of_firm.remove(&endpoint);
            status(tx, (tenant, endpoint), "disabled").await?;
            // What waits is let go, not kept.
            go_on(tx, tenant, endpoint).await?;
        }
        E::Removed {} => {
            of_firm.remove(&endpoint);
            status(tx, (tenant, endpoint), "removed").await?;
            go_on(tx, tenant, endpoint).await?;
        }
        E::Described { .. } | E::Tested {} | E::ReplayAsked { .. } | E::Failing { .. } | E::Recovered {} => {}
    }
    Ok(())
}

async fn status(tx: &mut PgConnection, (tenant, endpoint): (Uuid, Uuid), status: &str) -> sqlx::Result<()> {
    let sql = "update webhooks.endpoints set status = $3 where tenant_id = $1 and endpoint_id = $2";
    sqlx::query(sql).bind(tenant).bind(endpoint).bind(status).execute(tx).await.map(drop)
}

/// What waits for the endpoint is looked at now: what was paused, and what waits for a later try.
async fn go_on(tx: &mut PgConnection, tenant: Uuid, endpoint: Uuid) -> sqlx::Result<()> {
    let sql = "select reactions.release($1, $2, array[interval '0 seconds'])";
    sqlx::query(sql).bind(tenant).bind(blocked_on(endpoint)).execute(&mut *tx).await?;
    sqlx::query("select webhooks.hasten($1, $2)").bind(tenant).bind(endpoint).execute(tx).await.map(drop)
}

fn texts(scopes: &[EventScope]) -> Vec<String> {
    scopes.iter().map(|scope| scope.as_str().to_owned()).collect()
}

fn is_ordered(order: WebhookOrder) -> bool {
    matches!(order, WebhookOrder::PerRecord)
}
