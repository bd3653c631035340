//! Rights for single resources and for one's own: every operation of both APIs, on what they reach and on what they do not.

use super::*;
use event_store::Log;
use kernel::{PortalUserId, Principal, SessionId};
use projections::Target;
use std::collections::HashMap;
use std::sync::Arc;

/// A client with one of everything that belongs to a client.
struct Holding {
    client: Uuid,
    /// By collection: `projects/tasks`.
    ids: HashMap<String, Uuid>,
}

impl World {
    /// A client of the firm with one of everything.
    async fn holding(&self, name: &str) -> Holding {
        self.holding_of(self.tenant, name).await
    }

    /// A client of any firm with one of everything, done by the system.
    async fn holding_of(&self, tenant: Uuid, name: &str) -> Holding {
        let command = async |name: &str, id: Uuid, body: &Value| self.command_of(tenant, name, id, body).await;
        let [client, contact, project, folder, person] = [(); 5].map(|()| Uuid::now_v7());
        let of = json!({ "name": name, "client_id": client });
        command("crm.client.create", client, &json!({ "name": name })).await;
        command("crm.contact.create", contact, &json!({ "name": name })).await;
        let link = json!({ "client_id": client, "role": "Director" });
        command("crm.contact.link_to_client", contact, &link).await;
        command("projects.project.create", project, &of).await;
        command("projects.project.add_milestone", project, &json!({ "name": "Half way" })).await;
        command("projects.project.add_task", project, &json!({ "title": "Count" })).await;
        command("files.folder.create", folder, &of).await;
        let create = json!({ "name": name, "client_id": client, "email": format!("{person}@example.com") });
        command("portal.portal_user.create", person, &create).await;
        self.project().await;
        let ids = [
            ("crm/clients", client),
            ("crm/contacts", contact),
            ("projects/projects", project),
            ("projects/tasks", self.part_of("tasks", project).await),
            ("projects/milestones", self.part_of("milestones", project).await),
            ("files/folders", folder),
            ("portal/portal-users", person),
        ];
        Holding { client, ids: ids.map(|(collection, id)| (collection.to_owned(), id)).into() }
    }

    async fn part_of(&self, table: &str, project: Uuid) -> Uuid {
        let sql = format!("select id from projects.{table} where project_id = $1");
        sqlx::query_scalar(&sql).bind(project).fetch_one(&self.database.worker().await).await.unwrap()
    }

    /// Brings the read models up to the end of the log.
    pub(super) async fn project(&self) {
        let pool = self.database.worker().await;
        let log = Log::new(pool.clone());
        for group in projections::groups() {
            let target = Target::live(group);
            loop {
                let at = target.position(&mut pool.acquire().await.unwrap()).await.unwrap().unwrap();
                let events: Vec<_> = log.read(at, 500).await.unwrap().into_iter().map(Arc::new).collect();
                if events.is_empty() {
                    break;
                }
                target.apply(&pool, &events).await.unwrap();
            }
        }
    }
}

/// `crm/clients` of `/v1/crm/clients/{id}/rename`.
fn collection(template: &str) -> String {
    template.split('/').skip(2).take(2).collect::<Vec<_>>().join("/")
}

/// The document's example, about this client.
fn about(body: &Value, client: Uuid) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        // Which client a project is of, no other context can know.
        fields.remove("project_id");
        if let Some(named) = fields.get_mut("client_id") {
            *named = json!(client);
        }
        if let Some(pattern) = fields.get_mut("pattern") {
            *pattern = json!("projects.*");
        }
    }
    body
}

/// Every operation on what belongs to `own` and on what does not, by a caller whose rights, all of them, are for that client.
/// `besides` are permissions that the caller has for something else.
macro_rules! only_reaches {
    ($world:expr, $bearer:expr, $own:expr, $besides:expr) => {{
        let (world, bearer, own): (&World, &str, &Holding) = (&$world, $bearer, &$own);
        let besides: &[&str] = $besides;
        let (other, foreign) = (world.holding("Other").await, world.holding_of(Uuid::now_v7(), "Foreign").await);
        let (commands, queries) =
            (service!(world, command_api, world.commands), service!(world, query_api, world.queries));
        let (mut to_command, to_query) = operations(&world.bus);
        // A contact that is unlinked belongs to nobody any more.
        to_command.sort_by_key(|operation| operation.permission == "crm.contact.unlink_from_client");
        let mut wrong = vec![];
        let mut expect = |what: &str, (status, body): (u16, Value), expected: &[u16]| {
            let open = !matches!(status, 401 | 403 | 404) && status < 500;
            if if expected.is_empty() { !open } else { !expected.contains(&status) } {
                wrong.push(format!("{what}: {status} instead of {expected:?}: {body}"));
            }
        };
        // What is refused comes first, while everything is there.
        for o in &to_query {
            let (collection, what) = (collection(&o.template), o.permission.as_str());
            if besides.contains(&what) {
                continue;
            }
            let tied = own.ids.contains_key(&collection) || what == "timeline.activity_event.read";
            if !o.template.contains("{id}") {
                let (status, body) = ask!(queries, o.method, &o.path, Some(bearer), json!({}));
                let shown: Vec<String> = body["data"].as_array().into_iter().flatten().map(Value::to_string).collect();
                expect(what, (status, body), &[if tied { 200 } else { 403 }]);
                assert!(!tied || !shown.is_empty(), "{what} shows nothing");
                for hidden in other.ids.values().chain(foreign.ids.values()) {
                    let leaks = shown.iter().any(|row| row.contains(&hidden.to_string()));
                    assert!(!leaks, "{what} shows what is not granted: {shown:?}");
                }
                continue;
            }
            let at = |id: Uuid| o.template.replace("{id}", &id.to_string());
            for (holding, status) in [(own, 200), (&other, 404), (&foreign, 404)] {
                if let Some(id) = holding.ids.get(&collection) {
                    expect(what, ask!(queries, o.method, &at(*id), Some(bearer), json!({})), &[status]);
                }
            }
            let nothing = ask!(queries, o.method, &o.path, Some(bearer), json!({}));
            expect(what, nothing, &[if tied { 404 } else { 403 }]);
        }
        for o in &to_command {
            let (collection, what) = (collection(&o.template), o.permission.as_str());
            let at = |id: Uuid| o.template.replace("{id}", &id.to_string());
            for (holding, is_own) in [(&other, false), (&foreign, false), (own, true)] {
                let (body, mine) = (about(&o.body, holding.client), about(&o.body, own.client));
                if !o.template.contains("{id}") {
                    let named = body.get("client_id").is_some();
                    let expected: &[u16] = if is_own && named { &[] } else { &[403] };
                    expect(what, ask!(commands, o.method, &o.path, Some(bearer), body), expected);
                } else if let Some(id) = holding.ids.get(&collection) {
                    let expected: &[u16] = if is_own { &[] } else { &[404] };
                    expect(what, ask!(commands, o.method, &at(*id), Some(bearer), mine), expected);
                }
            }
            if o.template.contains("{id}") && !besides.contains(&what) {
                expect(what, ask!(commands, o.method, &o.path, Some(bearer), o.body.clone()), &[404]);
                let owner = ask!(commands, o.method, &at(world.owner), Some(bearer), o.body.clone());
                expect(what, owner, &[404]);
            }
        }
        assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
    }};
}

#[actix_web::test]
async fn t_01_a_grant_reaches_its_client_and_nothing_else() {
    let world = World::new().await;
    let (own, grantee) = (world.holding("Own").await, Uuid::now_v7());
    world.join(grantee, &[]).await;
    let grant = json!({ "pattern": "*", "resource": { "kind": "client", "id": own.client } });
    world.grant(grantee, &grant, "crm.client.read").await;
    let token = world.token(world.tenant, grantee);
    only_reaches!(world, &token, own, &["identity.user.read", "identity.session.audit", "portal.portal_session.audit"]);

    // Taken away, it is gone in every process.
    let queries = service!(world, query_api, world.queries);
    world.command("identity.user.revoke_grant", grantee, &grant).await;
    world.settled(async || ask!(queries, Method::GET, "/v1/crm/clients", Some(&token), json!({})).0 == 403).await;
}

#[actix_web::test]
async fn what_happens_to_a_client_or_project_is_on_its_timeline_and_shown_to_whoever_has_rights_for_it() {
    let world = World::new().await;
    let (own, other, grantee) = (world.holding("Own").await, world.holding("Other").await, Uuid::now_v7());
    world.join(grantee, &[]).await;
    let grant = json!({ "pattern": "*", "resource": { "kind": "client", "id": own.client } });
    world.grant(grantee, &grant, "crm.client.read").await;
    for holding in [&own, &other] {
        let task = json!({ "task_id": holding.ids["projects/tasks"] });
        world.command("projects.project.complete_task", holding.ids["projects/projects"], &task).await;
        let unlink = json!({ "client_id": holding.client });
        world.command("crm.contact.unlink_from_client", holding.ids["crm/contacts"], &unlink).await;
    }
    world.project().await;
    let queries = service!(world, query_api, world.queries);
    let owner = world.token(world.tenant, world.owner);
    let types = |rows: &Value| -> Vec<String> {
        rows["data"].as_array().unwrap().iter().map(|row| row["event_type"].as_str().unwrap().to_owned()).collect()
    };
    let of = |what: &str, id: Uuid| format!("/v1/timeline/activity-events?{what}={id}&limit=100");
    let (_, rows) = ask!(queries, Method::GET, &of("client_id", own.client), Some(&owner), json!({}));
    let expected = [
        "client.created",
        "contact.linked_to_client",
        "contact.unlinked_from_client",
        "folder.created",
        "portal_user.created",
        "project.created",
        "milestone.created",
        "task.created",
        "task.completed",
        "user.granted",
    ];
    for event_type in expected {
        assert!(types(&rows).contains(&event_type.to_owned()), "{event_type} is not among {:?}", types(&rows));
    }
    assert!(!types(&rows).contains(&"contact.created".to_owned()), "it was nobody's then");
    let project = own.ids["projects/projects"];
    let (_, rows) = ask!(queries, Method::GET, &of("project_id", project), Some(&owner), json!({}));
    let mut of_project = types(&rows);
    of_project.sort();
    assert_eq!(of_project, ["milestone.created", "project.created", "task.completed", "task.created"]);

    // By their positions: what is about the client, and nothing else.
    let (token, superuser) = (world.token(world.tenant, grantee), world.database.superuser().await);
    let sql = "select position, event_type, metadata -> 'concerns' from eventstore.events where tenant_id = $1";
    let events: Vec<(i64, String, Option<Value>)> =
        sqlx::query_as(sql).bind(world.tenant).fetch_all(&superuser).await.unwrap();
    let mut seen = 0;
    for (position, event_type, concerns) in events {
        let is_own = concerns.is_some_and(|concerns| concerns.to_string().contains(&own.client.to_string()));
        let path = format!("/v1/events/{position}");
        let (status, body) = ask!(queries, Method::GET, &path, Some(&token), json!({}));
        assert_eq!(status, if is_own { 200 } else { 404 }, "{event_type}: {body}");
        seen += usize::from(is_own);
    }
    assert_eq!(seen, expected.len());
}

#[actix_web::test]
async fn m_08_a_portal_user_reaches_their_client_and_nothing_else() {
    let world = World::new().await;
    let own = world.holding("Own").await;
    // Somebody else at the same client, who is not locked out when all is tried.
    let person = Uuid::now_v7();
    let create = json!({ "name": "Ada", "client_id": own.client, "email": "ada@own.example" });
    world.command("portal.portal_user.create", person, &create).await;
    world.command("portal.portal_user.grant", person, &json!({ "pattern": "*" })).await;
    world.command("portal.portal_user.invite", person, &json!({})).await;
    let (state, _) = world.bus.store().load::<portal::PortalUser>(TenantId(world.tenant), person).await.unwrap();
    let accept = json!({ "invitation_id": state.invitation().unwrap() });
    world.command("portal.portal_user.accept_invitation", person, &accept).await;
    let principal = Principal::PortalUser { id: PortalUserId(person) };
    let id = SessionId(Uuid::now_v7());
    let ends_at = chrono::Utc::now() + chrono::TimeDelta::minutes(10);
    let start = json!({ "portal_user_id": person, "client_id": own.client, "ends_at": ends_at });
    world.command("portal.portal_session.start", id.0, &start).await;
    let (cookie, _) = world.sessions.start(id, TenantId(world.tenant), principal).await.unwrap();
    let request = TestRequest::default().cookie(cookie.clone()).to_http_request();
    let kept = world.sessions.find(&session::shown(&request).unwrap()).await.unwrap().unwrap();
    let shown = format!("{}={} {}", cookie.name(), cookie.value(), kept.csrf_token);
    only_reaches!(world, &shown, own, &["portal.portal_session.audit"]);
}

#[actix_web::test]
async fn t_16_nobody_grants_more_than_they_hold() {
    let world = World::new().await;
    let (own, other) = (world.holding("Own").await, world.holding("Other").await);
    let commands = service!(world, command_api, world.commands);
    let (people, eve) = (Uuid::now_v7(), Uuid::now_v7());
    let define = json!({ "name": "people", "description": "Looks after people", "patterns": ["identity.*"] });
    world.command("identity.role.define", Uuid::now_v7(), &define).await;
    world.join(people, &["people"]).await;
    world.join(eve, &[]).await;
    let grant =
        |pattern: &str, client: Uuid| json!({ "pattern": pattern, "resource": { "kind": "client", "id": client } });
    // Until that is known, everything that follows would be refused.
    world.grant(people, &grant("projects.*", own.client), "projects.project.read").await;
    let token = world.token(world.tenant, people);
    let give = async |to: Uuid, pattern: &str, client: Uuid| {
        let path = format!("/v1/identity/users/{to}/grant");
        let (status, body) = ask!(commands, Method::POST, &path, Some(&token), grant(pattern, client));
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let beyond = (409, "identity.user.grant_exceeds_your_permissions".to_owned());
    for (to, pattern, client) in [
        (eve, "*", own.client),
        (people, "*", own.client),
        (people, "crm.*", own.client),
        (people, "projects.*", other.client),
        (eve, "projects.project.read", other.client),
    ] {
        assert_eq!(give(to, pattern, client).await, beyond, "{pattern}");
    }
    assert_eq!(give(eve, "projects.project.read", own.client).await, (200, String::new()));
}

#[actix_web::test]
async fn own_reaches_what_is_the_callers_own_and_nothing_else() {
    let world = World::new().await;
    let (own, other) = (world.holding("Own").await, world.holding("Other").await);
    let (commands, queries) = (service!(world, command_api, world.commands), service!(world, query_api, world.queries));
    let define = json!({ "name": "own", "description": "Their own", "patterns": ["*:own"] });
    world.command("identity.role.define", Uuid::now_v7(), &define).await;
    let (ada, eve) = (Uuid::now_v7(), Uuid::now_v7());
    for (user, holding) in [(ada, &own), (eve, &other)] {
        world.join(user, &["own"]).await;
        world.command("crm.client.assign_owner", holding.client, &json!({ "owner_id": user })).await;
        let assign = json!({ "task_id": holding.ids["projects/tasks"], "assignee_id": user });
        world.command("projects.project.assign_task", holding.ids["projects/projects"], &assign).await;
    }
    world.project().await;
    let token = world.token(world.tenant, ada);
    for (collection, mine) in
        [("crm/clients", own.client), ("projects/tasks", own.ids["projects/tasks"]), ("identity/users", ada)]
    {
        let (status, list) = ask!(queries, Method::GET, &format!("/v1/{collection}"), Some(&token), json!({}));
        let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!((status, ids), (200, vec![&json!(mine)]), "{collection}");
    }
    for (holding, expected) in [(&own, 200), (&other, 404)] {
        let rename = format!("/v1/crm/clients/{}/rename", holding.client);
        assert_eq!(ask!(commands, Method::POST, &rename, Some(&token), json!({ "name": "Mine" })).0, expected);
        let complete = format!("/v1/projects/projects/{}/complete-task", holding.ids["projects/projects"]);
        let task = json!({ "task_id": holding.ids["projects/tasks"] });
        assert_eq!(ask!(commands, Method::POST, &complete, Some(&token), task).0, expected);
        let project = format!("/v1/projects/projects/{}/rename", holding.ids["projects/projects"]);
        let renamed = ask!(commands, Method::POST, &project, Some(&token), json!({ "name": "Mine" }));
        assert_eq!(renamed.0, 404, "a project is nobody's own, whoever does its tasks");
    }
    // What is nobody's own, or begins as nobody's, is out of reach.
    let (to_command, to_query) = operations(&world.bus);
    for o in &to_command {
        let (status, body) = ask!(commands, o.method, &o.path, Some(&token), o.body.clone());
        assert_eq!(status, if o.template.contains("{id}") { 404 } else { 403 }, "{}: {body}", o.permission);
    }
    for o in to_query.iter().filter(|o| o.template.contains("{id}")) {
        let (status, body) = ask!(queries, o.method, &o.path, Some(&token), json!({}));
        assert!(matches!(status, 403 | 404), "{}: {status} {body}", o.permission);
    }
}
