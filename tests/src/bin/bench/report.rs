//! The table on the terminal and the page in the documentation, both from the families and what was recorded.

use crate::family::Family;
use crate::goal::Goal;
use crate::plots;
use crate::record::{Figure, Records, Series};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a run came to.
pub struct Report<'a> {
    /// Every family that was measured, with its series.
    pub measured: Vec<(&'a Family, Vec<Series>)>,
    /// Words of those that were left out.
    pub left_out: Vec<&'static str>,
    /// Words of those that could not be measured to the end.
    pub failed: Vec<&'static str>,
    /// What was seen.
    pub records: &'a Records,
    /// The command that reproduces it.
    pub command: String,
    /// How long it ran and what it ran on.
    pub circumstances: String,
}

impl Report<'_> {
    /// Goals that are met, and goals that were measured.
    pub fn tally(&self) -> (usize, usize) {
        let verdicts =
            self.measured.iter().flat_map(|(family, _)| family.goals).filter_map(|g| g.verdict(self.records));
        verdicts.fold((0, 0), |(met, all), verdict| (met + usize::from(verdict.met), all + 1))
    }

    /// The page; `plots` says where its pictures are, none for the terminal.
    pub fn page(&self, plots: Option<&str>) -> Result<String> {
        let mut page = String::new();
        let (met, all) = self.tally();
        writeln!(page, "# Benchmarks\n\n{}\n", self.circumstances)?;
        writeln!(page, "{met} of {all} goals met. Reproduce with `{}`.", self.command)?;
        if !self.left_out.is_empty() {
            writeln!(page, "\nLeft out of this run: {}.", self.left_out.join(", "))?;
        }
        if !self.failed.is_empty() {
            writeln!(page, "\nNot measured to the end: {}.", self.failed.join(", "))?;
        }
        self.goals(&mut page)?;
        for (family, series) in &self.measured {
            self.family(&mut page, family, series)?;
            for plot in plots::of(family, series, self.records) {
                if let Some(folder) = plots {
                    writeln!(page, "\n![{}]({folder}/{})", plot.title, plot.file)?;
                }
            }
        }
        Ok(page)
    }

    /// Writes page and plots below `folder`; what a person wrote under the last heading of the old page stays.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (page, pictures) = (folder.join("benchmarks.md"), folder.join("benchmarks"));
        fs::create_dir_all(&pictures)?;
        for (family, series) in &self.measured {
            for plot in plots::of(family, series, self.records) {
                fs::write(pictures.join(&plot.file), plot.svg()?)?;
            }
        }
        let kept = fs::read_to_string(&page).ok();
        let kept = kept.as_deref().and_then(|old| old.find(FINDINGS).map(|at| old[at..].to_owned()));
        let kept = kept.unwrap_or_else(|| format!("{FINDINGS}\n"));
        fs::write(&page, format!("{}\n{kept}", self.page(Some("benchmarks"))?)).context("writing the report")
    }

    fn goals(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n## Goals\n\nRatios of medians of one run; in brackets the smallest and the greatest of the passes.\n"
        )?;
        writeln!(page, "| goal | wanted | seen | |\n| --- | ---: | ---: | --- |")?;
        for goal in self.measured.iter().flat_map(|(family, _)| family.goals) {
            let (seen, mark) = match goal.verdict(self.records) {
                Some(verdict) => {
                    let (low, high) = verdict.spread;
                    let seen = format!("{} ({}–{})", short(verdict.value), short(low), short(high));
                    (seen, if verdict.met { "met" } else { "**missed**" })
                }
                None => ("–".to_owned(), "not measured"),
            };
            writeln!(page, "| {} | {} | {seen} | {mark} |", goal.title(), Goal::wanted(goal))?;
        }
        Ok(())
    }

    fn family(&self, page: &mut String, family: &Family, series: &[Series]) -> Result<()> {
        writeln!(page, "\n## {}\n\n{}\n", family.title, family.about)?;
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

/// Everything from here on is written by people and kept.
const FINDINGS: &str = "## What bounds what";

/// `1,234`, or `12.3` for what is small.
pub fn thousands(number: f64) -> String {
    if number.abs() < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn short(ratio: f64) -> String {
    if ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") }
}

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Machine, versions, commit.
pub async fn circumstances(took: std::time::Duration, seconds: u64, passes: usize) -> Result<String> {
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
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed =
        if said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() { "" } else { " with changes" };
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
        "Commit {commit}{changed}, {}, {:.0} minutes. {} cores ({cpu}), {} GiB, {system}; load {load} at the end. \
         PostgreSQL {version} (`fsync` {fsync}, `synchronous_commit` {commits}), nats-server {nats} (every message synced \
         unless said otherwise), {rust}, release build. Servers, roles and clients share the machine. {passes} passes of \
         {seconds} s per measurement, competitors in turn. Absolute numbers are this machine's; the ratios are what to \
         look at.",
        chrono::Utc::now().format("%-d %B %Y"),
        took.as_secs_f64() / 60.0,
        cores(),
        gib.unwrap_or(0) >> 20,
    ))
}
