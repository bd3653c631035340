//! Emails, notifications, follow-ups, comments and pins, over real HTTP.

use chrono::{TimeDelta, Utc};
use harness::{Firm, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// A firm with one client.
struct Desk {
    app: TestApp,
    firm: Firm,
    client: Uuid,
}

impl Desk {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let (firm, client) = (app.register("Engines").await, Uuid::now_v7());
        app.command(firm, "crm.client.create", client, &json!({ "name": "Acme" })).await;
        Self { app, firm, client }
    }

    /// What the owner is answered.
    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.app.post(path, self.app.owner(self.firm).as_str(), &body).await.told()
    }

    /// The same, and it is done; the id of what it is about.
    async fn done(&self, path: &str, body: Value) -> Uuid {
        let (status, answer) = self.post(path, body).await;
        assert!(matches!(status, 200 | 201), "{path}: {status} {answer}");
        self.app.project().await;
        answer["id"].as_str().unwrap().parse().unwrap()
    }

    async fn refused(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = self.post(path, body).await;
        (status, answer["code"].clone())
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.app.get(path, self.app.owner(self.firm).as_str()).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        answer.body
    }
}

#[actix_web::test]
async fn an_email_is_made_from_a_template_comes_back_and_goes_out_again() {
    let desk = Desk::new().await;
    let define = json!({ "key": "hello", "name": "Hello", "subject": "For {{ who }}", "body": "Dear {{ who }}" });
    let template = desk.done("/v1/communications/email-templates", define).await;
    let to = json!({ "kind": "address", "email": "ada@example.com" });
    let send = |fields: Value| json!({ "to": to, "template": "hello", "fields": fields, "client_id": desk.client });
    let emails = "/v1/communications/emails";
    let missing = (422, json!("communications.email.field_missing"));
    assert_eq!(desk.refused(emails, send(json!([]))).await, missing);
    let email = desk.done(emails, send(json!([{ "name": "who", "value": "Ada <b>" }]))).await;
    let path = format!("{emails}/{email}");
    assert_eq!(desk.get(&path).await["status"], "queued");
    desk.app.mailer.round().await.unwrap();
    desk.app.project().await;
    let row = desk.get(&path).await;
    assert_eq!((&row["status"], &row["subject"]), (&json!("sent"), &json!("For Ada <b>")), "{row}");
    let sent = (409, json!("communications.email.already_sent"));
    assert_eq!(desk.refused(&format!("{path}/resend"), json!({})).await, sent);
    // It came back, which the mailer alone says.
    let bounced = json!({ "attempt": 1, "reason": "over quota" });
    let mailer_only = (409, json!("communications.email.mailer_only"));
    assert_eq!(desk.refused(&format!("{path}/mark-bounced"), bounced.clone()).await, mailer_only);
    desk.app.command(desk.firm, "communications.email.mark_bounced", email, &bounced).await;
    desk.app.project().await;
    let row = desk.get(&path).await;
    assert_eq!((&row["status"], &row["reason"]), (&json!("bounced"), &json!("over quota")));
    desk.done(&format!("{path}/resend"), json!({})).await;
    desk.app.mailer.round().await.unwrap();
    desk.app.project().await;
    let row = desk.get(&path).await;
    assert_eq!((&row["status"], &row["attempt"]), (&json!("sent"), &json!(2)));
    let to_ada = desk.app.sink.emails().into_iter().filter(|email| email.contains("For Ada"));
    assert_eq!(to_ada.count(), 2);
    desk.done(&format!("/v1/communications/email-templates/{template}/retire"), json!({})).await;
    let (status, code) = desk.refused(emails, send(json!([{ "name": "who", "value": "Ada" }]))).await;
    assert_eq!((status, code), (409, json!("communications.email.template_retired")));
}

#[actix_web::test]
async fn somebody_is_told_as_they_want_it_and_sees_what_is_new() {
    let desk = Desk::new().await;
    let (owner, list) = (desk.firm.owner, "/v1/communications/notifications");
    let tell =
        |kind: &str| json!({ "user_id": owner, "kind": kind, "title": format!("About {kind}"), "link": "/tasks/1" });
    let preferences = json!({ "user_id": owner, "preferences": [
        { "kind": "loud", "in_product": true, "by_email": true }, { "kind": "quiet", "in_product": false, "by_email": false },
    ] });
    let preferences = desk.done("/v1/communications/notification-preferences", preferences).await;
    desk.app.mailer.round().await.unwrap();
    let before = desk.app.sink.emails().len();
    let mut told = vec![];
    for kind in ["loud", "quiet", "usual"] {
        told.push(desk.done(list, tell(kind)).await);
    }
    desk.app.mailer.round().await.unwrap();
    let emails = desk.app.sink.emails()[before..].to_vec();
    assert_eq!(emails.len(), 1, "{emails:#?}");
    assert!(emails[0].contains("About loud"));
    let shown = async |filter: &str| desk.get(&format!("{list}?{filter}")).await["data"].as_array().unwrap().len();
    assert_eq!((shown("in_product=true").await, shown("in_product=true&status=unread").await), (2, 2));
    desk.done(&format!("{list}/{}/mark-all-read", told[0]), json!({ "notification_ids": [told[2], told[0]] })).await;
    assert_eq!(shown("in_product=true&status=unread").await, 0);
    desk.done(&format!("{list}/{}/dismiss", told[0]), json!({})).await;
    assert_eq!(shown("status=dismissed").await, 1);
    let change = json!({ "kind": "loud", "in_product": true, "by_email": false });
    desk.done(&format!("/v1/communications/notification-preferences/{preferences}/change"), change).await;
    desk.done(list, tell("loud")).await;
    desk.app.mailer.round().await.unwrap();
    assert_eq!(desk.app.sink.emails().len(), before + 1, "nobody wants that by email any more");
    let elsewhere = json!({ "user_id": owner, "kind": "loud", "title": "x", "link": "//evil.example" });
    assert_eq!(desk.refused(list, elsewhere).await, (422, json!("communications.notification.link_not_a_path")));
}

#[actix_web::test]
async fn a_follow_up_falls_due_is_put_off_and_is_done() {
    let desk = Desk::new().await;
    let soon = |millis: i64| json!(Utc::now() + TimeDelta::milliseconds(millis));
    let schedule = |due_at: Value| {
        json!({ "about": { "kind": "client", "id": desk.client }, "assignee_id": desk.firm.owner, "title": "Call",
                "due_at": due_at })
    };
    let list = "/v1/timeline/follow-ups";
    let past = (422, json!("timeline.follow_up.in_the_past"));
    assert_eq!(desk.refused(list, schedule(soon(-60_000))).await, past);
    let id = desk.done(list, schedule(soon(1_000))).await;
    let path = format!("{list}/{id}");
    assert_eq!(desk.get(&path).await["status"], "scheduled");
    let due = async || {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        desk.app.command(desk.firm, "timeline.follow_up.fall_due", id, &json!({})).await;
        desk.app.project().await;
        desk.get(&path).await["status"].clone()
    };
    assert_eq!(due().await, "due");
    desk.done(&format!("{path}/snooze"), json!({ "due_at": soon(1_000) })).await;
    assert_eq!(desk.get(&path).await["status"], "snoozed");
    assert_eq!(due().await, "due");
    desk.done(&format!("{path}/complete"), json!({})).await;
    assert_eq!(desk.get(&path).await["status"], "done");
    let closed = (409, json!("timeline.follow_up.closed"));
    assert_eq!(desk.refused(&format!("{path}/snooze"), json!({ "due_at": soon(60_000) })).await, closed);
    let other = desk.done(list, schedule(soon(60_000))).await;
    desk.done(&format!("{list}/{other}/dismiss"), json!({ "reason": "they called" })).await;
    assert_eq!(desk.get(&format!("{list}/{other}")).await["status"], "dismissed");
    assert_eq!(desk.get(&format!("{list}?client_id={}", desk.client)).await["data"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn what_happened_is_commented_on_and_pinned_once() {
    let desk = Desk::new().await;
    desk.app.project().await;
    let entries = format!("/v1/timeline/activity-events?client_id={}", desk.client);
    let entry = desk.get(&entries).await["data"][0].clone();
    let about = |body: Option<&str>| json!({ "entry_id": entry["id"], "client_id": desk.client, "body": body });
    let comment = desk.done("/v1/timeline/comments", about(Some("Well **done**"))).await;
    let path = format!("/v1/timeline/comments/{comment}");
    desk.done(&format!("{path}/edit"), json!({ "body": "Done" })).await;
    assert_eq!(desk.get(&path).await["body"], "Done");
    let shown = desk.get(&format!("/v1/timeline/activity-events/{}", entry["id"].as_str().unwrap())).await;
    assert!(shown["commented_at"].is_string(), "{shown}");
    desk.done(&format!("{path}/delete"), json!({})).await;
    let edit = desk.refused(&format!("{path}/edit"), json!({ "body": "x" })).await;
    assert_eq!(edit, (409, json!("timeline.comment.deleted")));
    assert!(desk.get(&path).await["body"].is_null());

    let place = json!({ "entry_id": entry["id"], "client_id": desk.client });
    let pin = desk.done("/v1/timeline/pins", place.clone()).await;
    assert_eq!(desk.refused("/v1/timeline/pins", place.clone()).await, (409, json!("timeline.pin.entry.taken")));
    let shown = desk.get(&format!("/v1/timeline/activity-events/{}", entry["id"].as_str().unwrap())).await;
    assert!(shown["pinned_at"].is_string(), "{shown}");
    desk.done(&format!("/v1/timeline/pins/{pin}/remove"), json!({})).await;
    desk.done("/v1/timeline/pins", place).await;
}
