//! Transactions by `pgbench`, the client that comes with PostgreSQL.

use crate::record::Sample;
use anyhow::{Context, Result, bail};
use sqlx::PgPool;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;

/// The share of transactions whose latency is written down; writing all of them would slow the limit.
const LOGGED: &str = "0.25";

/// Tables of the shape that a log and its outbox have when they are made by hand, with five events of each of 20,000
/// streams.
pub async fn prepare(superuser: &PgPool) -> Result<()> {
    for sql in [
        "create table events (position bigint generated always as identity, event_id uuid not null,
            tenant_id uuid not null, domain text not null, aggregate_type text not null, aggregate_id uuid not null,
            sequence bigint not null, event_type text not null, event_version integer not null, payload json not null,
            metadata json not null, recorded_at timestamptz not null default now(),
            primary key (tenant_id, aggregate_id, sequence))",
        "create unique index on events (position)",
        "create table outbox (position bigint primary key)",
        "insert into events (event_id, tenant_id, domain, aggregate_type, aggregate_id, sequence, event_type,
            event_version, payload, metadata)
         select gen_random_uuid(), md5('t')::uuid, 'crm', 'crm.client', md5(s::text)::uuid, n, 'client.renamed', 1,
            json_build_object('name', 'Engines ' || s || ' for the ' || n || '. time'), '{}'
         from generate_series(0, 19999) s, generate_series(1, 5) n",
        "vacuum analyze",
    ] {
        sqlx::query(sql).execute(superuser).await?;
    }
    Ok(())
}

const COLUMNS: &str =
    "event_id, tenant_id, domain, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata";
const METADATA: &str = "json_build_object('actor', json_build_object('kind', 'user', 'id', gen_random_uuid()), 'correlation_id', gen_random_uuid(), 'command', 'crm.client.rename')";

/// Loads a stream, then writes one event and its outbox row: two round trips.
pub fn command() -> String {
    let stream = "tenant_id = md5('t')::uuid and aggregate_id = md5(:s::text)::uuid";
    format!(
        "\\set s random(0, 19999)
select sequence, event_type, payload, metadata from events where {stream} order by sequence;
with e as (insert into events ({COLUMNS}) select gen_random_uuid(), md5('t')::uuid, 'crm', 'crm.client', md5(:s::text)::uuid, coalesce(max(sequence), 0) + 1, 'client.renamed', 1, json_build_object('name', 'Analytical Engines and Difference Engines, branch ' || :s || ', account ' || gen_random_uuid()), {METADATA} from events where {stream} on conflict do nothing returning position) insert into outbox select position from e;
"
    )
}

/// Fifty events of fifty new streams in one statement.
pub fn fifty() -> String {
    format!(
        "insert into events ({COLUMNS}) select gen_random_uuid(), md5('t')::uuid, 'crm', 'crm.client', gen_random_uuid(), 1, 'client.created', 2, json_build_object('name', 'Analytical Engines and Difference Engines, branch ' || g, 'kind', 'organisation'), {METADATA} from generate_series(1, 50) g;
"
    )
}

/// Runs a script; the rate is of transactions.
pub async fn run(database: &TestDatabase, script: &str, at_once: usize, seconds: u64) -> Result<Sample> {
    let folder = std::env::temp_dir().join(format!("ubos-pgbench-{}", Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("script.sql"), script)?;
    let program = std::env::var_os("UBOS_TEST_POSTGRES_BIN").map(|bin| PathBuf::from(bin).join("pgbench"));
    let mut command = Command::new(program.filter(|program| program.exists()).unwrap_or_else(|| "pgbench".into()));
    command.args(["-n", "-M", "prepared", "-c", &at_once.to_string(), "-j", "2", "-T", &seconds.to_string()]);
    command.args(["-l", "--log-prefix=latency", "--sampling-rate", LOGGED, "-f", "script.sql"]);
    command.arg(database.superuser_url()).current_dir(&folder);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await?.context("pgbench comes with PostgreSQL's client package")?;
    let mut latencies = vec![];
    for file in std::fs::read_dir(&folder)?.flatten() {
        if file.file_name().to_string_lossy().starts_with("latency") {
            let log = std::fs::read_to_string(file.path())?;
            // client, transaction, microseconds, script, and when
            let micros = log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            latencies.extend(micros.map(Duration::from_micros));
        }
    }
    std::fs::remove_dir_all(&folder)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
    let Some(rate) = rate else { bail!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr)) };
    Ok(Sample { value: rate, ..Sample::timed(latencies, Duration::from_secs(seconds), 0) })
}
