//! Stock `cqrs-es` on stock `postgres-es`, with our own aggregate.

use crate::load;
use crate::record::Sample;
use crate::seed::{SMALL, actor, scattered};
use anyhow::Result;
use cqrs_es::CqrsFramework;
use cqrs_es::persist::PersistedEventStore;
use crm::Client;
use crm::client::ClientCommand;
use kernel::{Context, Root};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, PgPool};
use std::collections::HashMap;
use std::sync::Arc;
use testing::TestDatabase;
use uuid::Uuid;

type Framework = CqrsFramework<Root<Client>, PersistedEventStore<PostgresEventRepository, Root<Client>>>;

/// Connections that it gets, however many commands are in flight.
const CONNECTIONS: u32 = 64;

/// The framework over a table of its own with the same clients as ours.
pub struct PostgresEs {
    framework: Arc<Framework>,
    _database: TestDatabase,
}

impl PostgresEs {
    /// Seeds its table.
    pub async fn start() -> Result<Self> {
        let database = TestDatabase::create().await;
        let superuser = database.superuser().await;
        seed(&superuser).await?;
        let options = superuser.connect_options().as_ref().clone().disable_statement_logging();
        let pool = PgPoolOptions::new().min_connections(CONNECTIONS).max_connections(CONNECTIONS);
        let store =
            PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.connect_with(options).await?));
        Ok(Self { framework: Arc::new(CqrsFramework::new(store, vec![], ())), _database: database })
    }

    /// Renames clients.
    pub async fn run(&self, at_once: usize, seconds: u64) -> Sample {
        let framework = self.framework.clone();
        load::closed(at_once, seconds, move |turn| {
            let framework = framework.clone();
            async move {
                let (tenant, client) = SMALL.client(scattered(turn));
                let context = Context::new(tenant, actor(), chrono::Utc::now(), Uuid::nil(), Uuid::now_v7());
                let metadata = HashMap::from([
                    ("actor".to_owned(), tenant.to_string()),
                    ("correlation_id".to_owned(), Uuid::now_v7().to_string()),
                ]);
                let command: (ClientCommand, Context) = (crate::clients::rename(turn), context);
                framework.execute_with_metadata(&client.to_string(), command, metadata).await.is_ok()
            }
        })
        .await
    }
}

async fn seed(superuser: &PgPool) -> Result<()> {
    sqlx::query(
        "create table events (aggregate_type text not null, aggregate_id text not null, sequence bigint not null,
            event_type text not null, event_version text not null, payload json not null, metadata json not null,
            timestamp timestamptz default current_timestamp, primary key (aggregate_type, aggregate_id, sequence))",
    )
    .execute(superuser)
    .await?;
    sqlx::query(
        "insert into events
         select 'crm.client', '01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'), n,
                case n when 1 then 'client.created' else 'client.renamed' end, case n when 1 then '2' else '1' end,
                case n when 1 then json_build_object('type', 'client.created', 'version', 2, 'payload',
                                                     json_build_object('name', 'Engines ' || s, 'kind', 'organisation'))
                       else json_build_object('type', 'client.renamed', 'version', 1, 'payload',
                                              json_build_object('name', 'Engines ' || s || ' for the ' || n || '. time')) end,
                '{}'
         from generate_series(1, $2) n, generate_series(0, $1 - 1) s",
    )
    .bind(i64::try_from(SMALL.streams)?)
    .bind(i64::try_from(SMALL.events)?)
    .execute(superuser)
    .await?;
    sqlx::query("vacuum analyze").execute(superuser).await?;
    Ok(())
}
