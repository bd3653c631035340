//! The six flagships, one after the other: each is driven over public HTTP, and shows what came of it where it can be looked at.

use super::outside::Outside;
use super::tour::Tour;
use super::visitor::Visitor;
use super::{APPROVER, OWNER, TENANT, booking, coding, collecting, invoicing, paying, signing};
use crate::output::{Done, Output, say};
use anyhow::{Context, Result, ensure};
use clap::Args;
use runtime::settings::Settings;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where what is outside is, and where papers go.
#[derive(Debug, Args)]
pub struct FlagshipsArguments {
    /// The lab that stands in for DocuSign and Xero.
    #[arg(long)]
    lab: String,
    /// The pages of the mail server that shows emails.
    #[arg(long)]
    mail: String,
    /// The folder into which PDFs are fetched.
    #[arg(long)]
    papers: PathBuf,
}

/// Drives and shows all six. Those that follow from one that did not come through are tried all the same, and say what they lack.
pub async fn run(settings: &Settings, arguments: FlagshipsArguments, out: &Output) -> Result<Done> {
    let FlagshipsArguments { lab, mail, papers } = arguments;
    fs::create_dir_all(&papers).with_context(|| format!("making {}", papers.display()))?;
    let tour = Tour {
        settings,
        visitor: Visitor::new(settings, OWNER)?,
        approver: Visitor::new(settings, APPROVER)?,
        outside: Outside::new(&lab, &mail)?,
        papers,
        out,
    };
    say!(out, "\nLook for yourself. The token is the demo owner's, valid for a day:\n");
    say!(out, "  TOKEN={}", tour.visitor.token);
    let connections = tour.outside.connected(settings, &tour.visitor).await.context("connecting the demo firm")?;
    tour.see_everything().await?;
    let mut shown = vec![];
    let mut failed = vec![];
    for number in 1..=6 {
        let begun = Instant::now();
        let done = match number {
            1 => booking::show(settings, &tour.visitor, out).await,
            2 => signing::show(&tour).await,
            3 => collecting::show(&tour).await,
            4 => invoicing::show(&tour).await,
            5 => paying::show(&tour).await,
            _ => coding::show(&tour, &connections).await,
        };
        match done {
            Ok(of) => shown.push(json!({ "flagship": number, "shown": of, "took_ms": millis(begun.elapsed()) })),
            Err(error) => {
                say!(out, "\n  ✗ flagship {number} did not come through: {error:#}");
                failed.push(number.to_string());
            }
        }
    }
    ensure!(failed.is_empty(), "these flagships did not come through: {}", failed.join(", "));
    tour.visitor.nothing_stands_still().await?;
    Done::with(json!({ "tenant": TENANT, "token": tour.visitor.token, "flagships": shown }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
