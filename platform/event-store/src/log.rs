//! The one path a reader takes: pages of the log by position.

use crate::raw_event::RawEvent;
use crate::seal;
use chrono::{DateTime, Utc};
use kernel::{Metadata, Recorded, TenantId};
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use tokio::sync::watch;
use uuid::Uuid;
use vault::Vault;

const COLUMNS: &str = "e.position, e.event_id, e.tenant_id, e.domain, e.aggregate_type, e.aggregate_id, e.sequence, \
                       coalesce(fix.event_type, e.event_type), coalesce(fix.event_version, e.event_version), \
                       coalesce(fix.payload, e.payload), e.metadata, e.recorded_at";
/// The log with what was put in the place of events that cannot be applied.
const EVENTS: &str = "eventstore.events e left join eventstore.repairs fix on fix.position = e.position";

/// Reads the log. Cheap to clone. `pool` connects as `ubos_worker`, which may see every tenant's events.
#[derive(Debug, Clone)]
pub struct Log {
    pool: PgPool,
    vault: Option<Vault>,
    withhold: Option<Withhold>,
}

/// Takes out of an event what its reader must not have.
pub type Withhold = fn(&mut RawEvent);

impl Log {
    /// A reader on `pool` of a log in which nothing is sealed; what is sealed cannot be read with it.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, vault: None, withhold: None }
    }

    /// A reader on `pool` that opens what is sealed.
    pub fn unsealing(pool: PgPool, vault: Option<Vault>) -> Self {
        Self { pool, vault, withhold: None }
    }

    /// The same reader, of events without what must not leave.
    #[must_use]
    pub fn withholding(self, withhold: Withhold) -> Self {
        Self { withhold: Some(withhold), ..self }
    }

    /// Waits until somebody was erased: whoever keeps events in memory reads them again. For ever without a vault.
    pub fn erasures(&self) -> Erasures {
        Erasures(self.vault.as_ref().map(Vault::destroyed))
    }

    async fn open(&self, rows: &[PgRow]) -> Result<Vec<RawEvent>, sqlx::Error> {
        let mut events = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        seal::open_events(self.vault.as_ref(), &mut events).await.map_err(seal::unreadable)?;
        if let Some(withhold) = self.withhold {
            events.iter_mut().for_each(withhold);
        }
        Ok(events)
    }

    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// The pool it reads with.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Position of the last committed event, 0 for an empty log.
    pub async fn head(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("select position from eventstore.head").fetch_one(&self.pool).await
    }

    /// Events with `after < position <= after + limit`, in order, no gap; empty when the reader has caught up.
    pub async fn read(&self, after: i64, limit: i64) -> Result<Vec<RawEvent>, sqlx::Error> {
        let sql =
            format!("select {COLUMNS} from {EVENTS} where e.position > $1 and e.position <= $2 order by e.position");
        let rows = sqlx::query(&sql).bind(after).bind(after.saturating_add(limit)).fetch_all(&self.pool).await?;
        self.open(&rows).await
    }

    /// The same, only the events of these kinds of streams (`crm.client`): for folds that want a part of the log.
    pub async fn read_types(&self, after: i64, upto: i64, types: &[String]) -> Result<Vec<RawEvent>, sqlx::Error> {
        let sql = format!(
            "select {COLUMNS} from {EVENTS}
             where e.position > $1 and e.position <= $2 and e.aggregate_type = any($3) order by e.position"
        );
        let rows = sqlx::query(&sql).bind(after).bind(upto).bind(types).fetch_all(&self.pool).await?;
        self.open(&rows).await
    }

    /// The events of one stream with `after < position <= upto`, in order.
    pub async fn read_stream(
        &self,
        tenant: TenantId,
        aggregate_id: Uuid,
        after: i64,
        upto: i64,
    ) -> Result<Vec<RawEvent>, sqlx::Error> {
        let sql = format!(
            "select {COLUMNS} from {EVENTS}
             where e.tenant_id = $1 and e.aggregate_id = $2 and e.position > $3 and e.position <= $4 order by e.position"
        );
        let rows = sqlx::query(&sql).bind(tenant.0).bind(aggregate_id).bind(after).bind(upto);
        self.open(&rows.fetch_all(&self.pool).await?).await
    }

    /// The events of one kind and one firm that `asked` asks for, in order, at most `limit`. Events of workflows have no
    /// kind here: nothing waits for them.
    pub async fn read_kind(&self, asked: &Kind<'_>, limit: i64) -> Result<Vec<RawEvent>, sqlx::Error> {
        let of_one = if asked.aggregate_id.is_some() { "and e.aggregate_id = $5" } else { "and $5::uuid is null" };
        let sql = format!(
            "select {COLUMNS} from {EVENTS}
             where e.tenant_id = $1 and e.event_type = $2 and e.domain <> 'workflow' and e.position > $3
               and e.position < $4 {of_one} and ($6::timestamptz is null or e.recorded_at >= $6)
               and ($7::timestamptz is null or e.recorded_at <= $7)
             order by e.position limit $8"
        );
        let rows = sqlx::query(&sql)
            .bind(asked.tenant.0)
            .bind(asked.event_type)
            .bind(asked.after)
            .bind(asked.before)
            .bind(asked.aggregate_id)
            .bind(asked.from)
            .bind(asked.until)
            .bind(limit);
        self.open(&rows.fetch_all(&self.pool).await?).await
    }

    /// How many events there are up to a position, of these kinds of streams or of all; and of how many streams.
    pub async fn count(&self, upto: i64, types: Option<&[String]>) -> Result<(i64, i64), sqlx::Error> {
        let Some(types) = types else {
            let streams = "select count(*) from eventstore.streams where first_position <= $1";
            return Ok((upto, sqlx::query_scalar(streams).bind(upto).fetch_one(&self.pool).await?));
        };
        sqlx::query_as(
            "select (select count(*) from eventstore.events where position <= $1 and aggregate_type = any($2)),
                    (select count(*) from eventstore.streams where first_position <= $1 and aggregate_type = any($2))",
        )
        .bind(upto)
        .bind(types)
        .fetch_one(&self.pool)
        .await
    }

    /// The event at one position.
    pub async fn find(&self, position: i64) -> Result<Option<RawEvent>, sqlx::Error> {
        let sql = format!("select {COLUMNS} from {EVENTS} where e.position = $1");
        let rows = sqlx::query(&sql).bind(position).fetch_all(&self.pool).await?;
        Ok(self.open(&rows).await?.pop())
    }
}

/// Which events of one kind.
#[derive(Debug, Clone)]
pub struct Kind<'a> {
    /// The firm.
    pub tenant: TenantId,
    /// `client.tagged`.
    pub event_type: &'a str,
    /// Only of this stream, if one is given.
    pub aggregate_id: Option<Uuid>,
    /// After this position.
    pub after: i64,
    /// And before this one.
    pub before: i64,
    /// Not committed before.
    pub from: Option<DateTime<Utc>>,
    /// Not committed later.
    pub until: Option<DateTime<Utc>>,
}

/// Says when somebody was erased.
#[derive(Debug, Clone)]
pub struct Erasures(Option<watch::Receiver<u64>>);

impl Erasures {
    /// Waits for the next one.
    pub async fn next(&mut self) {
        let told = match &mut self.0 {
            Some(destroyed) => destroyed.changed().await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending().await
        }
    }
}

fn event(row: &PgRow) -> Result<RawEvent, sqlx::Error> {
    let version: i32 = row.try_get(8)?;
    let Json(payload): Json<Box<RawValue>> = row.try_get(9)?;
    let Json(metadata): Json<Metadata> = row.try_get(10)?;
    Ok(Recorded {
        position: row.try_get(0)?,
        event_id: row.try_get(1)?,
        tenant_id: TenantId(row.try_get(2)?),
        domain: row.try_get(3)?,
        aggregate_type: row.try_get(4)?,
        aggregate_id: row.try_get(5)?,
        sequence: row.try_get(6)?,
        event_type: row.try_get(7)?,
        event_version: u32::try_from(version).unwrap_or(1),
        payload,
        metadata,
        recorded_at: row.try_get(11)?,
    })
}
