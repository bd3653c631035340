//! What a ledger calls clients and vendors of ours, and what becomes of that where somebody makes one of two there.

use crate::Books;
use futures::FutureExt;
use futures::future::BoxFuture;
use ports::{Book, MERGED, Merged, Party, Place};
use providers::Hears;
use reactions::Outcome;
use sqlx::PgPool;

/// See above.
pub(crate) struct Parties<'a>(pub &'a PgPool);

impl Parties<'_> {
    /// Notes what the ledger calls a party.
    pub async fn note(&self, at: Place, party: &Party, party_id: &str) -> sqlx::Result<()> {
        let sql = "insert into connect.parties as p (tenant_id, connection_id, book, reference, party_id)
                   values ($1, $2, $3, $4, $5)
                   on conflict (tenant_id, connection_id, book, reference) do update
                   set party_id = excluded.party_id, noted_at = clock_timestamp() where p.party_id <> excluded.party_id";
        let note = sqlx::query(sql).bind(at.tenant.0).bind(at.connection.0).bind(name(party.book));
        note.bind(&party.reference).bind(party_id).execute(self.0).await.map(drop)
    }

    /// What the ledger called it the last time.
    pub async fn of(&self, at: Place, party: &Party) -> sqlx::Result<Option<String>> {
        let sql = "select p.party_id from connect.parties p
                   where p.tenant_id = $1 and p.connection_id = $2 and p.book = $3 and p.reference = $4";
        let found = sqlx::query_scalar(sql).bind(at.tenant.0).bind(at.connection.0).bind(name(party.book));
        found.bind(&party.reference).fetch_optional(self.0).await
    }

    /// Whoever was one of two is the other from now on.
    async fn merge(&self, at: Place, merged: &Merged) -> sqlx::Result<()> {
        let sql = "update connect.parties p set party_id = $5, noted_at = clock_timestamp()
                   where p.tenant_id = $1 and p.connection_id = $2 and p.book = $3 and p.party_id = $4";
        let update = sqlx::query(sql).bind(at.tenant.0).bind(at.connection.0).bind(name(merged.book));
        update.bind(&merged.gone).bind(&merged.kept).execute(self.0).await.map(drop)
    }
}

fn name(book: Book) -> &'static str {
    match book {
        Book::Sales => "sales",
        Book::Purchases => "purchases",
    }
}

/// Hears that of two parties at the ledger one was made.
pub struct Merges(pub Books);

impl Hears for Merges {
    fn of(&self) -> (&'static str, &'static str) {
        (self.0.provider, MERGED)
    }

    fn changed<'a>(&'a self, at: Place, id: &'a str) -> BoxFuture<'a, Outcome> {
        async move {
            let Some(merged) = Merged::read(id) else { return Outcome::Done };
            match Parties(self.0.links.pool()).merge(at, &merged).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Later(None, format!("{error:#}")),
            }
        }
        .boxed()
    }
}
