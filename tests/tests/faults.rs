//! Two minutes of load while every process is killed in turn; afterwards nothing is missing and nothing is doubled.

use anyhow::{Result, ensure};
use e2e::{Load, ROLES, Role, World};
use std::time::Duration;

/// How long the load runs.
const LOAD_SECONDS: u64 = 120;
const COMMANDS_PER_SECOND: u32 = 50;
/// How long everything may take to become quiet after the last fault.
const CONVERGE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn every_process_is_killed_under_load_and_nothing_is_lost() -> Result<()> {
    let mut world = World::start().await?;
    let load = Load::start(&world, COMMANDS_PER_SECOND);
    let started = tokio::time::Instant::now();
    // Seven victims, one every quarter of a minute.
    let pause = Duration::from_secs(LOAD_SECONDS / 9);
    for role in [Role::CommandApi, Role::Relay, Role::Projections, Role::Workflow] {
        tokio::time::sleep(pause).await;
        world.kill(role)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.spawn(role)?;
        world.ready(role).await?;
        println!("{:>4.0?} killed and restarted {}", started.elapsed(), role.name());
    }
    tokio::time::sleep(pause).await;
    world.nats.kill()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.nats.restart()?;
    println!("{:>4.0?} killed and restarted NATS", started.elapsed());
    tokio::time::sleep(pause).await;
    world.redis.kill()?;
    world.redis.restart()?;
    println!("{:>4.0?} killed and restarted Redis", started.elapsed());
    tokio::time::sleep(pause).await;
    world.postgres.kill()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.postgres.restart()?;
    println!("{:>4.0?} killed and restarted PostgreSQL", started.elapsed());
    tokio::time::sleep_until(started + Duration::from_secs(LOAD_SECONDS)).await;
    let report = load.finish().await;
    println!(
        "{} acknowledged, {} repeated, {} given up, {} clients, {} bookings",
        report.acknowledged,
        report.repeated,
        report.given_up,
        report.clients.len(),
        report.bookings.len()
    );
    ensure!(report.given_up == 0, "{} commands never got an answer", report.given_up);
    ensure!(report.acknowledged > u64::from(COMMANDS_PER_SECOND) * LOAD_SECONDS / 2, "the load was too small");
    for role in ROLES {
        world.ready(role).await?;
    }

    // Every acknowledged client is there once, as last acknowledged.
    let head = world.expect(&["log", "head"])?.trim().parse()?;
    for (id, name, version) in &report.clients {
        let found = world.get(&format!("/v1/crm/clients/{id}"), Some(head)).await?;
        ensure!(found.status == 200, "client {id} is missing: {found:?}");
        ensure!(found.body["name"] == name.as_str(), "client {id}: {} instead of {name}", found.body["name"]);
        ensure!(
            found.body["version"] == *version,
            "client {id}: version {} instead of {version}",
            found.body["version"]
        );
    }

    // Every booking becomes one finished run with one contact.
    let deadline = tokio::time::Instant::now() + CONVERGE;
    loop {
        let verified = world.ubos(&["verify", "--wait-seconds", "30"])?;
        let text = String::from_utf8_lossy(&verified.stdout).into_owned() + &String::from_utf8_lossy(&verified.stderr);
        println!("{text}");
        if verified.status.success() {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "differences remain:\n{text}");
    }
    for email in &report.bookings {
        let found = world.get(&format!("/v1/crm/contacts?email={}", email.replace('@', "%40")), None).await?;
        let count = found.body["data"].as_array().map_or(0, Vec::len);
        ensure!(count == 1, "{email}: {count} contacts");
    }
    Ok(())
}
