//! Requests per second over HTTP against every role as a process of its own, and what each of them weighs.
//!
//! The clients run on the same cores as the services, so these are lower bounds.

use crate::Plan;
use crate::measure::{Table, closed_loop};
use anyhow::{Context, Result};
use e2e::{ROLES, Role, World};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const CLIENTS: usize = 1_000;

/// Creates clients over HTTP, then reads them by id.
pub async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let world = World::start().await?;
    let mut ids = vec![];
    for turn in 0..CLIENTS {
        let key = Uuid::now_v7().to_string();
        let created = world.post("/v1/crm/clients", Some(&key), &json!({ "name": format!("Client {turn}") })).await?;
        ids.push(created.body["id"].as_str().context("an id")?.to_owned());
    }
    let last = format!("/v1/crm/clients/{}", ids[CLIENTS - 1]);
    world.eventually(&last, std::time::Duration::from_secs(10), |body| body["version"] == 1).await?;
    let ids = Arc::new(ids);
    let http = reqwest::Client::builder().pool_max_idle_per_host(64).build()?;
    for _ in 0..plan.passes {
        for in_flight in [16, 64] {
            let (http, ids) = (http.clone(), ids.clone());
            let (url, token) = (world.url(Role::QueryApi), world.token().to_owned());
            let reads = closed_loop(in_flight, plan.seconds, move |turn| {
                let id = &ids[usize::try_from(turn).unwrap_or(0).wrapping_mul(7919) % CLIENTS];
                let request = http.get(format!("{url}/v1/crm/clients/{id}")).bearer_auth(&token);
                async move {
                    let Ok(answer) = request.send().await else { return false };
                    answer.status() == 200 && answer.bytes().await.is_ok()
                }
            });
            table.add(200 + in_flight, format!("GET by id over HTTP, {in_flight} in flight"), reads.await);
        }
        let (http, url, token) = (http.clone(), world.url(Role::CommandApi), world.token().to_owned());
        let writes = closed_loop(64, plan.seconds, move |turn| {
            let request = http.post(format!("{url}/v1/crm/clients")).bearer_auth(&token);
            let request = request.header("Idempotency-Key", Uuid::now_v7().to_string());
            let request = request.json(&json!({ "name": format!("Client {turn}") }));
            async move {
                let Ok(answer) = request.send().await else { return false };
                answer.status() == 201 && answer.bytes().await.is_ok()
            }
        });
        table.add(300, "POST a client over HTTP, 64 in flight", writes.await);
    }
    for role in ROLES {
        table.note(format!("{}: {} MiB resident after this load", role.name(), world.resident_mib(role)?));
    }
    Ok(())
}
