//! Which contract an envelope is, and what a provider was asked to send.

use crate::say::away;
use chrono::{DateTime, Utc};
use kernel::{ConnectionId, TenantId};
use ports::Place;
use reactions::Outcome;
use sqlx::PgPool;
use uuid::Uuid;

/// One contract of one firm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    pub tenant: TenantId,
    pub contract: Uuid,
}

impl Which {
    pub fn at(self, connection: ConnectionId) -> Place {
        Place { tenant: self.tenant, connection }
    }
}

/// What was asked for a contract.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    connection_id: Uuid,
    key: String,
    asked_at: DateTime<Utc>,
    envelope_id: Option<String>,
}

/// The same as whoever works with it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub at: Place,
    /// What the provider was told.
    pub key: String,
    pub asked_at: DateTime<Utc>,
    /// None while nobody knows whether the provider has it.
    pub envelope_id: Option<String>,
}

/// Where it is kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Book(pub PgPool);

impl Book {
    /// What was asked for a contract, if anything was.
    pub async fn of(&self, which: Which) -> Result<Option<Asked>, Outcome> {
        let sql = "select e.connection_id, e.key, e.asked_at, e.envelope_id from connect.envelopes e
                   where e.tenant_id = $1 and e.contract_id = $2";
        let row = sqlx::query_as(sql).bind(which.tenant.0).bind(which.contract).fetch_optional(&self.0);
        let row: Option<Row> = row.await.map_err(away)?;
        Ok(row.map(|Row { connection_id, key, asked_at, envelope_id }| Asked {
            at: which.at(ConnectionId(connection_id)),
            key,
            asked_at,
            envelope_id,
        }))
    }

    /// Notes that a provider is about to be asked.
    pub async fn ask(&self, at: Place, which: Which, key: &str) -> Result<(), Outcome> {
        let sql = "insert into connect.envelopes (tenant_id, contract_id, connection_id, key) values ($1, $2, $3, $4)
                   on conflict (tenant_id, contract_id) do nothing";
        let asked = sqlx::query(sql).bind(which.tenant.0).bind(which.contract).bind(at.connection.0).bind(key);
        asked.execute(&self.0).await.map_err(away).map(drop)
    }

    /// Notes that nothing came of it: the provider has no such envelope.
    pub async fn take_back(&self, which: Which) -> Result<(), Outcome> {
        let sql = "delete from connect.envelopes where tenant_id = $1 and contract_id = $2 and envelope_id is null";
        let gone = sqlx::query(sql).bind(which.tenant.0).bind(which.contract).execute(&self.0);
        gone.await.map_err(away).map(drop)
    }

    /// Notes what the provider calls it.
    pub async fn note(&self, at: Place, which: Which, key: &str, envelope_id: &str) -> Result<(), Outcome> {
        let sql = "insert into connect.envelopes as e (tenant_id, contract_id, connection_id, key, envelope_id)
                   values ($1, $2, $3, $4, $5)
                   on conflict (tenant_id, contract_id) do update
                       set envelope_id = excluded.envelope_id, connection_id = excluded.connection_id
                       where e.envelope_id is null";
        let noted = sqlx::query(sql)
            .bind(which.tenant.0)
            .bind(which.contract)
            .bind(at.connection.0)
            .bind(key)
            .bind(envelope_id)
            .execute(&self.0);
        noted.await.map_err(away).map(drop)
    }

    /// The contract that an envelope is; none if it is somebody else's, or if nobody has noted it yet.
    pub async fn contract(&self, at: Place, envelope_id: &str) -> Result<Option<Which>, Outcome> {
        let sql = "select e.contract_id from connect.envelopes e
                   where e.tenant_id = $1 and e.connection_id = $2 and e.envelope_id = $3";
        let found = sqlx::query_scalar(sql).bind(at.tenant.0).bind(at.connection.0).bind(envelope_id);
        let found: Option<Uuid> = found.fetch_optional(&self.0).await.map_err(away)?;
        Ok(found.map(|contract| Which { tenant: at.tenant, contract }))
    }
}
