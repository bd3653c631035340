//! `ubos integrators …`: programs that read their firm's events from NATS.

use crate::operate::PATIENCE;
use crate::tenants::Operator;
use ::integrators::Seal;
use access::LogDirectory;
use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use kernel::{Name, TenantId};
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;
use web::Standing;

/// What can be asked about integrators.
#[derive(Debug, Subcommand)]
pub enum IntegratorsVerb {
    /// Lets a program read all events of a firm. Prints its id and its secret, which is shown this once.
    Add {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// What it is called.
        #[arg(long)]
        name: Name,
        /// Until when it may, such as 2027-01-31T00:00:00Z; for ever unless given.
        #[arg(long)]
        expires_at: Option<DateTime<Utc>>,
    },
    /// Gives it another secret, and prints that.
    Rotate {
        #[command(flatten)]
        which: Which,
        /// Hours for which the secret before it stays good, 24 unless given, at most 168.
        #[arg(long)]
        overlap_hours: Option<u32>,
    },
    /// Lets it read nothing any more, and ends its connections.
    Revoke {
        #[command(flatten)]
        which: Which,
        /// Why.
        #[arg(long)]
        reason: Name,
    },
    /// Every integrator of a firm.
    List {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes the key of the role `integrators`: the seed for its settings, the public half for NATS'.
    Key,
}

/// Which integrator.
#[derive(Debug, Args)]
pub struct Which {
    /// The firm.
    #[arg(long)]
    tenant: Uuid,
    /// The integrator.
    integrator: Uuid,
}

/// `ubos integrators …`
pub async fn run(settings: &Settings, verb: IntegratorsVerb) -> Result<()> {
    let operator = Operator::connect(settings).await?;
    match verb {
        IntegratorsVerb::Add { tenant, name, expires_at } => {
            ensure!(firm(settings, tenant).await?.is_registered(), "no firm {tenant} is registered");
            let id = Uuid::now_v7();
            let body = json!({ "name": name.as_str(), "expires_at": expires_at });
            let secret = operator.mint("identity.integrator.add", tenant, id, &body).await?;
            println!("integrator {id}\nsecret {secret}");
        }
        IntegratorsVerb::Rotate { which: Which { tenant, integrator }, overlap_hours } => {
            let body = json!({ "overlap_hours": overlap_hours });
            println!("secret {}", operator.mint("identity.integrator.rotate", tenant, integrator, &body).await?);
        }
        IntegratorsVerb::Revoke { which: Which { tenant, integrator }, reason } => {
            let body = json!({ "reason": reason.as_str() });
            operator.command("identity.integrator.revoke", tenant, integrator, &body).await?;
            println!("done");
        }
        IntegratorsVerb::List { tenant, json } => list(settings, tenant, json).await?,
        IntegratorsVerb::Key => key()?,
    }
    operator.drained().await
}

/// `ubos integrators key`, which needs no settings.
pub fn key() -> Result<()> {
    let (seed, public) = Seal::fresh()?;
    println!("nats.issuer_seed {}\nUBOS_NATS_ISSUER {public}", seed.expose_secret());
    Ok(())
}

async fn firm(settings: &Settings, tenant: Uuid) -> Result<std::sync::Arc<access::Firm>> {
    let url = settings.database.command_url.expose_secret();
    let pool = runtime::database::connect(url, "operator", 1, PATIENCE).await?;
    LogDirectory::start(pool).firm(TenantId(tenant)).await
}

/// From the log, not from a read model, which may lag.
async fn list(settings: &Settings, tenant: Uuid, as_json: bool) -> Result<()> {
    let firm = firm(settings, tenant).await?;
    let mut rows = vec![];
    for (id, name, standing) in firm.integrators(Utc::now()) {
        let (state, until) = match standing {
            Standing::Reads(until) => ("reads", until),
            Standing::Out(why, _) => (why, None),
            Standing::In(..) | Standing::Unregistered => ("the firm is not registered", None),
        };
        rows.push(json!({ "id": id, "name": name, "state": state, "expires_at": until }));
    }
    if as_json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    for row in &rows {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        println!("{} {:<24} {} {}", text("id"), text("name"), text("state"), text("expires_at"));
    }
    println!("{} integrators", rows.len());
    Ok(())
}
