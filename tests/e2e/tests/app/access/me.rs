//! Everybody who comes in is told who they are and what they may do.

use super::*;

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[actix_web::test]
async fn everybody_sees_who_they_are_and_exactly_what_they_may_do() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let me = async |shown: Shown<'_>| {
        let (status, body) = app.get("/v1/identity/me", shown).await.told();
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["tenant"], json!({ "id": firm.tenant, "name": "Engines" }));
        body
    };

    let (member, grantee, program, person) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let client = Uuid::now_v7();
    app.join(firm, member, &["member"]).await;
    app.join(firm, grantee, &[]).await;
    app.command(firm, "crm.client.create", client, &json!({ "name": "Acme" })).await;
    let grant = json!({ "pattern": "crm.client.*", "resource": { "kind": "client", "id": client } });
    app.grant(firm, grantee, &grant, "crm.client.rename").await;
    app.command(firm, "identity.service_account.create", program, &json!({ "name": "Robot", "roles": ["viewer"] }))
        .await;
    app.let_into_portal(firm, person, client, "ada@example.com", "projects.*").await;
    let owner = app.owner(firm);
    let issue = json!({ "name": "Robot's", "principal": { "kind": "service_account", "id": program } });
    let (_, of_program) = app.ask(&Method::POST, "/v1/identity/api-keys", &owner, &issue).await;
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": firm.owner },
                        "scopes": ["crm.client.*"], "expires_at": "2999-01-01T00:00:00Z" });
    let (_, of_owner) = app.ask(&Method::POST, "/v1/identity/api-keys", &owner, &issue).await;
    let (_, subscriber) =
        app.ask(&Method::POST, "/v1/identity/subscribers", &owner, json!({ "name": "Warehouse" })).await;
    app.project().await;

    // A user with a token: every permission of the role, of both services, and no other.
    let seen = me((&owner).into()).await;
    assert_eq!(seen["principal"], json!({ "kind": "user", "id": firm.owner }));
    assert_eq!((&seen["name"], &seen["email"]), (&json!("A"), &json!(format!("{}@example.com", firm.owner))));
    assert_eq!((&seen["roles"], &seen["api_key"], &seen["client_id"]), (&json!(["owner"]), &Value::Null, &Value::Null));
    let (to_command, to_query) = operations(&app);
    let mut known: Vec<String> = to_command.into_iter().chain(to_query).map(|o| o.permission).collect();
    known.sort();
    known.dedup();
    assert_eq!(names(&seen["permissions"]), known, "an owner may do everything there is");

    // In a session, and with the roles that the firm gave, whatever the token says.
    let by_session = me((&app.session(firm, member).await).into()).await;
    assert_eq!(by_session, me((&app.token(firm, member)).into()).await);
    assert_eq!(by_session["roles"], json!(["member"]));
    let of_members = Permissions::of(&[Role::Member]);
    let expected: Vec<&String> = known.iter().filter(|name| of_members.allow(name)).collect();
    assert_eq!(names(&by_session["permissions"]), expected);
    let own = by_session["limited_permissions"].as_array().unwrap();
    let leave = json!({ "permission": "identity.user.leave", "own": true, "resources": [] });
    assert!(own.contains(&leave), "{own:?}");

    // With rights for one client.
    let seen = me((&app.token(firm, grantee)).into()).await;
    assert_eq!((&seen["roles"], &seen["permissions"]), (&json!([]), &json!([])));
    let limited = seen["limited_permissions"].as_array().unwrap();
    let rename =
        json!({ "permission": "crm.client.rename", "own": false, "resources": [{ "kind": "client", "id": client }] });
    assert!(limited.contains(&rename), "{limited:?}");

    // With a key: what its scopes leave of what whoever it speaks for may do.
    let seen = me(of_owner["secret"].as_str().unwrap().into()).await;
    assert_eq!(seen["principal"], json!({ "kind": "user", "id": firm.owner }));
    assert_eq!((&seen["api_key"]["id"], &seen["api_key"]["name"]), (&of_owner["id"], &json!("Mine")));
    assert_eq!(seen["api_key"]["scopes"], json!(["crm.client.*"]));
    assert!(seen["api_key"]["expires_at"].as_str().unwrap().starts_with("2999-01-01T00:00:00"), "{seen}");
    let expected: Vec<&String> = known.iter().filter(|name| name.starts_with("crm.client.")).collect();
    assert_eq!(names(&seen["permissions"]), expected);
    let seen = me(of_program["secret"].as_str().unwrap().into()).await;
    assert_eq!(seen["principal"], json!({ "kind": "service_account", "id": program }));
    assert_eq!((&seen["name"], &seen["email"], &seen["roles"]), (&json!("Robot"), &Value::Null, &json!(["viewer"])));
    assert_eq!((&seen["api_key"]["scopes"], &seen["api_key"]["expires_at"]), (&json!([]), &Value::Null));
    let of_viewers = Permissions::of(&[Role::Viewer]);
    let expected: Vec<&String> = known.iter().filter(|name| of_viewers.allow(name)).collect();
    assert_eq!(names(&seen["permissions"]), expected);

    // A person at a client.
    let seen = me((&app.portal_session(firm, person, client).await).into()).await;
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
    for shown in [Shown::Nothing, Shown::Bearer(subscriber["secret"].as_str().unwrap())] {
        let (status, body) = app.get("/v1/identity/me", shown).await.told();
        assert_eq!((status, body.get("permissions")), (401, None), "{body}");
    }
    app.command(firm, "identity.user.suspend", member, &json!({ "reason": "on leave" })).await;
    let token = app.token(firm, member);
    eventually(async || app.ask(&Method::GET, "/v1/identity/me", &token, json!({})).await.0 == 403).await;
}
