//! Everybody who comes in is told who they are and what they may do.

use super::*;
use kernel::{PortalUserId, Principal, SessionId, UserId};

impl World {
    /// As a browser that was given a session: its cookie, and what its pages show.
    async fn browser(&self, principal: Principal, client: Uuid) -> String {
        let id = SessionId(Uuid::now_v7());
        let ends_at = chrono::Utc::now() + chrono::TimeDelta::minutes(10);
        let (start, body) = match principal {
            Principal::User { id } => (
                "identity.session.start",
                json!({ "user_id": id, "issuer": "https://login.example.com", "ends_at": ends_at }),
            ),
            Principal::PortalUser { id } => (
                "portal.portal_session.start",
                json!({ "portal_user_id": id, "client_id": client, "ends_at": ends_at }),
            ),
            Principal::ServiceAccount { .. } => panic!("a program has no session"),
        };
        self.command(start, id.0, &body).await;
        let (cookie, _) = self.sessions.start(id, TenantId(self.tenant), principal).await.unwrap();
        let request = TestRequest::default().cookie(cookie.clone()).to_http_request();
        let kept = self.sessions.find(&session::shown(&request).unwrap()).await.unwrap().unwrap();
        format!("{}={} {}", cookie.name(), cookie.value(), kept.csrf_token)
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[actix_web::test]
async fn everybody_sees_who_they_are_and_exactly_what_they_may_do() {
    let world = World::new().await;
    let commands = service!(world, command_api, world.commands);
    let all: Vec<&'static str> = world.bus.commands().map(|info| info.entry.name).collect();
    let bounds = AdmissionSettings { in_flight_max: 8, waiting_max: 64, wait_max: Duration::from_secs(5) };
    let admission = Admission::new("query-api", bounds);
    let api = query_api::Api::new(world.database.query().await, Duration::from_millis(300), admission);
    let api = Data::new(api.knowing(all.clone()));
    let queries = service!(world, query_api, api);
    let me = async |bearer: &str| {
        let (status, body) = ask!(queries, Method::GET, "/v1/identity/me", Some(bearer), json!({}));
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["tenant"], json!({ "id": world.tenant, "name": "Engines" }));
        body
    };

    let (member, grantee, program, person) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let client = Uuid::now_v7();
    world.join(member, &["member"]).await;
    world.join(grantee, &[]).await;
    world.command("crm.client.create", client, &json!({ "name": "Acme" })).await;
    let grant = json!({ "pattern": "crm.client.*", "resource": { "kind": "client", "id": client } });
    world.grant(grantee, &grant, "crm.client.rename").await;
    world.command("identity.service_account.create", program, &json!({ "name": "Robot", "roles": ["viewer"] })).await;
    let create = json!({ "name": "Ada", "client_id": client, "email": "ada@example.com" });
    world.command("portal.portal_user.create", person, &create).await;
    world.command("portal.portal_user.grant", person, &json!({ "pattern": "projects.*" })).await;
    world.command("portal.portal_user.invite", person, &json!({})).await;
    let (state, _) = world.bus.store().load::<portal::PortalUser>(TenantId(world.tenant), person).await.unwrap();
    let accept = json!({ "invitation_id": state.invitation().unwrap() });
    world.command("portal.portal_user.accept_invitation", person, &accept).await;
    let owner = world.token(world.tenant, world.owner);
    let issue = json!({ "name": "Robot's", "principal": { "kind": "service_account", "id": program } });
    let (_, of_program) = ask!(commands, Method::POST, "/v1/identity/api-keys", Some(&owner), &issue);
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": world.owner },
                        "scopes": ["crm.client.*"], "expires_at": "2999-01-01T00:00:00Z" });
    let (_, of_owner) = ask!(commands, Method::POST, "/v1/identity/api-keys", Some(&owner), &issue);
    let (_, subscriber) =
        ask!(commands, Method::POST, "/v1/identity/subscribers", Some(&owner), json!({ "name": "Warehouse" }));
    world.project().await;

    // A user with a token: every permission of the role, of both services, and no other.
    let seen = me(&owner).await;
    assert_eq!(seen["principal"], json!({ "kind": "user", "id": world.owner }));
    assert_eq!((&seen["name"], &seen["email"]), (&json!("A"), &json!(format!("{}@example.com", world.owner))));
    assert_eq!((&seen["roles"], &seen["api_key"], &seen["client_id"]), (&json!(["owner"]), &Value::Null, &Value::Null));
    let (to_command, to_query) = operations(&world.bus);
    let mut known: Vec<String> = to_command.into_iter().chain(to_query).map(|o| o.permission).collect();
    known.sort();
    known.dedup();
    assert_eq!(names(&seen["permissions"]), known, "an owner may do everything there is");

    // In a session, and with the roles that the firm gave, whatever the token says.
    let by_session = me(&world.browser(Principal::User { id: UserId(member) }, client).await).await;
    assert_eq!(by_session, me(&world.token(world.tenant, member)).await);
    assert_eq!(by_session["roles"], json!(["member"]));
    let of_members = Permissions::of(&[Role::Member]);
    let expected: Vec<&String> = known.iter().filter(|name| of_members.allow(name)).collect();
    assert_eq!(names(&by_session["permissions"]), expected);
    let own = by_session["limited_permissions"].as_array().unwrap();
    let leave = json!({ "permission": "identity.user.leave", "own": true, "resources": [] });
    assert!(own.contains(&leave), "{own:?}");

    // With rights for one client.
    let seen = me(&world.token(world.tenant, grantee)).await;
    assert_eq!((&seen["roles"], &seen["permissions"]), (&json!([]), &json!([])));
    let limited = seen["limited_permissions"].as_array().unwrap();
    let rename =
        json!({ "permission": "crm.client.rename", "own": false, "resources": [{ "kind": "client", "id": client }] });
    assert!(limited.contains(&rename), "{limited:?}");

    // With a key: what its scopes leave of what whoever it speaks for may do.
    let seen = me(of_owner["secret"].as_str().unwrap()).await;
    assert_eq!(seen["principal"], json!({ "kind": "user", "id": world.owner }));
    assert_eq!((&seen["api_key"]["id"], &seen["api_key"]["name"]), (&of_owner["id"], &json!("Mine")));
    assert_eq!(seen["api_key"]["scopes"], json!(["crm.client.*"]));
    assert!(seen["api_key"]["expires_at"].as_str().unwrap().starts_with("2999-01-01T00:00:00"), "{seen}");
    let expected: Vec<&String> = known.iter().filter(|name| name.starts_with("crm.client.")).collect();
    assert_eq!(names(&seen["permissions"]), expected);
    let seen = me(of_program["secret"].as_str().unwrap()).await;
    assert_eq!(seen["principal"], json!({ "kind": "service_account", "id": program }));
    assert_eq!((&seen["name"], &seen["email"], &seen["roles"]), (&json!("Robot"), &Value::Null, &json!(["viewer"])));
    assert_eq!((&seen["api_key"]["scopes"], &seen["api_key"]["expires_at"]), (&json!([]), &Value::Null));
    let of_viewers = Permissions::of(&[Role::Viewer]);
    let expected: Vec<&String> = known.iter().filter(|name| of_viewers.allow(name)).collect();
    assert_eq!(names(&seen["permissions"]), expected);

    // A person at a client.
    let seen = me(&world.browser(Principal::PortalUser { id: PortalUserId(person) }, client).await).await;
    assert_eq!(seen["principal"], json!({ "kind": "portal_user", "id": person }));
    assert_eq!(
        (&seen["name"], &seen["email"], &seen["client_id"]),
        (&json!("Ada"), &json!("ada@example.com"), &json!(client))
    );
    assert_eq!(seen["permissions"], json!([]));
    let limited = seen["limited_permissions"].as_array().unwrap();
    let read = limited.iter().find(|limited| limited["permission"] == "projects.project.read").unwrap();
    assert_eq!(read["resources"], json!([{ "kind": "client", "id": client }]));

    // Who does not come in is told nothing.
    for bearer in [None, Some(subscriber["secret"].as_str().unwrap())] {
        let (status, body) = ask!(queries, Method::GET, "/v1/identity/me", bearer, json!({}));
        assert_eq!((status, body.get("permissions")), (401, None), "{body}");
    }
    world.command("identity.user.suspend", member, &json!({ "reason": "on leave" })).await;
    let token = world.token(world.tenant, member);
    world.settled(async || ask!(queries, Method::GET, "/v1/identity/me", Some(&token), json!({})).0 == 403).await;
}
