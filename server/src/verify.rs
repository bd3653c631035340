//! `ubos verify`: proves that nothing is missing and nothing is doubled, from the log outwards.

use crate::connect::{nats_now, stream};
use crate::output::{Done, Outcome, Output, say};
use anyhow::{Context, Result};
use event_store::Log;
use messaging::RelayOptions;
use projections::{RebuildOptions, groups};
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// The log by itself: how many positions are missing, how many sequences are wrong, how many streams disagree.
const LOG: &str = "
    select (select position from eventstore.head) - count(*) as missing_positions,
           count(*) filter (where sequence <> nth) as wrong_sequences,
           (select count(*) from eventstore.streams s
            where s.version <> (select count(*) from eventstore.events e
                                where e.tenant_id = s.tenant_id and e.aggregate_id = s.aggregate_id
                                  and e.aggregate_type = s.aggregate_type)) as wrong_streams
    from (select sequence,
                 row_number() over (partition by tenant_id, aggregate_type, aggregate_id order by position) as nth
          from eventstore.events) e";

struct Verification<'a> {
    out: &'a Output,
    differences: i64,
    parked: i64,
    checks: Vec<Value>,
}

impl Verification<'_> {
    fn check(&mut self, what: &str, differences: i64, detail: impl std::fmt::Display) {
        self.differences += differences;
        let verdict = if differences == 0 { "ok  " } else { "FAIL" };
        say!(self.out, "{verdict} {what}: {differences} differences\n     {detail}");
        self.checks.push(json!({ "what": what, "differences": differences, "detail": detail.to_string() }));
    }

    /// Streams that stand still concern their firm alone, and are no difference.
    fn parked(&mut self, what: &str, parked: &[projections::ParkedStream]) {
        self.parked += i64::try_from(parked.len()).unwrap_or(i64::MAX);
        say!(self.out, "{} {what}: {} parked", if parked.is_empty() { "ok  " } else { "PARK" }, parked.len());
        parked.iter().for_each(|stream| say!(self.out, "     {stream}"));
        self.checks.push(json!({ "what": what, "parked": parked }));
    }
}

/// Waits for the readers, then compares everything. Success only if there is no difference.
pub async fn run(settings: &Settings, wait_seconds: u64, out: &Output) -> Result<Done> {
    let url = settings.database.worker_url.expose_secret();
    let pool = schema::connect(url, "verify", 8, Duration::from_secs(10)).await?;
    let log = crate::vault::log(settings, &pool)?;
    let nats = nats_now(settings, settings.nats.relay()).await?;
    let options = RelayOptions::new(stream(settings));
    wait(&pool, &log, Duration::from_secs(wait_seconds)).await?;

    let mut verification = Verification { out, differences: 0, parked: 0, checks: vec![] };
    let head = log.head().await?;
    let (missing, sequences, streams): (i64, i64, i64) = sqlx::query_as(LOG).fetch_one(&pool).await?;
    verification.check("log positions are dense", missing.abs(), format!("head {head}"));
    verification.check("streams are contiguous", sequences + streams, "sequences and stream versions");

    let audit = messaging::audit(&log, &nats, &options).await.context("walking the stream")?;
    let absent = i64::try_from(audit.missing + audit.unexpected)?;
    verification.check("JetStream is complete", absent, &audit);

    for group in groups() {
        let report = projections::verify(&log, group, &RebuildOptions::default(), &mut |_| {}).await;
        let report = report.with_context(|| format!("replaying {}", group.name))?;
        let differing: i64 = report.comparison.tables.iter().map(|table| table.differing_tenants).sum();
        let rows: i64 = report.comparison.tables.iter().map(|table| table.live_rows).sum();
        let detail = format!("{rows} rows in {} tables", report.comparison.tables.len());
        verification.check(&format!("{} equals a fresh replay", group.name), differing, detail);
        if differing > 0 {
            say!(out, "{report}");
        }
        if !report.comparison.parked.is_empty() {
            verification
                .parked(&format!("a fresh replay of {} parks no stream", group.name), &report.comparison.parked);
        }
    }
    verification.parked("no stream is parked by a projection", &projections::parked(&pool, None).await?);

    let books = projections::books(&pool).await.context("adding up the journal")?;
    let wrong = i64::try_from(books.differences.len()).unwrap_or(i64::MAX);
    let first = books.differences.first().map_or_else(String::new, |difference| format!("; {}", difference.what));
    let what = "the journal balances at every position and agrees with invoices and bills";
    verification.check(what, wrong, format!("{} postings{first}", books.postings));

    let (runs, unfinished) = projections::unfinished_runs(&pool).await?;
    let count = unfinished.iter().map(|(_, count)| count).sum();
    let detail = format!("{runs} runs, {unfinished:?}");
    verification.check("every run is finished, waiting or parked with a reason", count, detail);

    let Verification { differences, parked, checks, .. } = verification;
    say!(out, "{differences} differences in all, {parked} streams parked");
    let data = json!({ "differences": differences, "parked": parked, "checks": checks });
    Done::as_is(Outcome::of(differences == 0, parked > 0), data)
}

/// Until relay and projections have read the log to its end and no run is under way, or patience ends.
async fn wait(pool: &PgPool, log: &Log, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let head = log.head().await?;
        let status = projections::status(pool).await?;
        let behind = status.groups.iter().map(|group| group.lag_events).max().unwrap_or(0);
        let relayed: i64 = sqlx::query_scalar("select position from eventstore.relay").fetch_one(pool).await?;
        let running: i64 = projections::unfinished_runs(pool).await?.1.iter().map(|(_, count)| count).sum();
        if (behind == 0 && relayed >= head && running == 0) || Instant::now() > deadline {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
