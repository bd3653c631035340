//! A migrated database of one's own, copied from a template in a fraction of a second.

use schema::{MIGRATOR, RolePasswords, ensure_roles, restrict};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};
use std::str::FromStr;
use uuid::Uuid;

/// Every role's password in tests.
const PASSWORD: &str = "ubos-test";
/// Serialises template creation between test processes.
const TEMPLATE_LOCK: i64 = 7_205_759;

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    admin: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// A fresh, migrated, empty database.
    pub async fn create() -> Self {
        let admin = PgConnectOptions::from_str(&crate::from_xtask("UBOS_TEST_POSTGRES_URL")).expect("a PostgreSQL URL");
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect_with(&admin).await.expect("PostgreSQL answers");
        let template = ensure_template(&mut connection, &admin).await;
        let create = format!("create database {name} template {template} owner ubos_owner");
        connection.execute(create.as_str()).await.expect("the template can be copied");
        // What a database allows is not copied with it.
        let inside = admin.clone().database(&name);
        let mut inside = PgConnection::connect_with(&inside).await.expect("the superuser can connect");
        restrict(&mut inside).await.expect("restricted");
        inside.close().await.expect("closes");
        Self { admin, name }
    }

    /// Connects as the owner of every schema.
    pub async fn owner(&self) -> PgPool {
        self.pool("ubos_owner").await
    }

    /// Connects as command-api does.
    pub async fn command(&self) -> PgPool {
        self.pool("ubos_command").await
    }

    /// Connects as query-api does.
    pub async fn query(&self) -> PgPool {
        self.pool("ubos_query").await
    }

    /// Connects as relay, projections and workflow do.
    pub async fn worker(&self) -> PgPool {
        self.pool("ubos_worker").await
    }

    /// Connects as superuser, for what no service may do.
    pub async fn superuser(&self) -> PgPool {
        connect(self.admin.clone().database(&self.name)).await
    }

    /// The URL of a role (`ubos_worker`), for processes under test.
    pub fn url(&self, role: &str) -> String {
        without_parameters(&self.options(role))
    }

    /// The superuser's URL, for tools of PostgreSQL itself.
    pub fn superuser_url(&self) -> String {
        without_parameters(&self.admin.clone().database(&self.name))
    }

    async fn pool(&self, role: &str) -> PgPool {
        connect(self.options(role)).await
    }

    fn options(&self, role: &str) -> PgConnectOptions {
        // As `schema::connect` does.
        self.admin.clone().username(role).password(PASSWORD).database(&self.name).options([("jit", "off")])
    }
}

impl Drop for TestDatabase {
    /// On a thread with a runtime of its own, because the test's may be ending.
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        let dropper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&admin).await.ok()?;
                connection.execute(format!("drop database if exists {name} with (force)").as_str()).await.ok()
            })
        });
        // A database that stays behind goes with its throw-away server.
        drop(dropper.join());
    }
}

/// sqlx adds parameters of its own to a URL that other clients refuse.
fn without_parameters(options: &PgConnectOptions) -> String {
    let mut url = options.to_url_lossy();
    url.set_query(None);
    url.to_string()
}

async fn connect(options: PgConnectOptions) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(16).connect_with(options).await;
    pool.expect("PostgreSQL accepts the role")
}

/// The migrated template, made once per server and set of migrations.
async fn ensure_template(connection: &mut PgConnection, admin: &PgConnectOptions) -> String {
    let fingerprint = MIGRATOR.iter().fold(0u64, |sum, migration| {
        let bytes = migration.checksum.iter().take(8).fold(0u64, |acc, byte| acc << 8 | u64::from(*byte));
        sum.rotate_left(7) ^ bytes
    });
    let template = format!("template_{fingerprint:016x}");
    let lock = sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK);
    lock.execute(&mut *connection).await.expect("an advisory lock");
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&template)
        .fetch_one(&mut *connection)
        .await
        .expect("the catalogue answers");
    if !exists {
        ensure_roles(connection, &RolePasswords::all(PASSWORD)).await.expect("roles can be made");
        let making = format!("{template}_making");
        connection.execute(format!("drop database if exists {making} with (force)").as_str()).await.expect("dropped");
        connection.execute(format!("create database {making} owner ubos_owner").as_str()).await.expect("created");
        let owner = admin.clone().username("ubos_owner").password(PASSWORD).database(&making);
        let mut migrating = PgConnection::connect_with(&owner).await.expect("the owner can connect");
        MIGRATOR.run(&mut migrating).await.expect("migrations run");
        migrating.close().await.expect("closed");
        // Renamed only when complete, so that a killed test run leaves no half-made template behind.
        let rename = format!("alter database {making} rename to {template}");
        connection.execute(rename.as_str()).await.expect("renamed");
    }
    let unlock = sqlx::query("select pg_advisory_unlock($1)").bind(TEMPLATE_LOCK);
    unlock.execute(&mut *connection).await.expect("unlocked");
    template
}
