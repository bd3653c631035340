//! What a stream should hold, told from its events alone and without a look at `Aggregate::claims`.

use kernel::Stored;
use samples::Key;
use serde_json::Value;
use std::collections::BTreeSet;

/// Scope and value of everything that the stream with this history should hold.
///
/// A kind of stream that is not here should hold nothing: an aggregate that begins to claim is written down here too.
pub fn held((_, stream, _): &Key, history: &[Stored]) -> BTreeSet<(&'static str, String)> {
    let events: Vec<(&str, Value)> =
        history.iter().map(|e| (e.event_type.as_str(), serde_json::from_str(&e.payload).unwrap())).collect();
    match *stream {
        "crm.client" => one("crm.client.email", last_address(&events)),
        // Who is archived does not stand in the way of others.
        "crm.contact" => match last_of(&events, &["contact.archived", "contact.restored"]) {
            Some(("contact.archived", _)) => BTreeSet::new(),
            _ => one("crm.contact.email", last_address(&events)).into_iter().chain(first_at(&events)).collect(),
        },
        "crm.pipeline" => one("crm.pipeline.key", first_text(&events, "key")),
        // Of what was given up another may come.
        "crm.engagement" => match last_of(&events, &["engagement.cancelled"]) {
            Some(_) => BTreeSet::new(),
            None => {
                let of = |field: &str| events.first().and_then(|(_, event)| event[field].as_str()).map(str::to_owned);
                let deal = one("crm.engagement.deal_id", of("deal_id"));
                deal.into_iter().chain(one("crm.engagement.contract_id", of("contract_id"))).collect()
            }
        },
        "portal.portal_user" => {
            let created = events.first().map(|(_, e)| format!("{}/{}", text(&e["client_id"]), text(&e["email"])));
            one("portal.portal_user.email", created)
        }
        // Messages are found by their ids, for ever.
        "communications.thread" => events
            .iter()
            .filter(|(event_type, _)| *event_type == "message.posted")
            .map(|(_, event)| ("communications.thread.message_id", text(&event["message_id"])))
            .collect(),
        "communications.notification_preferences" => {
            one("communications.notification_preferences.user", first_text(&events, "user_id"))
        }
        "timeline.pin" => match last_of(&events, &["pin.removed"]) {
            Some(_) => BTreeSet::new(),
            None => one("timeline.pin.entry", events.first().map(|(_, event)| pinned(event))),
        },
        "communications.email_template" => one("communications.email_template.key", first_text(&events, "key")),
        // A key stays taken when its thing is retired, so that it can be reinstated.
        "files.folder_template" => one("files.folder_template.key", first_text(&events, "key")),
        "agreements.template" => one("agreements.template.key", first_text(&events, "key")),
        // Who takes the place of another keeps it, unless it was given up before anybody saw it.
        "agreements.proposal" => {
            let sent = last_of(&events, &["proposal.sent"]).is_some();
            let place =
                events.first().map(|(_, event)| event).filter(|event| event["supersedes_proposal_id"].is_string());
            let place = place.filter(|_| sent || last_of(&events, &["proposal.withdrawn"]).is_none());
            one("agreements.proposal.supersedes", place.map(|event| text(&event["supersedes_proposal_id"])))
        }
        "agreements.contract" => {
            let ended = last_of(&events, &["contract.declined", "contract.voided", "contract.expired"]).is_some();
            let first =
                events.first().map(|(_, event)| event).filter(|event| !ended && event["proposal_id"].is_string());
            one("agreements.contract.proposal", first.map(|event| text(&event["proposal_id"])))
        }
        "projects.project_template" => one("projects.project_template.key", first_text(&events, "key")),
        "revenue.billing_settings" if events.is_empty() => BTreeSet::new(),
        "revenue.billing_settings" => one("revenue.billing_settings.firm", Some("firm".to_owned())),
        "revenue.billing_profile" => one("revenue.billing_profile.client", first_text(&events, "client_id")),
        "revenue.tax_rate" => one("revenue.tax_rate.key", first_text(&events, "key")),
        "revenue.invoice_series" => one("revenue.invoice_series.key", first_text(&events, "key")),
        "revenue.invoice_plan" => {
            let added = events.iter().filter(|(_, event)| event["plan_entry"].is_object());
            added.map(|(_, event)| ("revenue.invoice_plan.plan_entry_id", text(&event["plan_entry"]["id"]))).collect()
        }
        "revenue.invoice" => invoice(&events),
        "revenue.payment" => match events.first() {
            Some((_, event)) if event["external_id"].is_string() => {
                one("revenue.payment.external_id", Some(text(&event["external_id"])))
            }
            _ => BTreeSet::new(),
        },
        "revenue.credit_note" => {
            let issued = last_of(&events, &["credit_note.issued"]);
            one("revenue.credit_note.number", issued.map(|(_, event)| text(&event["number"])))
        }
        "scheduling.event_type" => one("scheduling.event_type.key", first_text(&events, "key")),
        "scheduling.availability" => one("scheduling.availability.host", first_text(&events, "host_id")),
        "identity.user" => user(&events),
        "identity.tenant" => owners(&events),
        "identity.role" => match last_of(&events, &["role.withdrawn"]) {
            Some(_) => BTreeSet::new(),
            None => one("identity.role.name", first_text(&events, "name")),
        },
        "identity.team" => match last_of(&events, &["team.disbanded"]) {
            Some(_) => BTreeSet::new(),
            None => {
                let named = last_of(&events, &["team.created", "team.renamed"]);
                one("identity.team.name", named.map(|(_, event)| folded(&event["name"])))
            }
        },
        "identity.service_account" => {
            one("identity.service_account.name", events.first().map(|(_, event)| folded(&event["name"])))
        }
        // What a run is for is held while it goes on.
        "workflow.run" => match last_of(&events, &["run.succeeded", "run.cancelled", "run.rerun"]) {
            Some(("run.succeeded" | "run.cancelled", _)) => BTreeSet::new(),
            _ => {
                let first = events.first().map(|(_, event)| event).filter(|event| event["correlation_key"].is_string());
                let key =
                    first.map(|event| format!("{}:{}", text(&event["definition_id"]), text(&event["correlation_key"])));
                one("workflow.run.correlation", key)
            }
        },
        "revenue.vendor" => match last_of(&events, &["vendor.archived", "vendor.restored"]) {
            Some(("vendor.archived", _)) => BTreeSet::new(),
            _ => {
                let told = last_of(&events, &["vendor.added", "vendor.details_changed"]);
                one("revenue.vendor.vat_id", told.and_then(|(_, event)| event["vat_id"].as_str().map(str::to_owned)))
            }
        },
        "revenue.approval_policy" => match last_of(&events, &["approval_policy.retired", "approval_policy.reinstated"])
        {
            Some(("approval_policy.retired", _)) => BTreeSet::new(),
            _ => one("revenue.approval_policy.subject", first_text(&events, "subject")),
        },
        "revenue.payables_settings" if events.is_empty() => BTreeSet::new(),
        "revenue.payables_settings" => one("revenue.payables_settings.firm", Some("firm".to_owned())),
        "revenue.bill" => bill(&events),
        // A file becomes one bill; one that becomes none may be handed in again.
        "revenue.bill_file" => match last_of(&events, &["bill_file.discarded"]) {
            Some(_) => BTreeSet::new(),
            None => one("revenue.bill_file.file", first_text(&events, "file_id")),
        },
        "portal.client_approval" if events.len() > 1 => BTreeSet::new(),
        "portal.client_approval" => {
            let subject = |event: &Value| {
                let subject = &event["subject"];
                format!("{}/{}/{}", text(&event["client_id"]), text(&subject["kind"]), text(&subject["id"]))
            };
            one("portal.client_approval.subject", events.first().map(|(_, event)| subject(event)))
        }
        "scheduling.appointment" => appointment(&events),
        // An account stays taken until its connection is given up.
        "connections.connection" => match last_of(&events, &["connection.authorised", "connection.disconnected"]) {
            Some(("connection.authorised", event)) => {
                let provider = text(&event["provider"]);
                one("connections.connection.account", Some(format!("{provider}:{}", folded(&event["account_id"]))))
            }
            _ => BTreeSet::new(),
        },
        "files.file" => {
            let begun = events.iter().filter(|(event_type, _)| *event_type == "upload.begun");
            begun.map(|(_, event)| ("files.file.upload_id", text(&event["upload_id"]))).collect()
        }
        "files.file_request" => {
            let single = events.iter().map(|(_, event)| &event["request_item"]).filter(|item| item.is_object());
            let listed = events.iter().flat_map(|(_, event)| event["request_items"].as_array().into_iter().flatten());
            let id = |item: &Value| ("files.file_request.request_item_id", text(&item["id"]));
            single.chain(listed).map(id).collect()
        }
        "projects.project" => project(&events),
        _ => BTreeSet::new(),
    }
}

/// An entry's place on a timeline.
fn pinned(event: &Value) -> String {
    let on = [("client", "client_id"), ("project", "project_id")];
    let on = on.iter().filter_map(|(kind, field)| Some(format!("{kind}/{}", event[*field].as_str()?)));
    format!("{}@{}", text(&event["entry_id"]), on.collect::<Vec<_>>().join(","))
}

/// The clients at which the person is the first to ask.
fn first_at(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let mut held = BTreeSet::new();
    for (event_type, event) in events {
        let client = || ("crm.client.primary_contact", text(&event["client_id"]));
        match *event_type {
            "contact.linked_to_client" if event["primary"] == true => drop(held.replace(client())),
            "contact.linked_to_client" | "contact.unlinked_from_client" => drop(held.take(&client())),
            _ => {}
        }
    }
    held
}

/// Everybody who is an owner now.
fn owners(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let mut held = BTreeSet::new();
    for (event_type, event) in events {
        let owner = |field: &str| ("identity.user.owner", text(&event[field]));
        match *event_type {
            "tenant.registered" => drop(held.replace(owner("owner_id"))),
            "tenant.owner_added" => drop(held.replace(owner("user_id"))),
            "tenant.owner_removed" => drop(held.take(&owner("user_id"))),
            "tenant.ownership_transferred" => {
                held.remove(&owner("from_user_id"));
                held.insert(owner("to_user_id"));
            }
            _ => {}
        }
    }
    held
}

/// The address that the person was first invited at, for ever, and the logins that are the person's now.
fn user(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let mut held = BTreeSet::new();
    for (event_type, event) in events {
        let login = || ("identity.user.login", format!("{} {}", text(&event["issuer"]), text(&event["subject"])));
        match *event_type {
            "user.login_linked" => drop(held.replace(login())),
            "user.login_unlinked" => drop(held.take(&login())),
            "user.deactivated" | "user.left" => held.clear(),
            _ => {}
        }
    }
    held.extend(one("identity.user.email", first_text(events, "email")));
    held
}

/// The ids of its milestones and tasks, for ever.
fn project(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let ids = |field: &str, list: &str, scope: &'static str| {
        let single = events.iter().map(|(_, event)| &event[field]).filter(|part| part.is_object());
        let listed = events.iter().flat_map(|(_, event)| event[list].as_array().into_iter().flatten());
        single.chain(listed).map(|part| (scope, text(&part["id"]))).collect::<BTreeSet<_>>()
    };
    let mut held = ids("milestone", "milestones", "projects.project.milestone_id");
    held.extend(ids("task", "tasks", "projects.project.task_id"));
    held
}

/// The ids of its lines and its number, for ever; what its lines are for, until they are taken out or it is voided.
fn invoice(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let (mut held, mut lines) = (BTreeSet::new(), vec![]);
    for (event_type, event) in events {
        match *event_type {
            "invoice.drafted" => lines.extend(event["lines"].as_array().cloned().unwrap_or_default()),
            "invoice.line_added" => lines.push(event["line"].clone()),
            "invoice.line_removed" => lines.retain(|line| line["id"] != event["line_id"]),
            "invoice.voided" => lines.clear(),
            "invoice.issued" => drop(held.insert(("revenue.invoice.number", text(&event["number"])))),
            _ => {}
        }
        held.extend(lines.iter().map(|line| ("revenue.invoice.line_id", text(&line["id"]))));
    }
    for source in lines.iter().map(|line| &line["source"]).filter(|source| source.is_object()) {
        let kind = text(&source["kind"]);
        let ids = match kind.as_str() {
            "time" => source["time_entry_ids"].as_array().cloned().unwrap_or_default(),
            kind => vec![source[format!("{kind}_id")].clone()],
        };
        held.extend(ids.iter().map(|id| ("revenue.invoice.source", format!("{kind}/{}", text(id)))));
    }
    held
}

/// Every five minutes of the time that it takes now, unless it is off: once with the buffer after it, once with the one before.
fn appointment(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let off = ["appointment.cancelled", "appointment.declined"];
    if last_of(events, &off).is_some() {
        return BTreeSet::new();
    }
    let Some((_, first)) = events.first() else { return BTreeSet::new() };
    let host = text(&first["host_id"]);
    let moved = last_of(events, &["appointment.rescheduled"]);
    let slot = moved.map_or(first, |(_, event)| &event["to"]);
    let time = |field: &str| text(&slot[field]).parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let granules = |from: &str, until: &str, suffix: &str| {
        let (from, until) = (time(from), time(until));
        let minutes = (0..(until - from).num_minutes()).step_by(5);
        let at = |minute| (from + chrono::TimeDelta::minutes(minute)).format("%Y-%m-%dT%H:%M:%SZ");
        minutes.map(|minute| ("scheduling.slot", format!("{host}/{}{suffix}", at(minute)))).collect::<Vec<_>>()
    };
    [granules("starts_at", "blocked_until", ""), granules("blocked_from", "ends_at", "/before")]
        .concat()
        .into_iter()
        .collect()
}

/// The vendor's number of it, by year and, unless the firm's rule is by year, for ever; and what others are compared with that look the same, if
/// it was the first of them. A bill that is void holds its payments alone.
fn bill(events: &[(&str, Value)]) -> BTreeSet<(&'static str, String)> {
    let Some((_, told)) = last_of(events, &["bill.received", "bill.corrected"]) else { return BTreeSet::new() };
    let payments = events.iter().filter(|(event_type, _)| *event_type == "bill.payment_recorded");
    let mut held: BTreeSet<_> =
        payments.map(|(_, event)| ("revenue.bill.payment_id", text(&event["payment_id"]))).collect();
    if last_of(events, &["bill.voided"]).is_some() {
        return held;
    }
    let key = kernel::reference_key(&text(&told["reference"]));
    if told["alike_bill_id"].is_null() {
        let total = &told["total"];
        held.insert(("revenue.bill.fingerprint", format!("{}/{}/{key}", text(&total["currency"]), total["minor"])));
    }
    let since = events.iter().rposition(|(event_type, _)| matches!(*event_type, "bill.received" | "bill.corrected"));
    let coded = last_of(&events[since.unwrap_or(0)..], &["bill.coded"]).map(|(_, event)| event);
    if let Some(vendor) = coded.unwrap_or(told)["vendor_id"].as_str() {
        held.insert(("revenue.bill.reference", format!("{vendor}/{}/{key}", told["reference_year"])));
        if told["reference_rule"] == "for_ever" {
            held.insert(("revenue.bill.reference", format!("{vendor}/ever/{key}")));
        }
    }
    held
}

fn last_of<'a>(events: &'a [(&'a str, Value)], types: &[&str]) -> Option<(&'a str, &'a Value)> {
    let last = events.iter().rev().find(|(event_type, _)| types.contains(event_type));
    last.map(|(event_type, event)| (*event_type, event))
}

/// The e-mail address that the first or a later event names; one that names none takes it away.
fn last_address(events: &[(&str, Value)]) -> Option<String> {
    let tells = |t: &str| t.ends_with(".created") || t.ends_with(".contact_details_changed");
    let (_, last) = events.iter().rev().find(|(event_type, _)| tells(event_type))?;
    last["email"].as_str().map(str::to_owned)
}

fn first_text(events: &[(&str, Value)], field: &str) -> Option<String> {
    events.first().map(|(_, event)| text(&event[field]))
}

/// What a name is compared by.
fn folded(name: &Value) -> String {
    text(name).parse::<kernel::Name>().unwrap().folded()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn one(scope: &'static str, value: Option<String>) -> BTreeSet<(&'static str, String)> {
    value.map(|value| (scope, value)).into_iter().collect()
}
