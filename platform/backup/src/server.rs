//! The server that is backed up.

use crate::folder::Head;
use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::str::FromStr;
use tokio::process::Command;

/// A server, and the database in it that holds the log.
#[derive(Clone)]
pub struct Source {
    url: String,
    database: String,
}

impl Source {
    /// `url` is of a user who may replicate, switch the write-ahead log and read the log.
    pub fn new(url: &str, database: &str) -> Self {
        Self { url: url.to_owned(), database: database.to_owned() }
    }

    /// Name of the database.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        // The error must not show the password.
        let options = PgConnectOptions::from_str(&self.url).ok().context("the backup's URL is none of PostgreSQL")?;
        let options = options.database(&self.database).application_name("ubos backup").disable_statement_logging();
        let place = format!("{}:{}", options.get_host(), options.get_port());
        let connection = PgConnection::connect_with(&options).await;
        connection.with_context(|| format!("PostgreSQL at {place}, which is to be backed up, cannot be reached"))
    }

    /// Tells a program of PostgreSQL's where the server is. The password goes into its environment, because anybody may
    /// read a command line.
    pub(crate) fn tell(&self, command: &mut Command) {
        let (url, password) = without_password(&self.url);
        command.arg("--dbname").arg(url);
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
    }
}

fn without_password(url: &str) -> (String, Option<String>) {
    let split = || {
        let (scheme, rest) = url.split_once("://")?;
        let (login, rest) = rest.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        let password = percent_encoding::percent_decode_str(password).decode_utf8().ok()?;
        Some((format!("{scheme}://{user}@{rest}"), Some(password.into_owned())))
    };
    split().unwrap_or_else(|| (url.to_owned(), None))
}

/// Where the log ends now.
pub(crate) async fn head(connection: &mut PgConnection) -> Result<Head> {
    let sql = "select h.position, e.recorded_at, clock_timestamp()
               from eventstore.head h left join eventstore.events e on e.position = h.position";
    let (position, recorded_at, at) =
        sqlx::query_as(sql).fetch_one(connection).await.context("reading the log's head")?;
    Ok(Head { position, recorded_at, at })
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("database", &self.database).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_command_line_shows_no_password() {
        let (url, password) =
            super::without_password("postgres://backup:p%40ss:w@db.example:5432/postgres?sslmode=require");
        assert_eq!(url, "postgres://backup@db.example:5432/postgres?sslmode=require");
        assert_eq!(password.as_deref(), Some("p@ss:w"));
        assert_eq!(super::without_password("postgres://db/postgres").1, None);
    }
}
