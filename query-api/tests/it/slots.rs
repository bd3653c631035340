//! Free times: what is offered over HTTP can be booked over HTTP.

use harness::{Firm, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

/// A firm whose owner can be met for half an hour every day from nine to eleven in Berlin, a quarter of an hour apart.
async fn firm(app: &TestApp) -> Firm {
    let firm = app.register("Engines").await;
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let weekly = days.map(|day| json!({ "weekday": day, "periods": [{ "from": "09:00", "to": "11:00" }] }));
    let hours = Uuid::now_v7();
    let set = json!({ "host_id": firm.owner, "time_zone": "Europe/Berlin", "weekly": weekly });
    app.command(firm, "scheduling.availability.set", hours, &set).await;
    let rules = json!({
        "name": "Talk", "host_id": firm.owner, "availability_id": hours, "duration_minutes": 30, "buffer_after_minutes": 15,
    });
    app.command(firm, "scheduling.event_type.define", Uuid::now_v7(), &json!({ "key": "talk", "rules": rules })).await;
    app.project().await;
    firm
}

fn day(ahead: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::days(ahead)).date_naive().to_string()
}

async fn slots(app: &TestApp, token: &str, more: &str) -> Value {
    let day = day(3);
    let path = format!("/v1/scheduling/slots?event_type=talk&from={day}&to={day}&time_zone=Europe/Berlin{more}");
    let (status, body) = app.get(&path, token).await.told();
    assert_eq!(status, 200, "{body}");
    body
}

fn starts(body: &Value) -> Vec<String> {
    let data = body["data"].as_array().unwrap();
    data.iter().map(|slot| slot["starts_at"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn what_is_offered_can_be_booked_and_is_not_offered_again() {
    let app = TestApp::new().await;
    let firm = firm(&app).await;
    let token = app.owner(firm);
    let offered = slots(&app, &token, "").await;
    // From 09:00 to 10:30, every five minutes.
    assert_eq!(starts(&offered).len(), 19, "{offered}");
    let local = offered["data"][0]["local_starts_at"].as_str().unwrap();
    assert!(local.contains("T09:00:00+0"), "{local}");
    assert_eq!(starts(&slots(&app, &token, "&step_minutes=30").await).len(), 4);
    let at_half_past_nine = starts(&offered)[6].clone();
    let book = json!({
        "event_type": "talk", "starts_at": at_half_past_nine, "time_zone": "UTC",
        "invitee": { "name": "Ada", "email": "ada@example.com" },
    });
    let id = Uuid::now_v7();
    app.command(firm, "scheduling.appointment.book", id, &book).await;
    app.project().await;
    // From 09:30 to 10:00, and a quarter of an hour on each side of it because a meeting before ends with its own.
    let left = starts(&slots(&app, &token, "").await);
    assert_eq!(left, starts(&offered)[15..], "{left:?}");
    app.command(firm, "scheduling.appointment.cancel", id, &json!({ "by": "host" })).await;
    app.project().await;
    assert_eq!(starts(&slots(&app, &token, "").await), starts(&offered));
}

#[actix_web::test]
async fn whoever_asks_wrongly_is_told_everything_that_is_wrong() {
    let app = TestApp::new().await;
    let firm = firm(&app).await;
    let token = app.owner(firm);
    let asked = async |query: &str| app.get(&format!("/v1/scheduling/slots{query}"), &token).await.told();
    let named = |body: &Value| -> Vec<String> {
        let errors = body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["parameter"].as_str().unwrap().to_owned()).collect()
    };
    let (status, body) = asked("").await;
    assert_eq!((status, named(&body)), (400, ["event_type", "time_zone", "from", "to"].map(str::to_owned).to_vec()));
    let (from, to) = (day(0), day(40));
    for (query, wrong) in [
        (format!("?event_type=talk&time_zone=Mars&from={from}&to={from}"), "time_zone"),
        (format!("?event_type=talk&time_zone=UTC&from={from}&to={to}"), "to"),
        (format!("?event_type=talk&time_zone=UTC&from={to}&to={from}"), "to"),
        (format!("?event_type=none&time_zone=UTC&from={from}&to={from}"), "event_type"),
        (format!("?event_type=talk&time_zone=UTC&from={from}&to={from}&step_minutes=7"), "step_minutes"),
        (format!("?event_type=talk&time_zone=UTC&from={from}&to={from}&setp_minutes=5"), "setp_minutes"),
        (format!("?event_type=talk&event_type=talk&time_zone=UTC&from={from}&to={from}"), "event_type"),
    ] {
        let (status, body) = asked(&query).await;
        assert_eq!((status, named(&body)), (400, vec![wrong.to_owned()]), "{query}: {body}");
    }
    for query in [
        "?event_type=talk&time_zone=UTC&from=0001-01-01&to=0001-01-02",
        "?event_type=talk&time_zone=Pacific/Kiritimati&from=9999-12-30&to=9999-12-31",
    ] {
        let (status, body) = asked(query).await;
        assert_eq!((status, body["data"].as_array().map(Vec::len)), (200, Some(0)), "{query}: {body}");
    }
    let outsider = app.token_with(harness::tenant(9), &[]);
    assert_eq!(app.get("/v1/scheduling/slots", &outsider).await.status, 403);
}
