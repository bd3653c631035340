//! The demo tenant: a small firm with a history, with templates and hours, and the six flagship workflows driven over public HTTP.

mod booking;
mod coding;
mod collecting;
mod flagships;
mod history;
mod invoicing;
mod made_up;
mod outside;
mod paying;
mod portal;
mod seed;
mod signing;
mod tour;
mod visitor;

use crate::output::{Done, Output, say};
use crate::token::{self, TokenArguments};
use anyhow::Result;
use chrono::{Days, NaiveDate, Utc};
use clap::Subcommand;
use runtime::settings::Settings;
use serde_json::json;
use uuid::Uuid;
use visitor::{Visitor, text};

/// The demo tenant.
const TENANT: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0001);
/// Its owner, who also hosts consultations.
const OWNER: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0002);
/// The desk that can be called around the clock.
const DESK: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0003);
/// Who approves what the owner may not approve alone.
const APPROVER: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0004);

/// What can be done with the demo tenant.
#[derive(Debug, Subcommand)]
pub enum DemoVerb {
    /// Prints the demo tenant's id.
    Tenant,
    /// Prints a token of its owner.
    Token,
    /// Gives it hours, event types, templates, rules for invoices and bills, and workflows; harmless when repeated.
    Seed,
    /// Gives it 20 clients with two years of work, time and invoices, made up the same way every time; harmless when repeated.
    History,
    /// Books an appointment over HTTP and shows what came of it.
    Flagship,
    /// Drives the six flagships over HTTP and shows what came of each; harmless when repeated.
    Flagships(flagships::FlagshipsArguments),
    /// Prints where somebody who has logged in agrees that it is connected with a provider.
    Connections,
}

/// `ubos demo …`
pub async fn run(settings: &Settings, verb: DemoVerb, out: &Output) -> Result<Done> {
    match verb {
        DemoVerb::Tenant => {
            say!(out, "{TENANT}");
            Done::with(json!({ "tenant": TENANT }))
        }
        DemoVerb::Token => {
            let token = owner_token(settings)?;
            say!(out, "{token}");
            Done::with(json!({ "token": token }))
        }
        DemoVerb::Seed => seed::run(settings, out).await,
        DemoVerb::History => history::run(settings, out).await,
        DemoVerb::Flagship => {
            let visitor = Visitor::new(settings, OWNER)?;
            say!(out, "\nThe token is the demo owner's, valid for a day:\n\n  TOKEN={}", visitor.token);
            let shown = booking::show(settings, &visitor, out).await?;
            Done::with(json!({ "tenant": TENANT, "token": visitor.token, "shown": shown }))
        }
        DemoVerb::Flagships(arguments) => flagships::run(settings, arguments, out).await,
        DemoVerb::Connections => connections(settings, out).await,
    }
}

fn owner_token(settings: &Settings) -> Result<String> {
    let roles = vec!["owner".to_owned()];
    token::mint(settings, &TokenArguments { tenant: TENANT, subject: OWNER, roles, ttl_seconds: 24 * 3600 })
}

async fn connections(settings: &Settings, out: &Output) -> Result<Done> {
    let visitor = Visitor::new(settings, OWNER)?;
    let found = visitor.rows("/v1/connections/connections").await?;
    for connection in &found {
        let url = format!("{}/v1/connect/start?connection={}", settings.login.public_url, text(connection, "id"));
        say!(out, "  {:<16} {} ({})", text(connection, "provider"), url, text(connection, "status"));
    }
    if found.is_empty() {
        say!(out, "  the demo tenant has no connections yet: POST {}/v1/connections/connections", visitor.command_url);
    }
    Done::with(found)
}

/// The day that many days from today.
fn coming_days(days: u64) -> NaiveDate {
    let today = Utc::now().date_naive();
    today.checked_add_days(Days::new(days)).unwrap_or(today)
}

/// An id that is the same at every start.
fn id_of(what: &str) -> Uuid {
    Uuid::new_v5(&TENANT, what.as_bytes())
}
