use super::*;
use event_store::{Store, StoreOptions};
use serde_json::json;

/// Every command, over a log that is never reached.
fn bus() -> CommandBus {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    let mut bus = CommandBus::new(Store::start(pool, StoreOptions::default()));
    registry::mount_all(&mut bus);
    bus
}

fn good() -> Value {
    json!({
        "name": "Appointment Booked → Onboarding",
        "runs_as": ["crm.client.create", "crm.client.tag", "workflow.run.notify"],
        "trigger": { "event_type": "appointment.booked", "condition": "event.payload.client_name != ''" },
        "actions": [
            {
                "type": "create_entity", "domain": "crm", "entity": "client",
                "parameters": { "name": "{{ event.payload.client_name }}" }
            },
            { "id": "nap", "type": "wait", "for": "2h" },
            {
                "type": "command", "command": "crm.client.tag", "target": "{{ step[0].result.id }}",
                "parameters": { "tag": "booked" }
            },
            { "type": "notify", "to": "owner", "subject": "Hello", "body": "{{ steps.step_0.result.id }} is new" }
        ]
    })
}

/// The problems of `good` with one thing changed: pointer, what it becomes (null removes it).
fn problems_with(pointer: &str, change: Value) -> Vec<(String, &'static str)> {
    let mut definition = good();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = definition.pointer_mut(parent).unwrap();
    match (parent, change) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(field)),
        (Value::Object(fields), change) => drop(fields.insert(field.to_owned(), change)),
        (Value::Array(items), change) => items[field.parse::<usize>().unwrap()] = change,
        _ => panic!("{pointer}"),
    }
    let problems = check(&definition, &bus()).expect_err(pointer);
    problems.into_iter().map(|problem| (problem.path, problem.code)).collect()
}

#[tokio::test]
async fn a_good_definition_has_no_problems() {
    check(&good(), &bus()).unwrap_or_else(|problems| panic!("{problems:#?}"));
}

#[tokio::test]
async fn every_definition_is_shipped_and_good() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("definitions");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).count(), crate::shipped().len());
    for (file, text) in crate::shipped() {
        let definition = read(text).unwrap();
        check(&definition, &bus()).unwrap_or_else(|problems| panic!("{file}: {problems:#?}"));
    }
}

#[tokio::test]
async fn every_mistake_has_a_place_and_a_code() {
    let parameter = "/actions/0/parameters/name";
    for (pointer, change, path, code) in [
        ("/name", Value::Null, "", "missing_field"),
        ("/name", json!(""), "/name", "invalid_value"),
        ("/nmae", json!("x"), "", "unknown_field"),
        ("/actions", json!([]), "/actions", "invalid_value"),
        ("/actions", json!("none"), "/actions", "wrong_type"),
        ("/actions/0/type", json!("crate_entity"), "/actions/0/type", "unknown_action"),
        ("/actions/0/type", Value::Null, "/actions/0", "missing_field"),
        ("/actions/0/entitty", json!("client"), "/actions/0", "unknown_field"),
        ("/actions/0/parameters", json!([]), "/actions/0/parameters", "wrong_type"),
        ("/actions/1/id", json!("Not an id"), "/actions/1/id", "invalid_value"),
        ("/actions/1/id", json!("step_0"), "/actions/1/id", "duplicate_step"),
        ("/trigger/event_type", json!("appointment.boked"), "/trigger/event_type", "unknown_event_type"),
        ("/trigger/event_type", json!("run.succeeded"), "/trigger/event_type", "event_not_allowed"),
        ("/trigger/condition", json!("event.payload.client_nam == 'x'"), "/trigger/condition", "unknown_payload_field"),
        ("/trigger/condition", json!("event.paylod.client_name == 'x'"), "/trigger/condition", "unknown_field"),
        ("/trigger/condition", json!("step[0].result.id == 'x'"), "/trigger/condition", "unknown_variable"),
        ("/trigger/condition", json!("event.payload."), "/trigger/condition", "expression_invalid"),
        ("/trigger/condition", json!("{{ true }}"), "/trigger/condition", "expression_invalid"),
        ("/actions/0/entity", json!("clown"), "/actions/0/entity", "unknown_command"),
        ("/actions/2/command", json!("crm.client.tagg"), "/actions/2/command", "unknown_command"),
        ("/actions/2/command", json!("workflow.run.cancel"), "/actions/2/command", "command_not_allowed"),
        ("/actions/2/target", Value::Null, "/actions/2/target", "missing_target"),
        ("/actions/2/target", json!("{{ steps.later.result.id }}"), "/actions/2/target", "unknown_step"),
        ("/actions/2/target", json!("{{ step[2].result.id }}"), "/actions/2/target", "unknown_step"),
        ("/actions/2/target", json!("{{ step[0].reslt.id }}"), "/actions/2/target", "unknown_field"),
        ("/actions/2/parameters/tagg", json!("x"), "/actions/2/parameters/tagg", "unknown_parameter"),
        ("/actions/2/parameters/tag", Value::Null, "/actions/2/parameters", "missing_parameter"),
        ("/actions/2/parameters/tag", json!("Not A Slug"), "/actions/2/parameters/tag", "invalid_parameter"),
        ("/actions/2/parameters/tag", json!(7), "/actions/2/parameters/tag", "invalid_parameter"),
        (parameter, json!("{{ event.payload.nobody }}"), parameter, "unknown_payload_field"),
        (parameter, json!("{{ evnt.payload.client_name }}"), parameter, "unknown_variable"),
        (parameter, json!("{{ event.payload.client_name"), parameter, "template_unclosed"),
        (parameter, json!("{{ }}"), parameter, "template_empty"),
        (parameter, json!(format!("{{{{ {} }}}}", "1 + ".repeat(300))), parameter, "expression_too_long"),
        (parameter, json!("{{ [1].map(a, [a].map(b, [b].map(c, c))) }}"), parameter, "expression_too_costly"),
        ("/actions/1/for", json!("two hours"), "/actions/1/for", "invalid_duration"),
        ("/actions/1/for", Value::Null, "/actions/1", "wait_needs_one"),
        ("/actions/1/until", json!("{{ event.recorded_at }}"), "/actions/1", "wait_needs_one"),
        ("/actions/1/when", json!("steps.step_2.status == 'failed'"), "/actions/1/when", "unknown_step"),
        ("/actions/3/body", json!("{{ foo }}"), "/actions/3/body", "unknown_variable"),
        ("/runs_as", Value::Null, "", "missing_field"),
        ("/runs_as", json!("*"), "/runs_as", "wrong_type"),
        ("/runs_as", json!([7]), "/runs_as/0", "wrong_type"),
        ("/runs_as", json!(["*", "crm client"]), "/runs_as/1", "invalid_value"),
        ("/runs_as", json!(["*", "!"]), "/runs_as/1", "invalid_value"),
        ("/runs_as", json!(["*", "crm.klient.*"]), "/runs_as/1", "unknown_permission"),
        ("/runs_as", json!(["*", "!crm.client.tagg"]), "/runs_as/1", "unknown_permission"),
        ("/runs_as", json!(["*", "crm.client.tag:own"]), "/runs_as/1", "pattern_not_allowed"),
        ("/runs_as", json!([]), "/actions/0/entity", "exceeds_runs_as"),
        ("/runs_as", json!(["*.read"]), "/actions/2/command", "exceeds_runs_as"),
        ("/runs_as", json!(["*", "!crm.client.tag"]), "/actions/2/command", "exceeds_runs_as"),
        ("/runs_as", json!(["crm.*"]), "/actions/3/type", "exceeds_runs_as"),
        ("/actions/2/command", json!("crm.client.block"), "/actions/2/command", "exceeds_runs_as"),
        ("/retry", json!({ "max_attempts": 0 }), "/retry/max_attempts", "invalid_value"),
        ("/retry", json!({ "max_atempts": 3 }), "/retry", "unknown_field"),
    ] {
        let found = problems_with(pointer, change.clone());
        assert!(found.contains(&(path.to_owned(), code)), "{pointer} = {change}: {found:?}");
    }
}

#[tokio::test]
async fn a_wait_for_an_event_sees_that_event_and_the_trigger() {
    let event =
        |matching: &str| json!({ "type": "wait", "event": { "event_type": "client.tagged", "match": matching } });
    let mut definition = good();
    definition["actions"][1] = event(
        "event.payload.tag == 'x' && trigger.payload.client_name != '' && event.aggregate_id == step[0].result.id",
    );
    check(&definition, &bus()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let found = problems_with("/actions/1", event("event.payload.client_name == 'x'"));
    assert_eq!(found, [("/actions/1/event/match".to_owned(), "unknown_payload_field")]);
}

#[tokio::test]
async fn what_loops_bind_is_known_inside_them_only() {
    let mut definition = good();
    definition["trigger"]["condition"] =
        json!("['a', 'b'].exists(letter, event.payload.client_name.startsWith(letter))");
    check(&definition, &bus()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let found = problems_with("/trigger/condition", json!("['a'].exists(letter, true) && letter == 'a'"));
    assert_eq!(found, [("/trigger/condition".to_owned(), "unknown_variable")]);
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let mut definition = good();
    definition["trigger"]["condition"] = json!("nobody");
    definition["actions"][2]["command"] = json!("crm.client.fly");
    definition["actions"][3]["to"] = json!("{{ nothing }}");
    assert_eq!(check(&definition, &bus()).unwrap_err().len(), 3);
}

#[test]
fn x_08_what_is_not_yaml_says_so() {
    for wrong in ["{", "a: [", "a: b: c", "\0", "- a\nb: c", "&a [*a]"] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
    // Aliases must not multiply.
    let bomb = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let before = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", [before.as_str(); 9].join(","))
    });
    assert_eq!(read(&bomb).unwrap_err().code, "not_yaml");
}

#[tokio::test]
async fn x_08_hostile_documents_are_problems_and_never_a_panic() {
    let deep = (0..200).fold(json!("x"), |inner, _| json!({ "a": inner }));
    for hostile in
        [json!(null), json!([]), json!("text"), json!(7), json!({}), deep, json!({ "actions": [null, 7, []] })]
    {
        assert!(check(&hostile, &bus()).is_err(), "{hostile}");
    }
}

/// A definition with blocks of every kind.
fn nested() -> Value {
    let contact = |id: &str| json!({ "id": id, "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "x" } });
    json!({
        "name": "Nested", "runs_as": ["*"], "trigger": { "event_type": "client.created" },
        "cancel_on": [{ "event_type": "contact.archived", "match": "event.aggregate_id == steps.large.result.id" }],
        "actions": [
            { "id": "size", "type": "choose", "cases": [
                { "name": "small", "when": "event.payload.name == ''", "actions": [contact("small")] },
                { "name": "large", "when": "true", "actions": [contact("large")] },
            ], "otherwise": [{ "id": "ask", "type": "approval", "question": "Well?", "approvers": ["crm.client.block"] }] },
            { "id": "each", "type": "for_each", "items": "[1]", "actions": [
                contact("round"),
                { "id": "told", "type": "notify", "to": "owner", "subject": "{{ string(item) + string(index) }}", "body": "{{ steps.round.result.id }}" },
            ] },
            { "id": "answer", "type": "wait", "any": [
                { "name": "tagged", "event_type": "client.tagged", "match": "event.payload.tag == 'x'" },
                { "name": "go", "signal": true }, { "name": "late", "for": "1d" },
            ] },
            { "id": "call", "type": "run_workflow", "workflow": "Other", "input": { "id": "{{ steps.large.result.id }}" } },
            { "id": "last", "type": "command", "command": "crm.client.tag", "target": "{{ steps.answer.result.event.aggregate_id }}",
              "parameters": { "tag": "x" }, "when": "steps.size.result.case == 'large' && steps.ask.result.decision == 'approved' && steps.each.result.count > 0",
              "undo": { "command": "crm.client.untag", "target": "{{ result.id }}", "parameters": { "tag": "x" }, "when": "result.version > 1 && steps.call.result.status != ''" } },
        ],
    })
}

#[tokio::test]
async fn what_some_way_through_a_definition_gives_may_be_read_and_nothing_else() {
    check(&nested(), &bus()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let when = "/actions/4/when";
    for (pointer, change, path, code) in [
        // A field that the kind of action, or its command, never gives.
        (when, json!("steps.size.result.caze == 'x'"), when, "unknown_result_field"),
        (when, json!("steps.large.result.email == 'x'"), when, "unknown_result_field"),
        (when, json!("steps.answer.result.event.payload.color == 'x'"), when, "unknown_result_field"),
        (when, json!("step[2].result.cam == 'x'"), when, "unknown_result_field"),
        // Steps of a loop are its own; those of another case are never taken on the way.
        (when, json!("steps.round.result.id == 'x'"), when, "unknown_step"),
        (
            "/actions/0/cases/1/actions/0/when",
            json!("steps.small.status == 'x'"),
            "/actions/0/cases/1/actions/0/when",
            "unknown_step",
        ),
        (when, json!("item == 1"), when, "unknown_variable"),
        (when, json!("result.id == 'x'"), when, "unknown_variable"),
        ("/actions/4/undo/when", json!("result.nobody == 1"), "/actions/4/undo/when", "unknown_result_field"),
        ("/actions/4/undo/command", json!("crm.client.forget"), "/actions/4/undo/command", "unknown_command"),
        ("/actions/4/undo/parameters", json!({}), "/actions/4/undo/parameters", "missing_parameter"),
        ("/actions/1/undo", json!({ "command": "crm.client.untag" }), "/actions/1/undo", "undo_not_allowed"),
        ("/actions/1/actions/0/id", json!("large"), "/actions/1/actions/0/id", "duplicate_step"),
        ("/actions/1/actions/0/id", json!("undo"), "/actions/1/actions/0/id", "reserved_id"),
        ("/actions/1/actions/0/entity", json!("clown"), "/actions/1/actions/0/entity", "unknown_command"),
        ("/actions/1/actions/0/typ", json!("x"), "/actions/1/actions/0", "unknown_field"),
        ("/actions/1/items", json!("event.payload.nobody"), "/actions/1/items", "unknown_payload_field"),
        ("/actions/1/parallel", json!(0), "/actions/1/parallel", "invalid_value"),
        ("/actions/0/cases/1/name", json!("small"), "/actions/0/cases/1/name", "duplicate_case"),
        ("/actions/0/cases/1/when", json!("nobody"), "/actions/0/cases/1/when", "unknown_variable"),
        (
            "/actions/0/otherwise/0/approvers",
            json!(["crm.klient.*"]),
            "/actions/0/otherwise/0/approvers/0",
            "unknown_permission",
        ),
        (
            "/actions/0/otherwise/0/approvers",
            json!(["!crm.client.tag"]),
            "/actions/0/otherwise/0/approvers/0",
            "pattern_not_allowed",
        ),
        (
            "/actions/0/otherwise/0/expire_after",
            json!("soon"),
            "/actions/0/otherwise/0/expire_after",
            "invalid_duration",
        ),
        (
            "/actions/2/any/0/match",
            json!("event.payload.color == 'x'"),
            "/actions/2/any/0/match",
            "unknown_payload_field",
        ),
        ("/actions/2/any/1/for", json!("1d"), "/actions/2/any/1", "wait_needs_one"),
        ("/actions/2/any/1/name", json!("tagged"), "/actions/2/any/1/name", "duplicate_case"),
        ("/cancel_on/0/match", json!("steps.round.result.id == ''"), "/cancel_on/0/match", "unknown_step"),
        ("/runs_as", json!(["crm.*", "workflow.run.notify"]), "/actions/3/type", "exceeds_runs_as"),
        ("/runs_as", json!(["*", "!crm.client.untag"]), "/actions/4/undo/command", "exceeds_runs_as"),
        ("/trigger", json!({}), "/trigger", "trigger_needs_one"),
        (
            "/trigger",
            json!({ "schedule": { "cron": "often", "time_zone": "UTC" } }),
            "/trigger/schedule/cron",
            "invalid_schedule",
        ),
        (
            "/trigger",
            json!({ "schedule": { "cron": "0 9 * * *", "time_zone": "Mars" } }),
            "/trigger/schedule/time_zone",
            "invalid_schedule",
        ),
        (
            "/trigger",
            json!({ "schedule": { "cron": "0 9 * * *", "time_zone": "UTC" } }),
            "/actions/0/cases/0/when",
            "unknown_payload_field",
        ),
        (
            "/trigger",
            json!({ "called": { "input": { "properties": { "n": {} } } } }),
            "/actions/0/cases/0/when",
            "unknown_payload_field",
        ),
        (
            "/correlation",
            json!({ "key": "event.payload.nobody", "policy": "queue" }),
            "/correlation/key",
            "unknown_payload_field",
        ),
        ("/correlation", json!({ "key": "event.id", "policy": "often" }), "/correlation/policy", "invalid_value"),
    ] {
        let mut definition = nested();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        match definition.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.insert(field.to_owned(), change.clone())),
            _ => panic!("{pointer}"),
        }
        let found = check(&definition, &bus()).expect_err(pointer);
        let places: Vec<_> = found.iter().map(|problem| (problem.path.as_str(), problem.code)).collect();
        assert!(places.contains(&(path, code)), "{pointer} = {change}: {found:#?}");
    }
}

#[tokio::test]
async fn steps_inside_steps_have_an_end() {
    let mut action = json!({ "type": "wait", "for": "1s" });
    for _ in 0..5 {
        action = json!({ "type": "choose", "cases": [{ "name": "one", "when": "true", "actions": [action] }] });
    }
    let found = problems_with("/actions/1", action);
    assert!(found.iter().any(|(_, code)| *code == "too_deep"), "{found:?}");
}

#[tokio::test]
async fn a_refusal_says_what_there_is() {
    let mut definition = nested();
    definition["actions"][4]["when"] = json!("steps.larg.status == 'x' || steps.large.result.nmae == ''");
    let found = check(&definition, &bus()).unwrap_err();
    let messages: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{found:?}");
    assert!(messages[0].contains("small, large, ask, size, each, answer, call"), "{messages:?}");
    assert!(messages[1].contains("it has") && messages[1].contains("version"), "{messages:?}");
}

#[tokio::test]
async fn an_email_is_for_one_recipient_and_says_one_thing() {
    let email = |change: Value| {
        let mut action = json!({ "type": "send_email", "to": { "address": "ada@example.com" }, "template": "welcome" });
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(action.as_object_mut().unwrap().remove(name)),
                value => action[name] = value.clone(),
            }
        }
        let mut definition = good();
        definition["runs_as"].as_array_mut().unwrap().push(json!("communications.email.send"));
        definition["actions"][1] = action;
        let problems = check(&definition, &bus()).err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.path, problem.code)).collect::<Vec<_>>()
    };
    assert_eq!(email(json!({})), []);
    assert_eq!(email(json!({ "fields": { "name": "{{ event.payload.client_name }}" } })), []);
    assert_eq!(email(json!({ "template": null, "subject": "Hello", "body": "Hello" })), []);
    for (change, path, code) in [
        (json!({ "to": {} }), "/actions/1/to", "recipient_needs_one"),
        (
            json!({ "to": { "address": "ada@example.com", "user": "{{ event.id }}" } }),
            "/actions/1/to",
            "recipient_needs_one",
        ),
        (json!({ "to": { "address": "ada" } }), "/actions/1/to/address", "invalid_parameter"),
        (json!({ "to": { "contact": "ada" } }), "/actions/1/to/contact", "invalid_parameter"),
        (json!({ "to": { "contact": "{{ nobody }}" } }), "/actions/1/to/contact", "unknown_variable"),
        (json!({ "template": null }), "/actions/1", "email_needs_one"),
        (json!({ "template": null, "subject": "Hello" }), "/actions/1", "email_needs_one"),
        (json!({ "subject": "Hello" }), "/actions/1", "email_needs_one"),
        (json!({ "template": "Not a key" }), "/actions/1/template", "invalid_parameter"),
        (json!({ "fields": { "Full Name": "x" } }), "/actions/1/fields", "invalid_parameter"),
        (
            json!({ "fields": { "name": "{{ event.payload.nobody }}" } }),
            "/actions/1/fields/name",
            "unknown_payload_field",
        ),
        (json!({ "template": null, "subject": "{{ x }}", "body": "x" }), "/actions/1/subject", "unknown_variable"),
    ] {
        let found = email(change.clone());
        assert!(found.contains(&(path.to_owned(), code)), "{change}: {found:?}");
    }
    let found = problems_with(
        "/actions/1",
        json!({ "type": "send_email", "to": { "address": "a@b.example" }, "template": "x" }),
    );
    assert_eq!(found, [("/actions/1/type".to_owned(), "exceeds_runs_as")]);
}

#[tokio::test]
async fn a_call_goes_through_a_connection_and_says_beforehand_what_of_the_answer_is_kept() {
    let call = |change: Value| {
        let mut action = json!({
            "type": "call_api", "connection": "0199aaaa-0000-7000-8000-000000000001", "method": "put",
            "path": ["Items", "{{ event.id }}"], "body": { "Name": "{{ event.payload.client_name }}" },
            "keep": { "item": "/Items/0/ItemID" },
        });
        for (name, value) in change.as_object().unwrap() {
            action[name] = value.clone();
        }
        let mut definition = good();
        definition["runs_as"].as_array_mut().unwrap().push(json!("connections.api_call.request"));
        definition["actions"][1] = action;
        let problems = check(&definition, &bus()).err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.path, problem.code)).collect::<Vec<_>>()
    };
    assert_eq!(call(json!({})), []);
    for (change, path, code) in [
        (json!({ "connection": "https://api.example/Items" }), "/actions/1/connection", "invalid_parameter"),
        (json!({ "connection": "{{ nobody }}" }), "/actions/1/connection", "unknown_variable"),
        (json!({ "path": [] }), "/actions/1/path", "path_not_allowed"),
        (json!({ "path": ["a/b"] }), "/actions/1/path/0", "path_not_allowed"),
        (json!({ "path": [".."] }), "/actions/1/path/0", "path_not_allowed"),
        (json!({ "method": "get" }), "/actions/1/body", "body_not_allowed"),
        (json!({ "keep": { "item": "Items" } }), "/actions/1/keep/item", "invalid_parameter"),
        (json!({ "keep": { "Not A Name": "/x" } }), "/actions/1/keep/Not A Name", "invalid_parameter"),
    ] {
        let found = call(change.clone());
        assert!(found.contains(&(path.to_owned(), code)), "{change}: {found:?}");
    }
}
