//! A client is blocked: no context begins anything for it any more, whoever asks and however fast.

use crate::common::World;
use event_store::ExecuteError;
use serde_json::{Value, json};
use uuid::Uuid;

const BLOCKED: &str = "crm.client.blocked";

fn code(refused: Result<event_store::Executed, ExecuteError>) -> String {
    match refused {
        Err(ExecuteError::Rejected { code, .. }) => code.to_owned(),
        other => format!("{other:?}"),
    }
}

async fn block(world: &World, client: Uuid) -> i64 {
    let reason = json!({ "reason": "unpaid invoices" });
    world.send("crm.client.block", Some(client), reason).await.unwrap().position
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_begun_for_a_blocked_client_in_any_context() {
    let world = World::new().await;
    let (client, other) = (world.client("Ada").await.id, world.client("Bob").await.id);
    let project = json!({ "name": "Engine", "client_id": client });
    let folder = json!({ "name": "Papers", "client_id": client });
    let person = |email: &str| json!({ "name": "Ada", "email": email, "client_id": client });
    let contact = world.send("crm.contact.create", None, json!({ "name": "Ada" })).await.unwrap().id;
    let made = [
        world.send("projects.project.create", None, project.clone()).await.unwrap().id,
        world.send("files.folder.create", None, folder.clone()).await.unwrap().id,
        world.send("portal.portal_user.create", None, person("ada@example.com")).await.unwrap().id,
    ];
    let task = json!({ "title": "Gears" });
    let added = world.send("projects.project.add_task", Some(made[0]), task.clone()).await;
    added.unwrap();
    block(&world, client).await;

    let link = json!({ "client_id": client, "role": "owner" });
    let refused: [(&str, Option<Uuid>, Value); 11] = [
        ("projects.project.create", None, project.clone()),
        ("projects.project.activate", Some(made[0]), json!({})),
        ("projects.project.add_milestone", Some(made[0]), json!({ "name": "Cogs" })),
        ("projects.project.add_task", Some(made[0]), task),
        ("files.folder.create", None, folder),
        ("files.folder.add_subfolder", Some(made[1]), json!({ "name": "Drafts" })),
        ("portal.portal_user.create", None, person("byron@example.com")),
        ("portal.portal_user.invite", Some(made[2]), json!({})),
        ("portal.portal_user.grant_access", Some(made[2]), json!({ "scope": "files" })),
        ("crm.contact.link_to_client", Some(contact), link),
        ("crm.client.rename", Some(client), json!({ "name": "Byron" })),
    ];
    for (name, id, body) in &refused {
        assert_eq!(code(world.send(name, *id, body.clone()).await), BLOCKED, "{name}");
    }
    // What was begun is finished or taken away, and others are none of its business.
    for (name, id) in [
        ("projects.project.cancel", made[0]),
        ("files.folder.archive", made[1]),
        ("portal.portal_user.disable", made[2]),
    ] {
        world.send(name, Some(id), json!({})).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    assert_eq!(code(world.send("files.folder.restore", Some(made[1]), json!({})).await), BLOCKED);
    assert_eq!(code(world.send("portal.portal_user.enable", Some(made[2]), json!({})).await), BLOCKED);
    world.send("projects.project.create", None, json!({ "name": "Loom", "client_id": other })).await.unwrap();
    world.send("projects.project.create", None, json!({ "name": "Inner" })).await.unwrap();

    world.send("crm.client.unblock", Some(client), json!({})).await.unwrap();
    world.send("projects.project.create", None, project).await.unwrap();
    world.send("files.folder.restore", Some(made[1]), json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_begun_after_the_position_of_the_block_however_fast_somebody_is() {
    let world = World::new().await;
    for round in 0..5 {
        let client = world.client(&format!("Client {round}")).await.id;
        let create = |n: u32| {
            let body = json!({ "name": format!("Project {n}"), "client_id": client });
            world.send("projects.project.create", None, body)
        };
        let (before, blocked_at, after) = tokio::join!(
            futures::future::join_all((0..20).map(create)),
            block(&world, client),
            futures::future::join_all((20..40).map(create)),
        );
        for answer in before.into_iter().chain(after) {
            match answer {
                Ok(done) => assert!(done.position < blocked_at, "{done:?} although blocked at {blocked_at}"),
                refused => assert_eq!(code(refused), BLOCKED),
            }
        }
        assert_eq!(code(create(99).await), BLOCKED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_for_a_blocked_client_parks_its_run_and_says_why() {
    let world = World::new().await;
    let client = world.client("Ada").await.id;
    block(&world, client).await;
    let step = json!({
        "type": "command", "command": "projects.project.create", "parameters": { "name": "Engine", "client_id": client }
    });
    let definition = json!({
        "name": "Begin", "runs_as": ["*"], "trigger": { "event_type": "client.created" }, "actions": [step]
    });
    world.publish(&definition).await;
    let engine = world.engine();
    world.client("Bob").await;
    world.until("run.parked", 1).await;
    let events = world.events().await;
    let failed = events.iter().find(|e| e.payload.get().contains(BLOCKED));
    assert!(failed.is_some(), "no event names {BLOCKED}");
    engine.stop().await;
}
