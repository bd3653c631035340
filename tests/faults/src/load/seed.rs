//! What a firm needs before somebody can book: hours around the clock, a kind of appointment, templates.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Gives one firm everything that a booking and its workflow need, except the workflow's definition.
pub async fn seed(command_port: u16, token: &str) -> Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    let post = async |path: &str, body: Value| -> Result<Value> {
        let request = http.post(format!("http://127.0.0.1:{command_port}{path}")).bearer_auth(token);
        let answer = request.header("Idempotency-Key", Uuid::now_v7().to_string()).json(&body).send().await?;
        let (status, body) = (answer.status(), answer.json::<Value>().await?);
        ensure!(status.is_success(), "seeding {path} was answered {status}: {body}");
        Ok(body)
    };
    let host = Uuid::now_v7();
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let weekly: Vec<Value> =
        days.iter().map(|day| json!({ "weekday": day, "periods": [{ "from": "00:00", "to": "24:00" }] })).collect();
    let hours = json!({ "host_id": host, "time_zone": "Europe/Berlin", "weekly": weekly });
    let availability = post("/v1/scheduling/availabilities", hours).await?;
    let availability = availability["id"].as_str().context("an availability has an id")?;
    let rules = json!({
        "name": "Helpdesk call", "host_id": host, "availability_id": availability, "duration_minutes": 30,
        "max_days_ahead": 365,
    });
    post("/v1/scheduling/event-types", json!({ "key": "helpdesk_call", "rules": rules })).await?;
    let paths = json!([["Contracts"], ["Correspondence"], ["Work"]]);
    let folders = json!({ "key": "onboarding", "name": "Onboarding", "paths": paths });
    post("/v1/files/folder-templates", folders).await?;
    let project = json!({
        "key": "onboarding_project", "name": "Onboarding",
        "milestones": [{ "name": "Kick-off", "due_after_days": 7 }],
        "tasks": [{ "title": "Prepare the first meeting", "milestone": "Kick-off", "due_after_days": 3, "role": "partner" }],
    });
    post("/v1/projects/project-templates", project).await?;
    Ok(())
}
