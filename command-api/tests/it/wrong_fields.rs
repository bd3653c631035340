//! Everything that is wrong with a body is said at once, in codes of a closed list.

use crate::common::{Answer, Service, commands, send};
use kernel::FieldCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

async fn post(service: &Service, path: &str, body: &Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    send(service.post(path).header("idempotency-key", key).body(body.to_string())).await
}

/// The errors as pointer, code and parameters.
fn said(answer: &Answer) -> Vec<Value> {
    let errors = answer.body["errors"].as_array().into_iter().flatten();
    errors.map(|error| json!([error["pointer"], error["code"], error["parameters"]])).collect()
}

#[actix_web::test]
async fn everything_that_is_wrong_is_said_at_once_in_codes_of_a_closed_list() {
    let service = Service::start().await;
    let body = json!({ "kind": "organization", "email": "a@", "phone": 7, "nmae": "Ada" });
    let answer = post(&service, "/v1/crm/clients", &body).await;
    assert_eq!((answer.status, answer.problem()), (422, "invalid-input"), "{answer:?}");
    let said: BTreeSet<String> = said(&answer).iter().map(Value::to_string).collect();
    let expected = [
        json!(["/nmae", "unknown", { "nearest": "name" }]),
        json!(["/name", "required", {}]),
        json!(["/kind", "not_one_of", { "options": ["organisation", "individual"], "nearest": "organisation" }]),
        json!(["/email", "not_an_email", {}]),
        json!(["/phone", "wrong_type", { "expected": "string", "found": "number" }]),
    ];
    assert_eq!(said, expected.iter().map(Value::to_string).collect());
    for (path, body, code) in [
        ("/v1/scheduling/event-types", json!({ "key": "a", "rules": { "duration_minutes": -5 } }), "out_of_range"),
        ("/v1/identity/api-keys", json!({ "expires_at": "tomorrow" }), "not_a_time"),
        ("/v1/projects/projects", json!({ "starts_on": "2026-02-30" }), "not_a_date"),
        ("/v1/identity/roles", json!({ "patterns": ["crm.*", "!"] }), "not_a_pattern"),
    ] {
        let answer = post(&service, path, &body).await;
        let codes: Vec<_> = answer.body["errors"].as_array().into_iter().flatten().map(|e| e["code"].clone()).collect();
        assert!(codes.contains(&json!(code)) && codes.contains(&json!("required")), "{path}: {answer:?}");
    }
}

/// A value of a JSON type that the schema does not allow; none if it allows anything.
fn of_another_type(schema: &Value) -> Option<Value> {
    let says = |keyword: &str| schema.get(keyword).is_some();
    let allows_booleans = match &schema["type"] {
        Value::String(kind) => kind == "boolean",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "boolean"),
        _ => false,
    };
    let is_bound = ["type", "oneOf", "anyOf", "enum", "const"].into_iter().any(says);
    is_bound.then(|| if allows_booleans { json!([["no"]]) } else { json!(true) })
}

#[actix_web::test]
async fn every_command_says_of_every_field_what_is_wrong_with_it() {
    let service = Service::start().await;
    let mut tried = 0;
    for info in commands() {
        let schema = Value::from((info.entry.schema)());
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let mut body = Map::from_iter([("no_such_field".to_owned(), json!(1))]);
        for (field, schema) in properties {
            if let Some(wrong) = of_another_type(schema) {
                body.insert(field.clone(), wrong);
            }
        }
        let action = info.entry.action.replace('_', "-");
        let first = commands().into_iter().filter(|other| other.path == info.path && other.entry.creates);
        let is_first =
            first.min_by_key(|other| other.entry.action.len()).is_some_and(|f| f.entry.name == info.entry.name);
        let path = match (info.entry.creates, is_first) {
            (true, true) => format!("/v1/{}", info.path),
            (true, false) => format!("/v1/{}/{action}", info.path),
            (false, _) => format!("/v1/{}/{}/{action}", info.path, Uuid::now_v7()),
        };
        let wrong: BTreeSet<String> = body.keys().map(|field| format!("/{field}")).collect();
        let answer = post(&service, &path, &Value::Object(body)).await;
        // What only UBOS itself does is not told about.
        if answer.status == 403 {
            continue;
        }
        tried += 1;
        assert_eq!((answer.status, answer.problem()), (422, "invalid-input"), "{}: {answer:?}", info.entry.name);
        let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
        // A field may be wrong in a place within.
        let named: BTreeSet<String> = errors
            .iter()
            .filter_map(|error| error["pointer"].as_str()?.split('/').nth(1))
            .map(|field| format!("/{field}"))
            .collect();
        assert!(wrong.is_subset(&named), "{}: {:?} is not said", info.entry.name, wrong.difference(&named));
        for error in &errors {
            let code = FieldCode::ALL.iter().find(|code| error["code"] == code.as_str());
            let code = code.unwrap_or_else(|| panic!("{}: {error} has no code of the list", info.entry.name));
            let parameters = error["parameters"].as_object().unwrap_or_else(|| panic!("no parameters in {error}"));
            assert!(parameters.keys().all(|name| code.parameters().contains(&name.as_str())), "{error}");
            let message = error["message"].as_str().unwrap_or_default();
            for serde in ["missing field", "invalid type", "unknown variant", "did not match any variant", "at line "] {
                assert!(!message.contains(serde), "the deserializer's sentence: {error}");
            }
        }
    }
    assert!(tried > 80, "{tried}");
}
