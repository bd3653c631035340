//! Read models by hand: folded in memory and copied once, or upserted page by page.

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde::Deserialize;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Events of one page.
const PAGE: i64 = 10_000;
/// Text that is sent to a COPY at once.
const PIECE: usize = 64 << 10;

const EVENTS: &str = "select position, tenant_id, aggregate_id, sequence, payload, recorded_at from eventstore.events \
                      where position > $1 and position <= $2 and aggregate_type = 'crm.client' order by position";

#[derive(Deserialize)]
struct Payload {
    name: String,
    kind: Option<String>,
}

#[derive(Clone)]
struct Client {
    position: i64,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    name: String,
    kind: String,
}

#[derive(Default)]
struct Fold(HashMap<(Uuid, Uuid), Client>);

impl Fold {
    fn apply(&mut self, row: &sqlx::postgres::PgRow) -> Result<(Uuid, Uuid)> {
        let key: (Uuid, Uuid) = (row.try_get(1)?, row.try_get(2)?);
        let (position, version, recorded_at): (i64, i64, DateTime<Utc>) =
            (row.try_get(0)?, row.try_get(3)?, row.try_get(5)?);
        let Json(payload): Json<Payload> = row.try_get(4)?;
        match self.0.get_mut(&key) {
            Some(client) => {
                client.name = payload.name;
                (client.position, client.version, client.updated_at) = (position, version, recorded_at);
            }
            None => {
                let (name, kind) = (payload.name, payload.kind.unwrap_or_default());
                let client = Client { position, version, created_at: recorded_at, updated_at: recorded_at, name, kind };
                self.0.insert(key, client);
            }
        }
        Ok(key)
    }
}

/// A table as the product's, once without and once with its indexes.
pub async fn prepare(superuser: &PgPool) -> Result<()> {
    for sql in [
        "create table copied (like crm.clients)",
        "create table upserted (like crm.clients including all)",
        "create table checkpoint (position bigint not null)",
    ] {
        sqlx::query(sql).execute(superuser).await?;
    }
    Ok(())
}

/// Folds the whole log in memory, copies the rows and makes the primary key: nothing is verified, no other index made.
pub async fn copy_once(superuser: &PgPool, head: i64) -> Result<Duration> {
    sqlx::raw_sql("truncate copied; alter table copied drop constraint if exists copied_pkey")
        .execute(superuser)
        .await?;
    let started = Instant::now();
    let mut fold = Fold::default();
    let mut rows = sqlx::query(EVENTS).bind(0_i64).bind(head).fetch(superuser);
    while let Some(row) = rows.try_next().await? {
        fold.apply(&row)?;
    }
    drop(rows);
    let mut connection = superuser.acquire().await?;
    let mut copy = connection.copy_in_raw("copy copied from stdin").await?;
    let mut text = String::with_capacity(PIECE + 1_024);
    for ((tenant, id), client) in &fold.0 {
        let Client { position, version, created_at, updated_at, name, kind } = client;
        // The seeded names hold nothing that COPY would misread.
        writeln!(
            text,
            "{tenant}\t{position}\t{id}\t{version}\t{created_at}\t{updated_at}\t{name}\t{kind}\t\\N\t\\N\tprospect\t\\N\t[]\t\\N"
        )?;
        if text.len() > PIECE {
            copy.send(text.as_bytes()).await?;
            text.clear();
        }
    }
    copy.send(text.as_bytes()).await?;
    copy.finish().await?;
    sqlx::query("alter table copied add primary key (tenant_id, id)").execute(&mut *connection).await?;
    Ok(started.elapsed())
}

/// Reads pages, upserts the rows that they touch, and moves a checkpoint in the same commit, which does not wait for the
/// disk: the product's does not either.
pub async fn upsert_pages(superuser: &PgPool, head: i64) -> Result<Duration> {
    sqlx::raw_sql("truncate upserted; truncate checkpoint; insert into checkpoint values (0)")
        .execute(superuser)
        .await?;
    let started = Instant::now();
    let (mut fold, mut at) = (Fold::default(), 0);
    while at < head {
        let upto = (at + PAGE).min(head);
        let page = sqlx::query(EVENTS).bind(at).bind(upto).fetch_all(superuser).await?;
        let touched = page.iter().map(|row| fold.apply(row)).collect::<Result<BTreeSet<_>>>()?;
        let mut tx = event_store::begin(superuser).await?;
        sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
        let rows = || touched.iter().filter_map(|key| Some((key, fold.0.get(key)?)));
        sqlx::query(
            "insert into upserted
             select t, p, i, v, c, u, n, k, null, null, 'prospect', null, '[]', null
             from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::timestamptz[], $6::timestamptz[],
                         $7::text[], $8::text[]) as r (t, p, i, v, c, u, n, k)
             on conflict (tenant_id, id) do update
             set position = excluded.position, version = excluded.version, updated_at = excluded.updated_at,
                 name = excluded.name",
        )
        .bind(rows().map(|(key, _)| key.0).collect::<Vec<_>>())
        .bind(rows().map(|(_, client)| client.position).collect::<Vec<_>>())
        .bind(rows().map(|(key, _)| key.1).collect::<Vec<_>>())
        .bind(rows().map(|(_, client)| client.version).collect::<Vec<_>>())
        .bind(rows().map(|(_, client)| client.created_at).collect::<Vec<_>>())
        .bind(rows().map(|(_, client)| client.updated_at).collect::<Vec<_>>())
        .bind(rows().map(|(_, client)| client.name.as_str()).collect::<Vec<_>>())
        .bind(rows().map(|(_, client)| client.kind.as_str()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        sqlx::query("update checkpoint set position = $1").bind(upto).execute(&mut *tx).await?;
        tx.commit().await?;
        at = upto;
    }
    Ok(started.elapsed())
}
