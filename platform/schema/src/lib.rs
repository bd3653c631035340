//! What the database is made of: its roles, its migrations, and how one connects to it.

mod connect;

use anyhow::{Context, Result, bail};
pub use connect::connect;
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use std::str::FromStr;
use std::time::Duration;

/// Every migration of every schema, in order.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// The roles that services connect as, and the one that owns the schemas.
pub const ROLES: [&str; 4] = ["ubos_owner", "ubos_command", "ubos_query", "ubos_worker"];

/// One password per role, in the order of [`ROLES`].
#[derive(Clone)]
pub struct RolePasswords(pub [String; 4]);

impl RolePasswords {
    /// The same password for every role; for tests.
    pub fn all(password: &str) -> Self {
        Self(ROLES.map(|_| password.to_owned()))
    }
}

/// Creates or updates the roles: they may log in, own nothing but `ubos_owner` does, and bypass nothing.
pub async fn ensure_roles(admin: &mut PgConnection, passwords: &RolePasswords) -> Result<()> {
    for (role, password) in ROLES.iter().zip(&passwords.0) {
        let exists: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
            .bind(role)
            .fetch_one(&mut *admin)
            .await?;
        let verb = if exists { "alter" } else { "create" };
        // A utility statement takes no parameters; format() quotes the literal.
        let statement: String =
            sqlx::query_scalar("select format('%s role %I login nosuperuser nobypassrls password %L', $1, $2, $3)")
                .bind(verb)
                .bind(role)
                .bind(password)
                .fetch_one(&mut *admin)
                .await?;
        admin.execute(statement.as_str()).await.with_context(|| format!("{verb} role {role}"))?;
    }
    Ok(())
}

/// Takes from everybody what PostgreSQL gives to everybody in a new database and no service needs: temporary tables and large
/// objects, which no policy binds and with which whoever has a service's connection could fill the disk.
///
/// Only a superuser can take large objects away; for anybody else PostgreSQL warns and goes on. Harmless when repeated.
pub async fn restrict(inside: &mut PgConnection) -> Result<()> {
    let statement = "do $$
        declare
            made_by regprocedure;
        begin
            execute format('revoke temporary on database %I from public', current_database());
            for made_by in
                select p.oid from pg_catalog.pg_proc p
                where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^(lo_|loread$|lowrite$)'
            loop
                execute format('revoke execute on function %s from public', made_by);
            end loop;
        end
        $$";
    inside.execute(statement).await.context("taking temporary tables and large objects away")?;
    Ok(())
}

/// Where the database is, as whom: each a URL with a password.
#[derive(Debug, Clone, Copy)]
pub struct Urls<'u> {
    /// A superuser, who makes roles and database; none where somebody else makes them.
    pub admin: Option<&'u SecretString>,
    /// `ubos_owner`.
    pub owner: &'u SecretString,
    /// `ubos_command`.
    pub command: &'u SecretString,
    /// `ubos_query`.
    pub query: &'u SecretString,
    /// `ubos_worker`.
    pub worker: &'u SecretString,
}

/// Makes roles and database through `admin` if there is one, then migrates as owner. Harmless when repeated.
pub async fn migrate(urls: &Urls<'_>) -> Result<()> {
    let owner = options(urls.owner.expose_secret(), "database.owner_url")?;
    // Its statements carry passwords, which a log must never see, not even one of slow statements.
    let admin = urls.admin.map(|url| options(url.expose_secret(), "database.admin_url")).transpose()?;
    let admin = admin.map(ConnectOptions::disable_statement_logging);
    if let Some(admin) = &admin {
        let mut admin = open(admin, "database.admin_url").await?;
        let of_roles = [urls.owner, urls.command, urls.query, urls.worker];
        let mut passwords = RolePasswords::all("");
        for ((url, role), password) in of_roles.iter().zip(ROLES).zip(&mut passwords.0) {
            *password = password_of(url.expose_secret(), role)?;
        }
        ensure_roles(&mut admin, &passwords).await?;
        let name = owner.get_database().context("database.owner_url names no database")?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut admin)
            .await?;
        if !exists {
            let statement: String = sqlx::query_scalar("select format('create database %I owner ubos_owner', $1)")
                .bind(name)
                .fetch_one(&mut admin)
                .await?;
            admin.execute(statement.as_str()).await?;
        }
        admin.close().await?;
    }
    let mut connection = open(&owner, "database.owner_url").await?;
    MIGRATOR.run(&mut connection).await.context("running migrations")?;
    sqlx::query("select eventstore.ensure_partitions()").execute(&mut connection).await?;
    sqlx::query("select eventstore.ensure_history()").execute(&mut connection).await?;
    connection.close().await?;
    let inside = match (admin, owner.get_database()) {
        (Some(admin), Some(name)) => admin.database(name),
        _ => owner,
    };
    let mut inside = open(&inside, "the database that was migrated").await?;
    restrict(&mut inside).await?;
    inside.close().await?;
    Ok(())
}

fn password_of(url: &str, role: &str) -> Result<String> {
    let parsed = options(url, role)?;
    if parsed.get_username() != role {
        bail!("the url of {role} must name the user {role}, not {:?}", parsed.get_username());
    }
    let credentials = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user, _)| user);
    let password = credentials.and_then(|user| user.split_once(':')).map(|(_, password)| password);
    let password = password.with_context(|| format!("the url of {role} names no password"))?;
    // In a URL `@` is written `%40`; whoever connects with it decodes it too.
    let password = percent_encoding::percent_decode_str(password).decode_utf8();
    Ok(password.with_context(|| format!("the password in the url of {role} is not UTF-8"))?.into_owned())
}

fn options(url: &str, setting: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|_| anyhow::anyhow!("{setting} is not a PostgreSQL URL"))?;
    // Our statements are short, and compiling one takes hundreds of times as long as running it.
    Ok(options.options([("jit", "off")]).log_statements(tracing::log::LevelFilter::Trace))
}

/// Where PostgreSQL is and as whom we come, without a password: `PostgreSQL at db.example:5432, database ubos, as ubos_query`.
pub fn place(options: &PgConnectOptions) -> String {
    let server = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let database = options.get_database().unwrap_or(options.get_username());
    format!("PostgreSQL at {server}, database {database}, as {}", options.get_username())
}

/// One connection, within a time in which a server that is there answers.
///
/// # Errors
/// That names the server and says why.
pub async fn open(options: &PgConnectOptions, what_for: &str) -> Result<PgConnection> {
    let unreachable = || format!("{what_for}: {} cannot be reached", place(options));
    match tokio::time::timeout(CONNECT_PATIENCE, PgConnection::connect_with(options)).await {
        Ok(opened) => opened.with_context(unreachable),
        Err(_) => Err(anyhow::anyhow!("no answer within {CONNECT_PATIENCE:?}")).with_context(unreachable),
    }
}

/// How long a server may take to let us in.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_gets_the_password_that_its_url_will_log_in_with() {
        let url = "postgres://ubos_query:a%40b%2Fc:d@localhost/ubos";
        assert_eq!(password_of(url, "ubos_query").unwrap(), "a@b/c:d");
        let other = password_of(url, "ubos_worker").unwrap_err().to_string();
        assert!(other.contains("ubos_worker") && !other.contains("a%40b"), "{other}");
    }
}
