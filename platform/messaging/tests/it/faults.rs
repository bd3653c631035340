//! What NATS, the network and a killed relay may do to us. In each: a consumer that follows the documented rule sees
//! every position exactly once, and the stream is whole afterwards.

use crate::common::{Broken, Consumer, World, append, copy, eventually};
use messaging::RelayOptions;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Appends a little and a little more, again and again, until the returned guard is dropped or awaited.
fn load(world: &World) -> tokio::task::JoinHandle<()> {
    let owner = world.owner.clone();
    tokio::spawn(async move {
        for turn in 0..150 {
            // Some go alone, some as a batch.
            append(&owner, if turn % 3 == 0 { 40 } else { 3 }, "{}").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

/// Messages in the stream, if there is one.
async fn sent(world: &World) -> Option<u64> {
    messaging::status(&world.log, Some(&world.nats), &world.options).await.ok()?.stream_messages
}

async fn assert_healed(world: &World, consumer: Consumer) {
    let head = world.log.head().await.expect("the head");
    world.published(head).await;
    consumer.assert_saw_everything(world).await;
    world.assert_stream_is_perfect(1, head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_stops_for_a_while_and_comes_back() {
    let mut broken = Broken::start();
    let world = World::at(&broken.server.url).await;
    let relay = world.relay();
    let consumer = world.consumer().await;
    let load = load(&world);
    tokio::time::sleep(Duration::from_millis(700)).await;
    broken.server.kill().unwrap();
    load.await.unwrap();
    // The consumer does not wait for NATS: everything is there while it is away.
    let head = world.log.head().await.unwrap();
    let feed = world.feed().await;
    assert_eq!(feed.head(), head);
    broken.server.restart().unwrap();
    assert_healed(&world, consumer).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_deleted_under_load() {
    let broken = Broken::start();
    let world = World::at(&broken.server.url).await;
    let relay = world.relay();
    let consumer = world.consumer().await;
    let load = load(&world);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    async_nats::jetstream::new(world.nats.clone()).delete_stream("EVENTS").await.unwrap();
    load.await.unwrap();
    assert_healed(&world, consumer).await;
    let status = messaging::status(&world.log, Some(&world.nats), &world.options).await.unwrap();
    assert!(status.stream_epoch >= 1, "{status}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_gets_events_from_nats_again_after_the_stream_was_made_anew() {
    let broken = Broken::start();
    let world = World::at(&broken.server.url).await;
    let relay = world.relay();
    world.append(5).await;
    world.published(5).await;
    let own = event_store::Log::new(world.database.worker().await);
    let feed =
        messaging::Feed::start(own.clone(), Some((world.nats.clone(), world.options.stream.clone()))).await.unwrap();
    async_nats::jetstream::new(world.nats.clone()).delete_stream("EVENTS").await.unwrap();
    // Keeps coming, so that the feed has a reason to notice that its consumer has gone.
    let mut head = 5;
    for _ in 0..80 {
        head = world.append(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.published(head).await;
    own.pool().close().await;
    let next = world.append(1).await;
    let events = tokio::time::timeout(Duration::from_secs(20), feed.read(next - 1, 1)).await.unwrap().unwrap();
    assert_eq!(events[0].position, next);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_is_killed_between_publishing_and_storing_its_cursor() {
    let world = World::shared().await;
    let consumer = world.consumer().await;
    let forgetful = RelayOptions { store_every: Duration::from_secs(3_600), ..world.options.clone() };
    let relay = world.relay_with(forgetful);
    eventually("it leads", || async { sent(&world).await.is_some() }).await;
    world.append(1).await;
    eventually("one is sent", || async { sent(&world).await == Some(1) }).await;
    world.append(400).await;
    eventually("all are sent", || async { sent(&world).await == Some(401) }).await;
    relay.kill().await;
    assert!(world.cursor().await < 401, "the cursor was not stored");
    let relay = world.relay();
    world.append(10).await;
    assert_healed(&world, consumer).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_again_and_again_under_load_loses_and_doubles_nothing() {
    let world = World::shared().await;
    let consumer = world.consumer().await;
    let load = load(&world);
    while !load.is_finished() {
        let relay = world.relay();
        tokio::time::sleep(Duration::from_millis(rand::random_range(50..700))).await;
        relay.kill().await;
    }
    load.await.unwrap();
    let relay = world.relay();
    assert_healed(&world, consumer).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_from_a_killed_leader() {
    let world = World::shared().await;
    let consumer = world.consumer().await;
    let named = |name: &str| RelayOptions { holder: name.into(), ..world.options.clone() };
    let leader = world.relay_with(named("first"));
    world.append(10).await;
    world.published(10).await;
    let standby = world.relay_with(named("second"));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let status = messaging::status(&world.log, None, &world.options).await.unwrap();
    assert_eq!((status.leader.as_str(), status.epoch), ("first", 1), "only one leads");
    leader.kill().await;
    let since = Instant::now();
    world.append(10).await;
    world.published(20).await;
    println!("takeover from a killed leader: {:?}", since.elapsed());
    let status = messaging::status(&world.log, None, &world.options).await.unwrap();
    assert_eq!((status.leader.as_str(), status.epoch), ("second", 2));
    assert_healed(&world, consumer).await;
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_ends_the_session_of_a_frozen_leader() {
    let world = World::shared().await;
    // Holds the lock and does nothing, as a leader does that is stopped or swapped out.
    let frozen = world.relay();
    world.append(1).await;
    world.published(1).await;
    frozen.kill().await;
    let worker = world.database.worker().await;
    let mut session = worker.acquire().await.unwrap();
    // Waits for the killed one's session to end.
    sqlx::query("select pg_advisory_lock($1)").bind(0x7562_6f73_7265_6c61_i64).execute(&mut *session).await.unwrap();
    let since = Instant::now();
    let standby = world.relay();
    world.append(5).await;
    world.published(6).await;
    println!("takeover from a frozen leader: {:?}", since.elapsed());
    assert!(sqlx::query("select 1").execute(&mut *session).await.is_err(), "its session was ended");
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_session_ends_stops_and_leads_again_with_a_higher_epoch() {
    let world = World::shared().await;
    let consumer = world.consumer().await;
    let relay = world.relay();
    world.append(5).await;
    world.published(5).await;
    let ended: i64 = sqlx::query_scalar(
        "with leaders as materialized (
             select pid from pg_stat_activity
             where application_name = 'ubos relay' and datname = current_database()
         )
         select count(*) from leaders where pg_terminate_backend(pid)",
    )
    .fetch_one(&world.database.superuser().await)
    .await
    .unwrap();
    assert_eq!(ended, 1);
    world.append(5).await;
    world.published(10).await;
    let status = messaging::status(&world.log, None, &world.options).await.unwrap();
    assert_eq!(status.epoch, 2, "{status}");
    assert_healed(&world, consumer).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_leader_cannot_move_the_cursor() {
    let world = World::shared().await;
    let relay = world.relay();
    world.append(5).await;
    world.published(5).await;
    relay.stop().await;
    for (epoch, rows) in [(0, 0), (1, 1)] {
        let moved = sqlx::query("select reseed_from from eventstore.relay_advance($1, 5, 5)").bind(epoch);
        let moved = moved.fetch_all(world.log.pool()).await.unwrap();
        assert_eq!(moved.len(), rows, "epoch {epoch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_loses_the_tail_and_it_is_published_again() {
    let mut broken = Broken::start();
    let world = World::at(&broken.server.url).await;
    let relay = world.relay();
    let consumer = world.consumer().await;
    world.append(300).await;
    world.published(300).await;
    broken.server.stop().unwrap();
    let copied = broken.dirs.root().join("copy");
    copy(&broken.store(), &copied);
    broken.server.restart().unwrap();
    world.append(300).await;
    world.published(600).await;
    broken.server.kill().unwrap();
    std::fs::remove_dir_all(broken.store()).unwrap();
    copy(&copied, &broken.store());
    broken.server.restart().unwrap();
    // Nothing happens until somebody publishes or the minute is over; an append makes it notice.
    world.append(10).await;
    let complete = || async { world.audit().await.is_complete() };
    eventually("the tail is back", complete).await;
    assert_healed(&world, consumer).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_store_is_lost_while_the_relay_is_away() {
    let mut broken = Broken::start();
    let world = World::at(&broken.server.url).await;
    let relay = world.relay();
    world.append(100).await;
    world.published(100).await;
    relay.stop().await;
    broken.server.wipe().unwrap();
    let consumer = world.consumer().await;
    let relay = world.relay();
    let complete = || async { world.audit().await.is_complete() };
    eventually("the stream is filled again", complete).await;
    assert_healed(&world, consumer).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_rebuilds_the_stream_while_the_relay_runs_and_while_it_does_not() {
    let world = World::shared().await;
    let consumer = world.consumer().await;
    let relay = world.relay();
    world.append(500).await;
    world.published(500).await;
    let mut reports = 0;
    let reseeded = messaging::reseed(&world.log, &world.nats, &world.options, 1, |_| reports += 1).await.unwrap();
    assert!(reports > 0 && reseeded.position == 500, "{reseeded:?}");
    world.assert_stream_is_perfect(1, 500).await;
    relay.stop().await;
    messaging::reseed(&world.log, &world.nats, &world.options, 401, |_| ()).await.unwrap();
    world.assert_stream_is_perfect(401, 500).await;
    let beyond = messaging::reseed(&world.log, &world.nats, &world.options, 502, |_| ()).await;
    assert!(beyond.unwrap_err().to_string().contains("from 1 to 501"));
    consumer.assert_saw_everything(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_log_is_neither_filled_nor_believed() {
    let theirs = World::shared().await;
    let relay = theirs.relay();
    theirs.append(20).await;
    theirs.published(20).await;
    let mut ours = World::shared().await;
    ours.options = theirs.options.clone();
    ours.append(5).await;
    let consumer = ours.consumer().await;
    let wrong = ours.relay();
    theirs.append(20).await;
    theirs.published(40).await;
    consumer.assert_saw_everything(&ours).await;
    assert_eq!(ours.cursor().await, 0, "nothing of ours was published there");
    theirs.assert_stream_is_perfect(1, 40).await;
    wrong.stop().await;
    relay.stop().await;
}

/// As after restoring a backup: the log ends at 10.
async fn go_back_to_10(world: &World) {
    let superuser = world.database.superuser().await;
    for sql in [
        "alter table eventstore.events disable trigger user",
        "alter table eventstore.events_0000 disable trigger user",
        "delete from eventstore.events where position > 10",
        "update eventstore.head set position = 10",
    ] {
        sqlx::query(sql).execute(&superuser).await.expect("a superuser may");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_log_went_back_in_time_publishes_nothing_until_told() {
    let world = World::shared().await;
    let relay = world.relay();
    world.append(20).await;
    world.published(20).await;
    relay.stop().await;
    go_back_to_10(&world).await;
    world.append(5).await;
    let relay = world.relay();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.cursor().await, 20, "nothing was published");
    messaging::reseed(&world.log, &world.nats, &world.options, 1, |_| ()).await.unwrap();
    world.assert_stream_is_perfect(1, 15).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_history_is_filled_without_being_asked_and_what_was_taken_back_is_kept() {
    use async_nats::jetstream::consumer::{Consumer, pull};
    use futures::StreamExt;
    let world = World::shared().await;
    let relay = world.relay();
    world.append(20).await;
    world.published(20).await;
    // Two subscribers: one has read everything, one only the beginning.
    let stream = async_nats::jetstream::new(world.nats.clone()).get_stream(&world.options.stream.name).await.unwrap();
    let read = async |consumer: &Consumer<pull::Config>, count: usize| {
        let mut seen = vec![];
        let mut messages = consumer.fetch().max_messages(count).messages().await.unwrap();
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            let position = message.headers.as_ref().unwrap().get(messaging::POSITION).unwrap().as_str().to_owned();
            seen.push(position.parse::<i64>().unwrap());
            message.double_ack().await.unwrap();
        }
        seen
    };
    for (name, count) in [("eager", 20), ("slow", 4)] {
        let config = pull::Config { durable_name: Some(name.to_owned()), ..pull::Config::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        assert_eq!(read(&consumer, count).await.len(), count);
    }
    relay.stop().await;
    go_back_to_10(&world).await;
    // A restore brings the relay's own row back too.
    let cursor = "update eventstore.relay set position = 10, stream_sequence = 10";
    sqlx::query(cursor).execute(world.log.pool()).await.unwrap();
    let begun: (i32, i64) = sqlx::query_as("select number, after_position from eventstore.begin_history('test', 10)")
        .fetch_one(&world.owner)
        .await
        .unwrap();
    assert_eq!(begun, (2, 10));
    // Commands come before the relay does.
    world.append(5).await;
    let relay = world.relay();
    let context = async_nats::jetstream::new(world.nats.clone());
    let name = world.options.stream.name.clone();
    world.published(15).await;
    eventually("both consumers are back", || async {
        let Ok(stream) = context.get_stream(&name).await else { return false };
        let found =
            (stream.get_consumer::<pull::Config>("eager").await, stream.get_consumer::<pull::Config>("slow").await);
        found.0.is_ok() && found.1.is_ok()
    })
    .await;
    world.assert_stream_is_perfect(1, 15).await;
    let mut lost = vec![];
    let evidence = messaging::taken_back(&world.log, &world.nats, &world.options, |event| {
        lost.push(event.position);
        Ok(())
    });
    let evidence = evidence.await.unwrap();
    assert_eq!(lost, (11..=20).collect::<Vec<_>>(), "{evidence:?}");
    let stream = context.get_stream(&name).await.unwrap();
    let eager = stream.get_consumer("eager").await.unwrap();
    assert_eq!(read(&eager, 5).await, [11, 12, 13, 14, 15], "goes on with what came instead");
    let slow = stream.get_consumer("slow").await.unwrap();
    assert_eq!(read(&slow, 11).await, (5..=15).collect::<Vec<_>>(), "misses nothing, repeats nothing");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_publishes_into_the_stream_makes_no_hole() {
    let world = World::shared().await;
    let relay = world.relay();
    let consumer = world.consumer().await;
    let load = load(&world);
    let mut strange = 0;
    while !load.is_finished() {
        world.nats.publish(format!("{}.nonsense", world.options.stream.prefix), "boo".into()).await.unwrap();
        strange += 1;
        tokio::time::sleep(Duration::from_millis(rand::random_range(1..60))).await;
    }
    load.await.unwrap();
    let head = world.log.head().await.unwrap();
    world.published(head).await;
    consumer.assert_saw_everything(&world).await;
    let report = world.audit().await;
    assert_eq!((report.missing, report.duplicates), (0, 0), "{report}");
    assert!(report.unexpected > 0 && report.unexpected <= strange, "{report}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_somebody_made_otherwise_is_brought_to_its_declaration_and_filled() {
    let world = World::shared().await;
    let context = async_nats::jetstream::new(world.nats.clone());
    let (name, prefix) = (world.options.stream.name.clone(), world.options.stream.prefix.clone());
    let made = async_nats::jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![format!("{prefix}.>")],
        ..Default::default()
    };
    context.create_stream(made).await.unwrap();
    context.publish(format!("{prefix}.nonsense"), "boo".into()).await.unwrap().await.unwrap();
    world.append(5).await;
    let relay = world.relay();
    world.published(5).await;
    let report = world.audit().await;
    assert!(report.missing == 0 && report.unexpected == 1, "{report}");
    let config = context.get_stream(&name).await.unwrap().cached_info().config.clone();
    assert!(config.deny_purge && config.max_age == world.options.stream.max_age, "{config:?}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_more_batches_gets_every_event_alone() {
    /// Batches of one stream that JetStream keeps open; one that is not committed is forgotten after ten seconds.
    const OPEN_MAX: usize = 50;
    let world = World::shared().await;
    let relay = world.relay();
    world.append(1).await;
    world.published(1).await;
    for _ in 0..OPEN_MAX {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Batch-Id", Uuid::now_v7().simple().to_string());
        headers.insert("Nats-Batch-Sequence", "1");
        let subject = format!("{}.nonsense", world.options.stream.prefix);
        world.nats.publish_with_headers(subject, headers, "never committed".into()).await.unwrap();
    }
    world.nats.flush().await.unwrap();
    world.append(100).await;
    world.published(101).await;
    assert_eq!(world.batches(1, 101).await, vec![None; 101]);
    world.assert_stream_is_perfect(1, 101).await;
    relay.stop().await;
}
