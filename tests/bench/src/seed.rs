//! Logs of any size, written by SQL the way `eventstore.append` writes them.

use anyhow::Result;
use kernel::{Actor, TenantId, UserId};
use sqlx::PgPool;
use uuid::Uuid;

/// A log of clients that are created and then renamed again and again, one event of every client in turn: for whoever
/// writes rows page by page, the worst order there is.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// Clients.
    pub streams: u64,
    /// Events of each.
    pub events: u64,
    /// Firms that they are dealt out to.
    pub tenants: u64,
    /// Did it happen today? What is older than a stream keeps is not published any more.
    pub recent: bool,
}

/// What commands are measured on.
pub const SMALL: Seed = Seed { streams: 20_000, events: 5, tenants: 1, recent: false };

impl Seed {
    /// Events in all.
    pub fn head(self) -> i64 {
        i64::try_from(self.streams * self.events).unwrap_or(i64::MAX)
    }

    /// One of its clients, with its firm; any number will do.
    pub fn client(self, number: u64) -> (TenantId, Uuid) {
        let stream = number % self.streams;
        (tenant(stream % self.tenants), client(stream))
    }

    /// Fills an empty log.
    pub async fn log(self, superuser: &PgPool) -> Result<()> {
        let (streams, events, tenants) =
            (i64::try_from(self.streams)?, i64::try_from(self.events)?, i64::try_from(self.tenants)?);
        let mut connection = superuser.acquire().await?;
        sqlx::query("set synchronous_commit = off").execute(&mut *connection).await?;
        sqlx::query(
            "insert into eventstore.events
             select (n - 1) * $1 + s + 1, gen_random_uuid(), ('00000000-0000-7000-8000-' || lpad(to_hex(48716 + s % $3), 12, '0'))::uuid,
                    'crm', 'crm.client', ('01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'))::uuid, n,
                    case n when 1 then 'client.created' else 'client.renamed' end, case n when 1 then 2 else 1 end,
                    case n when 1 then jsonb_build_object('name', 'Engines ' || s, 'kind', 'organisation')
                           else jsonb_build_object('name', 'Engines ' || s || ' for the ' || n || '. time') end,
                    jsonb_build_object('actor', jsonb_build_object('kind', 'user', 'id', $4::uuid),
                                       'correlation_id', gen_random_uuid(), 'command', 'crm.client.rename'),
                    now() - $5::text::interval + n * interval '1 second' + s * interval '1 microsecond'
             from generate_series(1, $2) n, generate_series(0, $1 - 1) s",
        )
        .bind(streams)
        .bind(events)
        .bind(tenants)
        .bind(user().0)
        .bind(if self.recent { "10 minutes" } else { "400 days" })
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "insert into eventstore.streams
             select ('00000000-0000-7000-8000-' || lpad(to_hex(48716 + s % $3), 12, '0'))::uuid, 'crm.client',
                    ('01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'))::uuid, $2, s + 1, ($2 - 1) * $1 + s + 1
             from generate_series(0, $1 - 1) s",
        )
        .bind(streams)
        .bind(events)
        .bind(tenants)
        .execute(&mut *connection)
        .await?;
        sqlx::query("update eventstore.head set position = $1").bind(self.head()).execute(&mut *connection).await?;
        sqlx::query("set synchronous_commit = on").execute(&mut *connection).await?;
        sqlx::query("vacuum analyze").execute(&mut *connection).await?;
        sqlx::query("checkpoint").execute(&mut *connection).await?;
        Ok(())
    }

    /// The rows of `crm.clients` as the folds would write them, and the group's checkpoint at the log's end.
    pub async fn rows(self, superuser: &PgPool) -> Result<()> {
        sqlx::query(
            "insert into crm.clients
             select last.tenant_id, last.position, last.aggregate_id, last.sequence, first.recorded_at, last.recorded_at,
                    last.payload ->> 'name', first.payload ->> 'kind', null, null, 'prospect', null, '[]', null
             from eventstore.events last
                      join eventstore.events first on first.position = last.position - ($1 - 1) * $2
             where last.position > ($1 - 1) * $2",
        )
        .bind(i64::try_from(self.events)?)
        .bind(i64::try_from(self.streams)?)
        .execute(superuser)
        .await?;
        sqlx::query("update projections.checkpoints set position = $1, events = $1 where slot = 'live'")
            .bind(self.head())
            .execute(superuser)
            .await?;
        sqlx::query("vacuum analyze crm.clients").execute(superuser).await?;
        Ok(())
    }
}

/// A firm.
pub fn tenant(number: u64) -> TenantId {
    TenantId(Uuid::from_u128(0x7000_8000_0000_0000_0000 | u128::from(48_716 + number)))
}

fn client(number: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number))
}

/// Who does everything.
pub fn user() -> UserId {
    UserId(Uuid::from_u128(0xa))
}

/// The same, as an actor.
pub fn actor() -> Actor {
    Actor::User { id: user() }
}

/// A number that looks drawn, so that neighbouring turns meet different clients.
pub fn scattered(turn: u64) -> u64 {
    turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}
