//! How all connections of an installation are, provider by provider: for whoever has graphs and alarms.

use sqlx::PgPool;

/// How the connections to one provider are.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Census {
    /// Which.
    pub provider: String,
    /// Connections that work.
    pub connected: i64,
    /// Those that work badly.
    pub degraded: i64,
    /// Those that somebody must agree to again.
    pub auth_error: i64,
    /// Those that somebody has stopped.
    pub paused: i64,
    /// Of those that work: how long, in seconds, the round of a sync is overdue that is most overdue.
    pub lag_seconds: f64,
    /// Jobs that have not ended and go through them.
    pub waiting: i64,
    /// What the connection with the fewest calls has left of its day, if the provider counts by days.
    pub calls_left: Option<i64>,
}

/// How the connections to each provider are. `pool` connects as `ubos_worker`.
///
/// # Errors
/// When the database is away.
pub async fn census(pool: &PgPool) -> sqlx::Result<Vec<Census>> {
    let sql = "
        select l.provider,
               count(*) filter (where l.health = 'good' and not l.is_paused) as connected,
               count(*) filter (where l.health = 'degraded' and not l.is_paused) as degraded,
               count(*) filter (where l.health = 'refused' and not l.is_paused) as auth_error,
               count(*) filter (where l.is_paused) as paused,
               greatest(coalesce(max(extract(epoch from clock_timestamp() - s.next_at))
                                 filter (where not l.is_paused and l.health <> 'refused'), 0), 0)::double precision as lag_seconds,
               coalesce(sum(j.waiting), 0)::bigint as waiting,
               min(b.calls_left) as calls_left
        from connect.links l
                 left join lateral (
            select min(s.next_at) as next_at from connect.syncs s
            where s.tenant_id = l.tenant_id and s.connection_id = l.connection_id
            ) s on true
                 left join lateral (
            select min(case when b.ends_at > clock_timestamp() then greatest(b.most - b.used, 0) else b.most end)::bigint as calls_left
            from connect.budgets b
            where b.tenant_id = l.tenant_id and b.connection_id = l.connection_id and b.name = 'day'
            ) b on true
                 left join lateral (
            select count(*) as waiting
            from reactions.lanes n
                     join reactions.jobs j on j.tenant_id = n.tenant_id and j.reaction = n.reaction and j.lane = n.lane and j.in_lane
            where n.tenant_id = l.tenant_id
              and (n.blocked_on = l.connection_id::text or n.through = l.connection_id::text)
            ) j on true
        group by l.provider order by l.provider";
    sqlx::query_as(sql).fetch_all(pool).await
}
