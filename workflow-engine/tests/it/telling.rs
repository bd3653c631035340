//! What runs tell people: notifications and emails.

use crate::common::{HOST, World};
use event_store::Request;
use kernel::{Actor, UserId};
use serde_json::{Value, json};
use uuid::Uuid;
use workflow::RunStatus;

fn on_client(name: &str, actions: Value) -> Value {
    json!({ "name": name, "runs_as": ["*"], "trigger": { "event_type": "client.created" }, "actions": actions })
}

fn notify(to: &str) -> Value {
    json!({ "id": "tell", "type": "notify", "to": to, "subject": "New: {{ event.payload.name }}", "body": "Look",
            "link": "/crm/clients/{{ event.aggregate_id }}" })
}

impl World {
    /// Somebody of the firm.
    async fn user(&self, email: &str, role: &str) -> Uuid {
        let invite = json!({ "email": email, "name": "Somebody", "roles": [role] });
        self.send("identity.user.invite", None, invite).await.unwrap().id
    }

    async fn payloads(&self, event_type: &str) -> Vec<Value> {
        let events = self.events().await;
        let of_type = events.iter().filter(|event| event.event_type == event_type);
        of_type.map(|event| serde_json::from_str(event.payload.get()).unwrap()).collect()
    }

    /// Who was told.
    async fn told(&self) -> Vec<Uuid> {
        let sent = self.payloads("notification.sent").await;
        let mut users: Vec<Uuid> = sent.iter().map(|sent| sent["user_id"].as_str().unwrap().parse().unwrap()).collect();
        users.sort();
        users
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_of_a_role_and_of_a_team_is_told_once() {
    let world = World::new().await;
    world.register().await;
    let mut members = vec![];
    // More than one append takes.
    for number in 0..70 {
        members.push(world.user(&format!("u{number}@example.com"), "member").await);
    }
    members.sort();
    let team = world.send("identity.team.create", None, json!({ "name": "Tax" })).await.unwrap().id;
    for user in &members[..2] {
        world.send("identity.team.add_member", Some(team), json!({ "user_id": user })).await.unwrap();
    }
    world.publish(&on_client("Role", json!([notify("role:member")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.succeeded", 1).await;
    assert_eq!(world.told().await, members);
    let run = world.show(world.runs().await[0]).await;
    let path: workflow::StepPath = "tell".parse().unwrap();
    let result = run.step_at(&path).unwrap().result.expose().unwrap().clone();
    assert_eq!(result["count"], 70, "{result}");
    world.publish(&on_client("Team", json!([notify("team:Tax")]))).await;
    world.client("Eve").await;
    world.until("run.succeeded", 3).await;
    assert_eq!(world.told().await.len(), 70 + 70 + 2);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_assignee_has_left_whoever_stands_in_is_told_and_if_there_is_nobody_an_operator_is() {
    let world = World::new().await;
    world.register().await;
    let ada = world.user("ada@example.com", "member").await;
    world.send("identity.user.deactivate", Some(ada), json!({ "reason": "left" })).await.unwrap();
    let mut step = notify(&ada.to_string());
    world.publish(&on_client("Nobody", json!([step.clone()]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    let run = world.show(world.runs().await[0]).await;
    assert_eq!(run.incident().map(|(_, code, _)| code.to_owned()), Some("nobody_to_notify".to_owned()));
    assert_eq!(run.status(), RunStatus::Parked);
    step["fallback"] = json!("owner");
    world.publish(&on_client("Nobody", json!([step]))).await;
    world.client("Eve").await;
    world.until("run.succeeded", 1).await;
    assert_eq!(world.told().await, [HOST]);
    let sent = world.payloads("notification.sent").await;
    assert!(sent[0]["link"].as_str().is_some_and(|link| link.starts_with("/crm/clients/")), "{sent:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_made_from_a_template_whose_fields_stay_text() {
    let world = World::new().await;
    let template = json!({ "key": "welcome", "name": "Welcome", "subject": "Welcome, {{ name }}",
                           "body": "Dear {{ name }}, you are number {{ number }}." });
    world.send("communications.email_template.define", None, template).await.unwrap();
    let by_template = json!({
        "id": "greet", "type": "send_email", "to": { "address": "ada@example.com" }, "template": "welcome",
        "fields": { "name": "{{ event.payload.name }}", "number": "{{ 1 + 1 }}" }, "client_id": "{{ event.aggregate_id }}",
    });
    let by_text = json!({
        "type": "send_email", "to": { "contact": "{{ steps.contact.result.id }}" }, "subject": "Hello",
        "body": "See {{ steps.greet.result.id }}",
    });
    let contact = json!({ "id": "contact", "type": "create_entity", "domain": "crm", "entity": "contact",
                          "parameters": { "name": "Ada" } });
    let mut definition = on_client("Greet", json!([by_template, contact, by_text]));
    definition["runs_as"] = json!(["communications.email.send", "crm.contact.create"]);
    world.publish(&definition).await;
    let engine = world.engine();
    let client = world.client("[A](x) {{ 1 }}").await.id;
    world.until("run.succeeded", 1).await;
    let queued = world.payloads("email.queued").await;
    assert_eq!(queued.len(), 2, "{queued:?}");
    assert_eq!(queued[0]["subject"], "Welcome, [A](x) {{ 1 }}");
    assert_eq!(queued[0]["body"], r"Dear \[A\]\(x\) \{\{ 1 \}\}, you are number 2.");
    assert_eq!((&queued[0]["client_id"], &queued[0]["address"]), (&json!(client), &json!("ada@example.com")));
    assert!(queued[1]["contact_id"].is_string() && queued[1]["address"].is_null(), "{queued:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_from_a_template_that_there_is_not_is_an_incident() {
    let world = World::new().await;
    let step = json!({ "type": "send_email", "to": { "address": "ada@example.com" }, "template": "nowhere" });
    world.publish(&on_client("Greet", json!([step]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    let run = world.show(world.runs().await[0]).await;
    let code = run.incident().map(|(_, code, _)| code.to_owned());
    assert_eq!(code, Some("communications.email.unknown_template".to_owned()));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_provider_lets_in_no_more_is_told_of_with_where_to_agree_again_and_when_somebody_has() {
    let world = World::office(true).await;
    world.register().await;
    let engine = world.engine();
    let create = json!({ "provider": "xero", "name": "Our Xero" });
    let connection = world.send("connections.connection.create", None, create).await.unwrap().id;
    world.send("connections.connection.begin_authorisation", Some(connection), json!({})).await.unwrap();
    let authorised = json!({ "account_id": "a-1", "account_label": "Engines" });
    world.send_as_system("connections.connection.record_authorised", connection, authorised.clone()).await;
    // What mends by itself is no news, and neither is that it has.
    let degraded = json!({ "trouble": "unreachable" });
    world.send_as_system("connections.connection.record_degraded", connection, degraded).await;
    world.send_as_system("connections.connection.record_recovered", connection, json!({})).await;
    let failed = json!({ "trouble": "grant_refused" });
    world.send_as_system("connections.connection.record_auth_failed", connection, failed).await;
    world.until("notification.sent", 1).await;
    let sent = world.payloads("notification.sent").await;
    assert_eq!(sent[0]["user_id"], json!(HOST));
    assert_eq!(sent[0]["link"], json!(format!("/v1/connect/start?connection={connection}")));
    world.send_as_system("connections.connection.record_authorised", connection, authorised).await;
    world.until("notification.sent", 2).await;
    let sent = world.payloads("notification.sent").await;
    assert_eq!(
        (&sent[1]["kind"], &sent[1]["link"]),
        (&json!("connection_recovered"), &json!(format!("/connections/{connection}")))
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_part_in_a_thread_is_told_of_what_others_write() {
    let world = World::office(false).await;
    world.register().await;
    let [ada, eve, left] = [
        world.user("ada@example.com", "member").await,
        world.user("eve@example.com", "member").await,
        world.user("left@example.com", "member").await,
    ];
    world.send("identity.user.deactivate", Some(left), json!({ "reason": "left" })).await.unwrap();
    let engine = world.engine();
    let open = json!({ "kind": "internal", "subject": "Papers", "participants": [ada, eve, left] });
    let thread = world.send("communications.thread.open", None, open).await.unwrap().id;
    let post = world.bus.command("communications.thread.post_message").unwrap();
    let by_ada = Request::new(world.tenant, Actor::User { id: UserId(ada) });
    let body = json!({ "body": "Hello" }).to_string();
    world.bus.execute(post, Some(thread), body, by_ada).await.unwrap();
    world.until("run.succeeded", 1).await;
    assert_eq!(world.told().await, [eve]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_something_up_is_told_when_its_time_comes() {
    let world = World::office(false).await;
    world.register().await;
    let ada = world.user("ada@example.com", "member").await;
    let engine = world.engine();
    let due_at = chrono::Utc::now() + chrono::TimeDelta::seconds(1);
    let client = world.client("Engines").await.id;
    let about = json!({ "kind": "client", "id": client });
    let schedule = json!({ "about": about, "assignee_id": ada, "title": "Call", "due_at": due_at });
    let follow_up = world.send("timeline.follow_up.schedule", None, schedule).await.unwrap().id;
    world.eventually("its time does not come", async || chrono::Utc::now() > due_at).await;
    world.send_as_system("timeline.follow_up.fall_due", follow_up, json!({})).await;
    world.until("run.succeeded", 1).await;
    assert_eq!(world.told().await, [ada]);
    let sent = world.payloads("notification.sent").await;
    assert_eq!(sent[0]["link"], format!("/v1/timeline/follow-ups/{follow_up}"));
    engine.stop().await;
}
