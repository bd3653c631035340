//! What an endpoint is sent, and what becomes of it when its record changes.

use crate::common::{Only, World, open, quick};
use connections::webhook_endpoint::WebhookEndpointCommand as C;
use connections_events::{WebhookEndpointStatus, WebhookOrder};
use event_store::Request;
use kernel::{Actor, UserId};
use std::sync::Arc;
use testing::eventually;
use uuid::Uuid;
use webhooks::SigningKey;

/// Are these all the signatures that the message has, in this order?
fn is_signed_with(got: &crate::receiver::Got, secrets: &[&str]) -> bool {
    let (id, timestamp) = (got.id(), got.headers["webhook-timestamp"].parse().unwrap());
    let expected: Vec<String> =
        secrets.iter().map(|shown| SigningKey::read(shown).unwrap().sign(id, timestamp, &got.body)).collect();
    got.headers["webhook-signature"].split(' ').eq(expected)
}

#[tokio::test]
async fn an_endpoint_is_sent_what_it_asks_for_from_then_on_once_and_signed() {
    let world = World::new().await;
    world.happens("Before").await;
    let added = world.endpoint_at(&world.receiver.url("hook"), &["identity.team.>"], WebhookOrder::Unordered).await;
    let secret = world.told(&added).await;
    let team = world.happens("Books").await;
    world.goes_on(team, "Papers").await;
    let (one, other) = (world.webhooks(), world.webhooks());
    let (first, second) = tokio::join!(one.round(), other.round());
    first.unwrap();
    second.unwrap();
    eventually(async || {
        one.round().await.unwrap();
        world.receiver.got().len() >= 2
    })
    .await;
    one.round().await.unwrap();
    let got = world.receiver.got();
    let mut types = world.receiver.types();
    types.sort();
    assert_eq!(types, ["team.created", "team.renamed"]);
    for got in &got {
        assert_eq!(
            (got.path.as_str(), got.headers["content-type"].as_str()),
            ("/hook", "application/cloudevents+json")
        );
        assert_eq!(got.json()["subject"], team.to_string());
        assert_eq!(got.id(), got.json()["id"].as_str().unwrap());
        assert!(is_signed_with(got, &[&secret]), "{got:?}");
    }
    assert_eq!(world.noted(added.id).await, [("delivered".to_owned(), 1), ("delivered".to_owned(), 1)]);
}

#[tokio::test]
async fn for_a_day_after_a_rotation_both_secrets_sign_and_then_the_new_one_alone() {
    let world = World::new().await;
    let added = world.endpoint_at(&world.receiver.url("hook"), &["identity.team.>"], WebhookOrder::Unordered).await;
    let old = world.told(&added).await;
    let rotated = world.say(added.id, C::RotateSecret { overlap_hours: None }).await;
    let new = world.told(&rotated).await;
    assert_ne!(old, new);
    assert_eq!(world.told(&added).await, old, "whoever repeats the request is told the same");
    world.happens("Books").await;
    let webhooks = world.webhooks();
    webhooks.round().await.unwrap();
    world.run("update webhooks.endpoints set previous_until = now()").await;
    world.happens("Papers").await;
    eventually(async || {
        webhooks.round().await.unwrap();
        world.receiver.got().len() == 2
    })
    .await;
    let got = world.receiver.got();
    assert!(is_signed_with(&got[0], &[&new, &old]), "{:?}", got[0]);
    assert!(is_signed_with(&got[1], &[&new]), "{:?}", got[1]);
}

#[tokio::test]
async fn no_secret_is_in_the_log_or_in_a_table() {
    let world = World::new().await;
    let added = world.endpoint_at(&world.receiver.url("hook"), &[], WebhookOrder::Unordered).await;
    let secret = world.told(&added).await;
    world.webhooks().round().await.unwrap();
    let bare = secret.strip_prefix("whsec_").unwrap();
    let everywhere = "
        select count(*) from (
            select payload::text as said from eventstore.events union all select e::text from webhooks.endpoints e
            union all select d::text from webhooks.deliveries d union all select j::text from reactions.jobs j) s
        where position($1 in said) > 0";
    let found: i64 = sqlx::query_scalar(everywhere).bind(bare).fetch_one(&world.superuser().await).await.unwrap();
    assert_eq!(found, 0);
}

#[tokio::test]
async fn what_happens_while_an_endpoint_is_paused_comes_when_it_is_resumed() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    world.say(endpoint, C::Pause {}).await;
    world.happens("Books").await;
    webhooks.round().await.unwrap();
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.types(), [""; 0]);
    world.say(endpoint, C::Resume {}).await;
    eventually(async || {
        webhooks.round().await.unwrap();
        world.receiver.types() == ["team.created"]
    })
    .await;
}

#[tokio::test]
async fn one_that_was_given_up_is_sent_nothing_more() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    world.happens("Books").await;
    world.say(endpoint, C::Remove {}).await;
    world.happens("Papers").await;
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.types(), [""; 0]);
}

#[tokio::test]
async fn events_are_chosen_anew_and_go_elsewhere_from_then_on() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    let team = world.happens("Books").await;
    webhooks.round().await.unwrap();
    let (events, order) = (vec!["identity.team.renamed".parse().unwrap()], WebhookOrder::PerRecord);
    world.say(endpoint, C::ChooseEvents { events, order }).await;
    world.say(endpoint, C::ChangeAddress { url: world.receiver.url("elsewhere").parse().unwrap() }).await;
    world.happens("Papers").await;
    world.goes_on(team, "More books").await;
    eventually(async || {
        webhooks.round().await.unwrap();
        world.receiver.got().len() == 2
    })
    .await;
    let got: Vec<_> = world.receiver.got().iter().map(|got| (got.path.clone(), got.event_type())).collect();
    let expected = [("/hook", "team.created"), ("/elsewhere", "team.renamed")];
    assert_eq!(got, expected.map(|(path, what)| (path.to_owned(), what.to_owned())));
}

#[tokio::test]
async fn what_happened_before_is_sent_again_to_whoever_asks_and_says_so() {
    let world = World::new().await;
    let team = world.happens("Books").await;
    let (endpoint, webhooks) = (world.endpoint(&["identity.team.>"]).await, world.webhooks());
    world.goes_on(team, "Papers").await;
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.types(), ["team.renamed"]);
    world.say(endpoint, C::Replay { after: 0, until: None }).await;
    eventually(async || {
        webhooks.round().await.unwrap();
        world.receiver.got().len() == 3
    })
    .await;
    let got = world.receiver.got();
    let again: Vec<bool> = got.iter().map(|got| got.headers.contains_key("ubos-replayed")).collect();
    assert_eq!(again, [false, true, true]);
    let same = got.iter().filter(|one| one.id() == got[0].id()).count();
    assert_eq!(same, 2, "an event has one id, however often it comes");
    // And once more, one alone.
    let position: i64 = got[0].json()["globalposition"].as_str().unwrap().parse().unwrap();
    let one = C::Replay { after: u64::try_from(position - 1).unwrap(), until: Some(u64::try_from(position).unwrap()) };
    world.say(endpoint, one).await;
    eventually(async || {
        webhooks.round().await.unwrap();
        world.receiver.got().len() == 4
    })
    .await;
    assert_eq!(world.receiver.got()[3].id(), got[0].id());
}

#[tokio::test]
async fn a_test_comes_at_once_also_to_one_that_asks_for_something_else_and_is_paused() {
    let world = World::new().await;
    let (endpoint, webhooks) = (world.endpoint(&["crm.>"]).await, world.webhooks());
    world.say(endpoint, C::Pause {}).await;
    world.say(endpoint, C::Test {}).await;
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.types(), ["webhook_endpoint.tested"]);
}

#[tokio::test]
async fn what_whoever_answers_for_it_may_not_read_any_more_is_not_sent() {
    let world = World::new().await;
    let by_ada = Request::new(world.tenant, Actor::User { id: UserId(Uuid::from_u128(1)) });
    let add = C::Add {
        url: world.receiver.url("hook").parse().unwrap(),
        events: vec!["identity.>".parse().unwrap()],
        order: WebhookOrder::Unordered,
        description: None,
    };
    let added = world.store.execute::<connections::WebhookEndpoint>(None, add, &by_ada).await.unwrap();
    world.happens("Books").await;
    world.webhooks_of(open(), quick(), Arc::new(Only(&["crm.*.read"]))).round().await.unwrap();
    assert_eq!(world.receiver.types(), [""; 0]);
    assert_eq!(world.noted(added.id).await, [("withheld".to_owned(), 0)]);
    world.happens("Papers").await;
    world.webhooks_of(open(), quick(), Arc::new(Only(&["identity.team.read"]))).round().await.unwrap();
    assert_eq!(world.receiver.types(), ["team.created"]);
    assert_eq!(world.status(added.id).await, WebhookEndpointStatus::Active);
}

#[tokio::test]
async fn nobody_is_sent_another_firms_events() {
    let world = World::new().await;
    world.endpoint(&[]).await;
    let webhooks = world.webhooks();
    let other = Request::new(kernel::TenantId(Uuid::now_v7()), Actor::System { name: "test".to_owned() });
    let create = identity::team::TeamCommand::Create { name: "Books".parse().unwrap() };
    world.store.execute::<identity::Team>(None, create, &other).await.unwrap();
    webhooks.round().await.unwrap();
    assert_eq!(world.receiver.types(), [""; 0]);
}
