//! The figures of a firm's first page: how many, and how much, of what the caller may read.
//!
//! Each figure is one statement over one list, with the caller's own rights for that list; the database adds up, and no list is sent.

use crate::api::{Api, Known};
use crate::given::{Given, pairs};
use crate::only::Seen;
use crate::operation::{Operation, found, min_position, parameter, problems};
use crate::parameters::Selection;
use crate::question::{Needs, Question, ask, read};
use crate::reply::unreadable;
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use kernel::{Date, TimeZone, Timestamp};
use serde_json::{Map, Value, json};
use sqlx::types::{Json, JsonRawValue};
use std::collections::BTreeMap;

/// The figures.
pub(crate) struct Figures;

impl Question for Figures {
    const PATH: &'static str = "/v1/dashboard/figures";
    const ID: &'static str = "dashboard.figures.read";
    const READ: Needs<'static> = Needs::Otherwise(
        "Everybody who comes in may ask; a figure needs the right to read the list that it is of, and counts what that right reaches.",
    );
    const ABOUT: &'static str = "How many and how much: clients, deals, engagements, projects, tasks, invoices, payments, follow-ups and appointments.";
    // What day it is for the firm; what is counted stands with each figure.
    const SQL: &'static str = crate::identity::TIME_ZONE;
    type Row = (Option<String>,);
}

/// What a figure says.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A number.
    Count,
    /// A line for each status.
    ByStatus,
    /// A line for each currency, with these sums besides its count.
    ByCurrency(&'static [(&'static str, &'static str)]),
    /// A number, and the first moment.
    Next,
}

/// One figure.
struct Figure {
    /// What the answer calls it.
    name: &'static str,
    /// Of which list: `crm/clients`.
    list: &'static str,
    /// What it says.
    shape: Shape,
    /// In one sentence.
    about: &'static str,
    /// Which rows count, besides that the caller sees them: `{on}` is the day.
    only: &'static str,
}

/// All there are. One more is one more line.
#[rustfmt::skip]
const FIGURES: &[Figure] = &[
    Figure { name: "active_clients", list: "crm/clients", shape: Shape::Count, only: "r.status = 'active'",
        about: "Clients that are being served." },
    Figure { name: "open_deals", list: "crm/deals", only: "r.status = 'open'",
        shape: Shape::ByCurrency(&[
            ("value_minor", "coalesce(sum(r.value_minor), 0)"),
            ("weighted_minor", "coalesce(round(sum(r.value_minor * r.probability) / 100), 0)"),
        ]),
        about: "Deals that are neither won nor lost: what they are worth, and what as likely as each of them is won." },
    Figure { name: "active_engagements", list: "crm/engagements", shape: Shape::Count, only: "r.status = 'active'",
        about: "Engagements that are being worked on." },
    Figure { name: "projects_by_status", list: "projects/projects", shape: Shape::ByStatus, only: "true",
        about: "Projects that are not archived." },
    Figure { name: "overdue_tasks", list: "projects/tasks", shape: Shape::Count,
        only: "r.status in ('open', 'in_progress', 'blocked') and r.due_on < {on}",
        about: "Tasks that were to be done before the day." },
    Figure { name: "pending_invoices", list: "revenue/invoices", shape: Shape::Count,
        only: "r.status in ('drafted', 'pending_approval', 'approved')",
        about: "Invoices that are not issued yet." },
    Figure { name: "outstanding_invoices", list: "revenue/invoices", only: "r.outstanding_minor <> 0",
        shape: Shape::ByCurrency(&[
            ("outstanding_minor", "sum(r.outstanding_minor)"),
            ("overdue_count", "count(*) filter (where r.status = 'overdue')"),
            ("overdue_minor", "coalesce(sum(r.outstanding_minor) filter (where r.status = 'overdue'), 0)"),
        ]),
        about: "Issued invoices of which something is open, and those of them that are overdue." },
    Figure { name: "payments", list: "revenue/payments", only: "r.status <> 'reversed'",
        shape: Shape::ByCurrency(&[
            ("received_minor", "sum(r.amount_minor - r.refunded_minor)"),
            ("this_month_minor",
             "coalesce(sum(r.amount_minor - r.refunded_minor) filter (where r.received_on >= date_trunc('month', {on})), 0)"),
        ]),
        about: "What was received and not given back: ever, and since the first day of the month." },
    Figure { name: "due_follow_ups", list: "timeline/follow-ups", shape: Shape::Count,
        only: "r.status in ('scheduled', 'due', 'snoozed') and r.due_at <= now()",
        about: "What is to be followed up now." },
    Figure { name: "upcoming_appointments", list: "scheduling/appointments", shape: Shape::Next,
        only: "r.status in ('requested', 'booked') and r.starts_at > now()",
        about: "Meetings that are asked for or agreed, and when the next of them begins." },
];

impl Figure {
    /// The statement, of rows of which all these conditions hold; `on` is how the day is called.
    fn sql(&self, known: &Known, conditions: &[String], on: &str) -> String {
        let from = format!(
            "{}.{} r where {} and {}",
            known.group.name,
            known.table.name(),
            conditions.join(" and "),
            self.only
        );
        let sql = match self.shape {
            Shape::Count => format!("select (select to_json(count(*)) from {from})"),
            Shape::Next => format!(
                "select (select json_build_object('count', count(*), 'next_at',
                         to_char(min(r.starts_at) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) from {from})"
            ),
            Shape::ByStatus => lines("status", &[], &from),
            Shape::ByCurrency(sums) => lines("currency", sums, &from),
        };
        sql.replace("{on}", on)
    }
}

/// A line for each value of a column.
fn lines(by: &str, sums: &[(&str, &str)], from: &str) -> String {
    let sums: String = sums.iter().map(|(name, sum)| format!(", '{name}', {sum}")).collect();
    let line = format!("json_build_object('{by}', r.{by}, 'count', count(*){sums}) as line");
    format!(
        "select (select coalesce(json_agg(f.line order by f.key), '[]')
                 from (select r.{by} as key, {line} from {from} group by r.{by}) f)"
    )
}

/// Answers them.
pub(crate) async fn figures(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, Figures::PATH);
    let mut given = Given::of(&pairs(&request)?);
    let asked: Option<Date> = given.read("on", str::parse);
    given.nothing_else("there is on")?;
    let mut counted: Vec<(&Figure, Known, Seen)> = vec![];
    let mut withheld: Vec<&str> = vec![];
    for figure in FIGURES {
        let Some(known) = api.known(figure.list) else { continue };
        let reach = caller.permissions.reach(known.table.resource().read);
        match Seen::of(known.group, known.table, &reach, caller.principal) {
            Some(rows) => counted.push((figure, known, rows)),
            None => withheld.push(figure.name),
        }
    }
    let mut groups: Vec<&str> = counted.iter().map(|(_, known, _)| known.group.name).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        api.has_seen(group, &request).await?;
    }
    let _permit = api.admit(&caller).await?;
    let on = match asked {
        Some(on) => on,
        None => today(&api, &caller).await?,
    };
    let mut figures: BTreeMap<&str, Box<JsonRawValue>> = BTreeMap::new();
    for (figure, known, rows) in counted {
        let (mut arguments, mut nothing) = (vec![on.to_string()], Given::of(&[]));
        let selection = Selection::take(known.table, &mut nothing);
        let conditions = selection.sql(known.table, &rows, &mut |value: &str| {
            arguments.push(value.to_owned());
            format!("($2)[{}]", arguments.len())
        });
        // So that the statement knows its argument, whatever counts.
        let conditions: Vec<String> = conditions.into_iter().chain(["$2::text[] is not null".to_owned()]).collect();
        let sql = figure.sql(&known, &conditions, "(($2)[1])::date");
        let found: Vec<(Json<Box<JsonRawValue>>,)> = read(&api, &caller, &sql, |asked| asked.bind(arguments)).await?;
        let (Json(value),) = found.into_iter().next().ok_or_else(|| unreadable(&sqlx::Error::RowNotFound))?;
        figures.insert(figure.name, value);
    }
    let answer = Answer { on, figures, withheld };
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(answer))
}

/// The day that it is for the firm.
async fn today(api: &Api, caller: &Caller) -> Result<Date, Problem> {
    let found = ask::<Figures>(api, caller, |asked| asked).await?;
    let zone = found.into_iter().find_map(|(zone,)| zone).and_then(|zone| zone.parse::<TimeZone>().ok());
    let (now, unknown) = (Timestamp::of_clock(Utc::now()), || unreadable(&sqlx::Error::RowNotFound));
    let zone = zone.or_else(|| "UTC".parse().ok()).ok_or_else(unknown)?;
    Ok(now.date_in(zone.rules()))
}

/// The figures as they were read, digit by digit.
#[derive(serde::Serialize)]
struct Answer<'a> {
    on: Date,
    figures: BTreeMap<&'a str, Box<JsonRawValue>>,
    withheld: Vec<&'a str>,
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let whole = |about: &str| json!({ "type": "integer", "description": about });
    let count = || json!({ "type": "integer", "format": "int64", "minimum": 0, "description": "How many." });
    let mut properties = Map::new();
    for figure in FIGURES {
        let about = format!(
            "{} Left out, and told in `withheld`, where the caller may not read `{}`.",
            figure.about, figure.list
        );
        let line = |by: &str, of: Value, sums: &[(&str, &str)]| {
            let mut fields = Map::from_iter([(by.to_owned(), of), ("count".to_owned(), count())]);
            for (name, _) in sums {
                let about = if name.ends_with("_minor") { "A sum in minor units." } else { "How many of them." };
                fields.insert((*name).to_owned(), whole(about));
            }
            let required: Vec<String> = fields.keys().cloned().collect();
            let about = format!("What comes together under one {by}.");
            let item = json!({ "type": "object", "description": about, "required": required, "properties": fields });
            json!({ "type": "array", "items": item })
        };
        let mut shown = match figure.shape {
            Shape::Count => count(),
            Shape::ByStatus => line("status", json!({ "type": "string", "description": "Where they stand." }), &[]),
            Shape::ByCurrency(sums) => {
                let about = "The currency of the sums; null where no amount is known.";
                line("currency", json!({ "type": ["string", "null"], "description": about }), sums)
            }
            Shape::Next => {
                let about = "When the first of them begins; null if there is none.";
                let next_at = json!({ "type": ["string", "null"], "format": "date-time", "description": about });
                json!({ "type": "object", "required": ["count", "next_at"],
                        "properties": { "count": count(), "next_at": next_at } })
            }
        };
        shown["description"] = about.into();
        properties.insert(figure.name.to_owned(), shown);
    }
    let names: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
    let figures = json!({ "type": "object", "description": "What the caller may count.", "properties": properties });
    let withheld = json!({ "type": "array", "items": { "type": "string", "enum": names },
        "description": "The figures that the caller may not read." });
    let on = json!({ "type": "string", "format": "date", "description": "The day that they are of." });
    let schema = json!({ "type": "object", "description": Figures::ABOUT, "required": ["on", "figures", "withheld"],
        "properties": { "on": on, "figures": figures, "withheld": withheld } });
    let answer = document.component("DashboardFigures", schema);
    let mut responses = found("The figures.", Map::from_iter([openapi::request_id()]), &answer);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "DashboardFigures", OWN));
    let about = "What is overdue before this day, and which month it is; the firm's today unless given.";
    let on = parameter("on", about, json!({ "type": "string", "format": "date" }));
    let operation = Operation::of::<Figures>(vec![on, min_position()]).answered(responses);
    document.operation(Figures::PATH, "get", operation);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_figure_is_of_a_list_that_has_what_it_counts_and_a_name_of_its_own() {
        for figure in FIGURES {
            let list = projections::resources().find(|(_, _, resource)| resource.path == figure.list);
            let (_, table, _) = list.unwrap_or_else(|| panic!("there is no {}", figure.list));
            let has = |name: &str| table.columns().iter().any(|column| column.name == name);
            assert!(has("status"), "{}", figure.name);
            assert!(!matches!(figure.shape, Shape::ByCurrency(_)) || has("currency"), "{}", figure.name);
            assert!(!matches!(figure.shape, Shape::Next) || has("starts_at"), "{}", figure.name);
        }
        let names: BTreeSet<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), FIGURES.len());
    }
}
