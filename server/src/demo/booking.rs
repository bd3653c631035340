//! Flagship 1: a booking becomes a running onboarding project.

use super::tour::{EMAIL_IN_PATHS, curls, line, title};
use super::visitor::{Visitor, text};
use crate::connect::worker_pool;
use crate::output::{Output, say};
use crate::vault;
use anyhow::{Context, Result, bail};
use chrono::{DateTime, Datelike, Days, SecondsFormat, TimeDelta, Utc, Weekday};
use runtime::settings::Settings;
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;

/// Whoever books.
pub const EMAIL: &str = "ada@analytical.example";
/// What she is called.
pub const NAME: &str = "Ada Lovelace";
const DEFINITION: &str = "Appointment booked → onboarding";

/// The first half hour on a workday from tomorrow on that nobody has taken.
async fn book(visitor: &Visitor) -> Result<(Value, Value)> {
    let today = Utc::now().date_naive();
    let days = (1..120).filter_map(|ahead| today.checked_add_days(Days::new(ahead)));
    for day in days.filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)) {
        // Nine to four o'clock UTC is inside Berlin's office hours in summer and in winter.
        for half_hour in 18..29u32 {
            let Some(starts_at) = day.and_hms_opt(half_hour / 2, half_hour % 2 * 30, 0) else { continue };
            let body = json!({
                "event_type": "consultation",
                "starts_at": starts_at.and_utc(),
                "time_zone": "Europe/London",
                "invitee": { "name": NAME, "email": EMAIL, "company": "Analytical Engines Ltd" },
                "notes": "We would like to talk about our accounts.",
            });
            let key = format!("demo-flagship-{}-{}", Utc::now().timestamp_millis(), starts_at);
            let key = key.replace(' ', "T");
            let (status, answer) = visitor.post("/v1/scheduling/appointments", &key, &body).await?;
            match status {
                201 => return Ok((body, answer)),
                409 if answer["code"] == "scheduling.slot.taken" => {}
                _ => bail!("booking answered {status}: {answer}"),
            }
        }
    }
    bail!("the demo firm is booked out for four months")
}

/// Books, unless that was done before, and shows what came of it.
pub async fn show(settings: &Settings, visitor: &Visitor, out: &Output) -> Result<Value> {
    let started = Instant::now();
    // A second run shows what the first one made, instead of filling the firm's calendar.
    let earlier = format!("/v1/scheduling/appointments?invitee_email={EMAIL_IN_PATHS}&sort=created_at");
    let earlier = visitor.first(&earlier).await?;
    let was_there = earlier.is_some();
    let (appointment, starts_at) = match earlier {
        Some(earlier) => (earlier["id"].clone(), earlier["starts_at"].clone()),
        None => {
            let (body, booked) = book(visitor).await?;
            (booked["id"].clone(), body["starts_at"].clone())
        }
    };
    let appointment = appointment.as_str().context("a booking has an id")?.to_owned();
    title(out, 1, "an appointment becomes a running onboarding project");
    line(out, "appointment", format!("{} for {NAME}", starts_at.as_str().unwrap_or_default()));
    let run = visitor.finished(DEFINITION, &appointment).await?;
    visitor.sees(vault::log(settings, &worker_pool(settings).await?)?.head().await?);
    let took = if was_there {
        "at an earlier start".to_owned()
    } else {
        format!("in {} ms, from the booking to everything visible", started.elapsed().as_millis())
    };

    let contact = visitor.one(&format!("/v1/crm/contacts?email={EMAIL_IN_PATHS}")).await?;
    line(out, "contact", format!("{} <{}>", text(&contact, "name"), text(&contact, "email")));
    let client = visitor.one(&format!("/v1/crm/clients?email={EMAIL_IN_PATHS}")).await?;
    let client_id = text(&client, "id");
    line(out, "client", format!("{} ({})", text(&client, "name"), text(&client, "status")));
    let user = visitor.one(&format!("/v1/portal/portal-users?client_id={client_id}")).await?;
    line(out, "portal user", format!("{}, {}", text(&user, "email"), text(&user, "status")));
    let folders = format!("/v1/files/folders?client_id={client_id}&sort=created_at");
    let root = visitor.one(&folders).await?;
    let subfolders = root["subfolders"].as_array().cloned().unwrap_or_default();
    line(out, "folder tree", format!("{} with {} folders", text(&root, "name"), subfolders.len()));
    print_tree(&subfolders, &root["id"], 1, out);
    let projects = format!("/v1/projects/projects?client_id={client_id}&template=onboarding_project&sort=created_at");
    let project = visitor.one(&projects).await?;
    let project_id = text(&project, "id");
    let tasks = visitor.rows(&format!("/v1/projects/tasks?project_id={project_id}")).await?;
    line(out, "project", format!("{} ({}), {} tasks", text(&project, "name"), text(&project, "status"), tasks.len()));
    let run_id = text(&run, "id");
    line(out, "workflow run", format!("{run_id} {} {took}", text(&run, "status")));
    say!(
        out,
        "\n  # book another appointment\n  curl -sS -X POST {}/v1/scheduling/appointments -H \"Authorization: Bearer $TOKEN\" \\\n    -H 'Idempotency-Key: {}' -H 'Content-Type: application/json' \\\n    -d '{}'",
        visitor.command_url,
        Uuid::now_v7(),
        json!({ "event_type": "helpdesk_call", "starts_at": another_slot(), "time_zone": "Europe/Paris",
                "invitee": { "name": "Sophie Germain", "email": "sophie@elastic.example", "company": "Elastic Surfaces" } })
    );
    let asked = [
        ("the appointment", format!("/v1/scheduling/appointments/{appointment}")),
        ("the contact", format!("/v1/crm/contacts?email={EMAIL_IN_PATHS}")),
        ("the client, and everything about it", format!("/v1/crm/clients/{client_id}/profile")),
        ("the portal user with the invitation", format!("/v1/portal/portal-users?client_id={client_id}")),
        ("the folder tree", format!("/v1/files/folders/{}", text(&root, "id"))),
        ("the project", format!("/v1/projects/projects/{project_id}")),
        ("its tasks", format!("/v1/projects/tasks?project_id={project_id}")),
        ("the run's steps", format!("/v1/workflow/run-steps?run_id={run_id}")),
        ("the timeline", format!("/v1/timeline/activity-events?client_id={client_id}")),
    ];
    curls(out, visitor, asked);
    Ok(json!({ "appointment": appointment, "run": run }))
}

/// What lies in `parent`, and what lies in that.
fn print_tree(subfolders: &[Value], parent: &Value, depth: usize, out: &Output) {
    for folder in subfolders.iter().filter(|folder| folder["parent_id"] == *parent) {
        say!(out, "  {:<16} {:indent$}{}", "", "", folder["name"].as_str().unwrap_or_default(), indent = 2 * depth);
        print_tree(subfolders, &folder["id"], depth + 1, out);
    }
}

/// A time in the next month that nobody is likely to have taken.
fn another_slot() -> String {
    let minutes = i64::from(Uuid::now_v7().as_u128().to_le_bytes()[0]) * 30;
    let at = Utc::now() + TimeDelta::days(7) + TimeDelta::minutes(minutes);
    let at = DateTime::from_timestamp(at.timestamp() / 1800 * 1800, 0).unwrap_or(at);
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
