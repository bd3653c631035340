//! Runs that start at times.
//!
//! A definition's next time is a row. Whoever notes the run moves the row on in the same transaction, and the run's id derives
//! from the definition and the time, so however many engines look, a time starts one run. What passed while none looked is made
//! up for once, by the last of those times.

use crate::bounds::Incident;
use crate::document::{Document, SCHEDULE_DUE, Schedule};
use crate::intake::correlated;
use crate::tasks::{Start, Tasks};
use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use kernel::{DefinitionId, Name, Timestamp};
use metrics::counter;
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use std::str::FromStr as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_events::{Trigger, TriggerKind};

/// Times that are made up for in one transaction.
const BATCH: i64 = 100;
/// The net under the times that are known: also how soon a new schedule is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The times of a schedule, and where its clock hangs; the error names the field.
pub(crate) fn read(schedule: &Schedule) -> Result<(Cron, Tz), (&'static str, String)> {
    let cron = Cron::from_str(&schedule.cron).map_err(|error| ("cron", error.to_string()))?;
    let zone = schedule.time_zone.parse::<Tz>();
    let zone = zone.map_err(|_| ("time_zone", format!("there is no time zone {:?}", schedule.time_zone)))?;
    Ok((cron, zone))
}

/// The first time after another; none if there is none.
pub(crate) fn next(schedule: &Schedule, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (cron, zone) = read(schedule).ok()?;
    cron.find_next_occurrence(&after.with_timezone(&zone), false).ok().map(|at| at.with_timezone(&Utc))
}

/// The last time that is not after `now`, from one that is known to be none.
fn last(schedule: &Schedule, due_at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let Ok((cron, zone)) = read(schedule) else { return due_at };
    let last = cron.find_previous_occurrence(&now.with_timezone(&zone), true);
    last.map_or(due_at, |at| at.with_timezone(&Utc)).max(due_at)
}

/// The JSON Schema of the payload that steps see.
pub(crate) fn payload_schema() -> Value {
    json!({ "properties": { "due_at": { "type": "string" }, "time_zone": { "type": "string" } } })
}

/// Keeps when a definition is due next; nothing if it has no schedule any more.
pub(crate) async fn keep(
    tx: &mut Transaction<'_, Postgres>,
    tenant: Uuid,
    definition: Uuid,
    schedule: Option<&Schedule>,
) -> Result<(), sqlx::Error> {
    let due_at = schedule.and_then(|schedule| next(schedule, Utc::now()));
    let sql = match due_at {
        Some(_) => {
            "insert into engine.schedules (tenant_id, definition_id, due_at) values ($1, $2, $3)
             on conflict (tenant_id, definition_id) do update set due_at = excluded.due_at"
        }
        None => "delete from engine.schedules where tenant_id = $1 and definition_id = $2 and $3 is null",
    };
    sqlx::query(sql).bind(tenant).bind(definition).bind(due_at).execute(&mut **tx).await?;
    Ok(())
}

/// Starts what is due, until it is stopped.
pub(crate) async fn follow(tasks: Tasks, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        if let Err(error) = start_due(&tasks).await {
            tracing::warn!(error = format!("{error:#}"), "what is due by a schedule cannot be started, trying again");
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

type Due = (Uuid, Uuid, DateTime<Utc>, String, i32, String, Value, bool);

/// Notes the runs of every time that has passed.
pub(crate) async fn start_due(tasks: &Tasks) -> Result<()> {
    let mut tx = event_store::begin(&tasks.pool).await?;
    let sql = "select s.tenant_id, s.definition_id, s.due_at, d.name, d.version, d.hash, d.document,
                      not d.paused and not d.retired
               from engine.schedules s join engine.definitions d using (tenant_id, definition_id)
               where s.due_at <= clock_timestamp() order by s.due_at limit $1 for update of s skip locked";
    let due: Vec<Due> = sqlx::query_as(sql).bind(BATCH).fetch_all(&mut *tx).await?;
    if due.is_empty() {
        return Ok(());
    }
    let head: i64 = sqlx::query_scalar("select position from eventstore.head").fetch_one(&mut *tx).await?;
    for (tenant, id, due_at, name, version, hash, document, active) in due {
        let now = Utc::now();
        let parsed = Document::read(&document).ok();
        let schedule = parsed.as_ref().and_then(|document| document.trigger.schedule.as_ref());
        if let (Some(parsed), Some(schedule), true) = (&parsed, schedule, active) {
            let at = last(schedule, due_at, now);
            let run = Uuid::new_v5(&id, format!("{SCHEDULE_DUE}:{}", at.timestamp()).as_bytes());
            let name: Name = name.parse().context("a definition's name")?;
            let trigger = trigger(id, run, at, schedule, head);
            let (correlation, incident) = match correlated(parsed, &trigger) {
                Ok(correlation) => (correlation, None),
                Err(error) => (None, Some(Incident::new("correlation_failed", error.message))),
            };
            let start = Start {
                definition_id: DefinitionId(id),
                definition: name,
                definition_version: u32::try_from(version)?,
                definition_hash: hash,
                document: document.clone().into(),
                steps: parsed.steps(),
                compensates: parsed.compensates(),
                trigger,
                caused_by: None,
                correlation,
                parent: None,
                incident,
            };
            let sql =
                "insert into engine.tasks (tenant_id, run_id, due_at, start) values ($1, $2, clock_timestamp(), $3)
                       on conflict do nothing";
            sqlx::query(sql).bind(tenant).bind(run).bind(Json(&start)).execute(&mut *tx).await?;
            counter!("workflow_schedules_due_total").increment(1);
        }
        keep(&mut tx, tenant, id, schedule).await?;
    }
    tx.commit().await?;
    tasks.woken.notify_one();
    Ok(())
}

/// A time, as expressions see it.
fn trigger(definition: Uuid, run: Uuid, at: DateTime<Utc>, schedule: &Schedule, head: i64) -> Trigger {
    let at = Timestamp::of_clock(at);
    Trigger {
        kind: TriggerKind::Schedule,
        event_id: run,
        event_type: SCHEDULE_DUE.to_owned(),
        event_version: 1,
        position: head,
        aggregate_type: "workflow.definition".to_owned(),
        aggregate_id: definition,
        recorded_at: at,
        correlation_id: run,
        traceparent: None,
        concerns: vec![],
        payload: json!({ "due_at": at, "time_zone": schedule.time_zone }).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, time_zone: &str) -> Schedule {
        Schedule { cron: cron.to_owned(), time_zone: time_zone.to_owned() }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn nine_o_clock_is_where_the_clock_hangs_and_stays_there_when_it_is_put_forward() {
        let daily = schedule("0 9 * * *", "Europe/Berlin");
        let next = |after: &str| super::next(&daily, at(after)).unwrap();
        assert_eq!(next("2026-03-27T10:00:00Z"), at("2026-03-28T08:00:00Z"));
        // Clocks were put forward in the night to the 29th.
        assert_eq!(next("2026-03-28T08:00:00Z"), at("2026-03-29T07:00:00Z"));
        let working = schedule("0 9 * * mon-fri", "UTC");
        assert_eq!(super::next(&working, at("2026-03-27T10:00:00Z")), Some(at("2026-03-30T09:00:00Z")));
    }

    #[test]
    fn of_the_times_that_were_missed_the_last_one_counts() {
        let hourly = schedule("0 * * * *", "UTC");
        assert_eq!(last(&hourly, at("2026-01-01T01:00:00Z"), at("2026-01-01T05:30:00Z")), at("2026-01-01T05:00:00Z"));
        assert_eq!(last(&hourly, at("2026-01-01T05:00:00Z"), at("2026-01-01T05:00:00Z")), at("2026-01-01T05:00:00Z"));
    }

    #[test]
    fn what_is_no_schedule_says_which_field_is_wrong() {
        assert_eq!(read(&schedule("every day", "UTC")).unwrap_err().0, "cron");
        assert_eq!(read(&schedule("0 9 * * *", "Berlin")).unwrap_err().0, "time_zone");
    }
}
