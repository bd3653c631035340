//! Somebody goes through everything, is erased, and is nowhere any more: a search over the database, the stream and the
//! logs finds nothing.

use anyhow::{Context, Result, ensure};
use e2e::{Answer, World};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// What nobody else in this world is called.
const CANARIES: [&str; 4] = ["quillfeather", "4915799887766", "zanzibarian owls", "owlery of tomorrow"];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_is_nowhere_any_more() -> Result<()> {
    let world = World::start().await?;
    let appointment = book(&world).await?;
    let contact = the_only(&world, "/v1/crm/contacts").await?;
    // Enough of them that there is a snapshot.
    for turn in 0..205 {
        let name = json!({ "name": format!("Quillfeather {turn}") });
        let renamed = world.post(&format!("/v1/crm/contacts/{contact}/rename"), Some(&key()), &name).await?;
        ensure!(renamed.status == 200, "{renamed:?}");
    }
    world.expect(&["verify"])?;

    // Before: readers and subscribers see it, the log does not.
    ensure!(!found(&dump(&world, &[])?).is_empty(), "the search finds what is there");
    ensure!(!found_in_files(&world.path("nats"))?.is_empty(), "the stream is published plainly");
    let log = dump(&world, &["--schema=eventstore", "--schema=vault"])?;
    ensure!(found(&log).is_empty(), "the log says {:?}", found(&log));
    ensure!(log.contains("$sealed") && log.contains("hmac1."), "what is personal is sealed, claims are hashed");

    let proof = world.answer(&erase(&world, &appointment, &[]))?;
    let told = |kind: &str| proof["not_erased"].as_array().into_iter().flatten().any(|s| s["aggregate_type"] == kind);
    ensure!(told("crm.contact") && told("crm.client") && told("files.folder"), "{proof}");

    let proof = world.answer(&erase(&world, &appointment, &["--derived"]))?;
    ensure!(proof["plain_events"] == 0 && proof["not_erased"] == json!([]), "{proof}");
    ensure!(proof["keys"].as_i64() >= Some(6) && proof["events"].as_i64() > Some(205), "{proof}");

    nowhere(&world)?;
    world.expect(&["verify"])?;
    let again = world.answer(&erase(&world, &appointment, &["--derived"]))?;
    ensure!(again["keys"] == proof["keys"] && again["plain_events"] == 0, "again is harmless: {again}");

    // A replay of everything and a stream that is filled again bring nothing back.
    world.expect(&["projections", "replay", "all"])?;
    world.expect(&["relay", "reseed"])?;
    nowhere(&world)?;
    world.expect(&["verify"])?;

    // What is erased can be spoken of again, and its address is free.
    let shown = world.get(&format!("/v1/crm/contacts/{contact}"), None).await?;
    ensure!((shown.status, &shown.body["name"], &shown.body["email"]) == (200, &json!(""), &Value::Null), "{shown:?}");
    let name = json!({ "name": "Somebody" });
    let renamed = world.post(&format!("/v1/crm/contacts/{contact}/rename"), Some(&key()), &name).await?;
    ensure!(renamed.status == 200, "{renamed:?}");
    let seen = world.get(&format!("/v1/crm/contacts/{contact}"), renamed.body["position"].as_i64()).await?;
    ensure!(seen.body["name"] == "Somebody", "{seen:?}");
    let same = json!({ "name": "Another", "email": "ada@quillfeather.example" });
    let created = world.post("/v1/crm/contacts", Some(&key()), &same).await?;
    ensure!(created.status == 201, "{created:?}");

    // Over HTTP it is an order, which the projections carry out.
    let order = json!({ "subject_id": created.body["id"], "reason": "ticket 4711" });
    let ordered = world.post("/v1/identity/erasures", Some(&key()), &order).await?;
    ensure!(ordered.status == 201, "{ordered:?}");
    let path = format!("/v1/identity/erasures/{}", ordered.body["id"].as_str().context("an id")?);
    world.eventually(&path, PATIENCE, |row| row["completed_at"].is_string()).await?;
    nowhere(&world)?;
    let list = world.expect(&["subjects", "destroyed"])?;
    ensure!(list.contains(created.body["id"].as_str().context("an id")?), "{list}");
    what_is_interrupted_is_finished(&world).await
}

/// An operator's erasure dies when keys are destroyed and nothing else is done; the projections finish it.
async fn what_is_interrupted_is_finished(world: &World) -> Result<()> {
    let invite = json!({ "email": "user@quillfeather.example", "name": "Grace Quillfeather", "roles": ["viewer"] });
    let invited = world.post("/v1/identity/users", Some(&key()), &invite).await?;
    ensure!(invited.status == 201, "{invited:?}");
    let user = invited.body["id"].as_str().context("an id")?.to_owned();
    world.get("/v1/identity/users", invited.body["position"].as_i64()).await?;
    let mut erasing = world.command().args(erase(world, &user, &[])).stdout(Stdio::null()).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while !world.expect(&["subjects", "destroyed"])?.contains(&user) {
        ensure!(Instant::now() < deadline, "no key was destroyed");
    }
    erasing.kill()?;
    erasing.wait()?;
    let erasures = format!("/v1/identity/erasures?subject_id={user}");
    let done = |list: &Value| list["data"][0]["completed_at"].is_string();
    world.eventually(&erasures, PATIENCE, done).await?;
    nowhere(world)?;
    let shown = world.get(&format!("/v1/identity/users/{user}"), None).await?;
    ensure!((shown.status, &shown.body["name"]) == (200, &json!("")), "{shown:?}");
    Ok(())
}

/// An appointment of somebody, after everything has come of it.
async fn book(world: &World) -> Result<String> {
    let booking = json!({
        "event_type": "helpdesk_call", "starts_at": "2027-03-01T10:00:00Z", "time_zone": "Europe/Berlin",
        "invitee": {
            "name": "Ada Quillfeather", "email": "ada@quillfeather.example", "phone": "+4915799887766",
            "company": "Owlery of Tomorrow",
        },
        "notes": "wants to speak of zanzibarian owls",
    });
    let booked: Answer = world.post("/v1/scheduling/appointments", Some(&key()), &booking).await?;
    ensure!(booked.status == 201, "{booked:?}");
    let id = booked.body["id"].as_str().context("an id")?.to_owned();
    let runs = format!("/v1/workflow/runs?trigger_aggregate_id={id}");
    world.eventually(&runs, PATIENCE, |body| body["data"][0]["status"] == "succeeded").await?;
    Ok(id)
}

async fn the_only(world: &World, list: &str) -> Result<String> {
    let found = world.get(&format!("{list}?email=ada%40quillfeather.example"), None).await?;
    Ok(found.body["data"][0]["id"].as_str().with_context(|| format!("{list}: {found:?}"))?.to_owned())
}

fn erase<'a>(world: &World, subject: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    // The firm's id is the same in every world.
    let tenant: &'static str = world.tenant.to_string().leak();
    [&["subjects", "erase", "--tenant", tenant, "--subject", subject, "--reason", "ticket 4711"], more].concat()
}

fn key() -> String {
    Uuid::now_v7().to_string()
}

/// The database as a backup of it would say.
fn dump(world: &World, which: &[&str]) -> Result<String> {
    let (server, _) = world.postgres.url.rsplit_once('/').context("a database in the URL")?;
    let program = world.postgres.bin.join("pg_dump");
    let output = Command::new(program).arg(format!("{server}/ubos")).args(which).output()?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn found(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    CANARIES.into_iter().filter(|canary| text.contains(canary)).collect()
}

/// Every file below a folder that says one of the canaries.
fn found_in_files(folder: &Path) -> Result<Vec<String>> {
    let mut said = vec![];
    for child in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = child?.path();
        if path.is_dir() {
            said.extend(found_in_files(&path)?);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let canaries = found(&String::from_utf8_lossy(&bytes));
            said.extend((!canaries.is_empty()).then(|| format!("{}: {canaries:?}", path.display())));
        }
    }
    Ok(said)
}

/// Fails if the database, the stream or a log still says one of the canaries.
fn nowhere(world: &World) -> Result<()> {
    let database = dump(world, &[])?;
    let lines: Vec<&str> = database.lines().filter(|line| !found(line).is_empty()).take(5).collect();
    ensure!(lines.is_empty(), "the database says {lines:#?}");
    let stream = found_in_files(&world.path("nats"))?;
    ensure!(stream.is_empty(), "the stream says {stream:#?}");
    for role in world.roles() {
        let log = std::fs::read_to_string(world.log(&role))?;
        let lines: Vec<&str> = log.lines().filter(|line| !found(line).is_empty()).take(3).collect();
        ensure!(lines.is_empty(), "{role} has logged {lines:#?}");
    }
    Ok(())
}
