//! What every flagship is driven and shown with.

use super::outside::Outside;
use super::visitor::{PATIENCE, Visitor, text};
use crate::connect::worker_pool;
use crate::output::{Output, say};
use crate::vault;
use anyhow::{Context, Result, ensure};
use runtime::settings::Settings;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The address of whoever books in flagship 1, as a path has it.
pub const EMAIL_IN_PATHS: &str = "ada%40analytical.example";
/// What flagship 2 offers, and what its project is called.
pub const TITLE: &str = "Bookkeeping and annual accounts";

/// What every flagship needs to be driven and shown.
pub struct Tour<'a> {
    pub settings: &'a Settings,
    /// The owner.
    pub visitor: Visitor,
    /// Somebody else of the firm, who approves what the owner may not approve alone.
    pub approver: Visitor,
    pub outside: Outside,
    /// Where papers go.
    pub papers: PathBuf,
    pub out: &'a Output,
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
        let path = format!("/v1/crm/clients?email={}", EMAIL_IN_PATHS);
        self.visitor.first(&path).await?.context("there is no client yet, which flagship 1 makes")
    }

    /// The project of flagship 2.
    pub async fn project(&self, client: &Value) -> Result<Value> {
        let id = text(client, "id");
        let projects = self.visitor.rows(&format!("/v1/projects/projects?client_id={id}")).await?;
        let found = projects.into_iter().find(|project| project["name"] == TITLE);
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
