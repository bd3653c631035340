//! Rights as two processes see them, on a real log.

use access::LogDirectory;
use credentials::{Credential, Directory, Standing};
use event_store::{Request, Store, StoreOptions};
use identity::role::RoleCommand;
use identity::session::SessionCommand;
use identity::tenant::TenantCommand;
use identity::user::UserCommand;
use identity::{CustomRole, Session, Tenant, User};
use kernel::{Actor, ApiKeyId, SecretHash, SessionId, TenantId, Timestamp, UserId};
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

struct Firm {
    store: Store,
    tenant: TenantId,
    owner: UserId,
}

impl Firm {
    /// A registered firm with an owner who has come in.
    async fn registered(database: &TestDatabase) -> Self {
        let store = Store::start(database.command().await, StoreOptions::default());
        let firm = Self { store, tenant: TenantId(Uuid::now_v7()), owner: UserId(Uuid::now_v7()) };
        firm.join(firm.owner, &[]).await;
        let register = TenantCommand::Register { name: "Engines".parse().unwrap(), owner_id: firm.owner };
        firm.store.execute::<Tenant>(Some(firm.tenant.0), register, &firm.request()).await.unwrap();
        firm
    }

    fn request(&self) -> Request {
        Request::new(self.tenant, Actor::System { name: "test".to_owned() })
    }

    async fn join(&self, id: UserId, roles: &[&str]) {
        let invite = UserCommand::Invite {
            email: format!("{id}@example.com").parse().unwrap(),
            name: "Somebody".parse().unwrap(),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            expires_in_days: None,
            invitation_id: None,
        };
        self.user(id, invite).await;
        let (user, _) = self.store.load::<User>(self.tenant, id.0).await.unwrap();
        self.user(id, UserCommand::AcceptInvitation { invitation_id: user.invitation().unwrap() }).await;
    }

    async fn user(&self, id: UserId, command: UserCommand) {
        self.store.execute::<User>(Some(id.0), command, &self.request()).await.unwrap();
    }
}

/// May the user do this, as this process sees it?
async fn may(directory: &LogDirectory, tenant: TenantId, user: UserId, permission: &str) -> bool {
    let credential = Credential::User(user);
    let standing = match directory.recall(tenant, &credential) {
        Some(standing) => standing,
        None => directory.look_up(tenant, &credential).await.unwrap(),
    };
    matches!(standing, Standing::In(_, permissions) if permissions.allow(permission))
}

async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !so().await {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_gone_in_every_process() {
    let database = TestDatabase::create().await;
    let firm = Firm::registered(&database).await;
    let eve = UserId(Uuid::now_v7());
    firm.join(eve, &["member"]).await;
    let processes = [LogDirectory::start(database.command().await), LogDirectory::start(database.query().await)];
    for process in &processes {
        assert!(may(process, firm.tenant, eve, "crm.client.rename").await);
        let known = async || {
            may(process, firm.tenant, eve, "crm.client.rename").await
                && process.recall(firm.tenant, &Credential::User(eve)).is_some()
        };
        eventually("the firm is known without asking the log", known).await;
    }
    firm.user(eve, UserCommand::RevokeRole { role: "member".parse().unwrap() }).await;
    for process in &processes {
        let gone = async || !may(process, firm.tenant, eve, "crm.client.rename").await;
        eventually("the right is gone", gone).await;
    }
    firm.user(eve, UserCommand::AssignRole { role: "viewer".parse().unwrap() }).await;
    for process in &processes {
        let there = async || may(process, firm.tenant, eve, "crm.client.read").await;
        eventually("the new right is there", there).await;
        assert!(!may(process, firm.tenant, eve, "crm.client.rename").await);
    }
}

#[tokio::test]
async fn a_role_that_changes_changes_everybody_who_has_it() {
    let database = TestDatabase::create().await;
    let firm = Firm::registered(&database).await;
    let role = Uuid::now_v7();
    let define = RoleCommand::Define {
        name: "partner".parse().unwrap(),
        description: "Runs engagements".parse().unwrap(),
        patterns: vec!["crm.*".parse().unwrap()],
    };
    firm.store.execute::<CustomRole>(Some(role), define, &firm.request()).await.unwrap();
    let eve = UserId(Uuid::now_v7());
    firm.join(eve, &["partner"]).await;
    let directory = LogDirectory::start(database.query().await);
    assert!(may(&directory, firm.tenant, eve, "crm.client.rename").await);
    firm.store.execute::<CustomRole>(Some(role), RoleCommand::Withdraw {}, &firm.request()).await.unwrap();
    eventually("the role grants nothing", async || !may(&directory, firm.tenant, eve, "crm.client.rename").await).await;
}

#[tokio::test]
async fn a_firm_that_is_registered_later_is_found() {
    let database = TestDatabase::create().await;
    let directory = LogDirectory::start(database.query().await);
    let (stranger, tenant) = (Credential::User(UserId(Uuid::now_v7())), TenantId(Uuid::now_v7()));
    assert_eq!(directory.look_up(tenant, &stranger).await.unwrap(), Standing::Unregistered);
    let firm = Firm::registered(&database).await;
    let owns = async || may(&directory, firm.tenant, firm.owner, "identity.tenant.close").await;
    eventually("the owner comes in", owns).await;
    assert!(matches!(directory.look_up(firm.tenant, &stranger).await.unwrap(), Standing::Out(..)));
}

#[tokio::test]
async fn a_session_opens_what_the_log_began_and_nothing_that_only_redis_says() {
    let database = TestDatabase::create().await;
    let firm = Firm::registered(&database).await;
    let (eve, session) = (UserId(Uuid::now_v7()), SessionId(Uuid::now_v7()));
    firm.join(eve, &["admin"]).await;
    let start = async |id: SessionId| {
        let ends_at = Timestamp::of_clock(chrono::Utc::now() + chrono::TimeDelta::hours(1));
        let issuer = "https://login.example.com".parse().unwrap();
        let start = SessionCommand::Start { user_id: eve, issuer, ends_at, user_agent: None };
        firm.store.execute::<Session>(Some(id.0), start, &firm.request()).await.unwrap();
    };
    start(session).await;
    let directory = LogDirectory::start(database.query().await);
    let is_in = async |user: UserId, id: SessionId| {
        let credential = Credential::Session { user, id };
        let standing = match directory.recall(firm.tenant, &credential) {
            Some(standing) => standing,
            None => directory.look_up(firm.tenant, &credential).await.unwrap(),
        };
        matches!(standing, Standing::In(..))
    };
    assert!(is_in(eve, session).await);
    assert!(!is_in(firm.owner, session).await, "it is another's");
    let stream = |number| SessionId(Uuid::from_u128(number));
    for made_up in [stream(1), SessionId(Uuid::now_v7()), SessionId(eve.0), SessionId(firm.tenant.0)] {
        assert!(!is_in(eve, made_up).await, "the log began no {made_up:?}");
    }
    // What is read may be behind: a session that began a moment ago is waited for.
    let late = SessionId(Uuid::now_v7());
    let (came_in, ()) = futures::join!(is_in(eve, late), start(late));
    assert!(came_in, "it was on its way");

    // What ended stays ended.
    firm.user(eve, UserCommand::Deactivate { reason: "has gone".parse().unwrap() }).await;
    eventually("the session is out", async || !is_in(eve, session).await).await;
    firm.user(
        eve,
        UserCommand::Reinvite {
            roles: Some(vec!["viewer".parse().unwrap()]),
            expires_in_days: None,
            invitation_id: None,
        },
    )
    .await;
    let (user, _) = firm.store.load::<User>(firm.tenant, eve.0).await.unwrap();
    firm.user(eve, UserCommand::AcceptInvitation { invitation_id: user.invitation().unwrap() }).await;
    eventually("the person is back", async || may(&directory, firm.tenant, eve, "crm.client.read").await).await;
    assert!(!is_in(eve, session).await && !is_in(eve, late).await);
    let fresh = SessionId(Uuid::now_v7());
    start(fresh).await;
    assert!(is_in(eve, fresh).await);
}

/// The log does not answer this any more.
async fn silence(database: &TestDatabase, function: &str) {
    let sql = format!("revoke execute on function eventstore.{function} from ubos_query");
    sqlx::raw_sql(&sql).execute(&database.owner().await).await.unwrap();
}

/// When PostgreSQL comes back, thousands wait for it, and nobody can follow the log yet.
#[tokio::test]
async fn a_log_that_cannot_be_followed_is_read_once_for_all_who_ask() {
    let database = TestDatabase::create().await;
    let firm = Firm::registered(&database).await;
    let eve = UserId(Uuid::now_v7());
    firm.join(eve, &["member"]).await;
    silence(&database, "access_changes(bigint)").await;
    let counted = "create sequence eventstore.reads;
        alter function eventstore.identity_events(uuid) rename to identity_events_uncounted;
        create function eventstore.identity_events(tenant uuid) returns table
            (aggregate_type text, aggregate_id uuid, event_type text, event_version integer, payload text)
            language sql security definer as
            $$ select nextval('eventstore.reads'); select * from eventstore.identity_events_uncounted(tenant) $$;
        grant execute on function eventstore.identity_events(uuid) to ubos_query";
    let owner = database.owner().await;
    sqlx::raw_sql(counted).execute(&owner).await.unwrap();
    let directory = LogDirectory::start(database.query().await);
    let asked = (0..2_000).map(|_| may(&directory, firm.tenant, eve, "crm.client.rename"));
    assert!(futures::future::join_all(asked).await.into_iter().all(|may| may));
    let reads: i64 = sqlx::query_scalar("select last_value from eventstore.reads").fetch_one(&owner).await.unwrap();
    assert!(reads < 10, "{reads} reads for one firm");
    firm.user(eve, UserCommand::RevokeRole { role: "member".parse().unwrap() }).await;
    let gone = async || !may(&directory, firm.tenant, eve, "crm.client.rename").await;
    eventually("the right is gone", gone).await;
}

#[tokio::test]
async fn without_the_log_nobody_is_let_in_by_memory() {
    let database = TestDatabase::create().await;
    let firm = Firm::registered(&database).await;
    let directory = LogDirectory::start(database.query().await);
    let owner = Credential::User(firm.owner);
    let known = async || {
        may(&directory, firm.tenant, firm.owner, "crm.client.read").await
            && directory.recall(firm.tenant, &owner).is_some()
    };
    eventually("the firm is known", known).await;
    silence(&database, "access_changes(bigint)").await;
    silence(&database, "identity_events(uuid)").await;
    eventually("what is known is too old", async || directory.recall(firm.tenant, &owner).is_none()).await;
    assert!(directory.look_up(firm.tenant, &owner).await.is_err());
}

/// Attack D-05: somebody makes firms up, of which each would be read from the log.
#[tokio::test]
async fn a_firm_that_somebody_made_up_costs_no_question() {
    let database = TestDatabase::create().await;
    let nothing_free = Duration::from_millis(200);
    let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(nothing_free);
    let pool = pool.connect(&database.url("ubos_query")).await.unwrap();
    let directory = LogDirectory::start(pool.clone());
    let key = Credential::ApiKey { id: ApiKeyId(Uuid::now_v7()), secret_hash: SecretHash::of("made up too") };
    let is_nobodys = async || {
        let made_up = TenantId(Uuid::now_v7());
        matches!(directory.look_up(made_up, &key).await, Ok(Standing::Unregistered))
    };
    // Whoever asks waits until the log has been looked at.
    assert!(is_nobodys().await);
    // Nothing is left to ask with.
    let _held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let several = async || {
        for _ in 0..5 {
            if !is_nobodys().await {
                return false;
            }
        }
        true
    };
    // A directory that could not look at the log just now would ask.
    eventually("it is known of each that nobody has it", several).await;
}
