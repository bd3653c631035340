//! Clients are told of messages that they have not read.

use crate::mailer::World;
use communications::Thread;
use communications::thread::ThreadCommand as C;
use communications_events::{MessageId, ThreadKind};
use kernel::{Actor, ClientId};
use uuid::Uuid;

impl World {
    async fn says(&self, id: Option<Uuid>, command: C, by: Option<Actor>) -> Uuid {
        let mut request = self.request();
        request.actor = by.unwrap_or(request.actor);
        self.store.execute::<Thread>(id, command, &request).await.unwrap().id
    }

    async fn posts(&self, thread: Uuid, message: Uuid, by: Option<Actor>) {
        let post = C::PostMessage { message_id: Some(MessageId(message)), body: "Hello".parse().unwrap() };
        self.says(Some(thread), post, by).await;
    }

    /// Letters about the thread to this address, a quarter of an hour from now.
    async fn told(&self, to: &str) -> Vec<String> {
        for _ in 0..2 {
            self.make_due().await;
            self.later_mailer().round().await.unwrap();
        }
        let emails = self.sink.emails().into_iter().filter(|email| email.contains(&format!("<{to}>")));
        emails.filter(|email| email.contains("Analytical Engines: Papers")).collect()
    }
}

#[tokio::test]
async fn whoever_has_not_read_what_was_written_is_told_once() {
    let world = World::new().await;
    // Letters are written about what happens from now on.
    world.mailer().round().await.unwrap();
    let client_id = ClientId(Uuid::now_v7());
    let ada = world.portal_user(client_id, "ada@example.com", true).await;
    world.portal_user(client_id, "eve@example.com", true).await;
    world.portal_user(ClientId(Uuid::now_v7()), "bob@example.com", true).await;
    let open = |kind: ThreadKind| C::Open {
        kind,
        subject: "Papers".parse().unwrap(),
        client_id: Some(client_id),
        project_id: None,
        engagement_id: None,
        participants: vec![],
    };
    let thread = world.says(None, open(ThreadKind::Client), None).await;
    let [first, second, third] = [(); 3].map(|()| Uuid::now_v7());
    world.posts(thread, first, None).await;
    world.posts(thread, second, None).await;
    let read = C::MarkRead { message_id: MessageId(second) };
    world.says(Some(thread), read, Some(Actor::PortalUser { id: ada })).await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().iter().filter(|email| email.contains("Papers")).count(), 0, "they may read it yet");
    assert_eq!(world.told("ada@example.com").await.len(), 0, "she has read both");
    let to_eve = world.told("eve@example.com").await;
    assert_eq!(to_eve.len(), 1, "{to_eve:#?}");
    assert!(to_eve[0].contains("2 messages"), "{to_eve:#?}");
    // Whoever writes is not told of that.
    world.posts(thread, third, Some(Actor::PortalUser { id: ada })).await;
    assert_eq!((world.told("ada@example.com").await.len(), world.told("eve@example.com").await.len()), (0, 2));
    let internal = world.says(None, open(ThreadKind::Internal), None).await;
    world.posts(internal, Uuid::now_v7(), None).await;
    assert_eq!((world.told("ada@example.com").await.len(), world.told("bob@example.com").await.len()), (0, 0));
}
