//! Runs that should not be as they are, over every tenant; what `ubos verify` counts.

use sqlx::PgPool;

/// How many runs there are, and how many of them are neither finished, nor waiting, nor parked with a reason, by status.
/// `pool` connects as `ubos_worker`.
pub async fn unfinished_runs(pool: &PgPool) -> Result<(i64, Vec<(String, i64)>), sqlx::Error> {
    let all = sqlx::query_scalar("select count(*) from workflow.runs").fetch_one(pool).await?;
    let open = sqlx::query_as(
        "select status, count(*) from workflow.runs
         where status not in ('succeeded', 'cancelled', 'compensated', 'waiting') and not (status = 'parked' and error is not null)
         group by status order by status",
    );
    Ok((all, open.fetch_all(pool).await?))
}
