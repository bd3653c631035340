//! Which day it is for a firm: that of its clocks, in every service that decides.

use super::*;
use event_store::Request;
use harness::Firm;
use kernel::{Actor, Date};

/// The first day of a project that is begun at this moment without saying when.
async fn first_day(app: &TestApp, firm: Firm, now: &str) -> Date {
    let (id, info) = (Uuid::now_v7(), *app.bus.command("projects.project.create").unwrap());
    let request = Request::new(firm.into(), Actor::System { name: "test".to_owned() });
    let request = Request { now: now.parse().unwrap(), ..request };
    app.bus.execute(&info, Some(id), json!({ "name": "Books" }).to_string(), request).await.unwrap();
    let log = app.bus.store().log(app.database.worker().await);
    let events = log.read_stream(firm.into(), id, 0, i64::MAX).await.unwrap();
    let created: Value = serde_json::from_str(events[0].payload.get()).unwrap();
    created["starts_on"].as_str().unwrap().parse().unwrap()
}

#[actix_web::test]
async fn a_project_begins_on_the_day_of_the_firms_clocks() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (before, after) = ("2026-11-02T09:59:59Z", "2026-11-02T10:00:00Z");
    assert_eq!(first_day(&app, firm, after).await.to_string(), "2026-11-02", "UTC, until the firm says otherwise");
    app.command(firm, "identity.tenant.set_time_zone", firm.tenant, &json!({ "time_zone": "Pacific/Kiritimati" }))
        .await;
    eventually(async || first_day(&app, firm, after).await.to_string() == "2026-11-03").await;
    assert_eq!(first_day(&app, firm, before).await.to_string(), "2026-11-02");
    app.command(firm, "identity.tenant.set_time_zone", firm.tenant, &json!({ "time_zone": "America/Los_Angeles" }))
        .await;
    eventually(async || first_day(&app, firm, "2026-11-02T07:59:59Z").await.to_string() == "2026-11-01").await;
    assert_eq!(first_day(&app, firm, "2026-11-02T08:00:00Z").await.to_string(), "2026-11-02");
}
