//! Parts of a record, such as a task of a project, have ids that the caller may choose and answers tell.

use crate::common::{Answer, Service, send};
use serde_json::{Value, json};
use uuid::Uuid;

async fn post(service: &Service, path: &str, key: Option<&str>, body: &Value) -> Answer {
    let request = service.post(path).body(body.to_string());
    send(match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    })
    .await
}

/// A record to put parts into; answers its path.
async fn made(service: &Service, collection: &str, body: Value) -> String {
    let created = post(service, &format!("/v1/{collection}"), Some(&Uuid::now_v7().to_string()), &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    format!("/v1/{collection}/{}", created.id())
}

fn id(answer: &Answer, part: &str) -> Uuid {
    answer.body[part].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no {part} in {answer:?}"))
}

/// Every command that makes one part of something, with a record of each kind and a body that is right.
async fn commands(service: &Service) -> Vec<(String, &'static str, Value, Value, &'static str)> {
    let project = made(service, "projects/projects", json!({ "name": "Books" })).await;
    let folder = made(service, "files/folders", json!({ "name": "Books" })).await;
    let invite = json!({ "email": "ada@engines.example", "name": "Ada", "roles": [] });
    let user = made(service, "identity/users", invite).await;
    let portal = json!({ "client_id": Uuid::now_v7(), "name": "Ada", "email": "ada@engines.example" });
    let guest = made(service, "portal/portal-users", portal).await;
    let (title, other) = (json!({ "title": "Count" }), json!({ "title": "Count again" }));
    let (name, another) = (json!({ "name": "Drafts" }), json!({ "name": "Letters" }));
    let (soon, late) = (json!({ "expires_in_days": 3 }), json!({ "expires_in_days": 4 }));
    vec![
        (format!("{project}/add-task"), "task_id", title, other, "projects.project.task_exists"),
        (
            format!("{project}/add-milestone"),
            "milestone_id",
            name.clone(),
            another.clone(),
            "projects.project.milestone_exists",
        ),
        (format!("{folder}/add-subfolder"), "folder_id", name, another, "files.folder.folder_exists"),
        (format!("{user}/reinvite"), "invitation_id", soon.clone(), late.clone(), "identity.user.invitation_exists"),
        (format!("{guest}/invite"), "invitation_id", soon, late, "portal.portal_user.invitation_exists"),
    ]
}

#[actix_web::test]
async fn an_answer_tells_the_id_of_the_part_that_was_made_and_so_does_the_answer_to_a_repeat() {
    let service = Service::start().await;
    for (path, part, body, ..) in commands(&service).await {
        let (first, again) =
            (post(&service, &path, Some(&path), &body).await, post(&service, &path, Some(&path), &body).await);
        assert_eq!((first.status, again.status), (200, 200), "{path}: {first:?}");
        assert_eq!(first.body, again.body, "{path}");
        assert_eq!(again.headers["idempotency-replayed"], "true", "{path}");
        assert_ne!(id(&first, part).to_string(), first.body["id"].as_str().unwrap_or_default(), "{path}");
    }
    let paths = json!({ "key": "tree", "name": "Tree", "paths": [["In"], ["In", "Letters"], ["Out"]] });
    made(&service, "files/folder-templates", paths).await;
    let from = "/v1/files/folders/create-from-template";
    let body = json!({ "template": "tree", "name": "Books" });
    let (first, again) =
        (post(&service, from, Some("tree"), &body).await, post(&service, from, Some("tree"), &body).await);
    assert_eq!((first.status, first.body["folder_ids"].as_array().map(Vec::len)), (201, Some(3)), "{first:?}");
    assert_eq!(first.body, again.body);
    let bare = json!({ "key": "bare", "name": "Bare" });
    made(&service, "projects/project-templates", bare).await;
    let from = "/v1/projects/projects/create-from-template";
    let none = post(&service, from, Some("bare"), &json!({ "template": "bare" })).await;
    assert_eq!((&none.body["milestone_ids"], &none.body["task_ids"]), (&json!([]), &json!([])), "{none:?}");
}

#[actix_web::test]
async fn a_part_with_a_chosen_id_is_made_once() {
    let service = Service::start().await;
    for (path, part, body, other, exists) in commands(&service).await {
        let chosen = Uuid::now_v7();
        let with = |body: &Value, id: Value| {
            let mut body = body.clone();
            body[part] = id;
            body
        };
        let body = with(&body, json!(chosen));
        let first = post(&service, &path, None, &body).await;
        assert_eq!((first.status, id(&first, part)), (200, chosen), "{path}: {first:?}");
        let again = post(&service, &path, None, &body).await;
        assert_eq!((again.status, &again.body), (200, &first.body), "{path} is already so");
        // Also under a key of its own, which then keeps that answer.
        for _ in 0..2 {
            assert_eq!(post(&service, &path, Some(&path), &body).await.body, first.body, "{path}");
        }
        let differs = post(&service, &path, None, &with(&other, json!(chosen))).await;
        assert_eq!((differs.status, differs.problem()), (409, exists), "{path}");
        for wrong in [json!("7"), json!(""), json!(format!("{chosen}x"))] {
            let refused = post(&service, &path, None, &with(&body, wrong.clone())).await;
            assert_eq!((refused.status, refused.problem()), (422, "invalid-input"), "{path}: {wrong}");
            assert_eq!(refused.body["errors"][0]["pointer"], format!("/{part}"), "{path}: {refused:?}");
            assert_eq!(refused.body["errors"][0]["code"], "not_an_id", "{path}: {refused:?}");
        }
        let fresh = post(&service, &path, None, &with(&body, Value::Null)).await;
        assert!(fresh.status == 200 || exists == "files.folder.folder_exists", "{path}: {fresh:?}");
    }
}

#[actix_web::test]
async fn a_repeat_is_already_so_whatever_became_of_the_part() {
    let service = Service::start().await;
    let project = made(&service, "projects/projects", json!({ "name": "Books" })).await;
    let (task, milestone) = (Uuid::now_v7(), Uuid::now_v7());
    let add_milestone = json!({ "milestone_id": milestone, "name": "Closed", "due_on": "2026-12-31" });
    let add_task = json!({ "task_id": task, "title": "Count", "milestone_id": milestone });
    let steps = [
        ("activate", json!({})),
        ("add-milestone", add_milestone.clone()),
        ("add-task", add_task.clone()),
        ("assign-task", json!({ "task_id": task, "assignee_id": Uuid::now_v7() })),
        ("complete-task", json!({ "task_id": task })),
        ("complete-milestone", json!({ "milestone_id": milestone })),
        ("complete", json!({})),
        ("archive", json!({})),
    ];
    let mut version = json!(0);
    for (step, body) in steps {
        let done = post(&service, &format!("{project}/{step}"), None, &body).await;
        assert_eq!(done.status, 200, "{step}: {done:?}");
        version = done.body["version"].clone();
    }
    for (step, body, part) in [("add-task", &add_task, "task_id"), ("add-milestone", &add_milestone, "milestone_id")] {
        let again = post(&service, &format!("{project}/{step}"), None, body).await;
        assert_eq!(
            (again.status, &again.body["version"], &again.body[part]),
            (200, &version, &body[part]),
            "{again:?}"
        );
    }
}

#[actix_web::test]
async fn an_id_of_another_projects_part_is_taken() {
    let service = Service::start().await;
    let (one, other) = (
        made(&service, "projects/projects", json!({ "name": "Books" })).await,
        made(&service, "projects/projects", json!({ "name": "Taxes" })).await,
    );
    for (action, part, mut body) in [
        ("add-task", "task_id", json!({ "title": "Count" })),
        ("add-milestone", "milestone_id", json!({ "name": "Closed" })),
    ] {
        body[part] = json!(Uuid::now_v7());
        assert_eq!(post(&service, &format!("{one}/{action}"), None, &body).await.status, 200);
        let taken = post(&service, &format!("{other}/{action}"), None, &body).await;
        assert_eq!((taken.status, taken.problem()), (409, format!("projects.project.{part}.taken").as_str()));
    }
}

/// Follows a reference within the document.
fn resolved<'d>(document: &'d Value, mut schema: &'d Value) -> &'d Value {
    while let Some(to) = schema["$ref"].as_str() {
        schema = document.pointer(to.trim_start_matches('#')).unwrap_or(&Value::Null);
    }
    schema
}

#[test]
fn the_description_says_of_every_command_which_ids_its_answer_has() {
    struct All(Vec<event_store::CommandInfo>);
    impl kernel::Mounts for All {
        fn mount<A: kernel::Aggregate>(&mut self) {
            self.0.extend(event_store::CommandBus::commands_of::<A>());
        }
    }
    let mut all = All(vec![]);
    registry::mount_all(&mut all);
    let document = command_api::openapi(&all.0, |_| {});
    let operations = document["paths"].as_object().into_iter().flatten().map(|(_, path)| &path["post"]);
    let operations: Vec<_> = operations.collect();
    let makers: Vec<_> = all.0.iter().filter(|info| !info.entry.makes.is_empty()).collect();
    assert!(makers.len() >= 8, "{}", makers.len());
    for info in makers {
        let permission = info.entry.name;
        let operation =
            operations.iter().find(|o| o["x-permission"] == permission).unwrap_or_else(|| panic!("{permission}"));
        let status = if info.entry.creates { "201" } else { "200" };
        let answer = resolved(&document, &operation["responses"][status]);
        let schema = resolved(&document, &answer["content"]["application/json"]["schema"]);
        for part in info.entry.makes {
            assert!(schema["properties"][part.name].is_object(), "{permission}: {}", part.name);
            let required = schema["required"].as_array().is_some_and(|all| all.contains(&json!(part.name)));
            assert_eq!(required, part.always, "{permission}: {}", part.name);
        }
    }
}
