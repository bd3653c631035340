//! What operators ask about firms, across all of them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

/// A firm in the list of all.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub struct Firm {
    /// Which one.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// Where it stands.
    pub status: String,
    /// Since when it is there.
    pub registered_at: DateTime<Utc>,
    /// How many people it has who were not deactivated.
    pub users: i64,
}

/// Every firm, or those that stand somewhere; the newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn firms(pool: &PgPool, status: Option<&str>, limit: i64) -> sqlx::Result<Vec<Firm>> {
    let sql = "select t.id, t.name, t.status, t.created_at as registered_at,
                      (select count(*) from identity.users u
                       where u.tenant_id = t.tenant_id and u.status <> 'deactivated') as users
               from identity.tenants t
               where $1::text is null or t.status = $1
               order by t.created_at desc, t.id limit $2";
    sqlx::query_as(sql).bind(status).bind(limit).fetch_all(pool).await
}

/// One firm.
#[derive(Debug, sqlx::FromRow)]
pub struct FirmDetails {
    /// What it is called.
    pub name: String,
    /// Where it stands.
    pub status: String,
    /// Since when it is there.
    pub registered_at: DateTime<Utc>,
    /// The ids of its owners.
    pub owners: Value,
    /// Why it is suspended, if it is.
    pub suspended_reason: Option<String>,
    /// When its data ends, if it is closed.
    pub purge_at: Option<DateTime<Utc>>,
    /// When its trial ends or ended.
    pub trial_ends_at: DateTime<Utc>,
}

/// One firm; none if the read models do not know it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn firm(pool: &PgPool, tenant: Uuid) -> sqlx::Result<Option<FirmDetails>> {
    let sql = "select name, status, created_at as registered_at, owners, suspended_reason, purge_at, trial_ends_at
               from identity.tenants where tenant_id = $1 and id = $1";
    sqlx::query_as(sql).bind(tenant).fetch_optional(pool).await
}

/// How many people of a firm stand where.
///
/// # Errors
/// When the database cannot be asked.
pub async fn users_by_status(pool: &PgPool, tenant: Uuid) -> sqlx::Result<Vec<(String, i64)>> {
    let sql = "select status, count(*) from identity.users where tenant_id = $1 group by 1 order by 1";
    sqlx::query_as(sql).bind(tenant).fetch_all(pool).await
}

/// Some of the subscribers that may read, and how many there are in all.
///
/// # Errors
/// When the database cannot be asked.
pub async fn readers(pool: &PgPool, limit: i64) -> sqlx::Result<(Vec<Uuid>, i64)> {
    let sql = "select id, count(*) over () from identity.subscribers where status = 'active' order by id limit $1";
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(sql).bind(limit).fetch_all(pool).await?;
    let count = rows.first().map_or(0, |(_, count)| *count);
    Ok((rows.into_iter().map(|(id, _)| id).collect(), count))
}
