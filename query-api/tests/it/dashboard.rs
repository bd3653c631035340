//! The figures of a first page: counted by the database, each by the caller's own rights.

use harness::TestApp;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/v1/dashboard/figures";

#[actix_web::test]
async fn figures_count_what_the_caller_may_read_and_say_what_is_withheld() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let command = async |name: &str, id: Uuid, body: &Value| app.command(firm, name, id, body).await;
    let stages = json!([{ "key": "talk", "name": "Talk", "probability": 33 }]);
    let pipeline = json!({ "key": "sales", "name": "Sales", "stages": stages });
    command("crm.pipeline.define", Uuid::now_v7(), &pipeline).await;
    let [acme, other] = [(); 2].map(|()| Uuid::now_v7());
    for (client, name) in [(acme, "Acme"), (other, "Other")] {
        command("crm.client.create", client, &json!({ "name": name })).await;
        let of = json!({ "name": name, "client_id": client });
        command("crm.engagement.create", Uuid::now_v7(), &of).await;
        let worth = json!({ "minor": 50, "currency": "EUR" });
        let deal = json!({ "name": name, "client_id": client, "pipeline": "sales", "value": worth });
        command("crm.deal.create", Uuid::now_v7(), &deal).await;
        let project = Uuid::now_v7();
        command("projects.project.create", project, &of).await;
        let late = json!({ "title": "Late", "due_on": "2026-01-31" });
        command("projects.project.add_task", project, &late).await;
        command("projects.project.add_task", project, &json!({ "title": "Some day" })).await;
    }
    let archived = Uuid::now_v7();
    command("projects.project.create", archived, &json!({ "name": "Archived" })).await;
    for step in ["projects.project.cancel", "projects.project.archive"] {
        command(step, archived, &json!({})).await;
    }
    let paid = json!({ "client_id": acme, "amount": { "minor": 300, "currency": "EUR" }, "received_on": "2026-01-15" });
    command("revenue.payment.receive", Uuid::now_v7(), &paid).await;
    app.project().await;

    let on = |day: &str| format!("{PATH}?on={day}");
    let (status, all) = app.get(&on("2026-01-31"), &app.owner(firm)).await.told();
    assert_eq!(status, 200, "{all}");
    assert_eq!((&all["on"], &all["withheld"]), (&json!("2026-01-31"), &json!([])));
    let figures = &all["figures"];
    assert_eq!(figures["overdue_tasks"], 0, "what is due on the day is not overdue");
    assert_eq!(figures["active_engagements"], 2);
    let deals = |count: i64, value: i64, weighted: i64| json!([{ "currency": "EUR", "count": count, "value_minor": value, "weighted_minor": weighted }]);
    assert_eq!(figures["open_deals"], deals(2, 100, 33));
    assert_eq!(figures["projects_by_status"], json!([{ "status": "draft", "count": 2 }]));
    assert_eq!(figures["outstanding_invoices"], json!([]));
    assert_eq!(figures["pending_invoices"], 0);
    let payments = |ever: i64, month: i64| json!([{ "currency": "EUR", "count": 1, "received_minor": ever, "this_month_minor": month }]);
    assert_eq!(figures["payments"], payments(300, 300));
    assert_eq!(figures["upcoming_appointments"], json!({ "count": 0, "next_at": null }));
    let (_, later) = app.get(&on("2026-02-01"), &app.owner(firm)).await.told();
    assert_eq!((&later["figures"]["overdue_tasks"], &later["figures"]["payments"]), (&json!(2), &payments(300, 0)));
    let (status, today) = app.get(PATH, &app.owner(firm)).await.told();
    assert_eq!((status, today["on"].is_string()), (200, true), "{today}");

    // Whose rights are for one client counts that client's alone, and is told what is left out.
    let grantee = Uuid::now_v7();
    app.join(firm, grantee, &[]).await;
    for pattern in ["crm.deal.read", "projects.*"] {
        let grant = json!({ "pattern": pattern, "resource": { "kind": "client", "id": acme } });
        app.grant(firm, grantee, &grant, pattern.replace('*', "task.read").as_str()).await;
    }
    let token = app.token(firm, grantee);
    let (_, some) = app.get(&on("2026-02-01"), &token).await.told();
    assert_eq!((&some["figures"]["open_deals"], &some["figures"]["overdue_tasks"]), (&deals(1, 50, 17), &json!(1)));
    let withheld = some["withheld"].as_array().unwrap();
    for name in ["active_clients", "payments", "upcoming_appointments"] {
        assert!(withheld.contains(&json!(name)) && some["figures"].get(name).is_none(), "{name}: {some}");
    }
    for wrong in ["on=yesterday", "day=2026-01-01"] {
        let (status, body) = app.get(&format!("{PATH}?{wrong}"), &token).await.told();
        assert_eq!((status, body["code"].as_str()), (400, Some("invalid-parameter")), "{body}");
    }
}
