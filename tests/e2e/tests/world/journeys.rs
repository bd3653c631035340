//! What a user sees, over HTTP and the command line only.

use anyhow::{Context, Result, ensure};
use e2e::{Answer, Load, World};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

fn booking(starts_at: &str, email: &str) -> Value {
    json!({
        "event_type": "helpdesk_call", "starts_at": starts_at, "time_zone": "Europe/Berlin",
        "invitee": { "name": "Emmy Noether", "email": email, "company": "Invariants" },
    })
}

fn key() -> String {
    Uuid::now_v7().to_string()
}

fn position(answer: &Answer) -> Result<i64> {
    answer.body["position"].as_i64().with_context(|| format!("no position in {answer:?}"))
}

/// One world for all of them, because starting it is what takes the time.
#[tokio::test(flavor = "multi_thread")]
async fn the_product_does_what_the_readme_says() -> Result<()> {
    let mut world = World::start().await?;
    a_booking_becomes_a_running_onboarding_project(&world).await?;
    two_bookings_by_one_address_at_once_make_one_contact_and_one_client(&world).await?;
    a_missing_template_parks_the_run_until_somebody_makes_it(&world).await?;
    whoever_writes_reads_what_he_wrote(&world).await?;
    nobody_sees_another_tenants_records(&world).await?;
    a_follow_up_falls_due_by_itself(&world).await?;
    a_day_of_an_invoice_plan_comes_by_itself(&world).await?;
    a_malformed_definition_is_refused_with_its_place(&world)?;
    a_replay_under_load_is_not_noticed(&world).await?;
    every_role_drains_when_asked_to_stop(&mut world).await?;
    Ok(())
}

async fn a_booking_becomes_a_running_onboarding_project(world: &World) -> Result<()> {
    let shown = world.expect(&["demo", "flagship"])?;
    for line in
        ["ada@analytical.example", "Analytical Engines Ltd", "with 6 folders", "5 tasks", "succeeded in", "curl -sS"]
    {
        ensure!(shown.contains(line), "{line:?} is not in:\n{shown}");
    }
    Ok(())
}

async fn two_bookings_by_one_address_at_once_make_one_contact_and_one_client(world: &World) -> Result<()> {
    let path = "/v1/scheduling/appointments";
    let (first, second) = (
        booking("2027-02-01T10:00:00Z", "emmy@invariants.example"),
        booking("2027-02-01T11:00:00Z", "emmy@invariants.example"),
    );
    let (one, two) = (key(), key());
    let (first, second) = tokio::join!(world.post(path, Some(&one), &first), world.post(path, Some(&two), &second));
    for booked in [first?, second?] {
        ensure!(booked.status == 201, "{booked:?}");
        let id = booked.body["id"].as_str().context("an id")?;
        let runs = format!("/v1/workflow/runs?trigger_aggregate_id={id}");
        world.eventually(&runs, PATIENCE, |body| body["data"][0]["status"] == "succeeded").await?;
    }
    for list in ["/v1/crm/contacts", "/v1/crm/clients", "/v1/portal/portal-users"] {
        let found = world.get(&format!("{list}?email=emmy%40invariants.example"), None).await?;
        let count = found.body["data"].as_array().map_or(0, Vec::len);
        ensure!(count == 1, "{list} has {count} records for one address: {found:?}");
    }
    // The same time cannot be booked twice.
    let again = world.post(path, Some(&key()), &booking("2027-02-01T10:00:00Z", "other@invariants.example")).await?;
    ensure!((again.status, &again.body["code"]) == (409, &json!("scheduling.slot.taken")), "{again:?}");
    Ok(())
}

async fn a_follow_up_falls_due_by_itself(world: &World) -> Result<()> {
    let due_at = chrono::Utc::now() + chrono::TimeDelta::seconds(2);
    let about = json!({ "kind": "client", "id": Uuid::now_v7() });
    let schedule = json!({ "about": about, "assignee_id": Uuid::now_v7(), "title": "Call", "due_at": due_at });
    let scheduled = world.post("/v1/timeline/follow-ups", Some(&key()), &schedule).await?;
    ensure!(scheduled.status == 201, "{scheduled:?}");
    let path = format!("/v1/timeline/follow-ups/{}", scheduled.body["id"].as_str().context("an id")?);
    world.eventually(&path, PATIENCE, |body| body["status"] == "due").await?;
    Ok(())
}

async fn a_day_of_an_invoice_plan_comes_by_itself(world: &World) -> Result<()> {
    let today = chrono::Utc::now().format("%Y-%m-%d").to_string();
    let eur = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    let client = world.post("/v1/crm/clients", Some(&key()), &json!({ "name": "Monthly" })).await?;
    let terms = json!({ "kind": "retainer", "currency": "EUR", "amount": eur(100), "starts_on": today });
    let plan = json!({ "name": "Care", "client_id": client.body["id"], "terms": terms });
    let plan = world.post("/v1/revenue/invoice-plans", Some(&key()), &plan).await?;
    ensure!(plan.status == 201, "{plan:?}");
    let plan = plan.body["id"].as_str().context("an id")?;
    let path = format!("/v1/revenue/invoice-plans/{plan}");
    let activated = world.post(&format!("{path}/activate"), None, &json!({})).await?;
    ensure!(activated.status == 200, "{activated:?}");
    let entries = format!("/v1/revenue/plan-entries?invoice_plan_id={plan}");
    world.eventually(&entries, PATIENCE, |body| body["data"].as_array().is_some_and(|all| all.len() == 1)).await?;
    let once = json!({ "name": "Once", "amount": eur(50), "due_on": today });
    let added = world.post(&format!("{path}/add-entry"), None, &once).await?;
    ensure!(added.status == 200, "{added:?}");
    // What is due is invoiced by the workflow for that.
    let both_are_invoiced = |body: &Value| {
        let entries = body["data"].as_array().map_or(&[][..], Vec::as_slice);
        entries.len() == 2 && entries.iter().all(|entry| entry["status"] == "invoiced")
    };
    world.eventually(&entries, PATIENCE, both_are_invoiced).await?;
    Ok(())
}

async fn a_missing_template_parks_the_run_until_somebody_makes_it(world: &World) -> Result<()> {
    let templates = world.get("/v1/projects/project-templates?key=onboarding_project", None).await?;
    let template = templates.body["data"][0]["id"].as_str().context("a template")?.to_owned();
    let change = |action: &str| format!("/v1/projects/project-templates/{template}/{action}");
    let retired = world.post(&change("retire"), None, &json!({})).await?;
    ensure!(retired.status == 200, "{retired:?}");
    let booked = world
        .post("/v1/scheduling/appointments", Some(&key()), &booking("2027-02-02T10:00:00Z", "ada@parked.example"))
        .await?;
    let id = booked.body["id"].as_str().context("an id")?;
    let runs = format!("/v1/workflow/runs?trigger_aggregate_id={id}");
    let parked = world.eventually(&runs, PATIENCE, |body| body["data"][0]["status"] == "parked").await?;
    let run = &parked["data"][0];
    ensure!(run["error_code"] == "projects.project.template_retired", "{run}");
    let run = run["id"].as_str().context("an id")?;
    let reinstated = world.post(&change("reinstate"), None, &json!({})).await?;
    ensure!(reinstated.status == 200, "{reinstated:?}");
    let tenant = world.tenant.to_string();
    world.expect(&["workflow", "retry", "--tenant", &tenant, run, "--reason", "the template is back"])?;
    world.eventually(&runs, PATIENCE, |body| body["data"][0]["status"] == "succeeded").await?;
    let refused = world.ubos(&["workflow", "retry", "--tenant", &tenant, run, "--reason", "again"])?;
    ensure!(!refused.status.success(), "a finished run cannot be retried");
    Ok(())
}

async fn whoever_writes_reads_what_he_wrote(world: &World) -> Result<()> {
    for turn in 0..25 {
        let created = world.post("/v1/crm/clients", Some(&key()), &json!({ "name": format!("Reader {turn}") })).await?;
        ensure!(created.status == 201, "{created:?}");
        let path = format!("/v1/crm/clients/{}", created.body["id"].as_str().context("an id")?);
        let read = world.get(&path, Some(position(&created)?)).await?;
        ensure!((read.status, &read.body["version"]) == (200, &json!(1)), "{read:?}");
        let renamed = world.post(&format!("{path}/rename"), None, &json!({ "name": format!("Writer {turn}") })).await?;
        let read = world.get(&path, Some(position(&renamed)?)).await?;
        ensure!(read.body["name"] == format!("Writer {turn}"), "{read:?}");
    }
    let ahead = world.get("/v1/crm/clients", Some(1_000_000_000)).await?;
    ensure!((ahead.status, &ahead.body["code"]) == (409, &json!("position-unknown")), "{ahead:?}");
    Ok(())
}

async fn nobody_sees_another_tenants_records(world: &World) -> Result<()> {
    let (tenant, subject) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let token = world.expect(&["token", "--tenant", &tenant, "--subject", &subject, "--roles", "owner"])?;
    let mine = world.post("/v1/crm/clients", Some(&key()), &json!({ "name": "Mine" })).await?;
    let id = mine.body["id"].as_str().context("an id")?;
    world.get(&format!("/v1/crm/clients/{id}"), Some(position(&mine)?)).await?;
    let http = reqwest::Client::new();
    let read = http.get(format!("{}/v1/crm/clients/{id}", world.url("query-api"))).bearer_auth(token.trim());
    ensure!(read.send().await?.status() == 404, "a stranger reads a client");
    let listed: Value = http
        .get(format!("{}/v1/crm/clients", world.url("query-api")))
        .bearer_auth(token.trim())
        .send()
        .await?
        .json()
        .await?;
    ensure!(listed["data"] == json!([]), "{listed}");
    let rename =
        http.post(format!("{}/v1/crm/clients/{id}/rename", world.url("command-api"))).bearer_auth(token.trim());
    ensure!(rename.json(&json!({ "name": "Theirs" })).send().await?.status() == 404, "a stranger renames a client");
    Ok(())
}

fn a_malformed_definition_is_refused_with_its_place(world: &World) -> Result<()> {
    let file = std::env::temp_dir().join(format!("ubos-definition-{}.yaml", Uuid::now_v7()));
    std::fs::write(
        &file,
        "name: broken\nruns_as: []\ntrigger: { event_type: appointment.booked }\nactions:\n  - { type: explode }\n",
    )?;
    let name = file.display().to_string();
    let refused = world.ubos(&["workflow", "publish", "--tenant", &world.tenant.to_string(), &name])?;
    std::fs::remove_file(&file)?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("/actions/0"), "{said}");
    Ok(())
}

async fn a_replay_under_load_is_not_noticed(world: &World) -> Result<()> {
    let load = Load::start(world, 20);
    let (url, token) = (world.url("query-api"), world.token().to_owned());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let reader = tokio::spawn(async move {
        let http = reqwest::Client::new();
        let (mut reads, mut wrong) = (0u32, vec![]);
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let answer = http.get(format!("{url}/v1/crm/clients?limit=5")).bearer_auth(&token).send().await;
            reads += 1;
            match answer {
                Ok(answer) if answer.status() == 200 => {}
                other => wrong.push(format!("{other:?}")),
            }
        }
        (reads, wrong)
    });
    for _ in 0..3 {
        world.expect(&["projections", "replay", "all"])?;
    }
    world.expect(&["projections", "rollback", "crm"])?;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (reads, wrong) = reader.await?;
    let report = load.finish().await;
    ensure!(wrong.is_empty() && reads > 20, "{reads} reads, of which went wrong: {wrong:?}");
    ensure!(report.given_up == 0, "{} commands never got an answer", report.given_up);
    world.expect(&["verify", "--wait-seconds", "60"])?;
    Ok(())
}

async fn every_role_drains_when_asked_to_stop(world: &mut World) -> Result<()> {
    let load = Load::start(world, 50);
    for role in world.roles() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        ensure!(world.terminate(&role, Duration::from_secs(25))?, "{role} did not end with success");
        world.spawn(&role)?;
        world.ready(&role).await?;
    }
    let report = load.finish().await;
    let (acknowledged, given_up) = (report.acknowledged, report.given_up);
    ensure!(given_up == 0 && acknowledged > 50, "{acknowledged} acknowledged, {given_up} given up");
    world.expect(&["verify", "--wait-seconds", "60"])?;
    Ok(())
}
