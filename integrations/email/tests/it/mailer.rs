//! Emails on a real log, to a server that speaks SMTP.

use chrono::{DateTime, TimeDelta, Utc};
use email::{Links, Mailer};
use event_store::{Log, Request, Store, StoreOptions};
use identity::tenant::TenantCommand;
use identity::user::UserCommand;
use identity::{Tenant, User};
use kernel::{Actor, ClientId, TenantId, UserId};
use portal::PortalUser;
use portal::portal_user::PortalUserCommand;
use reactions::{Filter, Listed, State, list, retry};
use sqlx::PgPool;
use testing::{SmtpSink, TestDatabase};
use uuid::Uuid;

pub struct World {
    pub store: Store,
    pub tenant: TenantId,
    pub worker: PgPool,
    pub sink: SmtpSink,
    _database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::start(database.command().await, StoreOptions::default());
        let (worker, sink) = (database.worker().await, SmtpSink::start().await);
        let world = Self { store, tenant: TenantId(Uuid::now_v7()), worker, sink, _database: database };
        let register =
            TenantCommand::Register { name: "Analytical Engines".parse().unwrap(), owner_id: UserId::default() };
        world.store.execute::<Tenant>(Some(world.tenant.0), register, &world.request()).await.unwrap();
        world
    }

    pub fn request(&self) -> Request {
        Request::new(self.tenant, Actor::System { name: "test".to_owned() })
    }

    pub async fn superuser(&self) -> PgPool {
        self._database.superuser().await
    }

    pub fn mailer(&self) -> Mailer {
        self.mailer_at(&self.sink.url())
    }

    /// A mailer whose mail server is elsewhere.
    pub fn mailer_at(&self, url: &str) -> Mailer {
        self.mailer_by(url, Utc::now)
    }

    /// A mailer for whom it is a quarter of an hour later.
    pub fn later_mailer(&self) -> Mailer {
        self.mailer_by(&self.sink.url(), || Utc::now() + TimeDelta::minutes(15))
    }

    fn mailer_by(&self, url: &str, now: fn() -> DateTime<Utc>) -> Mailer {
        let links = Links {
            public_url: "https://ubos.example".to_owned(),
            provider: Some("certified".to_owned()),
            app_url: "https://app.example".to_owned(),
            portal_url: "https://portal.example".to_owned(),
        };
        let store = Store::start(self.worker.clone(), StoreOptions::default());
        let (log, from) = (Log::new(self.worker.clone()), "UBOS <no-reply@ubos.example>");
        Mailer::by_clock(log, store, None, url, from, links, now).unwrap()
    }

    async fn invite(&self, email: &str, name: &str) {
        let invite = UserCommand::Invite {
            email: email.parse().unwrap(),
            name: name.parse().unwrap(),
            roles: vec![],
            expires_in_days: None,
            invitation_id: None,
        };
        self.store.execute::<User>(None, invite, &self.request()).await.unwrap();
    }

    /// As if time had passed.
    pub async fn make_due(&self) {
        retry(&self.worker, &Filter { state: Some(State::Due), ..Filter::default() }).await.unwrap();
    }

    /// The emails that wait for an operator.
    pub async fn parked(&self) -> Vec<Listed> {
        list(&self.worker, &parked(), 100).await.unwrap()
    }
}

fn parked() -> Filter {
    Filter { state: Some(State::Parked), ..Filter::default() }
}

#[tokio::test]
async fn whoever_is_invited_gets_one_email_with_the_magic_link() {
    let world = World::new().await;
    world.invite("ada@example.com", "Ada Lovelace").await;
    let (one, other) = (world.mailer(), world.mailer());
    let (first, second) = tokio::join!(one.round(), other.round());
    first.unwrap();
    second.unwrap();
    world.mailer().round().await.unwrap();
    let emails = world.sink.emails();
    assert_eq!(emails.len(), 1, "{emails:#?}");
    let email = emails[0].replace("=\n", "").replace("=3D", "=");
    for part in [
        "To: \"Ada Lovelace\" <ada@example.com>",
        "Subject: Analytical Engines invites you",
        "From: UBOS <no-reply@ubos.example>",
        &format!("https://ubos.example/v1/login/start?tenant={}&provider=certified", world.tenant),
    ] {
        assert!(email.contains(part), "{part:?} is not in:\n{email}");
    }
    world.invite("eve@example.com", "Eve").await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 2);
}

#[tokio::test]
async fn an_email_that_cannot_be_sent_now_is_sent_later() {
    let world = World::new().await;
    world.invite("ada@example.com", "Ada").await;
    world.sink.answer("451 not now");
    world.mailer().round().await.unwrap();
    assert!(world.parked().await.is_empty(), "it is not given up");
    world.sink.answer("250 taken");
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 0, "not at once");
    world.make_due().await;
    world.mailer().round().await.unwrap();
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 1, "and once");
}

#[tokio::test]
async fn an_email_that_is_refused_is_for_an_operator() {
    let world = World::new().await;
    world.invite("nobody@example.com", "Nobody").await;
    world.sink.answer("550 no such mailbox");
    world.mailer().round().await.unwrap();
    world.make_due().await;
    world.mailer().round().await.unwrap();
    let aside = world.parked().await;
    assert_eq!((aside.len(), aside[0].attempts), (1, 1), "{aside:?}");
    assert!(aside[0].why.as_deref().is_some_and(|why| why.contains("no such mailbox")), "{aside:?}");
    world.sink.answer("250 taken");
    assert_eq!(retry(&world.worker, &parked()).await.unwrap(), 1);
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 1);
}

#[tokio::test]
async fn nothing_is_lost_while_no_server_answers() {
    let world = World::new().await;
    world.invite("ada@example.com", "Ada").await;
    let nowhere = world.mailer_at("smtp://127.0.0.1:9");
    nowhere.round().await.unwrap();
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 1);
}

impl World {
    /// Another firm beside the first, with the same servers.
    async fn register(&self, name: &str) -> TenantId {
        let tenant = TenantId(Uuid::now_v7());
        let request = Request::new(tenant, Actor::System { name: "test".to_owned() });
        let register = TenantCommand::Register { name: name.parse().unwrap(), owner_id: UserId::default() };
        self.store.execute::<Tenant>(Some(tenant.0), register, &request).await.unwrap();
        tenant
    }

    /// A portal user of a firm, who may come in.
    async fn place_in_the_portal(&self, tenant: TenantId, email: &str) {
        let request = Request::new(tenant, Actor::System { name: "test".to_owned() });
        let create = PortalUserCommand::Create {
            client_id: ClientId(Uuid::now_v7()),
            contact_id: None,
            name: "Ada".parse().unwrap(),
            email: email.parse().unwrap(),
        };
        let id = Uuid::now_v7();
        self.store.execute::<PortalUser>(Some(id), create, &request).await.unwrap();
        let invite = PortalUserCommand::Invite { expires_in_days: None, invitation_id: None };
        self.store.execute::<PortalUser>(Some(id), invite, &request).await.unwrap();
    }

    /// Somebody asks for a link, so many minutes ago.
    async fn ask(&self, tenant: TenantId, email: &str, minutes: f64) {
        let hash = credentials::magic_link::address_hash(tenant, &email.parse().unwrap());
        let sql = "insert into login.portal_requests (tenant_id, address_hash, asked_at)
                   values ($1, $2, now() - make_interval(mins => $3::int))";
        let asked = sqlx::query(sql).bind(tenant.0).bind(hash).bind(minutes);
        asked.execute(&self._database.superuser().await).await.unwrap();
    }

    fn emails_to(&self, address: &str) -> Vec<usize> {
        let to = format!("<{address}>");
        let emails = self.sink.emails();
        emails.iter().enumerate().filter(|(_, email)| email.contains(&to)).map(|(index, _)| index).collect()
    }
}

#[tokio::test]
async fn what_one_firm_asks_for_holds_up_nobody_elses_emails() {
    let world = World::new().await;
    for number in 0..60 {
        world.invite(&format!("u{number}@example.com"), "Somebody").await;
    }
    let other = world.register("Quiet & Co").await;
    let invite = UserCommand::Invite {
        email: "ada@quiet.example".parse().unwrap(),
        name: "Ada".parse().unwrap(),
        roles: vec![],
        expires_in_days: None,
        invitation_id: None,
    };
    let request = Request::new(other, Actor::System { name: "test".to_owned() });
    world.store.execute::<User>(None, invite, &request).await.unwrap();
    world.mailer().round().await.unwrap();
    let at = world.emails_to("ada@quiet.example");
    // The senders may each have begun one of the other firm's.
    assert!(at.len() == 1 && at[0] < 12, "{at:?} of {}", world.sink.emails().len());
    assert_eq!(world.sink.emails().len(), 61);
}

#[tokio::test]
async fn asking_for_firms_and_addresses_that_there_are_not_takes_no_place_in_the_queue() {
    let world = World::new().await;
    world.place_in_the_portal(world.tenant, "ada@example.com").await;
    world.mailer().round().await.unwrap();
    for number in 0..200 {
        world.ask(TenantId(Uuid::now_v7()), &format!("x{number}@example.com"), 5.0).await;
    }
    world.ask(world.tenant, "nobody@example.com", 5.0).await;
    world.ask(world.tenant, "ada@example.com", 0.0).await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.emails_to("ada@example.com").len(), 2, "the invitation and the link");
    let sql = "select count(*) from reactions.jobs where reaction = 'email.magic_link'";
    let tried: i64 = sqlx::query_scalar(sql).fetch_one(&world.worker).await.unwrap();
    assert_eq!(tried, 1, "nothing else was taken");
}

#[tokio::test]
async fn a_link_that_waited_long_for_its_turn_is_sent_all_the_same() {
    let world = World::new().await;
    world.place_in_the_portal(world.tenant, "ada@example.com").await;
    world.mailer().round().await.unwrap();
    world.ask(world.tenant, "ada@example.com", 40.0).await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.emails_to("ada@example.com").len(), 2, "the invitation and the link");
}

impl World {
    /// What the log has of these kinds of events, with their reasons.
    async fn noted(&self) -> Vec<(String, Option<String>)> {
        let sql = "select event_type, payload::json ->> 'reason' from eventstore.events
                   where event_type like '%.email_%' order by position";
        sqlx::query_as(sql).fetch_all(&self._database.superuser().await).await.unwrap()
    }
}

fn types(noted: &[(String, Option<String>)]) -> Vec<&str> {
    noted.iter().map(|(event_type, _)| event_type.as_str()).collect()
}

#[tokio::test]
async fn whoever_invites_sees_on_the_record_that_the_email_failed_and_that_it_was_sent_after_all() {
    let world = World::new().await;
    world.invite("nobody@example.com", "Nobody").await;
    world.place_in_the_portal(world.tenant, "ada@example.com").await;
    world.sink.answer("550 no such mailbox");
    world.mailer().round().await.unwrap();
    let noted = world.noted().await;
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert!(types(&noted).contains(&"user.email_failed") && types(&noted).contains(&"portal_user.email_failed"));
    let says_why = |reason: &Option<String>| reason.as_deref().is_some_and(|why| why.contains("no such mailbox"));
    assert!(noted.iter().all(|(_, reason)| says_why(reason)), "{noted:?}");
    world.sink.answer("250 taken");
    assert_eq!(retry(&world.worker, &parked()).await.unwrap(), 2);
    world.mailer().round().await.unwrap();
    let noted = world.noted().await;
    assert_eq!(noted.len(), 4, "{noted:?}");
    assert!(types(&noted[2..]).contains(&"user.email_sent") && types(&noted[2..]).contains(&"portal_user.email_sent"));
}

#[tokio::test]
async fn an_email_that_is_sent_at_once_leaves_no_note() {
    let world = World::new().await;
    world.invite("ada@example.com", "Ada").await;
    world.sink.answer("451 not now");
    world.mailer().round().await.unwrap();
    world.sink.answer("250 taken");
    world.make_due().await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 1);
    assert!(world.noted().await.is_empty());
}

#[tokio::test]
async fn a_link_that_the_server_refuses_is_on_the_record_once_however_often_it_is_asked_for() {
    let world = World::new().await;
    world.place_in_the_portal(world.tenant, "ada@example.com").await;
    world.mailer().round().await.unwrap();
    for (answer, expected) in [
        ("550 no such mailbox", vec!["portal_user.email_failed"]),
        ("550 no such mailbox", vec!["portal_user.email_failed"]),
        ("250 taken", vec!["portal_user.email_failed", "portal_user.email_sent"]),
        ("250 taken", vec!["portal_user.email_failed", "portal_user.email_sent"]),
    ] {
        world.sink.answer(answer);
        sqlx::query("delete from login.portal_requests").execute(&world._database.superuser().await).await.unwrap();
        world.ask(world.tenant, "ada@example.com", 0.0).await;
        world.mailer().round().await.unwrap();
        assert_eq!(types(&world.noted().await), expected, "{answer}");
    }
}

#[tokio::test]
async fn an_address_beyond_ascii_is_not_tried_for_two_days_at_a_server_that_takes_none() {
    let world = World::new().await;
    world.invite("zoë@example.com", "Zoë").await;
    world.mailer().round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 0);
    let noted = world.noted().await;
    assert_eq!(types(&noted), ["user.email_failed"], "{noted:?}");
    assert!(noted[0].1.as_deref().is_some_and(|why| why.contains("SMTPUTF8")), "{noted:?}");
}
