//! Flagship 4: a milestone that is completed becomes an invoice: approved, numbered, set as a PDF, booked at Xero, and sent.

use super::tour::{Tour, curls, line, title};
use super::visitor::{PATIENCE, Visitor, amount, text};
use super::{booking, id_of, portal};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the invoice plan is called.
pub const PLAN: &str = "Annual accounts by milestones";
/// Whoever is written to about invoices.
pub const PAPERS_TO: &str = "accounts@analytical.example";
const MILESTONE: &str = "Draft of the annual accounts";
const DEFINITION: &str = "Milestone completed → invoice";
/// How long a milestone may take to reach its plan by itself.
const BY_ITSELF: Duration = Duration::from_secs(4);

/// Completes the milestone and approves the invoice, unless that was done before, and shows what came of it.
pub async fn show(tour: &Tour<'_>) -> Result<Value> {
    let (visitor, out) = (&tour.visitor, tour.out);
    title(out, 4, "a completed milestone becomes an invoice, at Xero and with the client");
    let client = tour.client().await?;
    let client_id = text(&client, "id");
    let project = text(&tour.project(&client).await?, "id");
    bill_to(visitor, &client_id).await?;
    let plan = planned(visitor, &client_id, &project).await?;
    let milestone = id_of("milestone of the annual accounts");
    let complete = json!({ "milestone_id": milestone });
    let path = format!("/v1/projects/projects/{project}/complete-milestone");
    visitor.command(&path, "demo-invoicing-complete", &complete).await?;
    let entries = format!("/v1/revenue/plan-entries?invoice_plan_id={plan}");
    due(visitor, &plan, &entries, &complete).await?;
    let is_drafted = |entry: &Value| entry["invoice_id"].is_string();
    let entry = visitor.until("the milestone is on an invoice", &entries, is_drafted).await?;
    let id = text(&entry, "invoice_id");
    let invoices = format!("/v1/revenue/invoices?id={id}");
    approved(visitor, [&plan, &id], &invoices).await?;
    let run = visitor.finished(DEFINITION, &plan).await?;
    let is_there = |invoice: &Value| {
        invoice["external_id"].is_string() && invoice["pdf_file_id"].is_string() && invoice["sent"] == true
    };
    visitor.until("the invoice has its paper, is at the ledger, and is sent", &invoices, is_there).await?;
    tour.see_everything().await?;
    let invoice = visitor.get(&format!("/v1/revenue/invoices/{id}")).await?;
    let number = text(&invoice, "number");
    let booked = tour.at_the_lab("invoices", "invoice", |one| one["InvoiceNumber"] == number).await?;
    let file = text(&invoice, "pdf_file_id");
    let pdf = tour.paper(&file).await?;
    let xml = match invoice["xml_file_id"].as_str() {
        Some(file) => Some(tour.paper(file).await?),
        None => None,
    };

    line(out, "milestone", format!("{MILESTONE} (completed)"));
    let (total, due_on) = (amount(&invoice["total_minor"], &invoice["currency"]), text(&invoice, "due_on"));
    line(out, "invoice", format!("{number} ({}), {total}, due on {due_on}", text(&invoice, "status")));
    line(out, "PDF", pdf.display());
    if let Some(xml) = &xml {
        line(out, "e-invoice", xml.display());
    }
    let (entry, status) = (text(&booked, "InvoiceID"), text(&booked, "Status"));
    line(
        out,
        "at Xero",
        format!("{entry} ({status}), {} {}  {}/", booked["Total"], text(&booked, "CurrencyCode"), tour.outside.lab),
    );
    line(out, "letter", tour.outside.letter(PAPERS_TO, &number).await?);
    let in_the_portal = match portal::sees(tour, &client_id, "/v1/revenue/invoices").await? {
        Some(rows) => {
            let shown = rows.iter().map(|one| format!("{} ({})", text(one, "number"), text(one, "status")));
            format!(
                "{} came in by a link in a letter, and sees {}",
                booking::NAME,
                shown.collect::<Vec<_>>().join(", ")
            )
        }
        None => format!(
            "{} came in at an earlier start; POST {}/v1/login/portal/link sends another link",
            booking::NAME,
            visitor.command_url
        ),
    };
    line(out, "in the portal", in_the_portal);
    tour.run_line(&run);
    let asked = [
        ("the invoice", format!("/v1/revenue/invoices/{id}")),
        ("its lines", format!("/v1/revenue/invoice-lines?invoice_id={id}")),
        ("what it is in the journal", format!("/v1/revenue/journal-entries?aggregate_id={id}")),
        ("its files", format!("/v1/files/files?client_id={client_id}&name={number}.pdf")),
        ("the email with it", format!("/v1/communications/emails?client_id={client_id}&sort=-created_at")),
        ("the run's steps, with who approved", format!("/v1/workflow/run-steps?run_id={}", text(&run, "id"))),
        ("questions that are still open", "/v1/workflow/approvals?status=open".to_owned()),
    ];
    curls(out, visitor, asked);
    tour.download("the PDF", &file);
    tour.lab_curl("the invoice, as Xero has it", &format!(".invoices[] | select(.InvoiceNumber == \"{number}\")"));
    Ok(json!({ "invoice": id, "number": number, "pdf": pdf, "xml": xml, "at_xero": entry, "run": run }))
}

/// To whom papers are made out.
pub async fn bill_to(visitor: &Visitor, client_id: &str) -> Result<()> {
    let address = json!({ "line1": "Unter den Linden 21", "city": "Berlin", "postal_code": "10117", "country": "DE" });
    let buyer = json!({ "legal_name": "Analytical Engines Ltd", "address": address, "email": PAPERS_TO });
    let profile = json!({ "client_id": client_id, "buyer": buyer, "payment_terms_days": 14 });
    visitor.ensure("/v1/revenue/billing-profiles", "demo-invoicing-profile", &profile).await.map(drop)
}

/// A milestone of the project, and a plan with an entry that it lets become due.
async fn planned(visitor: &Visitor, client_id: &str, project: &str) -> Result<String> {
    let plans = visitor.rows(&format!("/v1/revenue/invoice-plans?client_id={client_id}")).await?;
    if let Some(plan) = plans.iter().find(|plan| plan["name"] == PLAN && plan["status"] != "draft") {
        return Ok(text(plan, "id"));
    }
    let milestone = id_of("milestone of the annual accounts");
    let add = json!({ "milestone_id": milestone, "name": MILESTONE });
    let path = format!("/v1/projects/projects/{project}/add-milestone");
    visitor.command(&path, "demo-invoicing-milestone", &add).await?;
    let plan = json!({
        "name": PLAN, "client_id": client_id, "project_id": project, "terms": { "kind": "milestone", "currency": "EUR" },
    });
    let plan = text(&visitor.command("/v1/revenue/invoice-plans", "demo-invoicing-plan", &plan).await?, "id");
    let path = |verb: &str| format!("/v1/revenue/invoice-plans/{plan}/{verb}");
    let entry = json!({
        "plan_entry_id": id_of("entry of the annual accounts"), "name": MILESTONE, "milestone_id": milestone,
        "amount": { "minor": 245_000, "currency": "EUR" },
    });
    visitor.command(&path("add-entry"), "demo-invoicing-entry", &entry).await?;
    visitor.command(&path("activate"), "demo-invoicing-activate", &json!({})).await?;
    Ok(plan)
}

/// The entry is due: by itself where a definition of the firm says so, else because whoever looks after the plan says so.
async fn due(visitor: &Visitor, plan: &str, entries: &str, complete: &Value) -> Result<()> {
    let begun = Instant::now();
    loop {
        if visitor.one(entries).await?["status"] != "planned" {
            return Ok(());
        }
        if begun.elapsed() > BY_ITSELF {
            let path = format!("/v1/revenue/invoice-plans/{plan}/mark-milestone-reached");
            return visitor.command(&path, "demo-invoicing-reached", complete).await.map(drop);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Answers whoever asks, because of the plan or of the invoice, whether it is issued, until it is.
async fn approved(visitor: &Visitor, about: [&String; 2], invoices: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let invoice = visitor.one(invoices).await?;
        if !["drafted", "pending_approval", "approved"].contains(&&*text(&invoice, "status")) {
            return Ok(());
        }
        if Instant::now() > deadline {
            visitor.nothing_stands_still().await?;
            bail!("the invoice is not issued within {} s: {invoice}", PATIENCE.as_secs());
        }
        for open in visitor.rows("/v1/workflow/approvals?status=open").await? {
            let run = text(&open, "run_id");
            let asking = visitor.get(&format!("/v1/workflow/runs/{run}")).await?;
            if about.iter().any(|about| asking["trigger_aggregate_id"] == ***about) {
                let answer = json!({ "step": open["step"], "comment": "As agreed." });
                let path = format!("/v1/workflow/runs/{run}/approve");
                visitor.command(&path, &format!("demo-invoicing-approve-{run}"), &answer).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
