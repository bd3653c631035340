//! What is written down of a failure, and that the record of a connection is told.

use ports::Place;
use reactions::{Lane, NewJob, put};
use sqlx::PgConnection;
use uuid::Uuid;

/// The jobs that tell the record of a connection how it is.
pub const NOTES: &str = "connect.note";
/// Failures in a row after which a connection is called degraded.
pub(crate) const FAILURES_MAX: i32 = 3;
/// Characters of what was said that are kept.
const DETAIL_MAX: usize = 300;

/// Writes down a failure, and has the record told if the connection is otherwise than before.
pub(crate) async fn note(
    tx: &mut PgConnection,
    at: Place,
    health: Option<&str>,
    trouble: &str,
    detail: &str,
) -> sqlx::Result<()> {
    let sql = "with before as (select l.health from connect.links l where l.tenant_id = $1 and l.connection_id = $2 for update)
               update connect.links l
               set failures = l.failures + 1, last_failure_at = clock_timestamp(),
                   health = case when l.health = 'refused' then l.health when $3 is not null then $3
                                 when l.failures + 1 >= $6 then 'degraded' else l.health end,
                   trouble = case when l.health = 'refused' and coalesce($3, '') <> 'refused' then l.trouble else $4 end,
                   detail = case when l.health = 'refused' and coalesce($3, '') <> 'refused' then l.detail else $5 end
               from before where l.tenant_id = $1 and l.connection_id = $2 returning before.health, l.health";
    let noted = sqlx::query_as(sql)
        .bind(at.tenant.0)
        .bind(at.connection.0)
        .bind(health)
        .bind(trouble)
        .bind(short(detail))
        .bind(FAILURES_MAX);
    let noted: Option<(String, String)> = noted.fetch_optional(&mut *tx).await?;
    match noted {
        Some((before, after)) if before != after => tell(tx, at).await,
        _ => Ok(()),
    }
}

/// What was said, as it is kept.
pub(crate) fn short(detail: &str) -> String {
    detail.chars().filter(|c| !c.is_control()).take(DETAIL_MAX).collect()
}

/// Makes a job of telling the record, in the transaction that changes what there is to tell.
pub(crate) async fn tell(tx: &mut PgConnection, at: Place) -> sqlx::Result<()> {
    let job = NewJob {
        tenant: at.tenant,
        lane: Lane::of(at.connection),
        key: Uuid::now_v7().to_string(),
        position: None,
        subject: Some(at.connection.0),
    };
    put(tx, NOTES, &[job], false).await
}
