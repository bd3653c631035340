//! The table on the terminal and the page in the documentation, both from the families and what was recorded.

use crate::family::Family;
use crate::goal::Goal;
use crate::plots;
use crate::record::{Figure, Records, Series, thousands};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a run came to.
pub struct Report<'a> {
    /// Every family, with its series if it was measured.
    pub families: Vec<(&'a Family, Option<Vec<Series>>)>,
    /// Words of those that could not be measured to the end.
    pub failed: Vec<&'static str>,
    /// What was seen.
    pub records: &'a Records,
    /// The command that reproduces it.
    pub command: String,
    /// What it ran on.
    pub circumstances: String,
    /// Of what, when, how often.
    pub stamp: String,
}

impl Report<'_> {
    /// The page. `plots` says where its pictures are, none for the terminal; families that were not measured in this run
    /// stay as they are in `old`.
    pub fn page(&self, plots: Option<&str>, old: &str) -> Result<String> {
        let mut page = String::new();
        let goals = self.goals(old);
        let met = goals.iter().filter(|line| line.ends_with("| met |")).count();
        let missed = goals.iter().filter(|line| line.ends_with("| **missed** |")).count();
        writeln!(page, "# Benchmarks\n\n{}\n", self.circumstances)?;
        writeln!(page, "{met} of {} goals met. The last run was `{}`.", met + missed, self.command)?;
        let nowhere = self.families.iter().filter(|(f, series)| series.is_none() && section(old, f.title).is_none());
        let nowhere: Vec<&str> = nowhere.map(|(family, _)| family.word).collect();
        if !nowhere.is_empty() {
            writeln!(page, "\nNot measured: {}.", nowhere.join(", "))?;
        }
        if !self.failed.is_empty() {
            writeln!(page, "\nNot measured to the end: {}.", self.failed.join(", "))?;
        }
        writeln!(
            page,
            "\n## Goals\n\nRatios of medians of one run; in brackets the smallest and the greatest of the passes.\n\n\
             | goal | wanted | seen | |\n| --- | ---: | ---: | --- |\n{}",
            goals.join("\n")
        )?;
        for (family, series) in &self.families {
            let Some(series) = series else {
                page.push_str(section(old, family.title).unwrap_or_default());
                continue;
            };
            self.family(&mut page, family, series)?;
            for plot in plots::of(family, series, self.records) {
                if let Some(folder) = plots {
                    writeln!(page, "\n![{}]({folder}/{})", plot.title, plot.file)?;
                }
            }
        }
        Ok(page)
    }

    /// Writes page and plots below `folder`; families that were not measured stay, and what a person wrote under the last
    /// heading.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (page, pictures) = (folder.join("benchmarks.md"), folder.join("benchmarks"));
        fs::create_dir_all(&pictures)?;
        for (family, series) in self.families.iter().filter_map(|(family, series)| Some((family, series.as_ref()?))) {
            for plot in plots::of(family, series, self.records) {
                fs::write(pictures.join(&plot.file), plot.svg()?)?;
            }
        }
        let old = fs::read_to_string(&page).unwrap_or_default();
        let findings = section(&old, FINDINGS).map_or_else(|| format!("\n## {FINDINGS}\n"), str::to_owned);
        fs::write(&page, self.page(Some("benchmarks"), &old)? + &findings).context("writing the report")
    }

    fn goals(&self, old: &str) -> Vec<String> {
        let goals = self.families.iter().flat_map(|(family, series)| family.goals.iter().map(move |g| (g, series)));
        goals
            .filter_map(|(goal, series)| {
                let title = goal.title();
                if series.is_none() {
                    return old.lines().find(|line| line.starts_with(&format!("| {title} |"))).map(str::to_owned);
                }
                let (seen, mark) = match goal.verdict(self.records) {
                    Some(verdict) => {
                        let (low, high) = verdict.spread;
                        let seen = format!("{} ({}–{})", short(verdict.value), short(low), short(high));
                        (seen, if verdict.met { "met" } else { "**missed**" })
                    }
                    None => ("–".to_owned(), "not measured"),
                };
                Some(format!("| {title} | {} | {seen} | {mark} |", Goal::wanted(goal)))
            })
            .collect()
    }

    fn family(&self, page: &mut String, family: &Family, series: &[Series]) -> Result<()> {
        writeln!(page, "\n## {}\n\n{} Measured at {}.\n", family.title, family.about, self.stamp)?;
        let unit = family.unit;
        writeln!(page, "| what | {} | {unit}, median (min–max) | p50 ms | p99 ms | failed | passes |", family.load)?;
        writeln!(page, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for one in series {
            let (values, samples) = (self.records.figures(*one, Figure::Value), self.records.samples(*one));
            let latency =
                |figure| self.records.median(*one, figure).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2}"));
            writeln!(
                page,
                "| {}: {} | {} | {} ({}–{}) | {} | {} | {} | {} |",
                one.what,
                one.who,
                if one.load > 0 { thousands(one.load as f64) } else { "–".to_owned() },
                thousands(self.records.median(*one, Figure::Value).unwrap_or(0.0)),
                thousands(values.iter().copied().fold(f64::MAX, f64::min)),
                thousands(values.iter().copied().fold(0.0, f64::max)),
                latency(Figure::P50),
                latency(Figure::P99),
                samples.iter().map(|sample| sample.errors).sum::<u64>(),
                samples.len(),
            )?;
        }
        for note in self.records.notes(family.word) {
            writeln!(page, "\n{note}")?;
        }
        Ok(())
    }
}

/// What stands under this heading is written by people.
const FINDINGS: &str = "What bounds what";

/// A heading of a page with what stands under it, and the empty line before it.
fn section<'p>(page: &'p str, title: &str) -> Option<&'p str> {
    let from = page.find(&format!("\n## {title}\n"))?;
    let length = page[from + 1..].find("\n## ").map_or(page.len() - from, |length| length + 1);
    Some(&page[from..from + length])
}

fn short(ratio: f64) -> String {
    if ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") }
}

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Of what, when, how often.
pub fn stamp(seconds: u64, passes: usize) -> String {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed =
        if said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() { "" } else { " with changes" };
    let day = chrono::Utc::now().format("%-d %B %Y");
    format!("{commit}{changed}, {day}, {passes} passes of {seconds} s, competitors in turn")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Machine and versions.
pub async fn circumstances(took: std::time::Duration) -> Result<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cpu = field(&read("/proc/cpuinfo"), "model name");
    let gib = field(&read("/proc/meminfo"), "MemTotal").split(' ').next().and_then(|kib| kib.parse::<u64>().ok());
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    let system = read("/etc/os-release")
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or_default()
        .replace('"', "");
    let rust = said("rustc", &["--version"]);
    let database = testing::TestDatabase::create().await;
    let pool = database.superuser().await;
    let version: String = sqlx::query_scalar("show server_version").fetch_one(&pool).await?;
    let (fsync, commits): (String, String) =
        sqlx::query_as("select current_setting('fsync'), current_setting('synchronous_commit')")
            .fetch_one(&pool)
            .await?;
    let nats = messaging::connect(&testing::TestNats::new().url, "bench").await?;
    // The client connects when it is first used.
    nats.flush().await?;
    let nats = nats.server_info().version;
    Ok(format!(
        "{} cores ({cpu}), {} GiB, {system}; load {load} at the end of the last run, which took {:.0} minutes. PostgreSQL \
         {version} (`fsync` {fsync}, `synchronous_commit` {commits}), nats-server {nats} (every message synced unless said \
         otherwise), {rust}, release build. Servers, roles and clients share the machine. Absolute numbers are this \
         machine's; the ratios are what to look at.",
        cores(),
        gib.unwrap_or(0) >> 20,
        took.as_secs_f64() / 60.0,
    ))
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let page = "# Page\n\n## One\n\nfirst\n\n## Two\n\nsecond\n";
        assert_eq!(section(page, "One"), Some("\n## One\n\nfirst\n"));
        assert_eq!(section(page, "Two"), Some("\n## Two\n\nsecond\n"));
        assert_eq!(section(page, "Three"), None);
    }
}
