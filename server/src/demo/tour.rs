//! The six flagships, one after the other: each is driven over public HTTP, and shows what came of it where it can be looked at.

use super::outside::Outside;
use super::visitor::{PATIENCE, Visitor, text};
use super::{APPROVER, OWNER, TENANT, booking, coding, collecting, invoicing, paying, signing};
use crate::connect::worker_pool;
use crate::output::{Done, Output, say};
use crate::vault;
use anyhow::{Context, Result, ensure};
use clap::Args;
use runtime::settings::Settings;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where what is outside is, and where papers go.
#[derive(Debug, Args)]
pub struct TourArguments {
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

/// What every flagship needs to be driven and shown.
pub struct Tour<'a> {
    pub settings: &'a Settings,
    /// The owner.
    pub visitor: Visitor,
    /// Somebody else of the firm, who approves what the owner may not approve alone.
    pub approver: Visitor,
    pub outside: Outside,
    papers: PathBuf,
    pub out: &'a Output,
}

/// Drives and shows all six. Those that follow from one that did not come through are tried all the same, and say what they lack.
pub async fn run(settings: &Settings, arguments: TourArguments, out: &Output) -> Result<Done> {
    let TourArguments { lab, mail, papers } = arguments;
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

/// Prints what a flagship is about.
pub fn title(out: &Output, number: u8, what: &str) {
    say!(out, "\nFlagship {number}: {what}\n");
}

/// Prints one thing that came of it.
pub fn line(out: &Output, what: &str, is: impl std::fmt::Display) {
    say!(out, "  {what:<16} {is}");
}

/// Prints where to ask for what came of it.
pub fn curls<'c>(out: &Output, visitor: &Visitor, all: impl IntoIterator<Item = (&'c str, String)>) {
    for (what, path) in all {
        let url = &visitor.query_url;
        say!(out, "\n  # {what}\n  curl -sS -H \"Authorization: Bearer $TOKEN\" '{url}{path}'");
    }
}

impl Tour<'_> {
    /// Whatever is asked from now on has seen what happened so far.
    pub async fn see_everything(&self) -> Result<()> {
        let head = vault::log(self.settings, &worker_pool(self.settings).await?)?.head().await?;
        self.visitor.sees(head);
        self.approver.sees(head);
        Ok(())
    }

    /// The client of flagship 1, about whom the others are.
    pub async fn client(&self) -> Result<Value> {
        let path = format!("/v1/crm/clients?email={}", booking::EMAIL_IN_PATHS);
        self.visitor.first(&path).await?.context("there is no client yet, which flagship 1 makes")
    }

    /// The project of flagship 2.
    pub async fn project(&self, client: &Value) -> Result<Value> {
        let id = text(client, "id");
        let projects = self.visitor.rows(&format!("/v1/projects/projects?client_id={id}")).await?;
        let found = projects.into_iter().find(|project| project["name"] == signing::TITLE);
        found.context("there is no project yet, which flagship 2 makes")
    }

    /// Fetches a file as anybody would, and keeps it; answers where.
    pub async fn paper(&self, file: &str) -> Result<PathBuf> {
        let shown = self.visitor.get(&format!("/v1/files/files/{file}")).await?;
        // What a file is called may have slashes and dots that are no names here.
        let name: String = text(&shown, "name").chars().map(|c| if "/\\".contains(c) { '-' } else { c }).collect();
        let url = format!("{}/v1/files/files/{file}/download", self.visitor.query_url);
        let answer = self.visitor.http.get(&url).bearer_auth(&self.visitor.token).send().await?;
        ensure!(answer.status().is_success(), "GET {url} answered {}", answer.status());
        let to = self.papers.join(name.trim_start_matches('.'));
        fs::write(&to, answer.bytes().await?).with_context(|| format!("writing {}", to.display()))?;
        Ok(to)
    }

    /// Prints a run and how it stands.
    pub fn run_line(&self, run: &Value) {
        line(self.out, "workflow run", format!("{} is {}", text(run, "id"), text(run, "status")));
    }

    /// Prints how to fetch a file.
    pub fn download(&self, what: &str, file: &str) {
        let url = format!("{}/v1/files/files/{file}/download", self.visitor.query_url);
        say!(self.out, "\n  # {what}\n  curl -sSL -OJ -H \"Authorization: Bearer $TOKEN\" '{url}'");
    }

    /// Prints how to ask the lab for this.
    pub fn lab_curl(&self, what: &str, filter: &str) {
        say!(self.out, "\n  # {what}\n  curl -sS '{}/control/state' | jq '{filter}'", self.outside.lab);
    }

    /// What the lab has of this, once it has it so.
    pub async fn at_the_lab(&self, list: &str, what: &str, so: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.outside.state().await?;
            if let Some(found) = state[list].as_array().into_iter().flatten().find(|one| so(one)) {
                return Ok(found.clone());
            }
            ensure!(Instant::now() < deadline, "the lab has no {what} within {} s", PATIENCE.as_secs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
