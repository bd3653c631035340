//! The restore drill: load, a backup under load, more load, the database destroyed, a restore to one exact moment; then
//! everything is healed, nothing before that moment is missing, nothing after it is left, and everybody is told.

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::{self, consumer::pull};
use e2e::{Load, World};
use futures::StreamExt;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use uuid::Uuid;

const COMMANDS_PER_SECOND: u32 = 40;
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough to wait across the restore, short enough to be over before the drill is.
const WAITER: &str = "
name: Waits across the restore
runs_as: [crm.client.tag]
trigger:
  event_type: client.created
  condition: event.payload.name == 'Waiter'
actions:
  - type: wait
    for: 15s
  - type: command
    command: crm.client.tag
    target: \"{{ event.aggregate_id }}\"
    parameters: { tag: waited }
";

/// The log by itself, as one number: every column of every event up to a position.
const DIGEST: &str = "
    select md5(coalesce(string_agg(concat_ws('|', position, event_id, tenant_id, domain, aggregate_type, aggregate_id,
                                             sequence, event_type, event_version, payload, metadata, recorded_at),
                                   E'\\n' order by position), ''))
    from eventstore.events where position <= $1";

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_brings_back_one_moment_and_everybody_learns_what_was_taken_back() -> Result<()> {
    let mut world = World::start_archiving().await?;
    let begun = Instant::now();
    let say = |what: &str| println!("{:>6.1} s  {what}", begun.elapsed().as_secs_f64());
    let backups = world.backups().display().to_string();
    let waiter = world.path("waiter.yaml");
    fs::write(&waiter, WAITER)?;
    let tenant = world.tenant.to_string();
    world.expect(&["workflow", "publish", "--tenant", &tenant, &waiter.display().to_string()])?;
    let subscriber = Subscriber::start(&world).await?;

    // A backup while commands arrive, and the moment that will be restored, in the middle of bookings.
    let load = Load::start(&world, COMMANDS_PER_SECOND);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let made = world.answer(&["backup", "create", "--to", &backups])?;
    say(&format!(
        "backup of {:.1} MB while the log went from {} to {}",
        made["bytes"].as_f64().unwrap_or(0.0) / 1e6,
        made["start"]["position"],
        made["end"]["position"]
    ));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let waiting = create(&world, "Waiter", &Uuid::now_v7().to_string()).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut database = database(&world).await?;
    let moment: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut database).await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    // What will be lost, one of it with a key that somebody will send again.
    let key = Uuid::now_v7().to_string();
    let lost = create(&world, "Answered in the lost time", &key).await?;
    let lost_position = lost["position"].as_i64().context("a position")?;
    let report = load.finish().await;
    ensure!(report.given_up == 0 && report.acknowledged > 200, "{report:?}");
    world.expect(&["verify", "--wait-seconds", "60"])?;
    let head: i64 = world.expect(&["log", "head"])?.trim().parse()?;
    // By commit times, which the restored log must agree with to the transaction.
    let (last, oracle) = {
        let sql = "select max(position) from eventstore.events where pg_xact_commit_timestamp(xmin) <= $1";
        let last: i64 = sqlx::query_scalar(sql).bind(moment).fetch_one(&mut database).await?;
        (last, digest(&mut database, last).await?)
    };
    let in_flight: i64 = sqlx::query_scalar(
        "select count(distinct aggregate_id) from eventstore.events e where aggregate_type = 'workflow.run'
         and position <= $1 and not exists (select from eventstore.events d where d.aggregate_id = e.aggregate_id
         and d.position <= $1 and d.event_type in ('run.completed', 'run.cancelled'))",
    )
    .bind(last)
    .fetch_one(&mut database)
    .await?;
    ensure!(in_flight > 0, "at least the waiter was under way");
    ensure!(lost_position > last && head > last, "{head} {last}");
    subscriber.wait_for(head).await?;
    let lag = world.expect(&["backup", "check", "--to", &backups])?;
    say(lag.trim());
    println!("{}", world.expect(&["backup", "list", "--from", &backups])?);
    say(&format!(
        "the log ends at {head}; position {last} at {moment} is what will be restored; {in_flight} runs in flight"
    ));

    let status = world.answer(&["relay", "status"])?;
    let epoch = status["stream_epoch"].as_i64();

    // The other three are left running; they must not survive the other past.
    for role in ["command-api", "relay", "workflow"] {
        world.kill(role)?;
    }
    database.close().await.ok();
    world.postgres.kill()?;
    let data = world.postgres.data().to_owned();
    let moment_text = moment.to_rfc3339();
    let at_moment = ["--to-time", moment_text.as_str()];
    let refused = restore(&world, &data, &at_moment)?;
    expect_refusal(&refused, "is not empty")?;
    fs::remove_dir_all(&data)?;
    say("the database is destroyed");

    damaged_backups_are_refused(&world, &data)?;
    a_killed_restore_is_repeated(&world, &data, &at_moment)?;
    let started = Instant::now();
    let restored = restore(&world, &data, &at_moment)?;
    println!("{}{}", String::from_utf8_lossy(&restored.stderr), String::from_utf8_lossy(&restored.stdout));
    ensure!(restored.status.success(), "the restore failed");
    let rto = Instant::now();
    world.postgres.restart()?;
    // Nobody has read beyond the log: checkpoints were committed with what they count, so they came back with it.
    let mut database = self::database(&world).await?;
    let (read, taken_in): (i64, i64) = sqlx::query_as(
        "select (select max(position) from projections.checkpoints), (select max(position) from engine.checkpoint)",
    )
    .fetch_one(&mut database)
    .await?;
    say(&format!("before any role starts, read models are at {read} and the workflow engine at {taken_in} of {last}"));
    ensure!(read <= last && taken_in <= last, "a checkpoint is ahead of the log");
    for role in ["query-api", "projections", "event-gateway"] {
        // Nobody has asked it anything since; it finds out before it answers.
        let deadline = Instant::now() + PATIENCE;
        while !world.has_ended(role)? {
            ensure!(Instant::now() < deadline, "{} still runs", role);
            drop(world.get("/v1/crm/clients", None).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        say(&format!("{} saw another history and ended by itself", role));
    }
    for role in world.roles() {
        world.spawn(&role)?;
    }
    for role in world.roles() {
        world.ready(&role).await?;
    }
    say(&format!(
        "restored in {:.1} s, every role ready {:.1} s later",
        (rto - started).as_secs_f64(),
        rto.elapsed().as_secs_f64()
    ));

    // The log is what it was, to the byte; then everything that follows from it.
    let restored_to: i64 = sqlx::query_scalar("select after_position from eventstore.histories where number = 2")
        .fetch_one(&mut database)
        .await?;
    ensure!(restored_to == last, "restored to {restored_to} instead of {last}");
    ensure!(digest(&mut database, last).await? == oracle, "the restored log is not the one that was");
    let verified = world.expect(&["verify", "--wait-seconds", "60"])?;
    println!("{verified}");
    say("verified: 0 differences");
    let status = world.answer(&["relay", "status"])?;
    ensure!(status["stream_epoch"].as_i64() > epoch, "the stream has no new epoch: {status}");

    // What was published and is no more: exactly what came after the moment, from JetStream's copy.
    let file = world.path("taken-back.jsonl");
    let summary = world.expect(&["restore", "report", "--to", &file.display().to_string()])?;
    println!("{}", summary.trim());
    let lines = fs::read_to_string(&file)?;
    let taken: Vec<i64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line)?["position"].as_i64().context("a position"))
        .collect::<Result<_>>()?;
    ensure!(taken == (last + 1..=head).collect::<Vec<_>>(), "{} events instead of {}", taken.len(), head - last);

    // A client that holds a position of the lost time is told so, and a repeat does the work anew.
    let log_now: i64 = world.expect(&["log", "head"])?.trim().parse()?;
    let unknown = world.get("/v1/crm/clients", Some(head + 100_000)).await?;
    ensure!((unknown.status, &unknown.body["code"]) == (409, &json!("position-unknown")), "{unknown:?}");
    let again = create(&world, "Answered in the lost time", &key).await?;
    let again_position = again["position"].as_i64().context("a position")?;
    ensure!(again_position > last && again["id"] != Value::Null, "{again}");
    say(&format!("the log went on from {last} to {log_now}; a repeat of a lost command got position {again_position}"));

    // What waited goes on, and new work is done.
    let id = waiting["id"].as_str().context("an id")?;
    let tagged = format!("/v1/crm/clients/{id}");
    world.eventually(&tagged, PATIENCE, |body| body["tags"].to_string().contains("waited")).await?;
    say("the run that waited across the restore has finished");
    let load = Load::start(&world, COMMANDS_PER_SECOND);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let after = load.finish().await;
    ensure!(after.given_up == 0 && after.acknowledged > 50, "{after:?}");
    println!("{}", world.expect(&["verify", "--wait-seconds", "60"])?);
    let end: i64 = world.expect(&["log", "head"])?.trim().parse()?;
    subscriber.wait_for_history(2, end).await?;
    println!("{}", subscriber.finish(last)?);

    // Other moments of both pasts, beside the running installation, which does not notice.
    world.expect(&["backup", "check", "--to", &backups])?;
    for (name, timeline, position) in [("lost", "1", lost_position), ("present", "2", end - 3)] {
        let beside = world.path(name);
        let position_text = position.to_string();
        let started = Instant::now();
        let arguments = ["--json", "--timeline", timeline, "--to-position", &position_text];
        let output = restore(&world, &beside, &arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let restored = serde_json::from_slice::<Value>(&output.stdout)?["data"].take();
        let reached = restored["head"]["position"].as_i64().context("a position")?;
        ensure!((position..position + 40).contains(&reached), "{reached} instead of {position}");
        say(&format!(
            "position {position} of timeline {timeline}: the log ends at {reached}, after {:.1} s",
            started.elapsed().as_secs_f64()
        ));
        fs::remove_dir_all(beside)?;
    }
    let older = fs::read_dir(world.backups().join("base"))?.next().context("a base backup")??.file_name();
    let newer = world.answer(&["backup", "create", "--to", &backups])?;
    let newer = newer["label"].as_str().context("a label")?;
    let damaged = world.backups().join("base").join(newer).join("data/PG_VERSION");
    fs::rename(&damaged, world.path("PG_VERSION"))?;
    expect_refusal(&restore(&world, &world.path("older"), &[])?, "PG_VERSION")?;
    let from_older = restore(&world, &world.path("older"), &["--backup", &older.to_string_lossy()])?;
    ensure!(from_older.status.success(), "{}", String::from_utf8_lossy(&from_older.stderr));
    say("with a damaged newest backup, the older one leads as far");
    fs::remove_dir_all(world.path("older"))?;
    fs::rename(world.path("PG_VERSION"), &damaged)?;
    println!("{}", world.expect(&["backup", "prune", "--from", &backups, "--keep", "1"])?.trim());
    let latest = restore(&world, &world.path("latest"), &["--json"])?;
    ensure!(latest.status.success(), "{}", String::from_utf8_lossy(&latest.stderr));
    let latest = serde_json::from_slice::<Value>(&latest.stdout)?["data"].take();
    ensure!(latest["head"]["position"].as_i64() >= Some(end), "{latest}");
    println!("{}", world.expect(&["verify", "--wait-seconds", "60"])?.lines().last().unwrap_or_default());
    Ok(())
}

/// A snapshot of the volume is put back, without `ubos restore`: nobody has told the log that it went back.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_went_back_by_other_means_is_healed() -> Result<()> {
    let mut world = World::start().await?;
    let (data, snapshot) = (world.postgres.data().to_owned(), world.path("snapshot"));
    let backups = world.backups().display().to_string();
    let refused = world.ubos(&["backup", "create", "--to", &backups])?;
    expect_refusal(&refused, "archive_mode is off (needs a restart), archive_command is empty")?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("archive_command = '"), "it says what to set");
    create(&world, "Before", &Uuid::now_v7().to_string()).await?;
    world.expect(&["verify", "--wait-seconds", "60"])?;
    for role in world.roles() {
        world.kill(&role)?;
    }
    world.postgres.stop()?;
    let copy = |from: &Path, to: &Path| -> Result<()> {
        ensure!(Command::new("cp").arg("--archive").arg(from).arg(to).status()?.success(), "cp");
        Ok(())
    };
    copy(&data, &snapshot)?;
    world.postgres.restart()?;
    for role in world.roles() {
        world.spawn(&role)?;
    }
    for role in world.roles() {
        world.ready(&role).await?;
    }
    let common: i64 = world.expect(&["log", "head"])?.trim().parse()?;
    for turn in 0..10 {
        create(&world, &format!("Lost {turn}"), &Uuid::now_v7().to_string()).await?;
    }
    world.expect(&["verify", "--wait-seconds", "60"])?;
    for role in world.roles() {
        world.kill(&role)?;
    }
    world.postgres.kill()?;
    fs::remove_dir_all(&data)?;
    copy(&snapshot, &data)?;
    world.postgres.restart()?;
    for role in world.roles() {
        world.spawn(&role)?;
    }
    for role in world.roles() {
        world.ready(&role).await?;
    }

    // Commands are taken, but nothing is published over what others have seen, and the log of the relay says why.
    for turn in 0..3 {
        create(&world, &format!("After {turn}"), &Uuid::now_v7().to_string()).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(world.log("relay"))?.contains("ubos restore heal") {
        ensure!(Instant::now() < deadline, "the relay does not complain");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    expect_refusal(&world.ubos(&["restore", "heal"])?, "stop every role first")?;
    for role in world.roles() {
        world.terminate(&role, PATIENCE)?;
    }
    let healed = world.expect(&["restore", "heal"])?;
    println!("{}", healed.trim());
    ensure!(healed.contains(&format!("after position {common} ")), "not after {common}: {healed}");
    for role in world.roles() {
        world.spawn(&role)?;
    }
    for role in world.roles() {
        world.ready(&role).await?;
    }
    println!("{}", world.expect(&["verify", "--wait-seconds", "60"])?);
    let report = world.expect(&["restore", "report"])?;
    println!("{}", report.trim());
    ensure!(report.contains("10 events, 10 of them not in the log"), "{report}");
    Ok(())
}

async fn database(world: &World) -> Result<PgConnection> {
    let server = world.postgres.url.rsplit_once('/').context("a URL")?.0;
    Ok(PgConnection::connect(&format!("{server}/ubos")).await?)
}

async fn digest(database: &mut PgConnection, up_to: i64) -> Result<String> {
    Ok(sqlx::query_scalar(DIGEST).bind(up_to).fetch_one(database).await?)
}

async fn create(world: &World, name: &str, key: &str) -> Result<Value> {
    let created = world.post("/v1/crm/clients", Some(key), &json!({ "name": name })).await?;
    ensure!(created.status == 201, "{created:?}");
    Ok(created.body)
}

fn restore_command(world: &World, data: &Path, target: &[&str]) -> Command {
    let mut command = world.command();
    command.arg("restore").arg("--from").arg(world.backups()).arg("--data").arg(data).args(target);
    command
}

fn restore(world: &World, data: &Path, target: &[&str]) -> Result<Output> {
    Ok(restore_command(world, data, target).output()?)
}

fn expect_refusal(output: &Output, reason: &str) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().last().unwrap_or_default();
    println!("refused: {line}");
    ensure!(!output.status.success() && text.contains(reason), "not refused because of {reason:?}: {text}");
    Ok(())
}

/// A file less, a byte other, a hole in the write-ahead log, a moment that no backup reaches, no list of who was erased: each
/// is named.
fn damaged_backups_are_refused(world: &World, data: &Path) -> Result<()> {
    let base = fs::read_dir(world.backups().join("base"))?.next().context("a base backup")??.path();
    let (file, aside) = (base.join("data/global/pg_control"), world.path("pg_control"));
    fs::copy(&file, &aside)?;
    fs::remove_file(&file)?;
    expect_refusal(&restore(world, data, &[])?, "global/pg_control")?;
    let mut bytes = fs::read(&aside)?;
    bytes[100] ^= 1;
    fs::write(&file, bytes)?;
    expect_refusal(&restore(world, data, &[])?, "global/pg_control")?;
    fs::copy(&aside, &file)?;

    let (record, aside) = (base.join("ubos-backup.json"), world.path("ubos-backup.json"));
    fs::rename(&record, &aside)?;
    expect_refusal(&restore(world, data, &[])?, "ubos-backup.json is missing")?;
    fs::copy(&aside, &record)?;

    let (list, aside) = (world.backups().join("destroyed-keys"), world.path("destroyed-keys"));
    fs::rename(&list, &aside)?;
    expect_refusal(&restore(world, data, &[])?, "which keys of erased persons were destroyed is not known")?;
    fs::write(&list, "nobody\n")?;
    expect_refusal(&restore(world, data, &[])?, "expected tenant, subject and generation")?;
    fs::copy(&aside, &list)?;

    let mut wal: Vec<_> =
        fs::read_dir(world.backups().join("wal"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    wal.retain(|path| path.file_name().is_some_and(|name| name.len() == 24));
    wal.sort();
    let hole = wal[wal.len() - 2].clone();
    let name = hole.file_name().context("a name")?.to_string_lossy().into_owned();
    fs::rename(&hole, world.path("hole"))?;
    expect_refusal(&restore(world, data, &[])?, &format!("WAL file {name} is missing"))?;
    fs::rename(world.path("hole"), &hole)?;

    expect_refusal(&restore(world, data, &["--to-time", "2020-01-01T00:00:00Z"])?, "no base backup is old enough")?;
    expect_refusal(
        &restore(world, data, &["--to-time", "2099-01-01T00:00:00Z"])?,
        "the archive ends before that moment",
    )?;
    expect_refusal(&restore(world, data, &["--to-position", "99999999"])?, "the archive ends at position")
}

/// SIGKILL at several moments; the server that a killed restore leaves behind is ended by the next try.
fn a_killed_restore_is_repeated(world: &World, data: &Path, target: &[&str]) -> Result<()> {
    for wait_for in ["ubos-restore.unfinished", "PG_VERSION", "postmaster.pid", "pg_wal/00000002.history"] {
        let mut child = restore_command(world, data, target).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let deadline = Instant::now() + PATIENCE;
        let seen = loop {
            if data.join(wait_for).exists() {
                break true;
            }
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                break false;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        child.kill()?;
        child.wait()?;
        ensure!(data.join("ubos-restore.unfinished").exists(), "it had ended already");
        println!("killed a restore when {wait_for} was there ({seen})");
    }
    Ok(())
}

/// Somebody else's program that follows docs/consuming-events.md with a durable consumer.
struct Subscriber {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    log: String,
    position: i64,
    event: String,
}

impl Subscriber {
    async fn start(world: &World) -> Result<Self> {
        let context = jetstream::new(messaging::connect(&world.nats.url, "subscriber").await?);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = seen.clone();
        let config = pull::Config { durable_name: Some("subscriber".to_owned()), ..pull::Config::default() };
        let stream = context.get_stream("EVENTS").await?;
        let mut consumer = stream.create_consumer(config.clone()).await?;
        let task = tokio::spawn(async move {
            loop {
                let Ok(mut batch) = consumer.fetch().max_messages(500).messages().await else {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    // The same name; whatever the stream knows about it counts.
                    if let Ok(stream) = context.get_stream("EVENTS").await
                        && let Ok(found) = stream.get_consumer("subscriber").await
                    {
                        consumer = found;
                    }
                    continue;
                };
                let mut came = false;
                while let Some(Ok(message)) = batch.next().await {
                    came = true;
                    let headers = message.headers.clone().unwrap_or_default();
                    let text = |name: &str| headers.get(name).map_or(String::new(), |value| value.to_string());
                    let position = text("ce-globalposition").parse().unwrap_or(0);
                    let new = Seen { log: text("Ubos-Log"), position, event: text("ce-id") };
                    kept.lock().unwrap_or_else(|e| e.into_inner()).push(new);
                    if message.ack().await.is_err() {
                        break;
                    }
                }
                if !came {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
        Ok(Self { seen, task })
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    async fn wait_for(&self, position: i64) -> Result<()> {
        self.wait_for_history(1, position).await
    }

    /// Until it has seen that position under the n-th name of the log.
    async fn wait_for_history(&self, number: usize, position: i64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen();
            let mut logs: Vec<&str> = vec![];
            for one in &seen {
                if !logs.contains(&one.log.as_str()) {
                    logs.push(&one.log);
                }
            }
            let log = logs.get(number - 1).copied();
            if seen.iter().any(|one| Some(one.log.as_str()) == log && one.position >= position) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the subscriber saw {} events of {logs:?}", seen.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What it saw, checked and as text. `last` is the last position that the histories share.
    fn finish(self, last: i64) -> Result<String> {
        self.task.abort();
        let seen = self.seen();
        let mut text = String::from("what the subscriber's durable consumer saw:");
        let mut start = 0;
        for index in 1..=seen.len() {
            let goes_on = seen
                .get(index)
                .is_some_and(|next| next.log == seen[index - 1].log && next.position == seen[index - 1].position + 1);
            if !goes_on {
                let (first, until) = (&seen[start], &seen[index - 1]);
                text += &format!("\n  log {}  positions {:>5} to {:>5}", first.log, first.position, until.position);
                start = index;
            }
        }
        let first_of_new = seen.iter().find(|one| one.log != seen[0].log).context("a new history")?;
        ensure!(first_of_new.position == last + 1, "the new history began at {}:\n{text}", first_of_new.position);
        for one in &seen {
            let same = seen.iter().filter(|other| (&other.log, other.position) == (&one.log, one.position));
            ensure!(same.clone().all(|other| other.event == one.event), "one name for two events: {one:?}");
        }
        Ok(text)
    }
}
