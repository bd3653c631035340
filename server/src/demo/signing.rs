//! Flagship 2: what a client accepted becomes a contract, is signed at DocuSign, and begins.

use super::tour::{EMAIL_IN_PATHS, TITLE, Tour, curls, line, title};
use super::visitor::{amount, text};
use super::{booking, coming_days, invoicing};
use anyhow::{Context, Result};
use serde_json::{Value, json};

const DEFINITION: &str = "Proposal accepted → contract, project, invoices";
/// Signers are numbered from 1 in an envelope.
const SIGNER: &str = "1";

/// The offer to the client.
fn offer(contact: &Value, deal: &str) -> Value {
    let line = |what: &str, quantity: &str, unit: &str, minor: i64| {
        json!({
            "description": what, "quantity": quantity, "unit": unit, "unit_price": { "minor": minor, "currency": "EUR" },
            "tax": { "category": "standard", "rate": "19" },
        })
    };
    json!({
        "title": TITLE,
        "contact_id": contact["id"],
        "deal_id": deal,
        "body": { "kind": "written", "markdown": "# What we do for you\n\nWe keep your books month by month, and draw up the \
            annual accounts.\n\n- Monthly bookkeeping within ten days of the month's end\n- Annual accounts by 31 March\n\n## \
            What we need\n\nBank statements, receipts, and a person who answers questions." },
        "currency": "EUR",
        "lines": [
            line("Taking over the books", "1", "lump_sum", 145_000),
            line("Bookkeeping, first quarter", "3", "month", 89_000),
        ],
        "valid_until": coming_days(30),
    })
}

/// Offers, accepts and signs, unless that was done before, and shows what came of it.
pub async fn show(tour: &Tour<'_>) -> Result<Value> {
    let (visitor, out) = (&tour.visitor, tour.out);
    title(out, 2, "an accepted proposal becomes a signed contract and a project");
    let client = tour.client().await?;
    let client_id = text(&client, "id");
    // What was agreed is invoiced as soon as it is due, and somebody has to be billed for it.
    invoicing::bill_to(visitor, &client_id).await?;
    let proposal = accepted(tour, &client_id).await?;
    line(out, "proposal", format!("{TITLE}, accepted by {}", booking::NAME));

    let contracts = format!("/v1/agreements/contracts?proposal_id={proposal}");
    let is_out = |contract: &Value| contract["envelope_id"].is_string();
    let contract = visitor.until("the contract goes out to be signed", &contracts, is_out).await?;
    let (contract_id, envelope) = (text(&contract, "id"), text(&contract, "envelope_id"));
    let at_the_lab = tour.at_the_lab("envelopes", "envelope", |one| one["envelopeId"] == envelope).await?;
    if at_the_lab["status"] == "sent" {
        tour.outside.sign(&envelope, SIGNER).await.context("signing at the lab")?;
    }
    let run = visitor.finished(DEFINITION, &proposal).await?;
    let is_kept = |contract: &Value| contract["document_file_id"].is_string();
    let contract = visitor.until("what was signed is kept", &contracts, is_kept).await?;
    let at_the_lab = tour.at_the_lab("envelopes", "envelope", |one| one["envelopeId"] == envelope).await?;
    tour.see_everything().await?;
    let file = text(&contract, "document_file_id");
    let pdf = tour.paper(&file).await?;
    let project = tour.project(&client).await?;
    let engagement = visitor.one(&format!("/v1/crm/engagements?contract_id={contract_id}")).await?;
    let plans = visitor.rows(&format!("/v1/revenue/invoice-plans?project_id={}", text(&project, "id"))).await?;
    let plan = plans.into_iter().find(|plan| plan["name"] == TITLE).context("there is no invoice plan")?;

    let (lab, status) = (&tour.outside.lab, text(&at_the_lab, "status"));
    line(out, "contract", format!("{} ({})", text(&contract, "title"), text(&contract, "status")));
    line(out, "envelope", format!("{envelope} is {status} at DocuSign  {lab}/docusign/sign/{envelope}/{SIGNER}"));
    line(out, "signed paper", pdf.display());
    line(out, "engagement", format!("{} ({})", text(&engagement, "name"), text(&engagement, "status")));
    line(out, "project", format!("{} ({})", text(&project, "name"), text(&project, "status")));
    let worth = amount(&contract["total_minor"], &contract["currency"]);
    line(out, "invoice plan", format!("{} ({}), {worth} with tax", text(&plan, "name"), text(&plan, "status")));
    tour.run_line(&run);
    let asked = [
        ("the proposal", format!("/v1/agreements/proposals/{proposal}")),
        ("the contract", format!("/v1/agreements/contracts/{contract_id}")),
        ("who signed, and when", format!("/v1/agreements/contract-recipients?contract_id={contract_id}")),
        ("the engagement", format!("/v1/crm/engagements/{}", text(&engagement, "id"))),
        ("the project", format!("/v1/projects/projects/{}", text(&project, "id"))),
        ("what is to be invoiced", format!("/v1/revenue/plan-entries?invoice_plan_id={}", text(&plan, "id"))),
        ("the run's steps", format!("/v1/workflow/run-steps?run_id={}", text(&run, "id"))),
    ];
    curls(out, visitor, asked);
    tour.download("the signed paper", &file);
    tour.lab_curl("the envelope, as DocuSign has it", &format!(".envelopes[] | select(.envelopeId == \"{envelope}\")"));
    Ok(json!({ "proposal": proposal, "contract": contract_id, "envelope": envelope, "pdf": pdf, "run": run }))
}

/// The proposal, as far as it has to be brought.
async fn accepted(tour: &Tour<'_>, client_id: &str) -> Result<String> {
    let visitor = &tour.visitor;
    let earlier = visitor.rows(&format!("/v1/agreements/proposals?client_id={client_id}")).await?;
    let earlier = earlier.into_iter().find(|proposal| proposal["title"] == TITLE);
    let (id, status) = match earlier {
        Some(earlier) => (text(&earlier, "id"), text(&earlier, "status")),
        None => {
            let contact = visitor.one(&format!("/v1/crm/contacts?email={}", EMAIL_IN_PATHS)).await?;
            let deal = json!({
                "name": TITLE, "client_id": client_id, "contact_id": contact["id"], "pipeline": "sales", "stage": "proposal",
                "value": { "minor": 412_000, "currency": "EUR" }, "expected_close_on": coming_days(30),
            });
            let deal = visitor.ensure("/v1/crm/deals", "demo-signing-deal", &deal).await?;
            let create = json!({ "client_id": client_id, "offer": offer(&contact, &deal) });
            let made = visitor.command("/v1/agreements/proposals", "demo-signing-proposal", &create).await?;
            (text(&made, "id"), "draft".to_owned())
        }
    };
    let path = |verb: &str| format!("/v1/agreements/proposals/{id}/{verb}");
    if status == "draft" {
        visitor.command(&path("send"), "demo-signing-send", &json!({})).await?;
    }
    if ["draft", "sent", "viewed"].contains(&&*status) {
        let signer = json!({ "signer_name": booking::NAME, "signer_email": booking::EMAIL });
        visitor.command(&path("accept"), "demo-signing-accept", &signer).await?;
    }
    Ok(id)
}
