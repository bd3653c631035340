//! Every operation of both APIs, asked for by everybody who could: who may is answered, who may not is refused.

use access::LogDirectory;
use actix_web::App;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use credentials::{Credential, Directory, ShownKey, Standing};
use event_store::{CommandBus, Request, Store, StoreOptions};
use futures::future::join_all;
use kernel::{Actor, OF_EVERY_USER, Permissions, Reach, Role, TenantId, UserId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testing::{Issuer, TestDatabase, key_set, redis_url};
use uuid::Uuid;
use web::{Admission, AdmissionSettings, BodyLimits, SessionSettings, Sessions, Verifier, VerifierSettings, session};

/// Whose pages may ask for changes with a session.
const PORTAL: &str = "https://portal.example.com";

/// A firm, what signs tokens for its users, and both services.
struct World {
    bus: CommandBus,
    tenant: Uuid,
    owner: Uuid,
    issuer: Issuer,
    verifier: Data<Verifier>,
    commands: Data<command_api::Api>,
    queries: Data<query_api::Api>,
    sessions: Sessions,
    directory: Arc<LogDirectory>,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let directory = Arc::new(LogDirectory::start(database.query().await));
        let options = StoreOptions { time_zones: Some(directory.clone()), ..StoreOptions::default() };
        let mut bus = CommandBus::new(Store::start(database.command().await, options));
        registry::mount_all(&mut bus);
        let issuer = Issuer::new("k");
        let keys = key_set(&[issuer.jwk()]);
        let settings = VerifierSettings {
            jwks: keys.display().to_string(),
            refresh: Duration::from_secs(300),
            issuer: "https://id.example".into(),
            audience: "ubos".into(),
            leeway_seconds: 5,
        };
        let bounds = AdmissionSettings { in_flight_max: 8, waiting_max: 64, wait_max: Duration::from_secs(5) };
        let limits = BodyLimits { bytes_max: 1_048_576, time_max: Duration::from_secs(5) };
        let admission = |name| Admission::new(name, bounds.clone());
        let of_sessions = SessionSettings {
            idle: Duration::from_secs(600),
            absolute: Duration::from_secs(600),
            portal_idle: Duration::from_secs(600),
            portal_absolute: Duration::from_secs(600),
            per_person_max: 3,
            origins: vec![PORTAL.to_owned()],
        };
        let world = Self {
            sessions: Sessions::connect(&redis_url(), of_sessions).await.unwrap(),
            tenant: Uuid::now_v7(),
            owner: Uuid::now_v7(),
            verifier: Data::new(Verifier::start(settings, directory.clone()).await.unwrap()),
            commands: Data::new(command_api::Api::new(bus.clone(), limits, admission("command-api"))),
            queries: Data::new(query_api::Api::new(
                database.query().await,
                Duration::from_millis(300),
                admission("query-api"),
            )),
            bus,
            issuer,
            directory,
            database,
        };
        world.join(world.owner, &[]).await;
        let register = json!({ "name": "Engines", "owner_id": world.owner });
        world.command("identity.tenant.register", world.tenant, &register).await;
        world
    }

    /// Done by the system.
    async fn command(&self, name: &str, id: Uuid, body: &Value) {
        self.command_of(self.tenant, name, id, body).await;
    }

    /// Done by the system, in any firm.
    async fn command_of(&self, tenant: Uuid, name: &str, id: Uuid, body: &Value) {
        let info = *self.bus.command(name).unwrap();
        let request = Request::new(TenantId(tenant), Actor::System { name: "test".to_owned() });
        self.bus.execute(&info, Some(id), body.to_string(), request).await.unwrap();
    }

    async fn join(&self, user: Uuid, roles: &[&str]) {
        let email = format!("{user}@example.com");
        self.command("identity.user.invite", user, &json!({ "email": email, "name": "A", "roles": roles })).await;
        let (state, _) = self.bus.store().load::<identity::User>(TenantId(self.tenant), user).await.unwrap();
        let accept = json!({ "invitation_id": state.invitation().unwrap() });
        self.command("identity.user.accept_invitation", user, &accept).await;
    }

    /// Gives a user a right, and waits until both services know that it reaches `permission`: what somebody may do is what the
    /// log said a moment ago.
    async fn grant(&self, user: Uuid, grant: &Value, permission: &str) {
        self.command("identity.user.grant", user, grant).await;
        let (tenant, credential) = (TenantId(self.tenant), Credential::User(UserId(user)));
        let known = async || match self.directory.look_up(tenant, &credential).await.unwrap() {
            Standing::In(_, held) => held.reach(permission) != Reach::Nothing,
            _ => false,
        };
        self.settled(known).await;
    }

    /// Waits until something is so in every process.
    async fn settled(&self, so: impl AsyncFn() -> bool) {
        let started = std::time::Instant::now();
        while !so().await {
            assert!(started.elapsed() < Duration::from_secs(10), "never so");
            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What whoever issues tokens says; the roles in it count for nothing.
    fn token(&self, tenant: Uuid, user: Uuid) -> String {
        let expires = chrono::Utc::now().timestamp() + 600;
        self.issuer.sign(&json!({ "iss": "https://id.example", "aud": "ubos", "sub": user, "tenant": tenant,
                                  "roles": ["owner"], "exp": expires }))
    }
}

/// An operation of one of the two APIs.
struct Operation {
    method: Method,
    /// With an id that nothing has.
    path: String,
    /// With `{id}` where one goes.
    template: String,
    permission: String,
    /// A body as the document has it.
    body: Value,
}

/// Every operation that needs a permission, as the documents say.
fn operations(bus: &CommandBus) -> (Vec<Operation>, Vec<Operation>) {
    let of = |document: Value| -> Vec<Operation> {
        let whole = document.clone();
        let paths = document["paths"].as_object().unwrap().clone();
        let each = paths.into_iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().clone();
            let whole = whole.clone();
            methods.into_iter().filter_map(move |(method, operation)| {
                let template = path.clone();
                let path = path.replace("{id}", &Uuid::now_v7().to_string());
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let permission = operation["x-permission"].as_str()?.to_owned();
                let body = &operation["requestBody"]["content"]["application/json"]["schema"];
                let body = if body.is_null() { json!({}) } else { catalogue::example_in(&whole, body, &permission) };
                Some(Operation { method, path, template, permission, body })
            })
        });
        each.collect()
    };
    let commands: Vec<_> = bus.commands().copied().collect();
    (of(command_api::openapi(&commands, |_| {})), of(query_api::openapi()))
}

/// One of the two services.
macro_rules! service {
    ($world:expr, $api:ident, $data:expr) => {{
        let data = $data.clone();
        let app = App::new().wrap(from_fn(web::observe)).app_data($world.verifier.clone());
        let app = app.app_data(Data::new($world.sessions.clone()));
        init_service(app.configure(|config| $api::configure(config, data))).await
    }};
}

/// Status and code of the answer.
macro_rules! ask {
    ($service:expr, $method:expr, $path:expr, $bearer:expr, $body:expr) => {{
        let request = TestRequest::with_uri($path).method($method.clone()).set_json($body);
        let request = request.insert_header(("idempotency-key", Uuid::now_v7().to_string()));
        let request = match $bearer.map(|bearer| (bearer, bearer.split_once(' '))) {
            // A session: its cookie, and what its pages show.
            Some((_, Some((cookie, csrf)))) => request
                .insert_header(("cookie", cookie))
                .insert_header(("origin", PORTAL))
                .insert_header((web::session::CSRF_HEADER, csrf)),
            Some((bearer, None)) => request.insert_header(("authorization", format!("Bearer {bearer}"))),
            None => request,
        };
        let response = call_service(&$service, request.to_request()).await;
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(&read_body(response).await).unwrap_or_default();
        (status, body)
    }};
}


mod days;
mod me;
mod resources;

const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Viewer];

#[actix_web::test]
async fn t_14_every_operation_is_for_who_may_and_for_nobody_else() {
    let world = World::new().await;
    let (commands, queries) = (service!(world, command_api, world.commands), service!(world, query_api, world.queries));
    let (to_command, to_query) = operations(&world.bus);
    assert!(to_command.len() > 60 && to_query.len() > 30, "{} and {}", to_command.len(), to_query.len());

    // Who comes in, and with which patterns.
    let mut callers: Vec<(String, String, Option<Role>)> = vec![];
    for role in ROLES {
        let user = if role == Role::Owner { world.owner } else { Uuid::now_v7() };
        if role != Role::Owner {
            world.join(user, &[role.name()]).await;
            let program = Uuid::now_v7();
            let account = json!({ "name": format!("Program {}", role.name()), "roles": [role.name()] });
            world.command("identity.service_account.create", program, &account).await;
            let issue = json!({ "name": "Key", "principal": { "kind": "service_account", "id": program } });
            let owner = world.token(world.tenant, world.owner);
            let (status, issued) = ask!(commands, Method::POST, "/v1/identity/api-keys", Some(&owner), &issue);
            assert_eq!(status, 201, "{issued}");
            let key = issued["secret"].as_str().unwrap().to_owned();
            callers.push((format!("a program with {}", role.name()), key, Some(role)));
        }
        callers.push((format!("a user with {}", role.name()), world.token(world.tenant, user), Some(role)));
    }
    let nobody = Uuid::now_v7();
    world.join(nobody, &[]).await;
    callers.push(("a user without roles".to_owned(), world.token(world.tenant, nobody), None));
    let suspended = Uuid::now_v7();
    world.join(suspended, &["admin"]).await;
    world.command("identity.user.suspend", suspended, &json!({ "reason": "on leave" })).await;

    let mut wrong = vec![];
    let mut asked = |who: &str, permission: &str, (status, body): (u16, Value), expected: &[u16]| {
        let refused = matches!(status, 401 | 403);
        let so = if expected.is_empty() { !refused && status < 500 } else { expected.contains(&status) };
        if !so {
            wrong.push(format!("{permission} asked by {who}: {status} instead of {expected:?}: {body}"));
        }
    };
    for Operation { method, path, permission, .. } in &to_command {
        for (who, bearer, role) in &callers {
            let may = role.is_some_and(|role| Permissions::of(&[role]).allow(permission));
            let answer = ask!(commands, method, path, Some(bearer), json!({}));
            let own = who.starts_with("a user") && OF_EVERY_USER.contains(&format!("{permission}:own").as_str());
            asked(who, permission, answer, if may || own { &[] } else { &[403] });
        }
    }
    for Operation { method, path, permission, .. } in &to_query {
        for (who, bearer, role) in &callers {
            let may = role.is_some_and(|role| Permissions::of(&[role]).allow(permission));
            let answer = ask!(queries, method, path, Some(bearer), json!({}));
            let own = who.starts_with("a user") && OF_EVERY_USER.contains(&format!("{permission}:own").as_str());
            asked(who, permission, answer, if may || own { &[] } else { &[403] });
        }
    }
    // Whoever does not come in waits for a fresh look at the log, so all of them ask at once.
    let key = format!("ubk_{}", "A".repeat(75));
    let unknown = ShownKey::mint("ubk", TenantId(world.tenant), Uuid::now_v7()).0;
    let forged = "eyJhbGciOiJub25lIn0.e30.".to_owned();
    for (who, bearer, expected) in [
        ("a suspended admin", Some(world.token(world.tenant, suspended)), 403),
        ("a stranger", Some(world.token(world.tenant, Uuid::now_v7())), 403),
        ("nobody", None, 401),
        ("a forged token", Some(forged), 401),
        ("a mistyped key", Some(key), 401),
        ("a key that was never issued", Some(unknown), 401),
    ] {
        let to_command = to_command.iter().map(async |o| ask!(commands, o.method, &o.path, bearer.as_ref(), json!({})));
        let to_query = to_query.iter().map(async |o| ask!(queries, o.method, &o.path, bearer.as_ref(), json!({})));
        let (to_command, to_query) = futures::join!(join_all(to_command), join_all(to_query));
        for answer in to_command.into_iter().chain(to_query) {
            asked(who, "an operation", answer, &[expected]);
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

#[actix_web::test]
async fn a_key_opens_until_it_is_rotated_away_or_revoked() {
    let world = World::new().await;
    let (commands, queries) = (service!(world, command_api, world.commands), service!(world, query_api, world.queries));
    let owner = world.token(world.tenant, world.owner);
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": world.owner }, "scopes": ["crm.*"] });
    let (status, issued) = ask!(commands, Method::POST, "/v1/identity/api-keys", Some(&owner), &issue);
    assert_eq!(status, 201, "{issued}");
    let (id, first) = (issued["id"].as_str().unwrap(), issued["secret"].as_str().unwrap());

    // Within its scopes it does what its principal may, on both services.
    let (status, created) = ask!(commands, Method::POST, "/v1/crm/clients", Some(first), json!({ "name": "Ada" }));
    assert_eq!(status, 201, "{created}");
    assert_eq!(ask!(queries, Method::GET, "/v1/crm/clients", Some(first), json!({})).0, 200);
    assert_eq!(ask!(queries, Method::GET, "/v1/files/folders", Some(first), json!({})).0, 403, "beyond its scopes");

    let rotate = format!("/v1/identity/api-keys/{id}/rotate");
    let (status, rotated) = ask!(commands, Method::POST, &rotate, Some(&owner), json!({ "overlap_hours": 1 }));
    assert_eq!(status, 200, "{rotated}");
    let second = rotated["secret"].as_str().unwrap();
    world.settled(async || ask!(queries, Method::GET, "/v1/crm/clients", Some(second), json!({})).0 == 200).await;
    assert_eq!(ask!(queries, Method::GET, "/v1/crm/clients", Some(first), json!({})).0, 200, "both for a while");

    let (status, _) = ask!(commands, Method::POST, &rotate, Some(&owner), json!({ "overlap_hours": 0 }));
    assert_eq!(status, 200);
    world.settled(async || ask!(queries, Method::GET, "/v1/crm/clients", Some(second), json!({})).0 == 401).await;
    let revoke = format!("/v1/identity/api-keys/{id}/revoke");
    assert_eq!(ask!(commands, Method::POST, &revoke, Some(&owner), json!({ "reason": "leaked" })).0, 200);
    for secret in [first, second] {
        world.settled(async || ask!(queries, Method::GET, "/v1/crm/clients", Some(secret), json!({})).0 == 401).await;
    }
}

#[actix_web::test]
async fn whoever_repeats_is_shown_no_secret_again() {
    let world = World::new().await;
    let commands = service!(world, command_api, world.commands);
    let owner = world.token(world.tenant, world.owner);
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": world.owner } });
    let ask = async || {
        let request = TestRequest::post().uri("/v1/identity/api-keys").set_json(&issue);
        let request = request.insert_header(("authorization", format!("Bearer {owner}")));
        let response = call_service(&commands, request.insert_header(("idempotency-key", "once")).to_request()).await;
        let (status, cached) = (response.status(), response.headers().get("cache-control").cloned());
        (status, cached, serde_json::from_slice::<Value>(&read_body(response).await).unwrap())
    };
    let (status, cached, first) = ask().await;
    assert_eq!((status.as_u16(), cached.unwrap().to_str().unwrap()), (201, "no-store"));
    let (status, _, second) = ask().await;
    assert_eq!((status.as_u16(), &second["id"], second.get("secret")), (201, &first["id"], None));
    // What the log holds is of no use to whoever reads it.
    let events = world
        .bus
        .store()
        .load::<identity::ApiKey>(TenantId(world.tenant), first["id"].as_str().unwrap().parse().unwrap())
        .await
        .unwrap();
    assert!(!format!("{events:?}").contains(first["secret"].as_str().unwrap()));
}
