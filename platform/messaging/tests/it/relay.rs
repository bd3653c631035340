//! What the relay and the feed do while all is well.

use crate::common::{Consumer, PATIENCE, World, append, eventually};
use futures::StreamExt;
use messaging::{Decoded, Feed, POSITION, decode};
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_log_is_published_once_and_in_order() {
    let world = World::shared().await;
    world.append(2_500).await;
    let relay = world.relay();
    let consumer = world.consumer().await;
    for _ in 0..20 {
        world.append(7).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.published(2_640).await;
    world.assert_stream_is_perfect(1, 2_640).await;
    consumer.assert_saw_everything(&world).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_reads_a_cloud_event_on_its_tenants_subject() {
    let world = World::shared().await;
    let prefix = &world.options.stream.prefix;
    let subject = format!("{prefix}.00000000-0000-0000-0000-0000007e4a47.crm.client.created");
    let mut subscription = world.nats.subscribe(subject).await.unwrap();
    world.append(1).await;
    let relay = world.relay();
    let message = tokio::time::timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
    let headers = message.headers.unwrap();
    let header = |name: &str| headers.get(name).map(|v| v.as_str().to_owned()).unwrap_or_default();
    let stored = world.log.find(1).await.unwrap().unwrap();
    assert_eq!(header("ce-specversion"), "1.0");
    assert_eq!(header("ce-type"), "client.created");
    assert_eq!(header("ce-source"), "/tenants/00000000-0000-0000-0000-0000007e4a47/crm");
    assert_eq!(header("ce-dataschema"), "urn:ubos:event:crm.client.created:v2");
    assert_eq!(header("ce-subject"), stored.aggregate_id.to_string());
    assert_eq!((header("ce-id"), header("Nats-Msg-Id")), (stored.event_id.to_string(), stored.event_id.to_string()));
    assert_eq!((header(POSITION), header("ce-aggregateversion")), ("1".into(), "1".into()));
    assert_eq!(header("ce-actor"), r#"{"kind":"system","name":"test"}"#);
    assert_eq!(message.payload, r#"{"name": "Łódź"}"#);
    let Decoded::Event(event) = decode(&headers, &message.payload).unwrap() else { panic!("no event") };
    assert_eq!(serde_json::to_value(*event).unwrap(), serde_json::to_value(stored).unwrap());
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_come_from_nats_not_from_the_database() {
    let world = World::shared().await;
    let relay = world.relay();
    eventually("there is a stream", || async { world.nats_stream_exists().await }).await;
    // A database connection of its own that can be cut without touching the relay.
    let own = event_store::Log::new(world.database.worker().await);
    let feed = Feed::start(own.clone(), Some((world.nats.clone(), world.options.stream.clone()))).await.unwrap();
    world.append(1).await;
    feed.read(0, 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    own.pool().close().await;
    world.append(50).await;
    let events = tokio::time::timeout(PATIENCE, async {
        let mut events = vec![];
        while events.len() < 50 {
            events.extend(feed.read(1 + events.len() as i64, 100).await.unwrap());
        }
        events
    });
    let positions: Vec<i64> = events.await.unwrap().iter().map(|e| e.position).collect();
    assert_eq!(positions, (2..=51).collect::<Vec<_>>());
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_or_relay_the_feed_follows_the_log() {
    let world = World::shared().await;
    world.append(3_000).await;
    let feed = Feed::start(world.log.clone(), None).await.unwrap();
    assert_eq!(feed.head(), 3_000);
    let consumer = Consumer::start(feed);
    world.append(3).await;
    consumer.assert_saw_everything(&world).await;
    // A relay that never runs is no different.
    let consumer = world.consumer().await;
    world.append(20_000).await;
    consumer.assert_saw_everything(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_at_the_head_waits_and_is_woken() {
    let world = World::shared().await;
    let relay = world.relay();
    let feed = world.feed().await;
    let waiting = tokio::spawn({
        let feed = feed.clone();
        async move { feed.read(0, 10).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "nothing to read yet");
    world.append(1).await;
    let events = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(events.iter().map(|e| e.position).collect::<Vec<_>>(), [1]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_becomes_a_claim_check_and_a_dead_letter() {
    let world = World::shared().await;
    let relay = world.relay();
    let consumer = world.consumer().await;
    world.append(5).await;
    append(&world.owner, 1, &format!(r#"{{"name": "{}"}}"#, "x".repeat(1_200_000))).await;
    world.append(5).await;
    world.published(11).await;
    let report = world.audit().await;
    assert!(report.is_complete() && report.claim_checks == 1, "{report}");
    let letters = messaging::dead_letters(&world.log).await.unwrap();
    assert_eq!(letters.iter().map(|l| l.position).collect::<Vec<_>>(), [6]);
    assert!(letters[0].reason.contains("payload"), "{}", letters[0]);
    let (retries, error): (i32, Option<String>) =
        sqlx::query_as("select retry_count, last_error from shared.outbox where id = $1")
            .bind(letters[0].event_id)
            .fetch_one(world.log.pool())
            .await
            .unwrap();
    assert_eq!((retries, error.as_deref()), (1, Some(letters[0].reason.as_str())));
    // Nothing was changed, so it is refused again, and counted.
    let retried = messaging::retry(&world.log, &world.nats, &world.options, None).await.unwrap();
    assert_eq!((retried.published.len(), retried.refused.as_slice()), (0, [6].as_slice()));
    assert_eq!(messaging::dead_letters(&world.log).await.unwrap()[0].attempts, 2);
    consumer.assert_saw_everything(&world).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_goes_in_batches_and_an_event_alone_goes_alone() {
    let world = World::shared().await;
    world.append(700).await;
    let relay = world.relay();
    world.published(700).await;
    world.append(1).await;
    world.published(701).await;
    let batches = world.batches(1, 701).await;
    assert!(batches[..700].iter().all(Option::is_some), "{batches:?}");
    assert_eq!(batches[700], None);
    let different: HashSet<_> = batches.iter().flatten().collect();
    assert!(different.len() <= 44, "{} batches, none smaller than 16 events", different.len());
    world.assert_stream_is_perfect(1, 701).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_for_nats_is_found_in_a_batch() {
    let world = World::shared().await;
    world.append(15).await;
    // Not too large for a batch, but with its headers for NATS.
    append(&world.owner, 1, &format!(r#"{{"name": "{}"}}"#, "x".repeat(1_048_188))).await;
    world.append(40).await;
    let relay = world.relay();
    world.published(56).await;
    let report = world.audit().await;
    assert!(report.is_complete() && report.claim_checks == 1 && report.duplicates == 0, "{report}");
    let letters = messaging::dead_letters(&world.log).await.unwrap();
    assert_eq!(letters.iter().map(|l| l.position).collect::<Vec<_>>(), [16]);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_nats_takes_after_all_is_published_in_full() {
    let world = World::shared().await;
    let relay = world.relay();
    world.append(3).await;
    world.published(3).await;
    // As after raising the server's limit: the letter is there, the reason has gone.
    let buried = "insert into eventstore.dead_letters (position, event_id, tenant_id, reason)
                  select position, event_id, tenant_id, 'too large' from eventstore.events where position = 2";
    sqlx::query(buried).execute(world.log.pool()).await.unwrap();
    let retried = messaging::retry(&world.log, &world.nats, &world.options, Some(2)).await.unwrap();
    assert_eq!(retried.published, [2]);
    assert!(messaging::dead_letters(&world.log).await.unwrap().is_empty());
    // The relay finds the stream's end again behind the message that is not its own.
    world.append(3).await;
    world.published(6).await;
    let report = world.audit().await;
    assert!(report.is_complete() && report.messages == 7 && report.duplicates == 0, "{report}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_name_is_no_subject_still_takes_its_place() {
    let world = World::shared().await;
    world.append(1).await;
    sqlx::query(
        "insert into eventstore.events select 2, gen_random_uuid(), tenant_id, domain, aggregate_type, aggregate_id, 2,
                'client.>', 1, payload, metadata, recorded_at from eventstore.events",
    )
    .execute(&world.owner)
    .await
    .unwrap();
    sqlx::query("update eventstore.head set position = 2").execute(&world.owner).await.unwrap();
    world.append(1).await;
    let relay = world.relay();
    world.published(3).await;
    let report = world.audit().await;
    assert!(report.is_complete() && report.claim_checks == 1, "{report}");
    assert!(messaging::dead_letters(&world.log).await.unwrap()[0].reason.contains("subject"));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_shows_what_is_published_and_what_waits() {
    let world = World::shared().await;
    world.append(4).await;
    let relay = world.relay();
    world.published(4).await;
    relay.stop().await;
    world.append(2).await;
    let count = |filter: &'static str| {
        let pool = world.log.pool().clone();
        async move {
            let sql = format!("select count(*) from shared.outbox where {filter}");
            sqlx::query_scalar::<_, i64>(&sql).fetch_one(&pool).await.unwrap()
        }
    };
    assert_eq!((count("true").await, count("processed_at is null").await), (6, 2));
    assert_eq!(count("processed_at >= created_at and version = 2 and retry_count = 0").await, 4);
    // Another tenant sees nothing of it, and nobody without a tenant does.
    let query = world.database.query().await;
    for (tenant, rows) in [("", 0), ("00000000-0000-0000-0000-0000007e4a47", 6), (&Uuid::nil().to_string(), 0)] {
        let mut transaction = event_store::begin(&query).await.unwrap();
        sqlx::query("select set_config('ubos.tenant_id', $1, true)")
            .bind(tenant)
            .execute(&mut *transaction)
            .await
            .unwrap();
        let seen: i64 =
            sqlx::query_scalar("select count(*) from shared.outbox").fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(seen, rows, "tenant {tenant:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_older_than_a_day_are_merged_without_a_gap() {
    let world = World::shared().await;
    world.append(10).await;
    sqlx::query(
        "insert into eventstore.relay_marks (up_to_position, after_position, published_at)
         select n, n - 1, date_trunc('hour', now()) - interval '2 days' + n * interval '10 minutes'
         from generate_series(1, 10) n",
    )
    .execute(world.log.pool())
    .await
    .unwrap();
    sqlx::query("update eventstore.relay set position = 10").execute(world.log.pool()).await.unwrap();
    let merged: i64 =
        sqlx::query_scalar("select eventstore.relay_merge_marks()").fetch_one(world.log.pool()).await.unwrap();
    assert_eq!(merged, 8, "two hours have a mark each");
    let (rows, waiting): (i64, i64) =
        sqlx::query_as("select count(*), count(*) filter (where processed_at is null) from shared.outbox")
            .fetch_one(world.log.pool())
            .await
            .unwrap();
    assert_eq!((rows, waiting), (10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_who_leads_and_what_waits() {
    let world = World::shared().await;
    let status = messaging::status(&world.log, Some(&world.nats), &world.options).await.unwrap();
    assert!(status.leader.is_empty() && status.stream_messages.is_none(), "{status}");
    world.append(3).await;
    let relay = world.relay();
    world.published(3).await;
    let status = messaging::status(&world.log, Some(&world.nats), &world.options).await.unwrap();
    assert!(status.is_alive && status.epoch == 1 && status.lag_events == 0, "{status}");
    assert_eq!((status.cursor, status.head, status.stream_messages), (3, 3, Some(3)));
    relay.stop().await;
    world.append(2).await;
    let status = messaging::status(&world.log, None, &world.options).await.unwrap();
    assert!(status.lag_events == 2 && status.oldest_unpublished_seconds > 0.0, "{status}");
}

impl World {
    async fn nats_stream_exists(&self) -> bool {
        let status = messaging::status(&self.log, Some(&self.nats), &self.options).await;
        status.is_ok_and(|s| s.stream_messages.is_some())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_names_what_is_missing() {
    let world = World::shared().await;
    let relay = world.relay();
    world.append(10).await;
    world.published(10).await;
    relay.stop().await;
    world.append(3).await;
    assert!(world.audit().await.is_complete(), "what waits is not missing");
    sqlx::query("update eventstore.relay set position = 12").execute(world.log.pool()).await.unwrap();
    let report = world.audit().await;
    assert!(!report.is_complete(), "{report}");
    assert_eq!((report.missing, report.missing_positions.as_slice()), (2, [11, 12].as_slice()));
}
