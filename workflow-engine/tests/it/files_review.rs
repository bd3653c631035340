//! Flagship 3 on real PostgreSQL: what a client hands in is the project's, and somebody reviews it.

use crate::common::{HOST, World};
use event_store::{ExecuteError, Executed, Request};
use kernel::{Actor, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

/// Whoever asks the client.
const ASKS: Uuid = Uuid::from_u128(2);

/// A request for one file of a client, for a project if there is one.
struct Desk {
    world: World,
    client: Uuid,
    project: Option<Uuid>,
    request: Uuid,
    item: Value,
}

impl Desk {
    async fn new(with_project: bool) -> Self {
        let world = World::office(true).await;
        world.register().await;
        let invite = json!({ "email": "eve@example.com", "name": "Eve", "roles": [] });
        world.send("identity.user.invite", Some(ASKS), invite).await.unwrap();
        let client = world.client("Analytical Engines").await.id;
        let mut project = None;
        if with_project {
            let create = json!({ "name": "Onboarding", "client_id": client });
            project = Some(world.send("projects.project.create", None, create).await.unwrap().id);
        }
        let create = json!({
            "title": "Identity", "client_id": client, "project_id": project, "items": [{ "name": "Passport" }],
        });
        let request = world.send("files.file_request.create", None, create).await.unwrap().id;
        let desk = Self { world, client, project, request, item: Value::Null };
        let item = desk.payloads("file_request.created").await[0]["request_items"][0]["id"].clone();
        let asks = Actor::User { id: UserId(ASKS) };
        desk.say_as(asks, "files.file_request.send", Some(request), json!({})).await.unwrap();
        Self { item, ..desk }
    }

    async fn say_as(
        &self,
        actor: Actor,
        command: &str,
        id: Option<Uuid>,
        body: Value,
    ) -> Result<Executed, ExecuteError> {
        let info = self.world.bus.command(command).unwrap_or_else(|| panic!("no command {command}"));
        self.world.bus.execute(info, id, body.to_string(), Request::new(self.world.tenant, actor)).await
    }

    async fn payloads(&self, event_type: &str) -> Vec<Value> {
        let events = self.world.events().await;
        let events = events.iter().filter(|event| event.event_type == event_type);
        events.map(|event| serde_json::from_str(event.payload.get()).unwrap()).collect()
    }

    /// A file of the client that was inspected.
    async fn file(&self) -> Uuid {
        let upload = Uuid::now_v7();
        let begin = json!({
            "name": "passport.pdf", "size": 3, "content_type": "application/pdf", "sha256": "a".repeat(64),
            "client_id": self.client, "upload_id": upload,
        });
        let file = self.world.send("files.file.begin_upload", None, begin).await.unwrap().id;
        let by = || Actor::System { name: "test".to_owned() };
        for command in ["files.file.complete_upload", "files.file.accept_upload"] {
            self.say_as(by(), command, Some(file), json!({ "upload_id": upload })).await.unwrap();
        }
        file
    }

    async fn hand_in(&self) -> Uuid {
        let file = self.file().await;
        let submit = json!({ "request_item_id": self.item, "file_id": file });
        self.world.send("files.file_request.submit_item", Some(self.request), submit).await.unwrap();
        file
    }

    /// What was handed in will not do.
    async fn reject(&self) {
        let reject = json!({ "request_item_id": self.item, "reason": "blurred" });
        self.world.send("files.file_request.reject_item", Some(self.request), reject).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_in_is_the_projects_and_whoever_asked_reviews_it() {
    let desk = Desk::new(true).await;
    let engine = desk.world.engine();
    desk.hand_in().await;
    desk.world.until("run.succeeded", 1).await;
    desk.world.until_idle().await;
    assert_eq!(desk.payloads("file.attached").await[0]["project_id"], json!(desk.project));
    assert_eq!(desk.payloads("task.created").await.len(), 1);
    assert_eq!(desk.payloads("task.assigned").await[0]["assignee_id"], json!(ASKS));
    assert_eq!(desk.payloads("notification.sent").await[0]["user_id"], json!(ASKS));
    assert_eq!(desk.world.count("step.failed").await, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_opened_again_has_another_review_when_it_is_complete_again() {
    let desk = Desk::new(true).await;
    let engine = desk.world.engine();
    desk.hand_in().await;
    desk.world.until("run.succeeded", 1).await;
    desk.reject().await;
    desk.world.until("run.compensated", 1).await;
    assert_eq!(desk.world.count("task.cancelled").await, 1);
    desk.hand_in().await;
    desk.world.until("run.succeeded", 2).await;
    desk.world.until_idle().await;
    assert_eq!((desk.world.count("task.created").await, desk.world.count("task.cancelled").await), (2, 1));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_is_done_stays_done_when_the_request_is_opened_again() {
    let desk = Desk::new(true).await;
    let engine = desk.world.engine();
    desk.hand_in().await;
    desk.world.until("run.succeeded", 1).await;
    let task = desk.payloads("task.created").await[0]["task"]["id"].clone();
    desk.world.send("projects.project.complete_task", desk.project, json!({ "task_id": task })).await.unwrap();
    desk.reject().await;
    desk.world.until("run.compensated", 1).await;
    desk.world.until_idle().await;
    assert_eq!((desk.world.count("task.cancelled").await, desk.world.count("run.parked").await), (0, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_and_has_left_the_firm_is_not_told_but_its_owners_are() {
    let desk = Desk::new(true).await;
    let by = Actor::System { name: "test".to_owned() };
    let deactivate = json!({ "reason": "left" });
    desk.say_as(by, "identity.user.deactivate", Some(ASKS), deactivate).await.unwrap();
    let engine = desk.world.engine();
    desk.hand_in().await;
    desk.world.until("run.succeeded", 1).await;
    desk.world.until_idle().await;
    let told = desk.payloads("notification.sent").await;
    assert_eq!((told.len(), &told[0]["user_id"]), (1, &json!(HOST)));
    assert_eq!(desk.payloads("task.assigned").await[0]["assignee_id"], json!(HOST));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_no_project_or_for_one_that_is_over_is_told_of_all_the_same() {
    for with_project in [false, true] {
        let desk = Desk::new(with_project).await;
        if with_project {
            desk.world.send("projects.project.cancel", desk.project, json!({})).await.unwrap();
        }
        let engine = desk.world.engine();
        desk.hand_in().await;
        desk.world.until("run.succeeded", 1).await;
        desk.world.until_idle().await;
        assert_eq!(desk.world.count("notification.sent").await, 1, "project: {with_project}");
        assert_eq!((desk.world.count("task.created").await, desk.world.count("task.assigned").await), (0, 0));
        engine.stop().await;
    }
}
