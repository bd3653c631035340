//! What a careful person would write without an engine: a record per run and one commit per step, which holds the step's
//! effect and its record. Five commits per run, and nothing is said of retries, waits, ids, tenants or readers.

use crate::measure::{Sample, sample};
use crate::ours::commits;
use anyhow::Result;
use sqlx::postgres::PgPoolOptions;
use sqlx::types::Json;
use sqlx::{Executor as _, PgPool};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::TestDatabase;
use uuid::Uuid;

const TABLES: &str = "
    create table run (id uuid primary key, started_at timestamptz not null default now(), trigger jsonb not null);
    create table step (run_id uuid, step int, result jsonb not null, done_at timestamptz not null default now(),
                       primary key (run_id, step));
    create table effect (id bigserial primary key, run_id uuid, name text not null, detail jsonb not null)";
const STEP: &str = "
    with done as (insert into step (run_id, step, result) values ($1, $2, $3))
    insert into effect (run_id, name, detail) values ($1, $4, $5)";

/// As many connections as runs in flight.
pub async fn measure(in_flight: usize, seconds: u64) -> Result<Sample> {
    let database = TestDatabase::create().await;
    let admin = database.superuser().await;
    admin.execute(TABLES).await?;
    let connections = u32::try_from(in_flight)?;
    let options = sqlx::postgres::PgConnectOptions::from_str(&database.superuser_url())?;
    let pool =
        PgPoolOptions::new().min_connections(connections).max_connections(connections).connect_with(options).await?;
    let before = commits(&admin).await?;
    let warm = Instant::now() + Duration::from_secs(1);
    let end = warm + Duration::from_secs(seconds);
    let client = async |pool: PgPool| -> Result<(u64, Vec<f64>)> {
        let (mut all, mut latencies) = (0, vec![]);
        while Instant::now() < end {
            let begun = Instant::now();
            run(&pool).await?;
            all += 1;
            if begun >= warm && Instant::now() <= end {
                latencies.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        Ok((all, latencies))
    };
    let client = Arc::new(client);
    let clients = (0..in_flight).map(|_| {
        let (client, pool) = (client.clone(), pool.clone());
        async move { client(pool).await }
    });
    let seen = futures::future::try_join_all(clients).await?;
    pool.close().await;
    let all: u64 = seen.iter().map(|(all, _)| all).sum();
    let latencies = seen.into_iter().flat_map(|(_, latencies)| latencies).collect();
    let commits = (commits(&admin).await? - before) as f64 / all as f64;
    admin.close().await;
    Ok(Sample { commits, ..sample(latencies, seconds as f64) })
}

async fn run(pool: &PgPool) -> Result<()> {
    let id = Uuid::new_v4();
    let detail = || Json(serde_json::json!({ "name": "Analytical Engines", "reference": id, "note": "x".repeat(120) }));
    sqlx::query("insert into run (id, trigger) values ($1, $2)").bind(id).bind(detail()).execute(pool).await?;
    for step in 0..4 {
        let result = Json(serde_json::json!({ "id": id, "version": step }));
        sqlx::query(STEP).bind(id).bind(step).bind(result).bind("Client").bind(detail()).execute(pool).await?;
    }
    Ok(())
}
