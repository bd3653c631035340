//! What the two services say of themselves and of the events: to whoever asks, without coming in.

use ::web::{Problem, code};
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use event_store::{CommandBus, CommandInfo};
use kernel::{Aggregate, Mounts};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What the tags of operations stand for that are no domain's.
const TAGS: &[(&str, &str)] = &[
    ("connect", "How a firm is connected with providers, and where these come in."),
    ("dashboard", "What the firm stands at, in figures."),
    ("events", "The log, event by event."),
    ("login", "How a browser comes in, and out."),
];

/// Every command, without a store behind them: nothing is executed here.
pub fn every_command() -> Vec<CommandInfo> {
    struct Collected(Vec<CommandInfo>);
    impl Mounts for Collected {
        fn mount<A: Aggregate>(&mut self) {
            self.0.extend(CommandBus::commands_of::<A>());
        }
    }
    let mut collected = Collected(vec![]);
    registry::mount_all(&mut collected);
    collected.0
}

/// What command-api describes: commands, the pages of a login, and how providers are connected.
pub fn commands(commands: &[CommandInfo]) -> Value {
    complete(command_api::openapi(commands, |document| {
        ::login::describe(document);
        ::connect::describe(document);
    }))
}

/// What query-api describes.
pub fn queries() -> Value {
    complete(query_api::openapi())
}

fn complete(document: Value) -> Value {
    let mut document = with_examples(document);
    let used: BTreeSet<&str> = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(|paths| paths.values())
        .filter_map(Value::as_object)
        .flat_map(|methods| methods.values())
        .filter_map(|operation| operation["tags"][0].as_str())
        .collect();
    let domains = projections::groups().iter().map(|group| (group.name, group.about));
    let tags: BTreeMap<&str, &str> = domains.chain(TAGS.iter().copied()).collect();
    let tags = tags.iter().filter(|(name, _)| used.contains(*name));
    document["tags"] = tags.map(|(name, about)| json!({ "name": name, "description": about })).collect();
    document
}

/// The document with an example of every body and every answer in JSON, made from their schemas.
fn with_examples(mut document: Value) -> Value {
    let whole = document.clone();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut()) {
        let seed = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let give = |content: &mut Value| {
            for content in content.as_object_mut().into_iter().flat_map(|types| types.values_mut()) {
                if content["schema"].get("$ref").is_some() {
                    content["example"] = catalogue::example_in(&whole, &content["schema"], &seed);
                }
            }
        };
        if let Some(body) = operation.get_mut("requestBody") {
            give(&mut body["content"]);
        }
        let answers = operation["responses"].as_object_mut().into_iter().flatten();
        for (_, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
            if let Some(content) = answer.get_mut("content") {
                give(content);
            }
        }
    }
    document
}

/// Serves what is published of the events: `/asyncapi.json`, and each payload's schema.
pub fn serve_events(config: &mut ServiceConfig) {
    static ASYNCAPI: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", catalogue::asyncapi()));
    config.route(
        "/asyncapi.json",
        web::get().to(|| async { HttpResponse::Ok().content_type("application/json").body(ASYNCAPI.as_str()) }),
    );
    config.route("/schemas", web::get().to(schemas));
    config.route("/schemas/{name}", web::get().to(schema));
}

async fn schemas() -> HttpResponse {
    let versions = catalogue::entries().flat_map(|entry| (1..=entry.version).map(move |version| (entry, version)));
    let all: Vec<Value> = versions
        .map(|(entry, version)| {
            json!({
                "name": format!("{}.v{version}", entry.name),
                "id": catalogue::schema_id(entry.name, version),
                "url": catalogue::schema_url(entry.name, version),
                "description": entry.summary,
            })
        })
        .collect();
    HttpResponse::Ok().json(json!({ "data": all }))
}

async fn schema(name: Path<String>) -> HttpResponse {
    match catalogue::schema_named(&name) {
        Some(schema) => HttpResponse::Ok().content_type("application/schema+json").body(format!("{schema:#}\n")),
        None => Problem::new(&code::NOT_FOUND, "no such schema; /schemas lists all").error_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::test::{TestRequest, call_and_read_body_json, call_service, init_service};

    fn both() -> [(&'static str, Value); 2] {
        [("commands", commands(&every_command())), ("queries", queries())]
    }

    fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere")),
            None => value,
        }
    }

    /// Calls `look` with every object in the value.
    fn walk(value: &Value, pointer: &str, look: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Object(fields) => {
                look(pointer, value);
                fields.iter().for_each(|(name, value)| walk(value, &format!("{pointer}/{name}"), look));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, value)| walk(value, &format!("{pointer}/{n}"), look));
            }
            _ => {}
        }
    }

    #[test]
    fn every_object_has_a_name_and_every_reference_leads_somewhere() {
        for (which, document) in both() {
            walk(&document, "", &mut |pointer, value| {
                resolved(&document, value);
                let is_written_out = value.get("properties").is_some_and(Value::is_object);
                assert!(!(is_written_out && pointer.starts_with("/paths")), "{which}: {pointer} has no name");
            });
        }
    }

    #[test]
    fn a_body_is_required_exactly_if_something_in_it_is() {
        for (which, document) in both() {
            for (path, _, operation) in operations(&document) {
                let Some(body) = operation.get("requestBody") else { continue };
                for content in body["content"].as_object().unwrap().values() {
                    let schema = resolved(&document, &content["schema"]);
                    // What cannot be looked into is somebody else's format: without it nothing was said.
                    let is_opaque = schema.get("properties").is_none() && schema["additionalProperties"] != false;
                    let is_needed = is_opaque || schema["required"].as_array().is_some_and(|names| !names.is_empty());
                    assert_eq!(body["required"], is_needed, "{which}: {path}");
                    assert!(content.get("example").is_some(), "{which}: {path} has no example");
                }
            }
        }
    }

    #[test]
    fn everything_that_is_shown_is_required() {
        for (which, document) in both() {
            for (path, _, operation) in operations(&document) {
                let answer =
                    operation["responses"].as_object().unwrap().iter().find(|(status, _)| status.starts_with('2'));
                let Some(schema) = answer.and_then(|(_, answer)| answer.pointer("/content/application~1json/schema"))
                else {
                    continue;
                };
                let page = resolved(&document, schema);
                let Some(row) = page.pointer("/properties/data/items") else { continue };
                let row = resolved(&document, row);
                for name in row["properties"].as_object().unwrap().keys() {
                    assert!(row["required"].as_array().unwrap().contains(&json!(name)), "{which}: {path} {name}");
                }
            }
        }
    }

    #[test]
    fn every_operation_says_who_may_come_in_and_what_may_go_wrong() {
        for (which, document) in both() {
            let tags: BTreeSet<&str> =
                document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
            let mut ids = BTreeSet::new();
            for (path, method, operation) in operations(&document) {
                let here = format!("{which}: {method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id), "{here}: {id} is there twice");
                assert!(!operation["description"].as_str().unwrap().is_empty(), "{here}");
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.keys().any(|status| status.starts_with('4')), "{here}");
                for tag in operation["tags"].as_array().unwrap() {
                    assert!(tags.contains(tag.as_str().unwrap()), "{here}: {tag} is not described");
                }
                let security = operation.get("security").unwrap_or(&document["security"]).as_array().unwrap();
                assert_eq!(security.is_empty(), !answers.contains_key("401"), "{here}");
            }
        }
    }

    /// The codes that an operation lists for these answers.
    fn codes(document: &Value, operation: &Value, status: &str) -> BTreeSet<String> {
        let answer = resolved(document, &operation["responses"][status]);
        let schema = resolved(document, &answer["content"]["application/problem+json"]["schema"]);
        let codes = schema.pointer("/allOf/1/properties/code/enum").and_then(Value::as_array);
        codes.into_iter().flatten().map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_command_lists_its_own_rejections_and_no_other_commands() {
        let document = commands(&every_command());
        let rename = &document["paths"]["/v1/crm/clients/{id}/rename"]["post"];
        let rename = codes(&document, rename, "409");
        assert!(rename.contains("crm.client.blocked"), "{rename:?}");
        assert!(!rename.contains("crm.client.too_many_tags"), "{rename:?}");
        let create = codes(&document, &document["paths"]["/v1/crm/clients"]["post"], "409");
        assert!(create.contains("crm.client.email.taken") && !create.contains("crm.client.blocked"), "{create:?}");
        let task = codes(&document, &document["paths"]["/v1/projects/projects/{id}/add-task"]["post"], "409");
        assert!(task.contains("crm.client.blocked"), "a flag of another context: {task:?}");
    }

    #[test]
    fn every_rejection_is_listed_by_a_command() {
        let all = every_command();
        let listed: BTreeSet<&str> = all.iter().flat_map(|info| info.entry.refusals).copied().collect();
        let known: BTreeSet<&str> = all.iter().flat_map(|info| info.rejections).map(|entry| entry.code).collect();
        assert_eq!(known.difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new());
        let unknown: Vec<_> = listed.difference(&known).filter(|code| !code.ends_with(".taken")).collect();
        assert!(unknown.iter().all(|code| kernel::Flag::named(code).is_some()), "{unknown:?}");
    }

    #[test]
    fn no_two_types_have_one_name() {
        for (which, document) in both() {
            let schemas = document["components"]["schemas"].as_object().unwrap();
            for name in schemas.keys() {
                // The generator of schemas numbers them.
                let first = name.trim_end_matches(char::is_numeric);
                let is_second = first != name && schemas.contains_key(first);
                assert!(!is_second, "{which}: {name} is a second type of this name");
            }
        }
    }

    #[test]
    fn every_schema_that_asyncapi_refers_to_is_served() {
        let (mut count, document) = (0, catalogue::asyncapi());
        walk(&document, "", &mut |_, value| {
            let reference = value.get("$ref").and_then(Value::as_str).unwrap_or("#");
            if let Some(name) = reference.strip_prefix("/schemas/") {
                assert!(catalogue::schema_named(name).is_some(), "{reference}");
                count += 1;
            } else {
                assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
            }
        });
        assert!(count >= catalogue::entries().count(), "{count}");
    }

    #[tokio::test]
    async fn whatever_a_document_or_a_problem_points_to_answers() {
        let app = App::new().configure(|config| ::web::openapi::serve(config, "{}")).configure(serve_events);
        let app = init_service(app).await;
        let events = catalogue::entries().flat_map(|entry| {
            (1..=entry.version)
                .map(|version| (catalogue::schema_url(entry.name, version), catalogue::schema_id(entry.name, version)))
        });
        for (url, id) in events {
            let schema: Value = call_and_read_body_json(&app, TestRequest::with_uri(&url).to_request()).await;
            assert_eq!(schema["$id"], json!(id), "{url}");
            let url = format!("/schemas/{id}");
            let named: Value = call_and_read_body_json(&app, TestRequest::with_uri(&url).to_request()).await;
            assert_eq!(named, schema, "{url}");
        }
        for kind in ::web::CODES {
            let url = format!("/problems/{}", kind.code);
            let problem: Value = call_and_read_body_json(&app, TestRequest::with_uri(&url).to_request()).await;
            assert_eq!((&problem["title"], &problem["status"]), (&json!(kind.title), &json!(kind.status)), "{url}");
        }
        for (url, member) in [("/asyncapi.json", "channels"), ("/schemas", "data"), ("/problems", "data")] {
            let found: Value = call_and_read_body_json(&app, TestRequest::with_uri(url).to_request()).await;
            assert!(!found[member].is_null(), "{url}");
        }
        for url in ["/schemas/nothing", "/schemas/crm.client.created.v99", "/problems/nothing", "/problems/"] {
            let answer = call_service(&app, TestRequest::with_uri(url).to_request()).await;
            assert_eq!(answer.status().as_u16(), 404, "{url}");
        }
    }
}
