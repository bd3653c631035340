//! The times that can be booked: what `appointment.book` would accept now, calculated by the same code.

use crate::api::Api;
use crate::given::{Given, pairs};
use crate::operation::{Operation, found, min_position, problems};
use crate::question::{Needs, Question, ask};
use crate::reply::unreadable;
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use catalogue::scheduling_events::{
    DateOverride, EventTypeRules, GRANULE_MINUTES, Hours, MINUTES_MAX, Offer, Slot, WeeklyHours,
};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use kernel::{Date, FieldCode, InvalidValue, Slug, TimeZone, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::types::Json;

/// Whoever may see when somebody can be met may see when that is still free.
const READ: &str = "scheduling.availability.read";
/// Days that are asked for at once.
const DAYS_MAX: u32 = 31;
/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// The times at which a meeting of a kind can be booked.
pub(crate) struct Slots;

impl Question for Slots {
    const PATH: &'static str = "/v1/scheduling/slots";
    const ID: &'static str = "scheduling.slots.read";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str = "The times at which a meeting of a kind can be booked now: in the host's hours, with notice and buffers, beside what is booked.";
    const SQL: &'static str = "
        select json_build_object(
            'kind', (select json_build_object('retired', r.retired, 'rules', json_build_object(
                         'name', r.name, 'host_id', r.host_id, 'availability_id', r.availability_id,
                         'duration_minutes', r.duration_minutes, 'buffer_before_minutes', r.buffer_before_minutes,
                         'buffer_after_minutes', r.buffer_after_minutes, 'min_notice_minutes', r.min_notice_minutes,
                         'max_days_ahead', r.max_days_ahead))
                     from scheduling.event_types r where r.tenant_id = t.tenant::uuid and r.key = $2),
            'hours', (select json_build_object('time_zone', a.time_zone, 'weekly', a.weekly, 'overrides', a.overrides)
                      from scheduling.availabilities a
                      where a.tenant_id = t.tenant::uuid
                        and a.id = (select r.availability_id from scheduling.event_types r
                                    where r.tenant_id = t.tenant::uuid and r.key = $2)),
            'busy', (select coalesce(json_agg(json_build_object('starts_at', b.starts_at, 'ends_at', b.ends_at,
                                                                'blocked_from', b.blocked_from, 'blocked_until', b.blocked_until)), '[]')
                     from scheduling.appointments b
                     where b.tenant_id = t.tenant::uuid and b.status not in ('declined', 'cancelled')
                       and b.starts_at >= $3 and b.starts_at < $4
                       and b.host_id = (select r.host_id from scheduling.event_types r
                                        where r.tenant_id = t.tenant::uuid and r.key = $2)))";
    type Row = (Json<Known>,);
}

/// What the read models say.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    kind: Option<Kind>,
    hours: Option<HoursOf>,
    busy: Vec<Slot>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    retired: bool,
    rules: EventTypeRules,
}

#[derive(Debug, Deserialize)]
struct HoursOf {
    time_zone: TimeZone,
    weekly: Vec<WeeklyHours>,
    overrides: Vec<DateOverride>,
}

/// What is asked.
#[derive(Debug)]
struct Asked {
    event_type: Slug,
    time_zone: TimeZone,
    from: Timestamp,
    until: Timestamp,
    step: u32,
}

impl Asked {
    /// Reads the parameters, and tells at once everything that is wrong with them.
    fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let mut given = Given::of(&pairs(request)?);
        let event_type: Option<Slug> = required(&mut given, "event_type", "the key of an event type");
        let time_zone: Option<TimeZone> = required(&mut given, "time_zone", "an IANA time zone such as Europe/Berlin");
        let from: Option<Date> = required(&mut given, "from", "the first day, such as 2026-03-01");
        let to: Option<Date> = required(&mut given, "to", "the last day, such as 2026-03-07");
        let step = given.read("step_minutes", step);
        if let Some((from, to)) = from.zip(to) {
            let last = from.checked_add_days(DAYS_MAX - 1).unwrap_or(Date::MAX);
            if to < from || to > last {
                given.refuse("to", InvalidValue::out_of_range(from.to_string(), last.to_string()));
            }
        }
        let asked = event_type.zip(time_zone).zip(from.zip(to)).map(|((event_type, time_zone), (from, to))| {
            let after = to.checked_add_days(1).map_or(Timestamp::MAX, |day| begins(day, &time_zone));
            let step = step.unwrap_or(GRANULE_MINUTES);
            Self { from: begins(from, &time_zone), until: after, event_type, time_zone, step }
        });
        given.nothing_else("free times have no such parameter")?;
        asked.ok_or_else(|| Problem::new(&code::INVALID_PARAMETER, "a parameter is missing"))
    }
}

fn required<T: std::str::FromStr<Err = InvalidValue>>(given: &mut Given, name: &str, what: &str) -> Option<T> {
    let values = given.all(name);
    match values.as_slice() {
        [text] => text.parse().map_err(|wrong| given.refuse(name, wrong)).ok(),
        [] => {
            given.refuse(name, InvalidValue::new(FieldCode::Required, format!("expected {what}")));
            None
        }
        _ => {
            given.refuse(name, InvalidValue::new(FieldCode::Duplicate, "expected once"));
            None
        }
    }
}

fn step(text: &str) -> Result<u32, InvalidValue> {
    let step: u32 = text.parse().map_err(|_| InvalidValue::new(FieldCode::NotANumber, "expected minutes"))?;
    if !(GRANULE_MINUTES..=DAY).contains(&step) {
        return Err(InvalidValue::out_of_range(GRANULE_MINUTES, DAY));
    }
    if !step.is_multiple_of(GRANULE_MINUTES) {
        let wrong = InvalidValue::new(FieldCode::OutOfRange, "expected a multiple of five");
        return Err(wrong.with("min", GRANULE_MINUTES).with("max", DAY));
    }
    Ok(step)
}

/// The first moment of a day where the clock hangs; where the clocks skip midnight, or the whole day, the first after it.
fn begins(day: Date, zone: &TimeZone) -> Timestamp {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    let minutes = (0..=2 * i64::from(DAY)).map(TimeDelta::minutes);
    let first = minutes.filter_map(|minutes| (midnight + minutes).and_local_timezone(zone.rules()).earliest()).next();
    let first = first.and_then(|first| Timestamp::try_from(first.with_timezone(&Utc)).ok());
    // Near the ends of the calendar the day may lie beyond them.
    first.unwrap_or(if *day < *Date::MAX { Timestamp::MIN } else { Timestamp::MAX })
}

/// Answers it.
pub(crate) async fn slots(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, Slots::PATH);
    caller.require(READ)?;
    let asked = Asked::read(&request)?;
    api.has_seen("scheduling", &request).await?;
    let _permit = api.admit(&caller).await?;
    let around = TimeDelta::minutes(i64::from(MINUTES_MAX));
    let (first, last) = (asked.from - around, asked.until + around);
    let key = asked.event_type.to_string();
    let rows = ask::<Slots>(&api, &caller, move |q| q.bind(key).bind(first.utc()).bind(last.utc())).await?;
    let (Json(known),) = rows.into_iter().next().ok_or_else(|| unreadable(&sqlx::Error::RowNotFound))?;
    let refused = |rejection: &str, message: &str| {
        let mut given = Given::of(&[]);
        let wrong = InvalidValue::new(FieldCode::Rejected, message).with("rejection", rejection);
        given.refuse("event_type", wrong);
        given.nothing_else("").err().unwrap_or_else(|| Problem::new(&code::INVALID_PARAMETER, message))
    };
    let unknown = || refused("scheduling.appointment.unknown_event_type", "there is no event type with this key");
    let kind = known.kind.ok_or_else(unknown)?;
    if kind.retired {
        return Err(refused("scheduling.appointment.event_type_retired", "the event type cannot be booked any more"));
    }
    let hours = known.hours.map(|of| Hours::weekly(of.time_zone, &of.weekly).with(of.overrides)).unwrap_or_default();
    let free = free(&kind.rules, &hours, &known.busy, &asked, Utc::now());
    let data: Vec<Value> = free.iter().map(|slot| shown(slot, &asked.time_zone)).collect();
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({
        "event_type": asked.event_type,
        "time_zone": asked.time_zone,
        "data": data,
    })))
}

fn free(rules: &EventTypeRules, hours: &Hours, busy: &[Slot], asked: &Asked, now: DateTime<Utc>) -> Vec<Slot> {
    let offer = Offer { rules, hours, now: Timestamp::of_clock(now) };
    let on_step = |slot: &Slot| {
        let local = slot.starts_at.with_timezone(&asked.time_zone.rules());
        (local.num_seconds_from_midnight() / 60).is_multiple_of(asked.step)
    };
    offer.slots(asked.from, asked.until, busy).into_iter().filter(on_step).collect()
}

fn shown(slot: &Slot, zone: &TimeZone) -> Value {
    let local = |at: Timestamp| at.with_timezone(&zone.rules()).to_rfc3339();
    json!({
        "starts_at": slot.starts_at,
        "ends_at": slot.ends_at,
        "local_starts_at": local(slot.starts_at),
        "local_ends_at": local(slot.ends_at),
    })
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let parameter = |name: &str, required: bool, about: &str, schema: Value| json!({ "name": name, "in": "query", "required": required, "description": about, "schema": schema });
    let text = || json!({ "type": "string" });
    let date = || json!({ "type": "string", "format": "date" });
    let step = json!({ "type": "integer", "minimum": GRANULE_MINUTES, "maximum": DAY, "multipleOf": GRANULE_MINUTES, "default": GRANULE_MINUTES });
    let days = format!("The last day there, at most {DAYS_MAX} days with the first.");
    let parameters = vec![
        parameter("event_type", true, "The key of the event type.", text()),
        parameter("from", true, "The first day, where the guest's clock hangs.", date()),
        parameter("to", true, &days, date()),
        parameter("time_zone", true, "The guest's clock, an IANA name.", text()),
        parameter("step_minutes", false, "Only times that are a multiple of this after the guest's midnight.", step),
        min_position(),
    ];
    let moment = |about: &str| json!({ "type": "string", "format": "date-time", "description": about });
    let properties = json!({
        "starts_at": moment("It begins, UTC."),
        "ends_at": moment("It ends, UTC."),
        "local_starts_at": moment("It begins, on the guest's clock."),
        "local_ends_at": moment("It ends, on the guest's clock."),
    });
    let required = ["starts_at", "ends_at", "local_starts_at", "local_ends_at"];
    let about = "A time that can be booked.";
    let slot = json!({ "type": "object", "description": about, "required": required, "properties": properties });
    let slot = document.component("FreeSlot", slot);
    let properties = json!({
        "event_type": { "type": "string", "description": "The key of the event type." },
        "time_zone": { "type": "string", "description": "The guest's clock." },
        "data": { "type": "array", "items": slot, "description": "The times, in order." },
    });
    let about = "Times that can be booked.";
    let required = ["event_type", "time_zone", "data"];
    let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
    let schema = document.component("FreeSlots", schema);
    let mut responses = found("The times.", Map::from_iter([openapi::request_id()]), &schema);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "FreeSlots", OWN));
    document.operation(Slots::PATH, "get", Operation::of::<Slots>(parameters).answered(responses));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_when_its_first_moment_comes() {
        for (day, zone, first) in [
            ("2026-11-02", "UTC", "2026-11-02T00:00:00Z"),
            ("2026-07-01", "Europe/Berlin", "2026-06-30T22:00:00Z"),
            // Beirut's clocks skip midnight, Apia's calendar skipped a day.
            ("2026-03-29", "Asia/Beirut", "2026-03-28T22:00:00Z"),
            ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"),
            // Havana's clocks go back at one in the morning, so midnight comes twice.
            ("2026-11-01", "America/Havana", "2026-11-01T04:00:00Z"),
        ] {
            let found = begins(day.parse().unwrap(), &zone.parse().unwrap());
            assert_eq!(found, first.parse::<kernel::Timestamp>().unwrap(), "{day} in {zone}");
        }
    }

    #[test]
    fn a_step_is_a_multiple_of_five() {
        assert_eq!(step("30"), Ok(30));
        for wrong in ["", "0", "7", "1445", "-5", "x"] {
            assert!(step(wrong).is_err(), "{wrong}");
        }
    }
}
