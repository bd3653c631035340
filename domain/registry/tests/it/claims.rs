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
        // A key stays taken when its thing is retired, so that it can be reinstated.
        "files.folder_template" => one("files.folder_template.key", first_text(&events, "key")),
        "projects.project_template" => one("projects.project_template.key", first_text(&events, "key")),
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
        "scheduling.appointment" => appointment(&events),
        "projects.project" => project(&events),
        _ => BTreeSet::new(),
    }
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
