//! Letters to guests about their appointments, and reminders, to a server that speaks SMTP.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use email::{Links, Mailer};
use event_store::{Log, Request, Store, StoreOptions};
use identity::Tenant;
use identity::tenant::TenantCommand;
use kernel::{Actor, TenantId, Timestamp, UserId};
use reactions::{Filter, State, list, retry};
use scheduling::appointment::{AppointmentCommand, Invitee};
use scheduling::availability::AvailabilityCommand;
use scheduling::event_type::EventTypeCommand;
use scheduling::{Appointment, Availability, EventType};
use scheduling_events::{CancelledBy, EventTypeRules, Period, Weekday, WeeklyHours};
use sqlx::PgPool;
use testing::{SmtpSink, TestDatabase};
use uuid::Uuid;

struct World {
    store: Store,
    tenant: TenantId,
    worker: PgPool,
    sink: SmtpSink,
    _database: TestDatabase,
}

/// A moment on the grid, so many hours from now.
fn in_hours(hours: i64) -> Timestamp {
    let grid = Utc::now().duration_trunc(TimeDelta::minutes(5)).unwrap();
    (grid + TimeDelta::hours(hours)).try_into().unwrap()
}

impl World {
    /// A firm that can be met at any time, with reminders a day and an hour before.
    async fn new(requires_confirmation: bool) -> Self {
        let database = TestDatabase::create().await;
        let store = Store::start(database.command().await, StoreOptions::default());
        let (worker, sink) = (database.worker().await, SmtpSink::start().await);
        let world = Self { store, tenant: TenantId(Uuid::now_v7()), worker, sink, _database: database };
        let owner_id = UserId(Uuid::now_v7());
        let register = TenantCommand::Register { name: "Analytical Engines".parse().unwrap(), owner_id };
        world.store.execute::<Tenant>(Some(world.tenant.0), register, &world.request()).await.unwrap();
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let day = |weekday| {
            let period = Period { from: "00:00".parse().unwrap(), to: "24:00".parse().unwrap() };
            WeeklyHours { weekday, periods: vec![period] }
        };
        let weekly = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday].map(day).to_vec();
        let set = AvailabilityCommand::Set { host_id: owner_id, time_zone: "UTC".parse().unwrap(), weekly };
        let hours = world.store.execute::<Availability>(None, set, &world.request()).await.unwrap();
        let rules = EventTypeRules {
            name: "First talk".parse().unwrap(),
            description: None,
            host_id: owner_id,
            availability_id: hours.id.into(),
            duration_minutes: 30,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            min_notice_minutes: 0,
            max_days_ahead: 30,
            requires_confirmation,
        };
        let define =
            EventTypeCommand::Define { key: "talk".parse().unwrap(), rules, reminder_minutes: vec![24 * 60, 60] };
        world.store.execute::<EventType>(None, define, &world.request()).await.unwrap();
        world.mailer(Utc::now).round().await.unwrap();
        world
    }

    fn request(&self) -> Request {
        Request::new(self.tenant, Actor::System { name: "test".to_owned() })
    }

    fn mailer(&self, now: fn() -> DateTime<Utc>) -> Mailer {
        let links = Links {
            public_url: "https://ubos.example".to_owned(),
            provider: None,
            app_url: "https://app.example".to_owned(),
            portal_url: "https://portal.example".to_owned(),
        };
        let store = Store::start(self.worker.clone(), StoreOptions::default());
        let (log, from) = (Log::new(self.worker.clone()), "UBOS <no-reply@ubos.example>");
        Mailer::by_clock(log, store, None, &self.sink.url(), from, links, now).unwrap()
    }

    async fn book(&self, starts_at: Timestamp) -> Uuid {
        let invitee = Invitee {
            name: "Ada \"the Countess\" Lovelace".parse().unwrap(),
            email: "ada@example.com".parse().unwrap(),
            phone: None,
            company: None,
        };
        let (event_type, time_zone) = ("talk".parse().unwrap(), "Europe/Berlin".parse().unwrap());
        let book = AppointmentCommand::Book { event_type, starts_at, invitee, time_zone, notes: None };
        self.store.execute::<Appointment>(None, book, &self.request()).await.unwrap().id
    }

    async fn command(&self, id: Uuid, command: AppointmentCommand) {
        self.store.execute::<Appointment>(Some(id), command, &self.request()).await.unwrap();
    }

    /// The letters since the last time, as they read.
    async fn letters(&self, known: &mut usize) -> Vec<String> {
        self.mailer(Utc::now).round().await.unwrap();
        self.new_letters(known)
    }

    fn new_letters(&self, known: &mut usize) -> Vec<String> {
        let emails = self.sink.emails();
        let new =
            emails[*known..].iter().map(|email| email.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "="));
        let new = new.collect();
        *known = emails.len();
        new
    }

    /// What waits for its time.
    async fn waiting(&self) -> usize {
        let of_reminders = Filter {
            state: Some(State::Due),
            reaction: Some("email.appointment_reminder".to_owned()),
            ..Filter::default()
        };
        list(&self.worker, &of_reminders, 100).await.unwrap().len()
    }

    /// As if an operator hastened what waits, and the mailer's clock said this.
    async fn at(&self, now: fn() -> DateTime<Utc>) {
        retry(&self.worker, &Filter { state: Some(State::Due), ..Filter::default() }).await.unwrap();
        self.mailer(now).round().await.unwrap();
    }
}

/// The calendar's file of a letter, unfolded (RFC 5545 §3.1).
fn calendar(letter: &str) -> Option<String> {
    let begin = letter.find("BEGIN:VCALENDAR")?;
    let end = letter.find("END:VCALENDAR")?;
    Some(letter[begin..end].replace("\n ", ""))
}

#[tokio::test]
async fn a_guest_gets_a_letter_and_a_file_for_whatever_becomes_of_an_appointment() {
    let (world, mut known) = (World::new(false).await, 0);
    let id = world.book(in_hours(48)).await;
    let letters = world.letters(&mut known).await;
    assert_eq!(letters.len(), 1, "{letters:#?}");
    for part in [
        "First talk with Analytical Engines: confirmed",
        "text/calendar",
        "method=REQUEST",
        "appointment.ics",
        &format!("https://ubos.example/v1/scheduling/appointments/{id}/cancel"),
    ] {
        assert!(letters[0].contains(part), "{part:?} is not in:\n{}", letters[0]);
    }
    let file = calendar(&letters[0]).unwrap();
    for part in ["METHOD:REQUEST", &format!("UID:{id}"), "SEQUENCE:0", "STATUS:CONFIRMED", "mailto:ada@example.com"] {
        assert!(file.contains(part), "{part:?} is not in:\n{file}");
    }
    world.command(id, AppointmentCommand::Reschedule { starts_at: in_hours(50) }).await;
    let moved = calendar(&world.letters(&mut known).await[0]).unwrap();
    assert!(moved.contains(&format!("UID:{id}")) && moved.contains("SEQUENCE:1"), "{moved}");
    assert!(moved.contains(&in_hours(50).utc().format("DTSTART:%Y%m%dT%H%M%SZ").to_string()), "{moved}");
    world.command(id, AppointmentCommand::RequestReschedule { reason: "a train".parse().ok() }).await;
    let asked = world.letters(&mut known).await;
    assert!(asked[0].contains("choose another time") && asked[0].contains("a train"), "{asked:?}");
    assert_eq!(calendar(&asked[0]), None, "nothing has changed yet");
    world.command(id, AppointmentCommand::Cancel { by: CancelledBy::Host, reason: None }).await;
    let gone = calendar(&world.letters(&mut known).await[0]).unwrap();
    for part in ["METHOD:CANCEL", "SEQUENCE:3", "STATUS:CANCELLED", &format!("UID:{id}")] {
        assert!(gone.contains(part), "{part:?} is not in:\n{gone}");
    }
    world.mailer(Utc::now).round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 4, "each once");
}

#[tokio::test]
async fn what_is_only_asked_for_is_in_no_calendar() {
    let (world, mut known) = (World::new(true).await, 0);
    let id = world.book(in_hours(48)).await;
    let letters = world.letters(&mut known).await;
    assert!(letters[0].contains("asked for") && calendar(&letters[0]).is_none());
    assert_eq!(world.waiting().await, 0);
    world.command(id, AppointmentCommand::Confirm {}).await;
    assert!(calendar(&world.letters(&mut known).await[0]).unwrap().contains("METHOD:REQUEST"));
    assert_eq!(world.waiting().await, 2);
    let other = world.book(in_hours(50)).await;
    world.command(other, AppointmentCommand::Decline { reason: None }).await;
    let letters = world.letters(&mut known).await;
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| calendar(letter).is_none()));
}

#[tokio::test]
async fn a_reminder_comes_at_its_time_and_once() {
    let (world, mut known) = (World::new(false).await, 0);
    world.book(in_hours(48)).await;
    world.letters(&mut known).await;
    assert_eq!(world.waiting().await, 2);
    world.at(Utc::now).await;
    assert_eq!(world.new_letters(&mut known), [""; 0], "both are too early, and go back");
    world.at(|| Utc::now() + TimeDelta::hours(25)).await;
    let letters = world.new_letters(&mut known);
    assert_eq!(letters.len(), 1, "the one of the day before: {letters:#?}");
    assert!(letters[0].contains("First talk with Analytical Engines: reminder"), "{}", letters[0]);
    world.at(|| Utc::now() + TimeDelta::minutes(47 * 60 + 30)).await;
    assert_eq!(world.new_letters(&mut known).len(), 1);
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn nobody_is_reminded_of_what_has_moved_is_off_or_has_begun() {
    let (world, mut known) = (World::new(false).await, 0);
    let id = world.book(in_hours(48)).await;
    world.command(id, AppointmentCommand::Reschedule { starts_at: in_hours(96) }).await;
    world.letters(&mut known).await;
    assert_eq!(world.waiting().await, 4);
    // The time of the first two, which are of a time that is no more.
    world.at(|| Utc::now() + TimeDelta::hours(47)).await;
    assert_eq!(world.new_letters(&mut known), [""; 0]);
    assert_eq!(world.waiting().await, 2);
    world.command(id, AppointmentCommand::Cancel { by: CancelledBy::Invitee, reason: None }).await;
    world.letters(&mut known).await;
    world.at(|| Utc::now() + TimeDelta::hours(95)).await;
    assert_eq!(world.new_letters(&mut known), [""; 0]);
    world.book(in_hours(49)).await;
    world.letters(&mut known).await;
    // The mailer was away until the meeting had begun.
    world.at(|| Utc::now() + TimeDelta::hours(49)).await;
    assert_eq!(world.new_letters(&mut known), [""; 0]);
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn whoever_books_at_the_last_moment_is_not_reminded_of_what_is_past() {
    let (world, mut known) = (World::new(false).await, 0);
    world.book(in_hours(2)).await;
    world.letters(&mut known).await;
    assert_eq!(world.waiting().await, 1, "the hour before is still to come, the day before is not");
}
