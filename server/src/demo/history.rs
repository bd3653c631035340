//! What the demo firm did in two years: 20 clients with people, deals, engagements, projects, time, invoices, payments and messages.
//!
//! Made up from a seed, so it is the same everywhere, and given over public HTTP like anything else. Days that commands take (when work
//! began, when time was spent, when an invoice was issued and paid) lie in those two years; when it was written down is when this ran,
//! because the log says so of nothing else.

use super::made_up::{COMPANIES, Chance, Company, FIRST_NAMES, LAST_NAMES, MESSAGES, NOTES, TITLES, WORKS};
use super::visitor::{Visitor, text};
use super::{APPROVER, OWNER, TENANT, seed};
use crate::output::{Done, Output, say};
use anyhow::{Context, Result};
use chrono::{Days, NaiveDate, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use runtime::settings::Settings;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Everything follows from it.
const SEED: u64 = 1815;
/// How many clients are written down at the same time.
const AT_ONCE: usize = 6;
/// Days of two years.
const TWO_YEARS: u64 = 730;
/// What an hour costs, in hundredths.
const HOUR: u64 = 11_000;
/// What the firm's tax rate adds.
const VAT_PERCENT: u64 = 19;
/// What marks a client whose history is complete.
const COMPLETE: &str = "demo";

/// Writes down what is not there yet.
pub async fn run(settings: &Settings, out: &Output) -> Result<Done> {
    seed::register(settings).await?;
    let visitor = Visitor::new(settings, OWNER)?;
    let complete = visitor.rows(&format!("/v1/crm/clients?tag={COMPLETE}&limit=200")).await?;
    if complete.len() >= COMPANIES.len() {
        say!(out, "the demo tenant {TENANT} has its history");
        return Done::with(json!({ "tenant": TENANT, "clients": complete.len(), "made": 0 }));
    }
    seed::money(&visitor).await?;
    let is_complete = |company: &Company| complete.iter().any(|client| client["name"] == company.0);
    let wanted = COMPANIES.iter().enumerate().filter(|(_, company)| !is_complete(company));
    // Invoices take their numbers in the order of their days, so they are issued after everything else, one after the other.
    let written = stream::iter(wanted.map(|(number, company)| past(&visitor, number, company)));
    let mut invoices: Vec<Invoice> = written.buffer_unordered(AT_ONCE).try_concat().await?;
    invoices.sort_by(|one, other| (one.issued_on, &one.key).cmp(&(other.issued_on, &other.key)));
    let drafted = stream::iter(&invoices).map(|invoice| invoice.draft(&visitor)).buffered(AT_ONCE);
    let ids: Vec<String> = drafted.try_collect().await?;
    for (invoice, id) in invoices.iter().zip(&ids) {
        invoice.issue(&visitor, id).await?;
    }
    let paid = stream::iter(invoices.iter().zip(&ids)).map(|(invoice, id)| invoice.pay(&visitor, id));
    paid.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let clients: BTreeSet<&String> = invoices.iter().map(|invoice| &invoice.client).collect();
    for client in clients {
        let path = format!("/v1/crm/clients/{client}/tag");
        visitor.command(&path, &format!("demo-{client}-tag"), &json!({ "tag": COMPLETE })).await?;
    }
    say!(out, "the demo tenant {TENANT} has {} clients and {} invoices", COMPANIES.len(), invoices.len());
    Done::with(json!({ "tenant": TENANT, "clients": COMPANIES.len(), "made": invoices.len() }))
}

/// The day so many days ago.
fn ago(days: u64) -> NaiveDate {
    let today = Utc::now().date_naive();
    today.checked_sub_days(Days::new(days)).unwrap_or(today)
}

fn euros(minor: u64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

/// Somebody who writes down what was done for one client.
struct Writer<'v> {
    visitor: &'v Visitor,
    /// What its keys begin with.
    key: String,
    count: u32,
    chance: Chance,
}

impl Writer<'_> {
    /// The next command; under the same key at every start, so that what was interrupted goes on.
    async fn write(&mut self, path: &str, body: Value) -> Result<String> {
        self.count += 1;
        let key = format!("demo-{}-{}", self.key, self.count);
        Ok(text(&self.visitor.command(path, &key, &body).await?, "id"))
    }

    fn person(&mut self) -> String {
        format!("{} {}", self.chance.of(&FIRST_NAMES), self.chance.of(&LAST_NAMES))
    }
}

/// An invoice that is to be written when those before it are.
struct Invoice {
    key: String,
    client: String,
    project: String,
    issued_on: NaiveDate,
    text: String,
    hours: u64,
    /// Days after which it is paid, and how much of a hundred.
    paid: Option<(u64, u64)>,
}

/// Everything about a client but its invoices, which are answered.
async fn past(visitor: &Visitor, number: usize, company: &Company) -> Result<Vec<Invoice>> {
    let (name, industry, street, postal_code, city, country) = *company;
    let seed = SEED + u64::try_from(number).unwrap_or_default();
    let mut writer = Writer { visitor, key: format!("history-{number}"), count: 0, chance: Chance::seeded(seed) };
    let domain: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).take(14).collect();
    let email = format!("office@{domain}.example");
    let create = json!({ "name": name, "kind": "organisation", "email": email });
    let client = writer.write("/v1/crm/clients", create).await?;
    let of_client = |verb: &str| format!("/v1/crm/clients/{client}/{verb}");
    let address = json!({ "line1": street, "city": city, "postal_code": postal_code, "country": country });
    writer.write(&of_client("change-address"), json!({ "kind": "registered", "address": address })).await?;
    let describe = json!({ "website": format!("https://{domain}.example"), "industry": industry });
    writer.write(&of_client("describe"), describe).await?;
    let owner = if number.is_multiple_of(3) { APPROVER } else { OWNER };
    writer.write(&of_client("assign-owner"), json!({ "owner_id": owner })).await?;
    let mut contact = String::new();
    for primary in [true, false] {
        let person = writer.person();
        let first = person.to_lowercase().replace(' ', ".");
        let title = writer.chance.of(&TITLES);
        let create = json!({ "name": person, "email": format!("{first}@{domain}.example"), "title": title });
        let id = writer.write("/v1/crm/contacts", create).await?;
        let link = json!({ "client_id": client, "role": title, "primary": primary });
        writer.write(&format!("/v1/crm/contacts/{id}/link-to-client"), link).await?;
        contact = if primary { id } else { contact };
    }
    let buyer = json!({ "legal_name": name, "address": address, "email": email });
    let profile = json!({ "client_id": client, "buyer": buyer });
    writer.write("/v1/revenue/billing-profiles", profile).await?;
    let note =
        json!({ "about": { "kind": "client", "id": client }, "client_id": client, "body": writer.chance.of(&NOTES) });
    writer.write("/v1/communications/notes", note).await?;
    talked(&mut writer, &client, name).await?;
    let mut invoices = vec![];
    // Two pieces of work that are over, and one that goes on, each about a third of the two years.
    for (turn, begun) in [(0, TWO_YEARS), (1, TWO_YEARS * 2 / 3), (2, TWO_YEARS / 3)] {
        invoices.extend(worked(&mut writer, &client, &contact, owner, (number + turn, begun, turn < 2)).await?);
    }
    let later = match number % 10 {
        7 => Some("dormant"),
        8 => Some("former"),
        _ => None,
    };
    for status in [Some("active"), later].into_iter().flatten() {
        writer.write(&of_client("change-status"), json!({ "status": status })).await?;
    }
    if number.is_multiple_of(2) {
        let about = json!({ "kind": "client", "id": client });
        let due_at = Utc::now() + chrono::TimeDelta::days(i64::try_from(number).unwrap_or_default() + 2);
        let due_at = due_at.date_naive().and_hms_opt(9, 0, 0).context("nine o'clock")?.and_utc();
        let follow_up = json!({ "about": about, "client_id": client, "assignee_id": owner, "title": "Talk about next year", "due_at": due_at });
        writer.write("/v1/timeline/follow-ups", follow_up).await?;
    }
    Ok(invoices)
}

/// Messages with the client.
async fn talked(writer: &mut Writer<'_>, client: &str, name: &str) -> Result<()> {
    let thread = json!({ "kind": "client", "subject": format!("Papers of {name}"), "client_id": client });
    let thread = writer.write("/v1/communications/threads", thread).await?;
    let first = usize::try_from(writer.chance.between(0, 4)).unwrap_or_default();
    for message in MESSAGES.iter().skip(first).take(3) {
        writer.write(&format!("/v1/communications/threads/{thread}/post-message"), json!({ "body": message })).await?;
    }
    Ok(())
}

/// A deal that was won, its engagement, its project with tasks and time; answers its invoices. `what` says which work it is, how many
/// days ago it began, and whether it is over.
async fn worked(
    writer: &mut Writer<'_>,
    client: &str,
    contact: &str,
    owner: Uuid,
    what: (usize, u64, bool),
) -> Result<Vec<Invoice>> {
    let (which, begun, is_over) = what;
    let (work, tasks) = WORKS[which % WORKS.len()];
    let starts_on = ago(begun);
    let title = format!("{work} {}", starts_on.format("%Y"));
    let value = writer.chance.between(18, 95) * 10_000;
    let deal = json!({
        "name": title, "client_id": client, "contact_id": contact, "pipeline": "sales", "value": euros(value), "owner_id": owner,
        "expected_close_on": starts_on,
    });
    let deal = writer.write("/v1/crm/deals", deal).await?;
    writer.write(&format!("/v1/crm/deals/{deal}/win"), json!({})).await?;
    let engagement = json!({
        "name": title, "client_id": client, "deal_id": deal, "owner_id": owner, "value": euros(value), "starts_on": starts_on,
        "ends_on": ago(begun.saturating_sub(TWO_YEARS / 3)),
    });
    let engagement = writer.write("/v1/crm/engagements", engagement).await?;
    let project = json!({ "name": title, "client_id": client, "engagement_id": engagement, "starts_on": starts_on });
    let project = writer.write("/v1/projects/projects", project).await?;
    let of_project = |verb: &str| format!("/v1/projects/projects/{project}/{verb}");
    let rate = writer.chance.between(9, 14) * 1_000;
    writer.write(&of_project("set-rates"), json!({ "hourly_rate": euros(rate) })).await?;
    writer.write(&of_project("activate"), json!({})).await?;
    let done = if is_over { tasks.len() } else { 2 };
    for (index, task) in tasks.iter().enumerate() {
        let task_id = Uuid::new_v5(&TENANT, format!("{project} {task}").as_bytes());
        let due_on = ago(begun.saturating_sub(40 * (u64::try_from(index).unwrap_or_default() + 1)));
        let add = json!({ "task_id": task_id, "title": task, "due_on": due_on, "assignee_id": owner });
        writer.write(&of_project("add-task"), add).await?;
        let spent_on =
            ago(begun.saturating_sub(40 * u64::try_from(index).unwrap_or_default() + writer.chance.between(1, 30)));
        if index <= done {
            let time = json!({
                "project_id": project, "user_id": owner, "task_id": task_id, "date": spent_on, "description": task,
                "minutes": writer.chance.between(4, 32) * 15,
            });
            writer.write("/v1/projects/time-entries", time).await?;
        }
        if index < done {
            writer.write(&of_project("complete-task"), json!({ "task_id": task_id })).await?;
        }
    }
    let mut invoices = vec![];
    for part in 0..if is_over { 2 } else { 1 } {
        let late = writer.chance.percent(20);
        let paid = match (is_over, late) {
            (true, false) => Some((writer.chance.between(3, 16), 100)),
            (true, true) => Some((writer.chance.between(25, 60), 100)),
            (false, false) => Some((10, 50)),
            (false, true) => None,
        };
        invoices.push(Invoice {
            key: format!("{}-{which}-{part}", writer.key),
            client: client.to_owned(),
            project: project.clone(),
            issued_on: ago(begun.saturating_sub(90 + 100 * part)),
            text: format!("{title}, {}", if part == 0 { "first part" } else { "remainder" }),
            hours: writer.chance.between(8, 40),
            paid,
        });
    }
    if is_over {
        writer.write(&of_project("complete"), json!({})).await?;
        writer.write(&format!("/v1/crm/engagements/{engagement}/complete"), json!({})).await?;
    }
    Ok(invoices)
}

impl Invoice {
    fn key(&self, verb: &str) -> String {
        format!("demo-{}-{verb}", self.key)
    }

    /// Writes it, and has it approved; answers its id.
    async fn draft(&self, visitor: &Visitor) -> Result<String> {
        let draft = json!({
            "client_id": self.client, "project_id": self.project,
            "lines": [{
                "description": self.text, "quantity": self.hours.to_string(), "measure": "hour", "unit_price": euros(HOUR),
            }],
        });
        let id = text(&visitor.command("/v1/revenue/invoices", &self.key("draft"), &draft).await?, "id");
        for verb in ["submit-for-approval", "approve"] {
            let path = format!("/v1/revenue/invoices/{id}/{verb}");
            visitor.command(&path, &self.key(verb), &json!({})).await?;
        }
        Ok(id)
    }

    async fn issue(&self, visitor: &Visitor, id: &str) -> Result<()> {
        let path = format!("/v1/revenue/invoices/{id}/issue");
        visitor.command(&path, &self.key("issue"), &json!({ "issued_on": self.issued_on })).await.map(drop)
    }

    /// It was sent by post, and what was paid of it came in.
    async fn pay(&self, visitor: &Visitor, id: &str) -> Result<()> {
        let path = format!("/v1/revenue/invoices/{id}/mark-sent");
        visitor.command(&path, &self.key("sent"), &json!({})).await?;
        let Some((after, percent)) = self.paid else { return Ok(()) };
        let received_on = self.issued_on.checked_add_days(Days::new(after)).unwrap_or(ago(0)).min(ago(0));
        let total = self.hours * HOUR * (100 + VAT_PERCENT) / 100;
        let amount = euros(total * percent / 100);
        let payment = json!({
            "client_id": self.client, "amount": amount, "received_on": received_on, "method": "bank_transfer",
            "allocations": [{ "invoice_id": id, "amount": amount }],
        });
        visitor.command("/v1/revenue/payments", &self.key("payment"), &payment).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_same_every_time_and_stays_within_its_bounds() {
        let (mut one, mut other) = (Chance::seeded(SEED), Chance::seeded(SEED));
        let drawn: Vec<u64> = (0..100).map(|_| one.between(3, 9)).collect();
        assert!(drawn.iter().all(|number| (3..=9).contains(number)));
        assert!(drawn.iter().any(|number| *number != drawn[0]));
        assert_eq!(drawn, (0..100).map(|_| other.between(3, 9)).collect::<Vec<_>>());
    }
}
