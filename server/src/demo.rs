//! The demo tenant: a small firm with templates and hours, and the first flagship workflow driven over public HTTP.

use crate::connect::{bus, worker_pool};
use crate::operate;
use crate::output::{Done, Output, say};
use crate::roles;
use crate::tenants::{Operator, RegisterArguments};
use crate::token::{self, TokenArguments};
use crate::vault;
use anyhow::{Context, Result, bail, ensure};
use chrono::{Datelike, Days, Utc, Weekday};
use clap::Subcommand;
use kernel::TenantId;
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The demo tenant.
const TENANT: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0001);
/// Its owner, who also hosts consultations.
const OWNER: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0002);
/// The desk that can be called around the clock.
const DESK: Uuid = Uuid::from_u128(0x0193_5a00_0000_7000_8000_0000_0000_0003);
/// How long the workflow may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can be done with the demo tenant.
#[derive(Debug, Subcommand)]
pub enum DemoVerb {
    /// Prints the demo tenant's id.
    Tenant,
    /// Prints a token of its owner.
    Token,
    /// Gives it hours, event types, templates and workflows; harmless when repeated.
    Seed,
    /// Books an appointment over HTTP and shows what came of it.
    Flagship,
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
        DemoVerb::Seed => seed(settings, out).await,
        DemoVerb::Flagship => flagship(settings, out).await,
    }
}

fn owner_token(settings: &Settings) -> Result<String> {
    let roles = vec!["owner".to_owned()];
    token::mint(settings, &TokenArguments { tenant: TENANT, subject: OWNER, roles, ttl_seconds: 24 * 3600 })
}

/// A person at the public door.
struct Visitor {
    command_url: String,
    query_url: String,
    token: String,
    http: reqwest::Client,
    /// What it asks has seen the log up to here.
    seen: i64,
}

impl Visitor {
    fn new(settings: &Settings) -> Result<Self> {
        let (commands, queries) = roles::services(settings)?;
        Ok(Self {
            command_url: format!("http://{commands}"),
            query_url: format!("http://{queries}"),
            token: owner_token(settings)?,
            http: reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?,
            seen: 0,
        })
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.command_url);
        let request = self.http.post(&url).bearer_auth(&self.token).header("Idempotency-Key", key).json(body);
        let answer = request.send().await.with_context(|| format!("POST {url}"))?;
        Ok((answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null)))
    }

    /// Creates something that may be there from an earlier time; answers its id.
    async fn ensure(&self, path: &str, key: &str, body: &Value) -> Result<String> {
        let (status, answer) = self.post(path, key, body).await?;
        let id = if status == 409 { &answer["holder"] } else { &answer["id"] };
        let id = id.as_str().with_context(|| format!("POST {path} answered {status}: {answer}"))?;
        Ok(id.to_owned())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.query_url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.http.get(&url).bearer_auth(&self.token).header("Min-Position", self.seen);
            let answer = request.send().await.with_context(|| format!("GET {url}"))?;
            let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap_or(Value::Null));
            if body["code"] != "projection-behind" || Instant::now() > deadline {
                ensure!(status.is_success(), "GET {path} answered {status}: {body}");
                return Ok(body);
            }
        }
    }

    /// The rows of a list.
    async fn rows(&self, path: &str) -> Result<Vec<Value>> {
        Ok(self.get(path).await?["data"].as_array().cloned().unwrap_or_default())
    }
}

/// The firm and its owner, who has accepted.
async fn register(settings: &Settings) -> Result<()> {
    let operator = Operator::connect(settings).await?;
    let arguments = RegisterArguments {
        name: "Analytical Advisors".parse()?,
        owner_email: "grace@advisors.example".parse()?,
        owner_name: "Grace Hopper".parse()?,
        time_zone: Some("Europe/Berlin".parse()?),
        tenant: Some(TENANT),
        owner: Some(OWNER),
    };
    operator.register(arguments).await?;
    operator.accept(TENANT, OWNER).await?;
    operator.drained().await
}

async fn seed(settings: &Settings, out: &Output) -> Result<Done> {
    register(settings).await?;
    let visitor = Visitor::new(settings)?;
    let week = |days: &[&str], from: &str, to: &str| -> Vec<Value> {
        days.iter().map(|day| json!({ "weekday": day, "periods": [{ "from": from, "to": to }] })).collect()
    };
    let workdays = ["monday", "tuesday", "wednesday", "thursday", "friday"];
    let all_days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours = |host: Uuid, weekly| json!({ "host_id": host, "time_zone": "Europe/Berlin", "weekly": weekly });
    let availabilities = "/v1/scheduling/availabilities";
    let office = hours(OWNER, week(&workdays, "09:00", "17:00"));
    let office = visitor.ensure(availabilities, "demo-office-hours", &office).await?;
    let always = hours(DESK, week(&all_days, "00:00", "24:00"));
    let always = visitor.ensure(availabilities, "demo-desk-hours", &always).await?;
    let event_type = |key: &str, name: &str, host: Uuid, availability: &str| {
        json!({ "key": key, "rules": {
            "name": name, "host_id": host, "availability_id": availability, "duration_minutes": 30, "max_days_ahead": 365,
        } })
    };
    let event_types = "/v1/scheduling/event-types";
    let consultation = event_type("consultation", "Consultation", OWNER, &office);
    visitor.ensure(event_types, "demo-consultation", &consultation).await?;
    let desk = event_type("helpdesk_call", "Helpdesk call", DESK, &always);
    visitor.ensure(event_types, "demo-helpdesk", &desk).await?;
    let folders = json!({ "key": "onboarding", "name": "Onboarding", "paths": [
        ["Contracts"], ["Contracts", "Drafts"], ["Contracts", "Signed"], ["Correspondence"], ["Invoices"], ["Work"],
    ] });
    visitor.ensure("/v1/files/folder-templates", "demo-folders", &folders).await?;
    let project = json!({
        "key": "onboarding_project", "name": "Onboarding",
        "milestones": [
            { "name": "Kick-off", "due_after_days": 7 },
            { "name": "Everything in place", "due_after_days": 21 },
        ],
        "tasks": [
            { "title": "Prepare the first meeting", "milestone": "Kick-off", "due_after_days": 3, "role": "partner" },
            { "title": "Check identity and conflicts of interest", "milestone": "Kick-off", "due_after_days": 5, "role": "assistant" },
            { "title": "Send the engagement letter", "milestone": "Kick-off", "due_after_days": 7, "role": "partner" },
            { "title": "Collect the documents", "milestone": "Everything in place", "due_after_days": 14, "role": "assistant" },
            { "title": "Set up invoicing", "milestone": "Everything in place", "due_after_days": 21, "role": "assistant" },
        ],
    });
    visitor.ensure("/v1/projects/project-templates", "demo-project", &project).await?;
    let pool = schema::connect(settings.database.worker_url.expose_secret(), "demo", 4, PATIENCE).await?;
    let bus = bus(settings, pool.clone(), vault::open(settings, &pool)?)?;
    operate::publish(&bus, TenantId(TENANT), &[], &[], out).await?;
    say!(out, "the demo tenant {TENANT} has hours, event types, templates and workflows");
    Done::with(json!({ "tenant": TENANT }))
}

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
                "invitee": { "name": "Ada Lovelace", "email": "ada@analytical.example", "company": "Analytical Engines Ltd" },
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

async fn flagship(settings: &Settings, out: &Output) -> Result<Done> {
    let mut visitor = Visitor::new(settings)?;
    let email = "ada%40analytical.example";
    let started = Instant::now();
    // A second run shows what the first one made, instead of filling the firm's calendar.
    let earlier = visitor.rows(&format!("/v1/scheduling/appointments?invitee_email={email}&sort=created_at")).await?;
    let (appointment, starts_at) = match earlier.first() {
        Some(earlier) => (earlier["id"].clone(), earlier["starts_at"].clone()),
        None => {
            let (body, booked) = book(&visitor).await?;
            (booked["id"].clone(), body["starts_at"].clone())
        }
    };
    let appointment = appointment.as_str().context("a booking has an id")?.to_owned();
    say!(out, "\nFlagship 1: an appointment becomes a running onboarding project\n");
    say!(out, "  {:<16} {} for Ada Lovelace", "appointment", starts_at.as_str().unwrap_or_default());
    let run = finished_run(&visitor, &appointment).await?;
    visitor.seen = vault::log(settings, &worker_pool(settings).await?)?.head().await?;
    let took = if earlier.is_empty() {
        format!("in {} ms, from the booking to everything visible", started.elapsed().as_millis())
    } else {
        "at an earlier start".to_owned()
    };

    let one = async |path: String| -> Result<Value> {
        let rows = visitor.rows(&path).await?;
        rows.first().cloned().with_context(|| format!("{path} is empty"))
    };
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let contact = one(format!("/v1/crm/contacts?email={email}")).await?;
    say!(out, "  {:<16} {} <{}>", "contact", text(&contact, "name"), text(&contact, "email"));
    let client = one(format!("/v1/crm/clients?email={email}")).await?;
    let client_id = text(&client, "id");
    say!(out, "  {:<16} {} ({})", "client", text(&client, "name"), text(&client, "status"));
    let user = one(format!("/v1/portal/portal-users?client_id={client_id}")).await?;
    say!(out, "  {:<16} {}, {}", "portal user", text(&user, "email"), text(&user, "status"));
    let folders = visitor.rows(&format!("/v1/files/folders?client_id={client_id}&sort=-created_at")).await?;
    let root = folders.first().context("no folder")?;
    let subfolders = root["subfolders"].as_array().cloned().unwrap_or_default();
    say!(out, "  {:<16} {} with {} folders", "folder tree", text(root, "name"), subfolders.len());
    print_tree(&subfolders, &root["id"], 1, out);
    let projects = visitor.rows(&format!("/v1/projects/projects?client_id={client_id}&sort=-created_at")).await?;
    let project = projects.first().context("no project")?;
    let tasks = visitor.rows(&format!("/v1/projects/tasks?project_id={}", text(project, "id"))).await?;
    say!(out, "  {:<16} {} ({}), {} tasks", "project", text(project, "name"), text(project, "status"), tasks.len());
    say!(out, "  {:<16} {} {took}", "workflow run", text(&run, "status"));

    let run_id = text(&run, "id");
    say!(out, "\nLook for yourself. The token is the demo owner's, valid for a day:\n");
    say!(out, "  TOKEN={}\n", visitor.token);
    let key = Uuid::now_v7();
    say!(out, "  # book another appointment");
    say!(
        out,
        "  curl -sS -X POST {}/v1/scheduling/appointments -H \"Authorization: Bearer $TOKEN\" -H 'Idempotency-Key: {key}' \\\n    -H 'Content-Type: application/json' -d '{}'\n",
        visitor.command_url,
        json!({ "event_type": "helpdesk_call", "starts_at": another_slot(), "time_zone": "Europe/Paris",
                "invitee": { "name": "Sophie Germain", "email": "sophie@elastic.example", "company": "Elastic Surfaces" } })
    );
    for (what, path) in [
        ("the appointment", format!("/v1/scheduling/appointments/{appointment}")),
        ("the contact", format!("/v1/crm/contacts?email={email}")),
        ("the client", format!("/v1/crm/clients/{client_id}")),
        ("the portal user with the invitation", format!("/v1/portal/portal-users?client_id={client_id}")),
        ("the folder tree", format!("/v1/files/folders/{}", text(root, "id"))),
        ("the project", format!("/v1/projects/projects/{}", text(project, "id"))),
        ("its tasks", format!("/v1/projects/tasks?project_id={}", text(project, "id"))),
        ("the run's steps", format!("/v1/workflow/run-steps?run_id={run_id}")),
        ("the timeline", format!("/v1/timeline/activity-events?client_id={client_id}")),
    ] {
        say!(out, "  # {what}\n  curl -sS -H \"Authorization: Bearer $TOKEN\" '{}{path}'\n", visitor.query_url);
    }
    Done::with(json!({ "tenant": TENANT, "appointment": appointment, "run": run, "token": visitor.token }))
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
    let at = Utc::now() + chrono::TimeDelta::days(7) + chrono::TimeDelta::minutes(minutes);
    let at = chrono::DateTime::from_timestamp(at.timestamp() / 1800 * 1800, 0).unwrap_or(at);
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Waits for the run that the booking started.
async fn finished_run(visitor: &Visitor, appointment: &str) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let run = visitor.rows(&format!("/v1/workflow/runs?trigger_aggregate_id={appointment}")).await?.pop();
        match run.as_ref().map(|run| run["status"].as_str().unwrap_or_default().to_owned()).as_deref() {
            Some("succeeded") => return run.context("found"),
            Some("parked" | "failed" | "cancelled") => bail!("the run did not finish: {}", run.context("found")?),
            _ if Instant::now() > deadline => bail!("the run did not finish within {PATIENCE:?}: {run:?}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
