//! Everything about a client in one answer.
//!
//! A part is what of one list belongs to the client, as the ties of its rows say, so whoever adds one says which list it is. Each is read
//! by the caller's own rights, with the list's own statement; no statement reads two contexts.

use crate::api::{Api, Known};
use crate::keeping::Keeping;
use crate::only::{Rows, Seen};
use crate::operation::{Operation, found, min_position, problems};
use crate::parameters::ListQuery;
use crate::permissions::BALANCES;
use crate::question::{Needs, ask};
use crate::reply::{fault, unreadable};
use crate::revenue::Balances;
use crate::row;
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use kernel::{ClientId, Limits, Reach, Resource, Scope};
use projections::Tie;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

/// Where it is asked for.
pub(crate) const PATH: &str = "/v1/crm/clients/{id}/profile";
const ID: &str = "crm.client.profile";
const ABOUT: &str = "Everything about a client in one answer, as far as the caller may read it.";
/// Whoever may read the client; what else is in the answer needs the right to read that.
const READ: &str = "crm.client.read";
const CLIENTS: &str = "crm/clients";
/// What the answer calls what the client owes.
const BALANCE: &str = "balance";

/// A list, of which the profile shows what belongs to the client.
struct Part {
    /// What the answer calls it.
    name: &'static str,
    /// Whose list it is: `projects/tasks`.
    list: &'static str,
    /// What it is asked with, besides the client.
    with: &'static [(&'static str, &'static str)],
    /// Rows at most.
    limit: usize,
    /// In one sentence.
    about: &'static str,
}

/// What there is. One more part is one more line; its rows say with `ties` that they are the client's.
#[rustfmt::skip]
const PARTS: &[Part] = &[
    Part { name: "contacts", list: "crm/contacts", with: &[], limit: 50, about: "Who speaks for the client." },
    Part { name: "deals", list: "crm/deals", with: &[("sort", "-updated_at")], limit: 20, about: "What the client may engage the firm for." },
    Part { name: "engagements", list: "crm/engagements", with: &[], limit: 20, about: "What the client has engaged the firm for." },
    Part { name: "projects", list: "projects/projects", with: &[], limit: 20, about: "What the firm does for the client." },
    Part { name: "open_tasks", list: "projects/tasks", with: &[("status", "open,in_progress,blocked")], limit: 50, about: "What is to be done in these." },
    Part { name: "proposals", list: "agreements/proposals", with: &[], limit: 20, about: "What the client was offered, and what it is to be." },
    Part { name: "contracts", list: "agreements/contracts", with: &[], limit: 20, about: "What was agreed with the client, and what is to be." },
    Part { name: "invoices", list: "revenue/invoices", with: &[], limit: 20, about: "What the client was invoiced, and what it is to be." },
    Part { name: "threads", list: "communications/threads", with: &[("sort", "-updated_at")], limit: 20, about: "What is talked about with the client, and about it." },
    Part { name: "messages", list: "communications/messages", with: &[], limit: 20, about: "What was said there, newest first." },
    Part { name: "follow_ups", list: "timeline/follow-ups", with: &[("status", "scheduled,due,snoozed"), ("sort", "due_at")], limit: 20, about: "What is to be followed up, soonest first." },
    Part { name: "files", list: "files/files", with: &[], limit: 50, about: "Files of the client." },
    Part { name: "folders", list: "files/folders", with: &[], limit: 50, about: "Where files of the client are." },
    Part { name: "timeline", list: "timeline/activity-events", with: &[], limit: 20, about: "What happened, newest first." },
];

/// Answers it.
pub(crate) async fn profile(
    api: Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, PATH);
    let reach = caller.reach(READ)?;
    crate::given::none(&request)?;
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no such record at {}", request.path()));
    let id: Uuid = path.parse().map_err(|_| unknown())?;
    let client = Resource::from(ClientId(id));
    // A client of whom the caller may read nothing is not found, as everywhere.
    let clients = api.known(CLIENTS).ok_or_else(unknown)?;
    let mut parts: Vec<(&Part, Known, Seen)> = vec![];
    let mut withheld: Vec<&str> = vec![];
    for part in PARTS {
        let Some(known) = api.known(part.list) else { continue };
        let reach = caller.permissions.reach(known.table.resource().read);
        match Seen::of(known.group, known.table, &reach, caller.principal) {
            Some(rows) => parts.push((part, known, rows)),
            None => withheld.push(part.name),
        }
    }
    let balance = caller.permissions.reach(BALANCES).covers(&Scope::of([client]), Some(caller.principal));
    if !balance {
        withheld.push(BALANCE);
    }
    let its_groups = [Some(clients.group.name), balance.then_some("revenue")].into_iter().flatten();
    let mut groups: Vec<&str> = parts.iter().map(|(_, known, _)| known.group.name).chain(its_groups).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in &groups {
        api.has_seen(group, &request).await?;
    }
    let _permit = api.admit(&caller).await?;
    let its = Seen::of(clients.group, clients.table, &reach, caller.principal).ok_or_else(|| caller.denied(READ))?;
    let what = dependencies(id, (clients, &its), &parts, balance);
    let beside = parts.iter().flat_map(|(_, known, _)| known.table.beside());
    let streams = beside.filter_map(|value| value.stream).collect();
    let keeping = Keeping::begin(&api, &caller, &what, (client, streams), &groups).await?;
    if let Some(keeping) = &keeping
        && let Some(body) = keeping.kept(&api, &caller).await?
    {
        return Ok(answer(body));
    }
    let body = read(&api, &caller, id, (clients, its), parts, (balance, &withheld)).await?.ok_or_else(unknown)?;
    if let Some(keeping) = keeping {
        keeping.keep(&api, &caller, &body).await;
    }
    Ok(answer(body))
}

fn answer(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// Everything that the answer depends on besides the log: the client, which rows the caller sees, and what is shown of them.
fn dependencies(id: Uuid, (clients, its): (Known, &Seen), parts: &[(&Part, Known, Seen)], balance: bool) -> String {
    let of = |name: &str, known: &Known, rows: &Seen| {
        let rows = rows.sql(|ids| format!("'{ids}'")).join(" and ");
        let columns: Vec<&str> = known.table.columns().iter().map(|column| column.name.as_str()).collect();
        format!("{name} ({}) {rows}", columns.join(","))
    };
    let parts = parts.iter().map(|(part, known, rows)| of(part.name, known, rows));
    let all: Vec<String> =
        [format!("{PATH} {id} {BALANCE} {balance}"), of("client", &clients, its)].into_iter().chain(parts).collect();
    all.join("\n")
}

/// Puts the answer together; none if the caller sees no such client.
async fn read(
    api: &Api,
    caller: &Caller,
    id: Uuid,
    (clients, its): (Known, Seen),
    parts: Vec<(&Part, Known, Seen)>,
    (balance, withheld): (bool, &[&str]),
) -> Result<Option<String>, Problem> {
    let given = [("id".to_owned(), id.to_string()), ("limit".to_owned(), "1".to_owned())];
    let (rows, count, _) = page(api, caller, clients, given.to_vec(), its).await?;
    if count == 0 {
        return Ok(None);
    }
    let mut body = br#"{"client":"#.to_vec();
    body.extend(rows);
    for (part, known, rows) in parts {
        let belongs = Reach::Only(Limits { resources: vec![ClientId(id).into()], own: false });
        // What belongs to no client has no place in a profile.
        let Some(its) = Rows::of(&whose(known.table.resource().ties), &belongs, caller.principal) else { continue };
        let with = part.with.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let given = with.chain([("limit".to_owned(), part.limit.to_string())]).collect();
        let (rows, _, has_more) = page(api, caller, known, given, Seen { rows: rows.rows.and(its), ..rows }).await?;
        body.extend_from_slice(format!(r#","{}":{{"data":["#, part.name).as_bytes());
        body.extend(rows);
        body.extend_from_slice(format!(r#"],"has_more":{has_more}}}"#).as_bytes());
    }
    if balance {
        let found = ask::<Balances>(api, caller, |asked| asked.bind(Some(id))).await?;
        let (Json(lines),): (Json<Value>,) =
            found.into_iter().next().ok_or_else(|| unreadable(&sqlx::Error::RowNotFound))?;
        body.extend_from_slice(format!(r#","{BALANCE}":{{"data":{lines}}}"#).as_bytes());
    }
    body.extend_from_slice(format!(r#","withheld":{}}}"#, json!(withheld)).as_bytes());
    String::from_utf8(body).map(Some).map_err(|error| unreadable(&error))
}

/// The ties by which a row is the client's. A draft that the client has not been shown is the client's already; whether the caller sees
/// it is asked besides.
fn whose(ties: &[Tie]) -> Vec<Tie> {
    let of_draft = |tie: &Tie| match tie {
        Tie::Client("shown_to_client_id") => Tie::Client("client_id"),
        other => *other,
    };
    ties.iter().map(of_draft).collect()
}

/// The first rows of a list, separated by commas, how many they are, and whether there are more.
async fn page(
    api: &Api,
    caller: &Caller,
    known: Known,
    given: Vec<(String, String)>,
    rows: Seen,
) -> Result<(Vec<u8>, usize, bool), Problem> {
    let Known { group, table, .. } = known;
    let query = ListQuery::parse(table, caller.tenant, given)?;
    let (sql, arguments) = query.sql(&format!("{}.{}", group.name, table.name()), table, &rows);
    let found = sqlx::query(&sql).bind(caller.tenant.0).bind(arguments).fetch_all(api.pool()).await;
    let found = found.map_err(|error| fault(&error))?;
    let (mut body, count) = (vec![], found.len().min(query.limit));
    for (index, row) in found.iter().take(count).enumerate() {
        if index > 0 {
            body.push(b',');
        }
        row::write(&mut body, row, table).map_err(|error| unreadable(&error))?;
    }
    Ok((body, count, found.len() > count))
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let mut of_list = |list: &str| {
        let (_, table, _) = projections::resources().find(|(_, _, resource)| resource.path == list)?;
        let (name, schema) = table.component(document.generator());
        Some(document.component(&name, schema.to_value()))
    };
    let mut properties = Map::new();
    properties.extend(of_list(CLIENTS).map(|client| ("client".to_owned(), client)));
    for part in PARTS {
        let Some(row) = of_list(part.list) else { continue };
        let data = json!({ "type": "array", "items": row, "maxItems": part.limit, "description": "In the order of their list." });
        let has_more = json!({ "type": "boolean", "description": "Whether the list itself has more of them." });
        let about = format!("{} Left out, and told in `withheld`, where the caller may not read it.", part.about);
        let shown = json!({
            "type": "object", "description": about, "required": ["data", "has_more"],
            "properties": { "data": data, "has_more": has_more },
        });
        properties.insert(part.name.to_owned(), shown);
    }
    let lines = Balances::lines(document);
    let about = "What the client owes, and what the firm owes it. Left out, and told in `withheld`, where the caller may not see it.";
    let balance =
        json!({ "type": "object", "description": about, "required": ["data"], "properties": { "data": lines } });
    properties.insert(BALANCE.to_owned(), balance);
    let names: Vec<&str> = PARTS.iter().map(|part| part.name).chain([BALANCE]).collect();
    let withheld = json!({ "type": "array", "items": { "type": "string", "enum": names },
        "description": "The parts that the caller may not read." });
    properties.insert("withheld".to_owned(), withheld);
    let required = ["client", "withheld"];
    let schema = json!({ "type": "object", "description": ABOUT, "required": required, "properties": properties });
    let profile = document.component("ClientProfile", schema);
    let id = json!({ "type": "string", "format": "uuid" });
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "The client.", "schema": id });
    let mut responses = found("The profile.", Map::from_iter([openapi::request_id()]), &profile);
    const OWN: &[&ProblemCode] =
        &[&code::INVALID_PARAMETER, &code::NOT_FOUND, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "Record", OWN));
    let (needs, parameters) = (Needs::Permission(READ), vec![id, min_position()]);
    let operation = Operation { id: ID, needs, summary: ABOUT, tag: "crm", parameters };
    document.operation(PATH, "get", operation.answered(responses));
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Principal, UserId};
    use std::collections::BTreeSet;

    #[test]
    fn every_part_is_a_list_whose_rows_say_that_they_are_a_clients_and_takes_what_it_is_asked_with() {
        let belongs = Reach::Only(Limits { resources: vec![ClientId(Uuid::from_u128(7)).into()], own: false });
        let reader = Principal::from(UserId(Uuid::from_u128(1)));
        for part in PARTS {
            let list = projections::resources().find(|(_, _, resource)| resource.path == part.list);
            let (_, table, resource) = list.unwrap_or_else(|| panic!("there is no {}", part.list));
            let ties = whose(resource.ties);
            assert!(Rows::of(&ties, &belongs, reader).is_some(), "{} is no client's", part.list);
            for tie in ties {
                let column = tie.column();
                assert!(table.columns().iter().any(|its| its.name == column), "{} has no {column}", part.list);
            }
            assert!(
                table.beside().iter().all(|value| value.stream.is_some()),
                "{} shows what no event says, and its answer could not be kept",
                part.list
            );
            let with = part.with.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let given = with.chain([("limit".to_owned(), part.limit.to_string())]).collect();
            assert!(ListQuery::parse(table, kernel::TenantId::default(), given).is_ok(), "{}", part.name);
        }
        let names: BTreeSet<&str> = PARTS.iter().map(|part| part.name).chain(["client", BALANCE, "withheld"]).collect();
        assert_eq!(names.len(), PARTS.len() + 3, "each part has a name of its own");
    }
}
