//! What the demo firm needs before anything is done: its people, hours, templates, rules, and workflows.

use super::visitor::{PATIENCE, Visitor};
use super::{APPROVER, DESK, OWNER, TENANT};
use crate::connect::bus;
use crate::operate;
use crate::output::{Done, Output, say};
use crate::tenants::{Operator, RegisterArguments};
use crate::vault;
use anyhow::{Result, ensure};
use kernel::TenantId;
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

/// The firm and its people, who have accepted.
pub async fn register(settings: &Settings) -> Result<()> {
    let operator = Operator::connect(settings).await?;
    let arguments = RegisterArguments {
        name: "Analytical Advisors".parse()?,
        owner_email: "grace@advisors.example".parse()?,
        owner_name: "Grace Hopper".parse()?,
        time_zone: Some("Europe/Berlin".parse()?),
        tenant: Some(TENANT),
        owner: Some(OWNER),
    };
    operator.register(arguments).await?;
    operator.accept(TENANT, OWNER).await?;
    let colleague = json!({ "email": "katherine@advisors.example", "name": "Katherine Johnson", "roles": ["admin"] });
    operator.command("identity.user.invite", TENANT, APPROVER, &colleague).await?;
    operator.accept(TENANT, APPROVER).await?;
    operator.drained().await
}

/// Everything, workflows last: what was done before them, they do not follow from.
pub async fn run(settings: &Settings, out: &Output) -> Result<Done> {
    register(settings).await?;
    let visitor = Visitor::new(settings, OWNER)?;
    appointments(&visitor).await?;
    onboarding(&visitor).await?;
    money(&visitor).await?;
    let pool = schema::connect(settings.database.worker_url.expose_secret(), "demo", 4, PATIENCE).await?;
    let bus = bus(settings, pool.clone(), vault::open(settings, &pool)?)?;
    operate::publish(&bus, TenantId(TENANT), &[], &[], out).await?;
    say!(
        out,
        "the demo tenant {TENANT} has hours, event types, templates, rules for invoices and bills, and workflows"
    );
    Done::with(json!({ "tenant": TENANT }))
}

async fn appointments(visitor: &Visitor) -> Result<()> {
    let week = |days: &[&str], from: &str, to: &str| -> Vec<Value> {
        days.iter().map(|day| json!({ "weekday": day, "periods": [{ "from": from, "to": to }] })).collect()
    };
    let workdays = ["monday", "tuesday", "wednesday", "thursday", "friday"];
    let all_days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours = |host: Uuid, weekly| json!({ "host_id": host, "time_zone": "Europe/Berlin", "weekly": weekly });
    let availabilities = "/v1/scheduling/availabilities";
    let office = hours(OWNER, week(&workdays, "09:00", "17:00"));
    let office = visitor.ensure(availabilities, "demo-office-hours", &office).await?;
    let always = hours(DESK, week(&all_days, "00:00", "24:00"));
    let always = visitor.ensure(availabilities, "demo-desk-hours", &always).await?;
    let event_type = |key: &str, name: &str, host: Uuid, availability: &str| {
        json!({ "key": key, "rules": {
            "name": name, "host_id": host, "availability_id": availability, "duration_minutes": 30, "max_days_ahead": 365,
        } })
    };
    let event_types = "/v1/scheduling/event-types";
    let consultation = event_type("consultation", "Consultation", OWNER, &office);
    visitor.ensure(event_types, "demo-consultation", &consultation).await?;
    let desk = event_type("helpdesk_call", "Helpdesk call", DESK, &always);
    visitor.ensure(event_types, "demo-helpdesk", &desk).await?;
    Ok(())
}

async fn onboarding(visitor: &Visitor) -> Result<()> {
    let folders = json!({ "key": "onboarding", "name": "Onboarding", "paths": [
        ["Contracts"], ["Contracts", "Drafts"], ["Contracts", "Signed"], ["Correspondence"], ["Invoices"], ["Work"],
    ] });
    visitor.ensure("/v1/files/folder-templates", "demo-folders", &folders).await?;
    let project = json!({
        "key": "onboarding_project", "name": "Onboarding",
        "milestones": [
            { "name": "Kick-off", "due_after_days": 7 },
            { "name": "Everything in place", "due_after_days": 21 },
        ],
        "tasks": [
            { "title": "Prepare the first meeting", "milestone": "Kick-off", "due_after_days": 3, "role": "partner" },
            { "title": "Check identity and conflicts of interest", "milestone": "Kick-off", "due_after_days": 5, "role": "assistant" },
            { "title": "Send the engagement letter", "milestone": "Kick-off", "due_after_days": 7, "role": "partner" },
            { "title": "Collect the documents", "milestone": "Everything in place", "due_after_days": 14, "role": "assistant" },
            { "title": "Set up invoicing", "milestone": "Everything in place", "due_after_days": 21, "role": "assistant" },
        ],
    });
    visitor.ensure("/v1/projects/project-templates", "demo-project", &project).await.map(drop)
}

/// Whatever deals, invoices and bills rely on.
pub async fn money(visitor: &Visitor) -> Result<()> {
    let stage =
        |key: &str, name: &str, probability: u16| json!({ "key": key, "name": name, "probability": probability });
    let pipeline = json!({ "key": "sales", "name": "Sales", "stages": [
        stage("first_talk", "First talk", 20), stage("proposal", "Proposal", 50), stage("negotiation", "Negotiation", 80),
    ] });
    visitor.ensure("/v1/crm/pipelines", "demo-pipeline", &pipeline).await?;
    let rate = json!({ "key": "vat", "name": "VAT 19 %", "tax": { "category": "standard", "rate": "19" } });
    visitor.ensure("/v1/revenue/tax-rates", "demo-vat", &rate).await?;
    for (key, name, prefix) in [("invoices", "Invoices", "R-"), ("credit_notes", "Credit notes", "G-")] {
        let series = json!({ "key": key, "name": name, "prefix": prefix, "digits": 4, "first": 1 });
        visitor.ensure("/v1/revenue/invoice-series", &format!("demo-series-{key}"), &series).await?;
    }
    let address =
        json!({ "line1": "Rosenthaler Straße 40", "city": "Berlin", "postal_code": "10178", "country": "DE" });
    let seller = json!({
        "legal_name": "Analytical Advisors GmbH", "address": address, "vat_id": "DE811907980", "iban": "DE89370400440532013000",
        "contact_name": "Grace Hopper", "contact_email": "grace@advisors.example",
    });
    let terms = json!({
        "currency": "EUR", "payment_terms_days": 14, "invoice_series": "invoices", "credit_note_series": "credit_notes",
        "default_tax_rate": "vat",
    });
    let settings = json!({ "seller": seller, "terms": terms });
    visitor.ensure("/v1/revenue/billing-settings", "demo-billing", &settings).await?;
    let policy = json!({ "name": "Who approves bills", "rules": [
        { "name": "Small ones", "amount": { "currency": "EUR", "below": { "minor": 25_000, "currency": "EUR" } }, "steps": [] },
        { "name": "All others", "steps": [{ "name": "Second pair of eyes", "approvers": [{ "kind": "user", "user_id": APPROVER }] }] },
    ] });
    let policies = visitor.rows("/v1/revenue/approval-policies?subject=bill").await?;
    if policies.is_empty() {
        let (status, answer) = visitor.post("/v1/revenue/approval-policies", "demo-bill-policy", &policy).await?;
        ensure!(status == 201 || status == 409, "the policy was answered {status}: {answer}");
    }
    Ok(())
}
