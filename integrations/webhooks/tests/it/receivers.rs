//! Receivers of all kinds: those that fail, hang, lead elsewhere, are gone, and come back.

use crate::common::{World, open, quick, shut, slow};
use crate::receiver::{Does, Receiver};
use connections::webhook_endpoint::WebhookEndpointCommand as C;
use connections_events::{WebhookEndpointStatus, WebhookOrder};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use webhooks::{Options, Schedule, Webhooks};

/// Goes on until the receiver has got so many messages.
async fn until_got(webhooks: &Webhooks, receiver: &Receiver, count: usize) {
    eventually(async || {
        webhooks.round().await.unwrap();
        receiver.got().len() >= count
    })
    .await;
}

#[tokio::test]
async fn what_is_not_taken_comes_again_under_the_same_id_until_it_is() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    let hangs = Does::Hangs(Duration::from_secs(5));
    world.receiver.first([Does::Answers(500), Does::Breaks, hangs, Does::Answers(404)]);
    world.happens("Books").await;
    until_got(&webhooks, &world.receiver, 5).await;
    eventually(async || world.noted(endpoint).await == [("delivered".to_owned(), 5)]).await;
    let got = world.receiver.got();
    assert!(got.iter().all(|one| one.id() == got[0].id() && one.body == got[0].body));
    let failures: i32 =
        sqlx::query_scalar("select failures from webhooks.endpoints").fetch_one(&world.worker).await.unwrap();
    assert_eq!(failures, 0);
}

#[tokio::test]
async fn f_03_a_receiver_that_leads_elsewhere_is_not_followed() {
    let world = World::new().await;
    let (elsewhere, webhooks) = (Receiver::start().await, world.webhooks());
    let endpoint = world.endpoint(&["identity.team.>"]).await;
    world.receiver.first([Does::Redirects(elsewhere.url("stolen"))]);
    world.happens("Books").await;
    until_got(&webhooks, &world.receiver, 2).await;
    assert_eq!(elsewhere.got().len(), 0);
    eventually(async || world.noted(endpoint).await == [("delivered".to_owned(), 2)]).await;
}

#[tokio::test]
async fn f_06_a_name_that_leads_to_what_is_not_public_is_not_asked() {
    let world = World::new().await;
    let endpoint = world.endpoint(&["identity.team.>"]).await;
    world.happens("Books").await;
    world.webhooks_with(shut(), slow()).round().await.unwrap();
    assert_eq!(world.receiver.got().len(), 0);
    let sql = "select error from webhooks.deliveries where endpoint_id = $1";
    let error: String = sqlx::query_scalar(sql).bind(endpoint).fetch_one(&world.worker).await.unwrap();
    assert_eq!(error, "it leads to no public address");
    // Once it leads elsewhere, what waited goes there.
    world.later().await;
    until_got(&world.webhooks(), &world.receiver, 1).await;
}

#[tokio::test]
async fn a_receiver_that_says_that_it_is_gone_is_left_alone_at_once_until_somebody_resumes_it() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    world.receiver.first([Does::Answers(410)]);
    world.happens("Books").await;
    webhooks.round().await.unwrap();
    assert_eq!(world.status(endpoint).await, WebhookEndpointStatus::Disabled);
    world.happens("Papers").await;
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.got().len(), 1);
    world.say(endpoint, C::Resume {}).await;
    world.happens("Pens").await;
    until_got(&webhooks, &world.receiver, 2).await;
    let name = |at: usize| world.receiver.got()[at].json()["data"]["name"].as_str().map(str::to_owned);
    assert_eq!(name(1).as_deref(), Some("Pens"), "what happened meanwhile is sent when somebody asks for it");
    world.say(endpoint, C::Replay { after: 0, until: None }).await;
    until_got(&webhooks, &world.receiver, 5).await;
}

#[tokio::test]
async fn one_event_that_is_never_taken_holds_up_no_other_and_is_given_up_in_the_end() {
    let world = World::new().await;
    let soon = Schedule { endpoint: vec![Duration::from_millis(20)], ..slow().schedule };
    let webhooks = world.webhooks_with(open(), Options { schedule: soon, ..slow() });
    let endpoint = world.endpoint(&["identity.team.>"]).await;
    world.receiver.refuses("Poison");
    world.happens("Poison").await;
    let mut others = 0;
    eventually(async || {
        others += 1;
        world.happens(&format!("Team {others}")).await;
        world.later().await;
        webhooks.round().await.unwrap();
        world.noted(endpoint).await[0].0 == "given_up"
    })
    .await;
    assert!(world.noted(endpoint).await[0].1 >= 5, "{:?}", world.noted(endpoint).await);
    eventually(async || {
        webhooks.round().await.unwrap();
        let noted = world.noted(endpoint).await;
        noted.len() == others + 1 && noted[1..].iter().all(|(status, _)| status == "delivered")
    })
    .await;
    assert_eq!(world.status(endpoint).await, WebhookEndpointStatus::Active);
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_left_alone_for_so_long() {
    let world = World::new().await;
    world.endpoint(&["identity.team.>"]).await;
    let webhooks = world.webhooks();
    world.receiver.first([Does::AsksFor(429, 60)]);
    world.happens("Books").await;
    webhooks.round().await.unwrap();
    world.happens("Papers").await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        webhooks.round().await.unwrap();
    }
    assert_eq!(world.receiver.got().len(), 1);
    let sql = "select extract(epoch from shut_until - now())::double precision from webhooks.endpoints";
    let seconds: f64 = sqlx::query_scalar(sql).fetch_one(&world.worker).await.unwrap();
    assert!((50.0..=60.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn f_05_an_answer_without_end_is_an_answer() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    world.receiver.does(Does::Babbles);
    world.happens("Books").await;
    webhooks.round().await.unwrap();
    assert_eq!(world.noted(endpoint).await, [("delivered".to_owned(), 1)]);
}

#[tokio::test]
async fn in_turn_the_next_event_of_a_record_waits_and_that_of_another_does_not() {
    let world = World::new().await;
    world.endpoint_at(&world.receiver.url("hook"), &["identity.team.>"], WebhookOrder::PerRecord).await;
    let webhooks = world.webhooks();
    let team = world.happens("Books").await;
    webhooks.round().await.unwrap();
    world.receiver.first([Does::Answers(500), Does::Answers(500)]);
    for name in ["One", "Two", "Three"] {
        world.goes_on(team, name).await;
    }
    until_got(&webhooks, &world.receiver, 6).await;
    let got = world.receiver.got();
    let names: Vec<String> = got.iter().map(|got| got.json()["data"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["Books", "One", "One", "One", "Two", "Three"]);
}

#[tokio::test]
async fn a_receiver_that_is_gone_for_six_days_is_told_of_and_left_alone_and_gets_everything_when_it_is_back() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks_with(open(), slow()));
    world.receiver.does(Does::Answers(503));
    for name in ["a", "b", "c", "d", "e"] {
        world.happens(name).await;
    }
    eventually(async || {
        world.later().await;
        webhooks.round().await.unwrap();
        world.receiver.got().len() >= 3
    })
    .await;
    // An hour later its record says so.
    world.run("update webhooks.endpoints set failing_since = failing_since - interval '61 minutes'").await;
    eventually(async || {
        world.later().await;
        webhooks.round().await.unwrap();
        world.status(endpoint).await == WebhookEndpointStatus::Failing
    })
    .await;
    // After five days nothing is sent any more, and nothing waits.
    world.run("update webhooks.endpoints set failing_since = failing_since - interval '5 days'").await;
    eventually(async || {
        world.later().await;
        webhooks.round().await.unwrap();
        world.status(endpoint).await == WebhookEndpointStatus::Disabled
    })
    .await;
    eventually(async || {
        webhooks.round().await.unwrap();
        let sql = "select count(*) from reactions.jobs where reaction = 'webhooks.delivery' and ended_at is null";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&world.worker).await.unwrap() == 0
    })
    .await;
    let before = world.receiver.got().len();
    world.happens("f").await;
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.got().len(), before);
    // On the sixth day it is back.
    world.receiver.does(Does::Answers(200));
    world.say(endpoint, C::Resume {}).await;
    world.say(endpoint, C::Replay { after: 0, until: None }).await;
    eventually(async || {
        webhooks.round().await.unwrap();
        let delivered = world.noted(endpoint).await;
        delivered.len() == 6 && delivered.iter().all(|(status, _)| status == "delivered")
    })
    .await;
}

#[tokio::test]
async fn what_waited_for_a_receiver_goes_on_when_it_takes_something_again() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks_with(open(), slow()));
    world.receiver.does(Does::Answers(503));
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.happens(name).await;
    }
    eventually(async || {
        world.later().await;
        webhooks.round().await.unwrap();
        world.receiver.got().len() >= 4
    })
    .await;
    world.receiver.does(Does::Answers(200));
    // One is tried now. The others were to wait for it, and then for an hour.
    world.later().await;
    let begun = Instant::now();
    eventually(async || {
        webhooks.round().await.unwrap();
        let noted = world.noted(endpoint).await;
        noted.len() == 6 && noted.iter().all(|(status, _)| status == "delivered")
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn receivers_that_hang_delay_no_other() {
    let world = World::new().await;
    let dead = Receiver::start().await;
    dead.does(Does::Hangs(Duration::from_secs(60)));
    let mut endpoints: Vec<Uuid> = vec![];
    for at in 0..60 {
        let url = if at % 6 == 0 { dead.url(&format!("{at}")) } else { world.receiver.url(&format!("{at}")) };
        endpoints.push(world.endpoint_at(&url, &["identity.team.>"], WebhookOrder::Unordered).await.id);
    }
    let patient = Options { patience: Default::default(), ..quick() };
    let webhooks = Arc::new(world.webhooks_with(open(), patient));
    let stop = CancellationToken::new();
    let log = event_store::Log::unsealing(world.worker.clone(), Some(world.vault.clone()));
    let events = Arc::new(messaging::Feed::start(log, None).await.unwrap());
    let (at_work, stopped) = (webhooks.clone(), stop.clone());
    let working = tokio::spawn(async move { at_work.run(events, stopped).await });
    let begun = Instant::now();
    for round in 0..6 {
        world.happens(&format!("Team {round}")).await;
    }
    eventually(async || world.receiver.got().len() >= 300).await;
    // Whoever hangs does so for 20 seconds.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    stop.cancel();
    working.abort();
}
