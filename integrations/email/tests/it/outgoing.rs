//! What becomes of the firm's own emails, on a real log, at a server that speaks SMTP.

use crate::mailer::World;
use communications::email::{Email, EmailCommand, Recipient};
use communications::notification::{Notification, NotificationCommand};
use communications::notification_preferences::{NotificationPreferences, NotificationPreferencesCommand};
use communications_events::Preference;
use identity::User;
use identity::user::UserCommand;
use kernel::{ClientId, ContactId, PortalUserId, UserId};
use portal::PortalUser;
use portal::portal_user::PortalUserCommand;
use uuid::Uuid;

impl World {
    async fn email(&self, to: Recipient, body: &str) -> Uuid {
        let send = EmailCommand::Send {
            to,
            template: None,
            fields: vec![],
            subject: Some("Papers".parse().unwrap()),
            body: Some(body.parse().unwrap()),
            client_id: None,
            thread_id: None,
            attachments: vec![],
        };
        self.store.execute::<Email>(None, send, &self.request()).await.unwrap().id
    }

    async fn resend(&self, id: Uuid) {
        self.store.execute::<Email>(Some(id), EmailCommand::Resend {}, &self.request()).await.unwrap();
    }

    /// What the log has of an email.
    async fn became(&self, id: Uuid) -> Vec<String> {
        let sql = "select event_type from eventstore.events where aggregate_id = $1 order by sequence";
        sqlx::query_scalar(sql).bind(id).fetch_all(&self.superuser().await).await.unwrap()
    }

    async fn said(&self, id: Uuid, field: &str) -> Option<String> {
        let sql =
            "select payload::json ->> $2 from eventstore.events where aggregate_id = $1 order by sequence desc limit 1";
        sqlx::query_scalar(sql).bind(id).bind(field).fetch_one(&self.superuser().await).await.unwrap()
    }
}

fn ada() -> Recipient {
    Recipient::Address { email: "ada@example.com".parse().unwrap() }
}

#[tokio::test]
async fn an_email_goes_out_once_as_text_and_as_html_under_an_id_of_its_own() {
    let world = World::new().await;
    let id = world.email(ada(), "Dear *Ada*, <script>x</script>[here](https://x.example).").await;
    let (one, other) = (world.mailer(), world.mailer());
    let (first, second) = tokio::join!(one.round(), other.round());
    first.unwrap();
    second.unwrap();
    let emails = world.sink.emails();
    assert_eq!(emails.len(), 1, "{emails:#?}");
    let email = emails[0].replace("=\n", "").replace("=3D", "=");
    for part in [
        "To: ada@example.com",
        "Subject: Papers",
        &format!("Message-ID: <{id}@ubos.example>"),
        "Dear Ada, xhere <https://x.example>.",
        "<em>Ada</em>",
    ] {
        assert!(email.contains(part), "{part:?} is not in:\n{email}");
    }
    assert!(!email.contains("<script>"), "{email}");
    assert_eq!(world.became(id).await, ["email.queued", "email.sent"]);
}

#[tokio::test]
async fn whoever_puts_us_off_is_asked_again_and_whoever_refuses_is_on_the_record() {
    let world = World::new().await;
    world.sink.answer("451 not now");
    let id = world.email(ada(), "Hello").await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.became(id).await, ["email.queued"], "it waits");
    world.sink.answer("250 taken");
    world.sink.answer_recipients("550 no such mailbox");
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.became(id).await, ["email.queued", "email.failed"]);
    assert_eq!(world.said(id, "code").await.as_deref(), Some("refused"));
    assert!(world.said(id, "reason").await.is_some_and(|why| why.contains("no such mailbox")));
    assert!(world.parked().await.is_empty(), "the record says it, and no operator has to");
    world.sink.answer_recipients("250 ok");
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 0, "not by itself");
    world.resend(id).await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.became(id).await, ["email.queued", "email.failed", "email.queued_again", "email.sent"]);
    assert_eq!(world.sink.emails().len(), 1);
}

#[tokio::test]
async fn an_email_whose_end_nobody_knows_is_sent_again_by_somebody_and_under_the_same_id() {
    let world = World::new().await;
    world.sink.answer("");
    let id = world.email(ada(), "Hello").await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.became(id).await, ["email.queued", "email.outcome_unknown"]);
    world.sink.answer("250 taken");
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 1, "nothing goes out by itself");
    world.resend(id).await;
    world.mailer().round().await.unwrap();
    let emails = world.sink.emails();
    let known = format!("Message-ID: <{id}@ubos.example>");
    assert_eq!(emails.len(), 2);
    assert!(emails.iter().all(|email| email.contains(&known)), "{emails:#?}");
    assert_eq!(world.became(id).await.last().map(String::as_str), Some("email.sent"));
}

#[tokio::test]
async fn nothing_is_said_of_an_email_while_no_server_answers() {
    let world = World::new().await;
    let id = world.email(ada(), "Hello").await;
    world.mailer_at("smtp://127.0.0.1:9").round().await.unwrap();
    assert_eq!(world.became(id).await, ["email.queued"]);
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.became(id).await, ["email.queued", "email.sent"]);
}

#[tokio::test]
async fn an_email_to_somebody_goes_where_their_record_says_when_it_goes_out() {
    let world = World::new().await;
    let create = PortalUserCommand::Create {
        client_id: ClientId(Uuid::now_v7()),
        contact_id: None,
        name: "Ada".parse().unwrap(),
        email: "ada@engines.example".parse().unwrap(),
    };
    let id = world.store.execute::<PortalUser>(None, create, &world.request()).await.unwrap().id;
    let sent = world.email(Recipient::PortalUser { id: PortalUserId(id) }, "Hello").await;
    let lost = world.email(Recipient::Contact { id: ContactId(Uuid::now_v7()) }, "Hello").await;
    let nobody = world.email(Recipient::User { id: UserId(Uuid::now_v7()) }, "Hello").await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.said(sent, "address").await.as_deref(), Some("ada@engines.example"));
    for id in [lost, nobody] {
        assert_eq!(world.became(id).await, ["email.queued", "email.failed"]);
        assert_eq!(world.said(id, "code").await.as_deref(), Some("no_address"));
    }
    assert_eq!(world.sink.emails().len(), 1);
}

#[tokio::test]
async fn whoever_wants_to_be_told_by_email_is() {
    let world = World::new().await;
    let invite = |email: &str| UserCommand::Invite {
        email: email.parse().unwrap(),
        name: "Ada".parse().unwrap(),
        roles: vec![],
        expires_in_days: None,
        invitation_id: None,
    };
    let ada = world.store.execute::<User>(None, invite("ada@example.com"), &world.request()).await.unwrap().id;
    let eve = world.store.execute::<User>(None, invite("eve@example.com"), &world.request()).await.unwrap().id;
    world.mailer().round().await.unwrap();
    let before = world.sink.emails().len();
    let preference = Preference { kind: "default".parse().unwrap(), in_product: false, by_email: true };
    let set = NotificationPreferencesCommand::Set { user_id: UserId(ada), preferences: vec![preference] };
    world.store.execute::<NotificationPreferences>(None, set, &world.request()).await.unwrap();
    for user in [ada, eve] {
        let send = NotificationCommand::Send {
            user_id: UserId(user),
            kind: "task_assigned".parse().unwrap(),
            title: "A task is yours".parse().unwrap(),
            body: None,
            about: None,
            link: Some("/tasks/1".parse().unwrap()),
        };
        world.store.execute::<Notification>(None, send, &world.request()).await.unwrap();
    }
    world.mailer().round().await.unwrap();
    let emails = world.sink.emails()[before..].to_vec();
    assert_eq!(emails.len(), 1, "{emails:#?}");
    for part in ["<ada@example.com>", "Subject: A task is yours", "https://app.example/tasks/1"] {
        assert!(emails[0].contains(part), "{part} is not in {}", emails[0]);
    }
}
