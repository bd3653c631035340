//! Flagship 6: a bill that comes in is looked at, coded, approved, and booked at Xero, also when Xero lets nobody in for a while.

use super::tour::{Tour, curls, line, title};
use super::visitor::{amount, text};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::HashMap;

const VENDOR: &str = "Nordlicht Druck GmbH";
const REFERENCE: &str = "ND-2026-0417";
const DEFINITION: &str = "Bill received → coded and handed to approval";
const LEDGER: &str = "Bill approved → ledger";

/// Takes in the bill, twice, and has it approved while Xero lets nobody in, unless that was done before; shows what came of it.
pub async fn show(tour: &Tour<'_>, connections: &HashMap<&'static str, String>) -> Result<Value> {
    let (visitor, out) = (&tour.visitor, tour.out);
    title(out, 6, "a bill is coded, approved, and booked at Xero");
    let vendor = vendor(tour).await?;
    let bill = json!({
        "vendor_id": vendor, "reference": REFERENCE, "source": "api",
        "lines": [
            { "description": "Letterheads, 5,000", "net": { "minor": 68_000, "currency": "EUR" }, "tax": { "minor": 12_920, "currency": "EUR" } },
            { "description": "Folders with logo, 500", "net": { "minor": 32_000, "currency": "EUR" }, "tax": { "minor": 6_080, "currency": "EUR" } },
        ],
        "total": { "minor": 119_000, "currency": "EUR" },
    });
    let bills = format!("/v1/revenue/bills?vendor_id={vendor}&reference={REFERENCE}");
    if visitor.first(&bills).await?.is_none() {
        visitor.command("/v1/revenue/bills", "demo-coding", &bill).await?;
    }
    // The same paper comes once more, by another way and under another key.
    let (status, again) = visitor.post("/v1/revenue/bills", "demo-coding-again", &bill).await?;
    ensure!(status == 409, "the same bill came in twice: {status} {again}");
    let came_in = visitor.one(&bills).await?;
    let id = text(&came_in, "id");
    let run = visitor.finished(DEFINITION, &id).await?;
    tour.see_everything().await?;
    if visitor.one(&bills).await?["status"] == "pending_approval" {
        if let Some(xero) = connections.get("xero") {
            let_nobody_in(tour, xero, &id).await?;
        }
        approve(tour, &id).await?;
    }
    let is_booked = |bill: &Value| bill["external_id"].is_string();
    let bill = visitor.until("the bill is at the ledger", &bills, is_booked).await?;
    visitor.finished(LEDGER, &id).await?;
    tour.see_everything().await?;
    let entry = text(&bill, "external_id");
    let booked = tour.at_the_lab("invoices", "bill", |one| one["InvoiceID"] == entry).await?;

    let total = amount(&bill["total_minor"], &bill["currency"]);
    line(out, "bill", format!("{REFERENCE} of {VENDOR} ({}), {total}", text(&bill, "status")));
    line(out, "the same again", format!("{}: it came in before", text(&again, "code")));
    let lines = visitor.rows(&format!("/v1/revenue/bill-lines?bill_id={id}")).await?;
    for one in &lines {
        let net = amount(&one["net_minor"], &bill["currency"]);
        line(out, "coded", format!("{}, {net}, account {}", text(one, "description"), text(one, "account_code")));
    }
    let (kind, status) = (text(&booked, "Type"), text(&booked, "Status"));
    line(
        out,
        "at Xero",
        format!(
            "{entry} {kind} ({status}), {} {}  {}/",
            booked["Total"],
            text(&booked, "CurrencyCode"),
            tour.outside.lab
        ),
    );
    let told = visitor.first("/v1/communications/notifications?kind=connection_refused").await?;
    if let Some(told) = told {
        let link = format!("{}{}", visitor.command_url, text(&told, "link"));
        line(out, "in between", format!("{}; it was, and the bill went on: {link}", text(&told, "title")));
    }
    tour.run_line(&run);
    let asked = [
        ("the bill, with who approved", format!("/v1/revenue/bills/{id}")),
        ("its lines", format!("/v1/revenue/bill-lines?bill_id={id}")),
        ("what it is in the journal", format!("/v1/revenue/journal-entries?aggregate_id={id}")),
        ("how the connections stand", "/v1/connections/health".to_owned()),
        ("the timeline of the bill", format!("/v1/timeline/activity-events?aggregate_id={id}")),
        ("the run's steps", format!("/v1/workflow/run-steps?run_id={}", text(&run, "id"))),
    ];
    curls(out, visitor, asked);
    tour.lab_curl("the bill, as Xero has it", &format!(".invoices[] | select(.InvoiceID == \"{entry}\")"));
    Ok(json!({ "bill": id, "at_xero": entry, "run": run }))
}

/// The vendor, with the account that its bills are usually for.
async fn vendor(tour: &Tour<'_>) -> Result<String> {
    if let Some(there) = tour.visitor.rows("/v1/revenue/vendors").await?.iter().find(|one| one["name"] == VENDOR) {
        return Ok(text(there, "id"));
    }
    let vendor = json!({ "name": VENDOR, "email": "rechnung@nordlicht-druck.example", "currency": "EUR", "account_code": "429" });
    Ok(text(&tour.visitor.command("/v1/revenue/vendors", "demo-vendor-nordlicht", &vendor).await?, "id"))
}

/// Somebody else than who took it in approves it.
async fn approve(tour: &Tour<'_>, id: &str) -> Result<()> {
    let path = format!("/v1/revenue/bills/{id}/approve");
    let comment = json!({ "comment": "We did order that." });
    tour.approver.command(&path, "demo-coding-approve", &comment).await.map(drop)
}

/// Xero takes none of its grants any more while the bill is approved: the bill waits, the owner is told where to agree again, agrees,
/// and the bill goes on by itself.
async fn let_nobody_in(tour: &Tour<'_>, xero: &str, bill: &str) -> Result<()> {
    tour.outside.tell("/control/revoke/xero", &json!({})).await?;
    approve(tour, bill).await?;
    let is_told = |connection: &Value| connection["status"] == "auth_error";
    let path = format!("/v1/connections/connections?id={xero}");
    tour.visitor.until("the connection is said to be refused", &path, is_told).await?;
    let told = "/v1/communications/notifications?kind=connection_refused";
    tour.visitor.until("the owner is told to agree again", told, |_| true).await?;
    tour.outside.agree(tour.settings, &tour.visitor, "xero", xero).await
}
