//! One event of the log by its position: where a claim-check in the stream points to. As in the stream, what it says of secrets
//! is left out.

use crate::api::Api;
use crate::operation::{Operation, found, problems};
use crate::question::{Needs, Question, ask};
use crate::reply::sealed;
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, code};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use event_store::{RawEvent, open_events};
use kernel::{Metadata, Principal, Reach, Scope};
use projections::Tie;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};
use sqlx::types::Json;
use uuid::Uuid;

/// One event by its position.
pub(crate) struct Event;

impl Question for Event {
    const PATH: &'static str = "/v1/events/{position}";
    const ID: &'static str = "events.read";
    const READ: Needs<'static> = Needs::Otherwise("Needs the permissions of all lists that show the record.");
    const ABOUT: &'static str =
        "One event of the log by its position, without secrets: where a claim-check in the stream points to.";
    const SQL: &'static str = "
        select row_to_json(e)
        from (select l.position, l.event_id, l.tenant_id, l.domain, l.aggregate_type, l.aggregate_id, l.sequence,
                     coalesce(fix.event_type, l.event_type) as event_type,
                     coalesce(fix.event_version, l.event_version) as event_version,
                     coalesce(fix.payload, l.payload) as payload, l.metadata, l.recorded_at
              from eventstore.events l left join eventstore.repairs fix on fix.position = l.position
              where l.position = $2 and l.tenant_id = t.tenant::uuid) e";
    type Row = (Json<RawEvent>,);
}

/// An event as it is answered.
#[derive(Serialize)]
struct Shown<'a> {
    position: i64,
    id: Uuid,
    domain: &'a str,
    aggregate_type: &'a str,
    aggregate_id: Uuid,
    sequence: i64,
    event_type: &'a str,
    event_version: u32,
    payload: &'a RawValue,
    metadata: &'a Metadata,
    recorded_at: DateTime<Utc>,
}

/// The permission is that of the lists which its aggregate is read in, so that nobody sees in an event what they do not see
/// in those; what the caller may not see is not there.
pub async fn event(
    api: Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no such event at {}", request.path()));
    crate::given::none(&request)?;
    let position: i64 = path.parse().map_err(|_| unknown())?;
    let _permit = api.admit(&caller).await?;
    let found = ask::<Event>(&api, &caller, |asked| asked.bind(position)).await?;
    let (Json(event),) = found.into_iter().next().ok_or_else(unknown)?;
    if !may_see(&caller, &event) {
        return Err(unknown());
    }
    let mut opened = [event];
    open_events(api.vault(), &mut opened).await.map_err(|error| sealed(&error))?;
    let [mut event] = opened;
    catalogue::withhold(&mut event);
    let shown = Shown {
        position: event.position,
        id: event.event_id,
        domain: &event.domain,
        aggregate_type: &event.aggregate_type,
        aggregate_id: event.aggregate_id,
        sequence: event.sequence,
        event_type: &event.event_type,
        event_version: event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
        recorded_at: event.recorded_at,
    };
    Ok(HttpResponse::Ok().json(shown))
}

/// May the caller read, of what the event is about, every list that this kind of aggregate is shown in? An aggregate of more
/// than one has events of all of them, and what is shown in none is shown to nobody. What a list shows to a
/// client from some moment on only has events from before it, of drafts: they are for whoever reads all of the list. What of a list is
/// the firm's own has events, too, so nobody of a client sees any of such a list.
fn may_see(caller: &Caller, event: &RawEvent) -> bool {
    let kind = event.aggregate_type.as_str();
    let mut lists = projections::resources().filter(|(_, table, _)| table.streams().contains(&kind)).peekable();
    let concerns = Scope::of(event.metadata.concerns.iter().copied());
    lists.peek().is_some()
        && lists.all(|(_, _, resource)| {
            let reach = caller.permissions.reach(resource.read);
            let is_staffs = |tie: &Tie| matches!(tie, Tie::StaffClient(_) | Tie::StaffEngagement(_));
            if matches!(caller.principal, Principal::PortalUser { .. }) && resource.ties.iter().any(is_staffs) {
                return false;
            }
            let is_later = resource.ties.iter().any(|tie| tie.column().starts_with("shown_to_"));
            if is_later { reach == Reach::Everything } else { reach.covers(&concerns, None) }
        })
}

/// Adds the operation to the OpenAPI document.
pub fn describe(document: &mut Document) {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let uuid = |about: &str| json!({ "type": "string", "format": "uuid", "description": about });
    let number = |about: &str| json!({ "type": "integer", "format": "int64", "minimum": 1, "description": about });
    let properties = json!({
        "position": number("where it stands in the log"),
        "id": uuid("the event"),
        "domain": text("the context: `crm`"),
        "aggregate_type": text("the kind of record: `crm.client`"),
        "aggregate_id": uuid("the record"),
        "sequence": number("the record's version after it"),
        "event_type": text("what happened: `client.created`"),
        "event_version": number("the version of its payload"),
        "payload": { "type": "object", "additionalProperties": true, "description": "as `/schemas/` has it for this version" },
        "metadata": { "type": "object", "additionalProperties": true, "description": "who did it, by which command, in which request" },
        "recorded_at": { "type": "string", "format": "date-time", "description": "when it was committed" },
    });
    let required: Vec<&str> = properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let schema = json!({ "type": "object", "description": "An event of the log.", "required": required, "properties": properties });
    let schema = document.component("Event", schema);
    let mut responses = found("The event.", Map::from_iter([openapi::request_id()]), &schema);
    responses.extend(problems(document, "EventRead", &[&code::NOT_FOUND]));
    let position = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    let parameters = vec![
        json!({ "name": "position", "in": "path", "required": true, "description": "Where it stands.", "schema": position }),
    ];
    document.operation(Event::PATH, "get", Operation::of::<Event>(parameters).answered(responses));
}
