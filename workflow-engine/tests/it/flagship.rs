//! Flagship 1 on real PostgreSQL: a booked appointment becomes a client with portal user, folders and project.

use crate::common::World;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;
use workflow::RunStatus;

const ONCE: [usize; 7] = [1; 7];

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_becomes_an_onboarding() {
    let world = World::office(true).await;
    let engine = world.engine();
    let booked = world.book(0, "ada@example.com").await;
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    assert_eq!(world.made().await, ONCE);
    let runs = world.runs().await;
    let run = world.show(runs[0]).await;
    assert_eq!(run.status(), RunStatus::Succeeded);
    let trigger = run.trigger.unwrap();
    assert_eq!(trigger.aggregate_id, booked.id);
    for event in world.events().await.iter().filter(|event| event.event_type == "client.created") {
        assert_eq!(event.metadata.causation_id, Some(trigger.event_id));
        assert_eq!(event.metadata.correlation_id, trigger.correlation_id);
        assert!(matches!(&event.metadata.actor, kernel::Actor::Workflow { run_id, .. } if runs.contains(run_id)));
        let payload: serde_json::Value = serde_json::from_str(event.payload.get()).unwrap();
        assert_eq!((&payload["name"], &payload["kind"]), (&json!("Analytical Engines"), &json!("organisation")));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_delivered_twice_is_one_run() {
    let world = World::office(true).await;
    world.book(0, "ada@example.com").await;
    let engine = world.engine();
    world.until("run.succeeded", 1).await;
    engine.stop().await;
    // Everything again: the checkpoint is lost, and no key remembers anything.
    for sql in ["update engine.checkpoint set position = 0", "delete from engine.tasks", "delete from engine.waits"] {
        sqlx::query(sql).execute(&world.pool).await.unwrap();
    }
    let keys = sqlx::query_scalar::<_, i64>("select count(*) from eventstore.idempotency");
    assert_eq!(keys.fetch_one(&world.superuser().await).await.unwrap(), 0);
    let before = world.log.head().await.unwrap();
    let engine = world.engine();
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.until_idle().await;
    engine.stop().await;
    assert_eq!(world.runs().await.len(), 1);
    assert_eq!(world.made().await, ONCE);
    assert_eq!(world.log.head().await.unwrap(), before, "{:#?}", world.summary().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_of_one_address_at_the_same_moment_are_one_client_and_no_failed_run() {
    let world = World::office(true).await;
    // Two engines share the runs.
    let engines = [world.engine(), world.engine()];
    let bookings = 8;
    futures::future::join_all((0..bookings).map(|slot| world.book(slot, "Ada@Example.com"))).await;
    world.until("run.succeeded", bookings as usize).await;
    world.until_idle().await;
    let [contacts, clients, _, portal_users, invitations, folders, projects] = world.made().await;
    assert_eq!([contacts, clients, portal_users, invitations, folders, projects], [1; 6]);
    // The run that makes the contact need not be the one that makes the client, and then both link them: in either order, the
    // contact is asked first from then on, and no link says again what is so.
    let links = world.links().await;
    assert!(matches!(links[..], [true] | [false, true]), "asked first, by link: {links:?}");
    assert_eq!(world.count("step.failed").await, 0);
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_template_parks_the_run_until_it_is_there_and_the_run_is_retried() {
    let world = World::office(false).await;
    let engine = world.engine();
    world.book(0, "ada@example.com").await;
    world.until("run.parked", 1).await;
    let run_id = world.runs().await[0];
    let run = world.show(run_id).await;
    let stands = run.incident().map(|(step, ..)| step.as_str());
    assert_eq!((run.status(), stands), (RunStatus::Parked, Some("project")));
    let parked = world.events().await.into_iter().find(|event| event.event_type == "run.parked").unwrap();
    let incident: serde_json::Value = serde_json::from_str(parked.payload.get()).unwrap();
    assert_eq!(incident["code"], "projects.project.unknown_template");
    world.define_project_template().await;
    // By hand over the bus, as over HTTP: the engine hears of it from the log.
    let retry = json!({ "reason": "the template is there now" });
    world.send("workflow.run.retry", Some(run_id), retry).await.unwrap();
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    assert_eq!(world.made().await, ONCE);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_run_goes_on_with_the_output_of_an_operator() {
    let world = World::office(false).await;
    let engine = world.engine();
    world.book(0, "ada@example.com").await;
    world.until("run.parked", 1).await;
    let run_id = world.runs().await[0];
    let output = json!({ "id": Uuid::nil() });
    let reason = || "made by hand".parse().unwrap();
    workflow_engine::skip(&world.bus, world.tenant, run_id, output.clone(), reason()).await.unwrap();
    world.until("run.succeeded", 1).await;
    let run = world.show(run_id).await;
    assert_eq!(run.step_at("project").unwrap().result.expose(), Some(&output));
    let again = workflow_engine::retry(&world.bus, world.tenant, run_id, reason()).await.unwrap_err();
    assert!(matches!(again, event_store::ExecuteError::Rejected { code: "workflow.run.ended", .. }), "{again:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_booking_cancels_the_run_that_stands_still_and_takes_back_what_it_did() {
    let world = World::office(false).await;
    let engine = world.engine();
    let booked = world.book(0, "ada@example.com").await;
    world.until("run.parked", 1).await;
    world.send("scheduling.appointment.cancel", Some(booked.id), json!({ "by": "invitee" })).await.unwrap();
    world.until("run.cancelled", 1).await;
    world.until_idle().await;
    assert_eq!(world.show(world.runs().await[0]).await.status(), RunStatus::Compensated);
    assert_eq!(taken_back(&world).await, [1, 1, 0]);
    engine.stop().await;
}

/// How often each thing was taken back: invitation, folder, project.
async fn taken_back(world: &World) -> [usize; 3] {
    let mut counted = [0; 3];
    for (count, event_type) in
        counted.iter_mut().zip(["portal_user.invitation_revoked", "folder.archived", "project.cancelled"])
    {
        *count = world.count(event_type).await;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_that_is_cancelled_long_after_its_onboarding_leaves_no_skeleton_and_no_invitation() {
    let world = World::office(true).await;
    let engine = world.engine();
    let booked = world.book(0, "ada@example.com").await;
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    world.send("scheduling.appointment.cancel", Some(booked.id), json!({ "by": "invitee" })).await.unwrap();
    world.until("run.compensated", 1).await;
    world.until_idle().await;
    assert_eq!((world.made().await, taken_back(&world).await), (ONCE, [1; 3]));
    engine.stop().await;
}

/// Whatever a booking that was cancelled has made is closed again, and nothing else.
async fn ends_right(world: &World, bookings: usize) {
    let over = async || {
        let mut over = 0;
        for run in world.runs().await {
            over +=
                usize::from(matches!(world.show(run).await.status(), RunStatus::Cancelled | RunStatus::Compensated));
        }
        over == bookings
    };
    world.eventually("bookings that were cancelled go on", over).await;
    world.until_idle().await;
    let [.., invitations, folders, projects] = world.made().await;
    assert_eq!(taken_back(world).await, [invitations, folders, projects], "{:#?}", world.summary().await);
    assert_eq!(world.count("step.failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_bookings_that_are_cancelled_at_once_end_right_forty_times() {
    let world = World::office(true).await;
    let engines = [world.engine(), world.engine()];
    let pairs = (0..40).map(async |slot| {
        let booked = world.book(slot, &format!("ada{slot}@example.com")).await;
        // At any moment: some before the first step, some in the middle, some after the end.
        tokio::time::sleep(Duration::from_millis(u64::try_from(slot).unwrap() * 6)).await;
        world.send("scheduling.appointment.cancel", Some(booked.id), json!({ "by": "invitee" })).await.unwrap();
    });
    futures::future::join_all(pairs).await;
    ends_right(&world, 40).await;
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_die_while_bookings_are_cancelled_leave_nothing_open() {
    let world = World::office(true).await;
    for round in 0..12 {
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        process.spawn(engine_of_its_own(world.url("ubos_worker"), world.url("ubos_command")));
        let booked = world.book(round, &format!("ada{round}@example.com")).await;
        tokio::time::sleep(Duration::from_millis(8 * u64::try_from(round).unwrap())).await;
        world.send("scheduling.appointment.cancel", Some(booked.id), json!({ "by": "invitee" })).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3 * u64::try_from(round).unwrap())).await;
        process.shutdown_background();
    }
    let engine = world.engine();
    ends_right(&world, 12).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_leaves_its_runs_to_the_next_one() {
    let world = World::office(true).await;
    for round in 0..12 {
        let booked = world.made().await[0];
        world.book(round, &format!("ada{round}@example.com")).await;
        // A process of its own, as far as its tasks go; it dies after ever so many milliseconds.
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        process.spawn(engine_of_its_own(world.url("ubos_worker"), world.url("ubos_command")));
        tokio::time::sleep(Duration::from_millis(4 * u64::try_from(round).unwrap())).await;
        process.shutdown_background();
        assert!(world.made().await[0] <= booked + 1);
    }
    let engine = world.engine();
    world.until("run.succeeded", 12).await;
    world.until_idle().await;
    assert_eq!(world.made().await, [12; 7]);
    engine.stop().await;
}

/// An engine with connections of the runtime it is started on, as another process would have.
async fn engine_of_its_own(worker_url: String, command_url: String) {
    let pool = sqlx::PgPool::connect(&worker_url).await.expect("PostgreSQL answers");
    let command = sqlx::PgPool::connect(&command_url).await.expect("PostgreSQL answers");
    let store = event_store::Store::start(command, event_store::StoreOptions::default());
    let mut bus = event_store::CommandBus::new(store);
    registry::mount_all(&mut bus);
    let log = std::sync::Arc::new(workflow_engine::PolledLog(event_store::Log::new(pool.clone())));
    let options = workflow_engine::EngineOptions {
        lease: Duration::from_millis(300),
        ..workflow_engine::EngineOptions::default()
    };
    let _engine = workflow_engine::Engine::start(pool, bus, log, options);
    std::future::pending::<()>().await;
}
