//! Clients are written to when files are asked of them, and when they are reminded.

use crate::mailer::World;
use files::FileRequest;
use files::file_request::{FileRequestCommand as C, WantedItem};
use kernel::{ClientId, PortalUserId};
use portal::PortalUser;
use portal::portal_user::PortalUserCommand;
use uuid::Uuid;

impl World {
    pub async fn portal_user(&self, client_id: ClientId, email: &str, is_invited: bool) -> PortalUserId {
        let (name, email) = ("Ada".parse().unwrap(), email.parse().unwrap());
        let create = PortalUserCommand::Create { client_id, contact_id: None, name, email };
        let id = self.store.execute::<PortalUser>(None, create, &self.request()).await.unwrap().id;
        if is_invited {
            let invite = PortalUserCommand::Invite { expires_in_days: None, invitation_id: None };
            self.store.execute::<PortalUser>(Some(id), invite, &self.request()).await.unwrap();
        }
        PortalUserId(id)
    }

    async fn asks(&self, id: Option<Uuid>, command: C) -> Uuid {
        self.store.execute::<FileRequest>(id, command, &self.request()).await.unwrap().id
    }

    /// Letters about requests to this address; those that ask for letters are due at once, and the letters a round later.
    async fn letters(&self, to: &str) -> usize {
        self.mailer().round().await.unwrap();
        self.mailer().round().await.unwrap();
        let emails = self.sink.emails();
        let about = |email: &&String| email.contains("Subject: ") && email.contains(&format!("<{to}>"));
        emails.iter().filter(about).filter(|email| email.contains("Passport")).count()
    }
}

#[tokio::test]
async fn whoever_comes_in_for_a_client_is_asked_once_and_reminded() {
    let world = World::new().await;
    // Letters are written about what happens from now on.
    world.mailer().round().await.unwrap();
    let (client_id, other) = (ClientId(Uuid::now_v7()), ClientId(Uuid::now_v7()));
    world.portal_user(client_id, "ada@example.com", true).await;
    world.portal_user(client_id, "eve@example.com", false).await;
    world.portal_user(other, "bob@example.com", true).await;
    let item = WantedItem { name: "Passport".parse().unwrap(), description: None, optional: None };
    let create = C::Create {
        title: "Identity".parse().unwrap(),
        client_id,
        project_id: None,
        folder_id: None,
        message: None,
        due_on: None,
        items: vec![item],
    };
    let request = world.asks(None, create).await;
    world.asks(Some(request), C::Send {}).await;
    assert_eq!(world.letters("ada@example.com").await, 1);
    world.make_due().await;
    assert_eq!(world.letters("ada@example.com").await, 1, "no second time");
    world.asks(Some(request), C::Remind {}).await;
    assert_eq!(world.letters("ada@example.com").await, 2);
    world.asks(Some(request), C::Remind {}).await;
    world.asks(Some(request), C::Cancel { reason: None }).await;
    assert_eq!(world.letters("ada@example.com").await, 2, "what is not wanted any more is not asked for");
    for nobody in ["eve@example.com", "bob@example.com"] {
        assert_eq!(world.letters(nobody).await, 0, "{nobody}");
    }
}
