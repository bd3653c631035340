//! `ubos audit …`: what was changed and what was refused, for whoever has to show it.

use crate::connect::{PATIENCE, known, worker_pool};
use crate::output::{Done, Output};
use anyhow::{Result, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use futures::TryStreamExt;
use kernel::TenantId;
use query_api::AuditFilter;
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::io::Write as _;
use std::pin::pin;
use uuid::Uuid;

/// How a file is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// A JSON object per line.
    Ndjson,
    /// RFC 4180.
    Csv,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Outcome {
    /// It was made.
    Accepted,
    /// It was refused.
    Denied,
}

/// What can be asked of the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Prints a firm's changes and refusals, oldest first.
    Export {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// How it is written.
        #[arg(long, value_enum, default_value = "ndjson")]
        format: Format,
        /// Only those that were made, or only those that were refused.
        #[arg(long, value_enum)]
        outcome: Option<Outcome>,
        /// Only what came at this moment or later: 2026-12-01T00:00:00Z.
        #[arg(long)]
        from: Option<DateTime<Utc>>,
        /// Only what came before this moment.
        #[arg(long)]
        before: Option<DateTime<Utc>>,
    },
}

/// `ubos audit …`
pub async fn audit(settings: &Settings, verb: AuditVerb, output: &Output) -> Result<Done> {
    let AuditVerb::Export { tenant, format, outcome, from, before } = verb;
    ensure!(!output.is_json() || matches!(format, Format::Ndjson), "--json and --format csv are two formats");
    known(&worker_pool(settings).await?, tenant).await?;
    let outcome = outcome.map(|outcome| match outcome {
        Outcome::Accepted => "accepted".to_owned(),
        Outcome::Denied => "denied".to_owned(),
    });
    let pairs = [
        ("outcome", outcome),
        ("at_from", from.map(|at| at.to_rfc3339())),
        ("at_before", before.map(|at| at.to_rfc3339())),
    ];
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let filter = AuditFilter::parse(TenantId(tenant), pairs)?;
    let format = match format {
        Format::Ndjson => query_api::Format::Ndjson,
        Format::Csv => query_api::Format::Csv,
    };
    let url = settings.database.query_url.expose_secret();
    let pool = schema::connect(url, "operator", 1, PATIENCE).await?;
    let mut pieces = pin!(query_api::export(pool, None, filter, format));
    let mut out = std::io::stdout().lock();
    let mut kept = vec![];
    while let Some(piece) = pieces.try_next().await? {
        if output.is_json() {
            kept.extend_from_slice(&piece);
            continue;
        }
        if let Err(error) = out.write_all(&piece) {
            // Whoever reads has seen enough.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                return Done::with(json!({}));
            }
            bail!("the file cannot be written: {error}");
        }
    }
    out.flush()?;
    drop(out);
    let lines = kept.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Done::with(lines.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>()?)
}
