//! What of ours a ledger has, and under which id.

use ports::Place;
use sqlx::PgPool;
use uuid::Uuid;

/// What an entry is of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invoice,
    Bill,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Bill => "bill",
        }
    }
}

/// See above.
pub(crate) struct Entries<'a>(pub &'a PgPool);

impl Entries<'_> {
    /// Notes that the ledger has it. Whoever notes it again changes nothing, and neither does the next entry of the same record.
    pub async fn note(&self, at: Place, entry_id: &str, kind: Kind, record: Uuid) -> sqlx::Result<()> {
        let sql = "insert into connect.entries (tenant_id, connection_id, entry_id, kind, record_id) values ($1, $2, $3, $4, $5)
                   on conflict do nothing";
        let note = sqlx::query(sql).bind(at.tenant.0).bind(at.connection.0).bind(entry_id).bind(kind.name());
        note.bind(record).execute(self.0).await.map(drop)
    }

    /// What it is of ours; none if it is the ledger's own.
    pub async fn of(&self, at: Place, entry_id: &str) -> sqlx::Result<Option<(Kind, Uuid)>> {
        let sql = "select e.kind, e.record_id from connect.entries e
                   where e.tenant_id = $1 and e.connection_id = $2 and e.entry_id = $3";
        let found = sqlx::query_as(sql).bind(at.tenant.0).bind(at.connection.0).bind(entry_id);
        let found: Option<(String, Uuid)> = found.fetch_optional(self.0).await?;
        Ok(found.map(|(kind, record)| (if kind == "bill" { Kind::Bill } else { Kind::Invoice }, record)))
    }

    /// What the ledger calls a record; none if it has it not, as far as we know.
    pub async fn named(&self, at: Place, record: Uuid) -> sqlx::Result<Option<String>> {
        let sql = "select e.entry_id from connect.entries e
                   where e.tenant_id = $1 and e.record_id = $2 and e.connection_id = $3";
        sqlx::query_scalar(sql).bind(at.tenant.0).bind(record).bind(at.connection.0).fetch_optional(self.0).await
    }
}
