use super::*;
use serde_json::json;

fn started(position: i64) -> RunEvent {
    serde_json::from_value(json!({
        "definition_id": Uuid::nil(), "definition": "Ask", "definition_version": 1, "definition_hash": "00",
        "document": {}, "steps": ["a", "b"], "depth": 0, "compensates": false,
        "trigger": {
            "kind": "event", "event_id": Uuid::nil(), "event_type": "client.created", "event_version": 1, "position": position,
            "aggregate_type": "crm.client", "aggregate_id": Uuid::nil(), "recorded_at": "2026-01-01T00:00:00Z",
            "correlation_id": Uuid::nil(), "payload": {},
        },
    }))
    .map(|fields: Value| kernel::read_event("run.started", 1, &fields.to_string()).unwrap())
    .unwrap()
}

fn happened(event_type: &str, fields: Value) -> RunEvent {
    let mut payload = json!({ "step": "a", "began_at": "2026-01-01T00:00:00Z" });
    payload.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    kernel::read_event(event_type, 1, &payload.to_string()).unwrap()
}

fn succeeded(result: Value) -> RunEvent {
    happened("step.succeeded", json!({ "result": result }))
}

fn begins(events: &[(i64, RunEvent)]) -> (i64, Option<DateTime<Utc>>) {
    let Beginning { after, from } = Beginning::of(events, &"b".parse().unwrap());
    (after, from)
}

#[test]
fn a_wait_begins_where_what_it_follows_was_over() {
    let until: DateTime<Utc> = "2026-01-01T10:00:00Z".parse().unwrap();
    let waiting = |event: Option<&str>| {
        let events = event.map(|event| json!({ "name": "event", "event_type": event }));
        let wait = json!({ "deadline": { "at": until }, "events": events.into_iter().collect::<Vec<_>>() });
        happened("step.waiting", json!({ "wait": wait }))
    };
    // The trigger, if it is the first.
    assert_eq!(begins(&[(9, started(5))]), (5, None));
    // The record of the command before, which stands right behind its effect.
    let sent = succeeded(json!({ "id": Uuid::nil(), "created": true }));
    assert_eq!(begins(&[(9, started(5)), (50, sent)]), (50, None));
    // The event, or the time, that the step before waited for.
    let answered = succeeded(json!({ "event": { "position": 30 } }));
    assert_eq!(begins(&[(9, started(5)), (10, waiting(Some("x.y"))), (50, answered)]), (30, None));
    let slept = succeeded(json!({ "until": until }));
    assert_eq!(begins(&[(9, started(5)), (10, waiting(None)), (50, slept)]), (10, Some(until)));
    let late = happened("step.failed", json!({ "class": { "kind": "terminal" }, "code": TIMED_OUT, "message": "no" }));
    assert_eq!(begins(&[(9, started(5)), (10, waiting(Some("x.y"))), (50, late)]), (10, Some(until)));
    // Anything else when the log says so: a failure that the run goes on after, and what an operator did.
    let failed = happened("step.failed", json!({ "class": { "kind": "terminal" }, "code": "denied", "message": "no" }));
    assert_eq!(begins(&[(9, started(5)), (50, failed)]), (50, None));
    let resumed = kernel::read_event("run.resumed", 1, r#"{"steps":["a"],"reason":"again"}"#).unwrap();
    assert_eq!(begins(&[(9, started(5)), (10, waiting(Some("x.y"))), (60, resumed)]), (60, None));
}

#[test]
fn a_condition_that_asks_for_one_aggregate_is_held_against_its_events_only() {
    let (trigger, client) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let scope = Scope::of([
        ("trigger", json!({ "aggregate_id": trigger })),
        ("steps", json!({ "client": { "result": { "id": client } } })),
    ]);
    for (matching, expected) in [
        ("event.aggregate_id == trigger.aggregate_id", Some(trigger)),
        ("trigger.aggregate_id == event.aggregate_id && event.payload.tag == 'x'", Some(trigger)),
        ("event.payload.tag == 'x' && (true && event.aggregate_id == steps.client.result.id)", Some(client)),
        // Whatever may hold for another aggregate too is asked of all.
        ("event.aggregate_id == trigger.aggregate_id || event.payload.tag == 'x'", None),
        ("event.aggregate_id != trigger.aggregate_id", None),
        ("!(event.aggregate_id == trigger.aggregate_id)", None),
        ("event.aggregate_id == event.payload.client_id", None),
        ("event.payload.aggregate_id == trigger.aggregate_id", None),
        ("event.aggregate_id == steps.other.result.id", None),
        ("true", None),
    ] {
        assert_eq!(only_aggregate(compile(matching).unwrap().tree(), &scope), expected, "{matching}");
    }
}

#[test]
fn what_a_condition_says_of_steps_is_known_before_they_end() {
    for (matching, any, of_client) in [
        ("event.aggregate_id == trigger.aggregate_id", false, false),
        ("event.aggregate_id == steps.client.result.id", true, true),
        ("event.aggregate_id == steps['client'].result.id", true, true),
        ("event.aggregate_id == steps.other.result.id", true, false),
        ("event.aggregate_id == step[1].result.id", true, true),
        ("event.aggregate_id == step[0].result.id", true, false),
        ("step.exists(s, s.result.id == event.aggregate_id)", true, true),
        ("event.payload[steps.client.result.name] == 'x'", true, true),
        ("size(steps) > 1", true, true),
    ] {
        let compiled = compile(matching).unwrap();
        assert_eq!(mentions(compiled.tree(), None), any, "{matching}");
        assert_eq!(mentions(compiled.tree(), Some(("client", 1))), of_client, "{matching}");
    }
}

#[test]
fn a_wait_in_a_loop_follows_its_own_round() {
    let begins = |parallel: u32, at: &str| {
        let each = json!({ "id": "each", "type": "for_each", "items": "[1, 2]", "parallel": parallel,
            "actions": [{ "id": "send", "type": "wait", "for": "1s" }, { "id": "ask", "type": "wait", "for": "1s" }] });
        let document =
            json!({ "name": "x", "runs_as": [], "trigger": { "event_type": "client.created" }, "actions": [each] });
        let mut start = started(5);
        if let RunEvent::Started { document: told, .. } = &mut start {
            *told = document;
        }
        let sent = |step: &str| happened("step.succeeded", json!({ "step": step, "result": {} }));
        let events = [(9, start), (20, sent("each[0].send")), (30, sent("each[1].send")), (40, sent("each[0].ask"))];
        Beginning::of(&events, &at.parse().unwrap()).after
    };
    assert_eq!((begins(2, "each[0].ask"), begins(2, "each[1].ask")), (40, 30));
    assert_eq!(begins(1, "each[1].ask"), 40, "the round before is over first");
}
