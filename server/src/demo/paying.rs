//! Flagship 5: whoever has paid is an active client, and somebody asks how it went.

use super::invoicing;
use super::tour::{EMAIL_IN_PATHS, Tour, curls, line, title};
use super::visitor::{amount, text};
use anyhow::{Context, Result};
use serde_json::{Value, json};

const DEFINITION: &str = "Invoice paid → active client";

/// Takes in the money, unless that was done before, and shows what came of it.
pub async fn show(tour: &Tour<'_>) -> Result<Value> {
    let (visitor, out) = (&tour.visitor, tour.out);
    title(out, 5, "a paid invoice makes an active client, and a follow-up");
    let client_id = text(&tour.client().await?, "id");
    let plans = visitor.rows(&format!("/v1/revenue/invoice-plans?client_id={client_id}")).await?;
    let plan = plans
        .iter()
        .find(|plan| plan["name"] == invoicing::PLAN)
        .context("there is no invoice yet, which flagship 4 makes")?;
    let entry = visitor.one(&format!("/v1/revenue/plan-entries?invoice_plan_id={}", text(plan, "id"))).await?;
    let id = entry["invoice_id"].as_str().context("there is no invoice yet, which flagship 4 makes")?.to_owned();
    let path = format!("/v1/revenue/invoices/{id}");
    let invoice = visitor.get(&path).await?;
    if invoice["status"] != "paid" {
        let receive = json!({
            "client_id": client_id, "amount": { "minor": invoice["outstanding_minor"], "currency": invoice["currency"] },
            "method": "bank_transfer", "reference": invoice["number"], "allocations": [{ "invoice_id": id }],
        });
        visitor.command("/v1/revenue/payments", &format!("demo-paying-{id}"), &receive).await?;
    }
    let run = visitor.finished(DEFINITION, &id).await?;
    tour.see_everything().await?;
    let (invoice, client) = (visitor.get(&path).await?, tour.client().await?);
    let paid = amount(&invoice["paid_minor"], &invoice["currency"]);
    line(
        out,
        "invoice",
        format!("{} ({}), {paid} by bank transfer", text(&invoice, "number"), text(&invoice, "status")),
    );
    line(out, "client", format!("{} ({})", text(&client, "name"), text(&client, "status")));
    let about = format!("/v1/timeline/follow-ups?client_id={client_id}");
    let follow_up = visitor.one(&about).await?;
    let due = text(&follow_up, "due_at").chars().take(10).collect::<String>();
    line(out, "follow-up", format!("{} ({}), on {due}", text(&follow_up, "title"), text(&follow_up, "status")));
    let told = visitor.one("/v1/communications/notifications?kind=invoice_paid").await?;
    line(out, "notification", format!("{}: {}", text(&told, "title"), text(&told, "body")));
    tour.run_line(&run);
    let asked = [
        ("the invoice", path),
        ("the payment", format!("/v1/revenue/payments?client_id={client_id}")),
        ("what the client owes", format!("/v1/revenue/balances?client_id={client_id}")),
        ("that the books balance", "/v1/revenue/trial-balance".to_owned()),
        ("the client", format!("/v1/crm/clients?email={}", EMAIL_IN_PATHS)),
        ("whom to ask how it went", about),
        ("the timeline", format!("/v1/timeline/activity-events?client_id={client_id}")),
        ("the run's steps", format!("/v1/workflow/run-steps?run_id={}", text(&run, "id"))),
    ];
    curls(out, visitor, asked);
    Ok(json!({ "invoice": id, "run": run }))
}
