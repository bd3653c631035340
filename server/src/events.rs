//! `ubos events …`: single events of the log, when one of them cannot be applied.

use crate::connect::worker_pool;
use crate::operate::position;
use crate::output::{Done, Output, say};
use crate::tenants::Operator;
use crate::vault;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use event_store::{Log, RawEvent};
use kernel::{EventEntry, Name, Recorded};
use runtime::settings::Settings;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;

/// How long the read models may take to come to where the repair was noted.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can be done with an event.
#[derive(Debug, Subcommand)]
pub enum EventsVerb {
    /// Prints an event as readers see it, as JSON.
    Show {
        /// Its position.
        #[arg(value_parser = position())]
        position: i64,
    },
    /// Has everybody read something else in the place of an event that cannot be applied. The log stays as it is.
    Repair(RepairArguments),
}

/// What is put in an event's place, and why.
#[derive(Debug, Args)]
pub struct RepairArguments {
    /// The event's position.
    #[arg(value_parser = position())]
    position: i64,
    /// The payload that it shall have, as JSON of today's version; `-` reads it from standard input.
    #[arg(long)]
    payload: String,
    /// Which event of the same kind of stream it shall be, `project.renamed`; as it is if left out.
    #[arg(long)]
    event_type: Option<String>,
    /// Why, for the audit trail.
    #[arg(long)]
    reason: Name,
}

/// `ubos events …`
pub async fn run(settings: &Settings, verb: EventsVerb, out: &Output) -> Result<Done> {
    let log = vault::log(settings, &worker_pool(settings).await?)?;
    match verb {
        EventsVerb::Show { position } => {
            let event = find(&log, position).await?;
            let readable = catalogue::decode(event.clone()).err().map(|error| error.to_string());
            let mut shown = serde_json::to_value(&event)?;
            shown["unreadable"] = json!(readable);
            say!(out, "{shown:#}");
            Done::with(shown)
        }
        EventsVerb::Repair(arguments) => repair(settings, &log, arguments, out).await,
    }
}

async fn find(log: &Log, position: i64) -> Result<RawEvent> {
    log.find(position).await?.with_context(|| format!("the log has no event at {position}"))
}

/// Repairs, notes it in the firm's history, and has the stream read again.
async fn repair(settings: &Settings, log: &Log, arguments: RepairArguments, out: &Output) -> Result<Done> {
    let RepairArguments { position, payload, event_type, reason } = arguments;
    let event = find(log, position).await?;
    let payload = if payload == "-" { std::io::read_to_string(std::io::stdin().take(64 << 20))? } else { payload };
    let payload: Value = serde_json::from_str(&payload).context("--payload is not JSON")?;
    let entry = entry(&event, event_type.as_deref())?;
    let payload = payload.to_string();
    let read = |raw: String| -> Result<()> {
        let raw = RawValue::from_string(raw)?;
        let repaired =
            Recorded { event_type: entry.event_type.to_owned(), event_version: entry.version, ..event.clone() };
        catalogue::decode(repaired.with(raw)).with_context(|| format!("the payload is no {}", entry.event_type))?;
        Ok(())
    };
    read(payload.clone())?;
    log.repair(&event, entry, &payload, reason.as_str()).await?;
    let operator = Operator::connect(settings).await?;
    let note = json!({
        "position": position, "event_id": event.event_id, "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id, "reason": reason.as_str(),
    });
    let tenant = event.tenant_id.0;
    operator.command("identity.tenant.note_repair", tenant, tenant, &note).await?;
    operator.drained().await?;
    say!(out, "position {position} is read as {} version {} from now on", entry.event_type, entry.version);
    let streams = [(event.aggregate_type.clone(), event.aggregate_id)];
    let refolded = projections::refold(log, event.tenant_id, &streams, log.head().await?, PATIENCE).await;
    let refolded = refolded.context("the repair counts; `ubos projections retry all` brings the read models")?;
    for table in &refolded {
        say!(out, "{}: {} row(s) folded anew", table.table, table.rows);
    }
    let mut parked = vec![];
    for group in projections::groups() {
        let report = projections::retry(log, group, Some(event.aggregate_id)).await?;
        for (stream, error) in &report.parked {
            say!(out, "{}: {stream} is parked still: {error}", group.name);
            parked.push(json!({ "group": group.name, "aggregate_id": stream, "error": error }));
        }
    }
    Done::with(json!({
        "position": position, "event_type": entry.event_type, "event_version": entry.version, "refolded": refolded,
        "parked": parked,
    }))
}

/// What the event shall be: of the same kind of stream, because the stream's sequence has it.
fn entry(event: &RawEvent, event_type: Option<&str>) -> Result<&'static EventEntry> {
    let wanted = event_type.unwrap_or(&event.event_type);
    let of_stream = || catalogue::entries().filter(|entry| entry.stream == event.aggregate_type);
    if let Some(found) = of_stream().find(|entry| entry.event_type == wanted) {
        return Ok(found);
    }
    let known: Vec<&str> = of_stream().map(|entry| entry.event_type).collect();
    if known.is_empty() {
        bail!("there are no streams {}, so nothing reads this event", event.aggregate_type);
    }
    bail!("{} has no event {wanted:?}: name one with --event-type: {}", event.aggregate_type, known.join(", "))
}
