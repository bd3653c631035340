//! `ubos connections …`: how firms' connections to providers are, and what operators do about them.

use crate::connect::{known, worker_pool};
use crate::output::{Done, Output, Table, minute, say};
use crate::tenants::{Operator, status};
use anyhow::{Context, Result, bail};
use catalogue::connections_events::{ConnectionStatus, Provider, Trouble};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use kernel::{Date, Status};
use projections::connections::{
    ConnectionFilter, ListedConnection, ShownConnection, list_connections, show_connections,
};
use runtime::settings::Settings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// What can be done about connections.
#[derive(Debug, Subcommand)]
pub enum ConnectionsVerb {
    /// Lists connections, the newest first, with how many jobs go through each.
    List {
        /// Only this firm's.
        #[arg(long)]
        tenant: Option<Uuid>,
        /// Only those to this provider: xero.
        #[arg(long, value_parser = named::<Provider>)]
        provider: Option<Provider>,
        /// Only those that stand there.
        #[arg(long, value_parser = status::<ConnectionStatus>())]
        status: Option<ConnectionStatus>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Shows everything about a connection: what is wrong and what helps, how far it is, what may still be asked, what waits.
    Show(Which),
    /// Sends nothing through it until it is resumed. What is to go through it waits.
    Pause(Which),
    /// Uses it again; what waited goes on, few jobs at first.
    Resume(Which),
    /// Has everything at the provider looked at again.
    Resync {
        #[command(flatten)]
        which: Which,
        /// What has changed since the beginning of this day; since somebody last agreed unless given.
        #[arg(long)]
        since: Option<Date>,
    },
    /// Gives it up: the provider is told, and what we keep of it is destroyed. Somebody of the firm may agree again later.
    Disconnect(Which),
}

/// Which connection.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id.
    connection: Uuid,
    /// Its firm, where two firms have chosen one id.
    #[arg(long)]
    tenant: Option<Uuid>,
}

fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

impl Which {
    fn filter(&self) -> ConnectionFilter {
        ConnectionFilter { id: Some(self.connection), tenant: self.tenant, limit: 2, ..ConnectionFilter::default() }
    }

    /// The one that is meant.
    async fn found(&self, pool: &PgPool) -> Result<ShownConnection> {
        let mut found = show_connections(pool, &self.filter()).await?;
        if found.len() > 1 {
            bail!("two firms have a connection {}: name one with --tenant", self.connection);
        }
        found.pop().with_context(|| format!("there is no connection {}", self.connection))
    }
}

/// `ubos connections …`
///
/// # Errors
/// When the database is away, the connection is not there, or the command is refused.
pub async fn run(settings: &Settings, verb: ConnectionsVerb, out: &Output) -> Result<Done> {
    let pool = worker_pool(settings).await?;
    let (which, command, body, word) = match verb {
        ConnectionsVerb::List { tenant, provider, status, limit } => {
            if let Some(tenant) = tenant {
                known(&pool, tenant).await?;
            }
            let provider = provider.map(|provider| provider.as_str().to_owned());
            let status = status.map(|status| status.as_str().to_owned());
            let found =
                list_connections(&pool, &ConnectionFilter { id: None, tenant, provider, status, limit }).await?;
            out.say(table(&found));
            return Done::with(found);
        }
        ConnectionsVerb::Show(which) => {
            let found = which.found(&pool).await?;
            tell(&found, out);
            return Done::with(json!({ "connection": found, "authorise_path": authorise_path(&found.listed) }));
        }
        ConnectionsVerb::Pause(which) => (which, "pause", json!({}), "is paused"),
        ConnectionsVerb::Resume(which) => (which, "resume", json!({}), "is used again"),
        ConnectionsVerb::Resync { which, since } => (which, "resync", json!({ "since": since }), "is looked at again"),
        ConnectionsVerb::Disconnect(which) => (which, "disconnect", json!({}), "is given up"),
    };
    let ListedConnection { id, tenant_id, .. } = which.found(&pool).await?.listed;
    let operator = Operator::connect(settings).await?;
    operator.command(&format!("connections.connection.{command}"), tenant_id, id, &body).await?;
    operator.drained().await?;
    say!(out, "the connection {id} {word}");
    Done::with(json!({ "connection": id, "tenant": tenant_id }))
}

fn table(found: &[ListedConnection]) -> Table {
    let mut table = Table::new(&["CONNECTION, FIRM", "PROVIDER", "STATUS", "SINCE", ">JOBS"], "no connections");
    for one in found {
        let what = format!("{}\n{}\n{}", one.id, one.tenant_id, one.name);
        let wrong = wrong(one).map(|trouble| format!("\n{}", trouble.as_str())).unwrap_or_default();
        let status = format!("{}{wrong}", one.status);
        table.row([what, one.provider.clone(), status, minute(one.status_since), one.jobs.to_string()]);
    }
    table
}

/// What is wrong now; what was wrong once is history.
fn wrong(one: &ListedConnection) -> Option<Trouble> {
    let is_wrong = [ConnectionStatus::Degraded, ConnectionStatus::AuthError].iter().any(|s| s.as_str() == one.status);
    one.last_error.as_deref().filter(|_| is_wrong).and_then(|name| named(name).ok())
}

/// Where somebody of the firm agrees, if that helps.
fn authorise_path(one: &ListedConnection) -> Option<String> {
    use ConnectionStatus::{AuthError, Disconnected, Pending};
    let helps = [Pending, AuthError, Disconnected].iter().any(|status| status.as_str() == one.status);
    helps.then(|| format!("/v1/connect/start?connection={}", one.id))
}

fn tell(shown: &ShownConnection, out: &Output) {
    let one = &shown.listed;
    let line = |word: &str, value: String| {
        if !value.is_empty() {
            say!(out, "{word:<13}{value}");
        }
    };
    let at = |at: Option<DateTime<Utc>>| at.map(minute).unwrap_or_default();
    line("connection", one.id.to_string());
    line("firm", one.tenant_id.to_string());
    line("provider", one.provider.clone());
    line("name", one.name.clone());
    line("account", shown.account_label.clone().unwrap_or_default());
    line("status", format!("{} since {}", one.status, minute(one.status_since)));
    if let Some(trouble) = wrong(one) {
        line("wrong", format!("{}: {}", trouble.as_str(), trouble.sentence()));
        line("said", shown.last_error_detail.clone().unwrap_or_default());
        line("helps", trouble.remedy().to_owned());
    }
    line("authorise", authorise_path(one).unwrap_or_default());
    line("agreed", at(shown.authorised_at));
    line("last success", at(one.last_success_at));
    line("last failure", at(shown.last_failure_at));
    line("last webhook", at(shown.heard_at));
    line("token until", at(shown.access_until));
    line("renewable", at(shown.renewable_until));
    if shown.refresh_failures > 0 {
        line("renewing", format!("has failed {} times", shown.refresh_failures));
    }
    for budget in &shown.budgets.0 {
        let left = (budget.most - budget.used).max(0);
        line("calls left", format!("{left} of {} in a {}, until {}", budget.most, budget.name, minute(budget.ends_at)));
    }
    for sync in &shown.syncs.0 {
        let known = sync.cursor_at.map_or("nothing yet".to_owned(), minute);
        let trouble = sync.trouble.as_deref().filter(|_| sync.failures > 0);
        let failed = trouble.map(|trouble| format!(", failed {} times: {trouble}", sync.failures)).unwrap_or_default();
        let next = sync.next_at.map(|next| format!(", again {}", minute(next))).unwrap_or_default();
        let pushed = sync.subscription_until.map(|until| format!(", pushed until {}", minute(until)));
        line("in step", format!("{}: {known}{next}{}{failed}", sync.name, pushed.unwrap_or_default()));
    }
    line("jobs", format!("{}, {} parked", one.jobs, shown.parked));
    line("oldest job", at(shown.oldest_at));
    line("next attempt", at(shown.next_at));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(status: &str, last_error: Option<&str>) -> ListedConnection {
        ListedConnection {
            id: Uuid::from_u128(1),
            tenant_id: Uuid::from_u128(2),
            provider: "xero".to_owned(),
            name: "The books of a firm with a long name".to_owned(),
            status: status.to_owned(),
            status_since: "2026-11-30T10:00:00Z".parse().unwrap(),
            last_error: last_error.map(str::to_owned),
            last_success_at: None,
            jobs: 12,
        }
    }

    #[test]
    fn what_is_wrong_now_is_said_and_what_was_wrong_once_is_not() {
        assert_eq!(wrong(&listed("auth_error", Some("grant_refused"))), Some(Trouble::GrantRefused));
        assert_eq!(wrong(&listed("connected", Some("grant_refused"))), None);
        assert_eq!(wrong(&listed("degraded", Some("something newer"))), None);
        assert!(authorise_path(&listed("degraded", Some("unreachable"))).is_none());
        assert!(authorise_path(&listed("auth_error", None)).is_some_and(|path| path.ends_with("000000000001")));
    }

    #[test]
    fn a_list_of_connections_fits_a_terminal() {
        let shown = table(&[listed("auth_error", Some("grant_refused")), listed("connected", None)]).to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("grant_refused") && shown.contains("2026-11-30"), "{shown}");
    }
}
