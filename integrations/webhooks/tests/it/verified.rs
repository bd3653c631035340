//! A message as it came over HTTP, against the secrets that were shown. `cargo xtask check webhooks` has the official library verify what the
//! example `messages` signs.

use crate::common::World;
use connections::webhook_endpoint::WebhookEndpointCommand as C;
use connections_events::WebhookOrder;
use webhooks::SigningKey;

#[tokio::test]
async fn what_comes_over_http_is_verified_with_the_secret_that_was_shown() {
    let world = World::new().await;
    let added = world.endpoint_at(&world.receiver.url("hook"), &["identity.team.>"], WebhookOrder::Unordered).await;
    let old = world.told(&added).await;
    let rotated = world.say(added.id, C::RotateSecret { overlap_hours: None }).await;
    let new = world.told(&rotated).await;
    world.happens("Zoë ☃").await;
    world.webhooks().round().await.unwrap();
    let got = world.receiver.got();
    assert_eq!(got.len(), 1);
    let got = &got[0];
    for secret in [&old, &new] {
        let signature = SigningKey::read(secret).unwrap().sign(
            got.id(),
            got.headers["webhook-timestamp"].parse().unwrap(),
            &got.body,
        );
        assert!(got.headers["webhook-signature"].split(' ').any(|one| one == signature));
    }
}
