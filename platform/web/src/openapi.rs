//! OpenAPI 3.1 as a value, and the page that shows it.
//!
//! Whoever generates a client gets a class for every object that has a name, so every object has one: bodies, rows, pages,
//! answers and problems are components, and paths refer to them.

mod problems;

pub use problems::{AT_WORK, EVERYWHERE, OwnCode, WHERE_ONE_IS_KNOWN, WITH_BODY, request_id, serve_problems};

use crate::session::{CSRF_HEADER, PORTAL_COOKIE, SESSION_COOKIE};
use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// A document in the making.
pub struct Document {
    generator: SchemaGenerator,
    schemas: Map<String, Value>,
    responses: Map<String, Value>,
    paths: Map<String, Value>,
    schemes: Map<String, Value>,
}

/// A reference to a component.
pub fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

impl Document {
    /// One whose types are read from requests.
    pub fn of_requests() -> Self {
        Self::with(settings())
    }

    /// One whose types are written to answers: what is always there is required.
    pub fn of_answers() -> Self {
        Self::with(settings().for_serialize())
    }

    fn with(settings: SchemaSettings) -> Self {
        let generator = settings.into_generator();
        let (schemas, responses, paths) = (Map::new(), Map::new(), Map::new());
        let mut document = Self { generator, schemas, responses, paths, schemes: schemes() };
        let problem = problems::schema(&mut document);
        let problem = document.component("Problem", problem);
        document.response(
            "Problem",
            json!({
                "description": "Any other problem.",
                "headers": Map::from_iter([request_id()]),
                "content": { "application/problem+json": { "schema": problem } },
            }),
        );
        document
    }

    /// What Rust types are described with.
    pub fn generator(&mut self) -> &mut SchemaGenerator {
        &mut self.generator
    }

    /// Names a schema; answers the reference to it.
    pub fn component(&mut self, name: &str, schema: Value) -> Value {
        self.schemas.insert(name.to_owned(), schema);
        reference("schemas", name)
    }

    fn response(&mut self, name: &str, response: Value) -> Value {
        self.responses.insert(name.to_owned(), response);
        reference("responses", name)
    }

    /// A name for a response with these codes: the first that is free or means the same.
    fn free_response(&self, name: &str, codes: &[&str]) -> String {
        let is_same = |name: &str| {
            let schema = self.schemas.get(&format!("{name}Problem"));
            schema.is_none_or(|schema| schema.pointer("/allOf/1/properties/code/enum") == Some(&json!(codes)))
        };
        let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}{n}")));
        names.into_iter().find(|name| is_same(name)).unwrap_or_default()
    }

    /// A page of rows that are described by `row`.
    pub fn page(&mut self, name: &str, row: &Value) -> Value {
        self.component(
            name,
            json!({
                "type": "object",
                "description": "A page of a list.",
                "required": ["data", "has_more", "next_cursor"],
                "properties": {
                    "data": { "type": "array", "items": row, "description": "the rows" },
                    "has_more": { "type": "boolean", "description": "is there another page?" },
                    "next_cursor": { "type": ["string", "null"], "description": "the `cursor` of the next page" },
                },
            }),
        )
    }

    /// The only way to come in is one more header, which is signed: each of these, with what it says.
    pub fn signed(&mut self, headers: &[(&str, &str, &str)]) -> Value {
        let scheme = |(key, name, about): &(&str, &str, &str)| {
            let scheme = json!({ "type": "apiKey", "in": "header", "name": name, "description": about });
            ((*key).to_owned(), scheme)
        };
        self.schemes.extend(headers.iter().map(scheme));
        headers.iter().map(|(key, ..)| json!({ (*key): [] })).collect()
    }

    /// Adds an operation.
    pub fn operation(&mut self, path: &str, method: &str, operation: Value) {
        let item = self.paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        item[method] = operation;
    }

    /// The whole document. Where an operation does not say otherwise somebody must have come in.
    pub fn finish(mut self, title: &str, description: &str) -> Value {
        let mut schemas = self.schemas;
        for (name, mut schema) in self.generator.take_definitions(true) {
            plain_enums(&mut schema);
            schemas.insert(name, schema);
        }
        schemas.values_mut().for_each(plain_enums);
        schemas.sort_keys();
        self.responses.sort_keys();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": title, "description": description, "version": "1",
                "contact": { "name": "Whoever runs this installation" },
                "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            },
            "servers": [{ "url": "/", "description": "The service that serves this document." }],
            "security": anybody(),
            "tags": [],
            "paths": self.paths,
            "components": {
                "securitySchemes": self.schemes,
                "schemas": schemas,
                "responses": self.responses,
            },
        })
    }
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into())
}

/// Every way to come in. A change in a session also needs what its page shows.
fn anybody() -> Value {
    json!([{ "token": [] }, { "apiKey": [] }, { "session": [], "csrf": [] }, { "portalSession": [], "csrf": [] }])
}

/// Every way to come in to look at something.
pub fn to_look() -> Value {
    json!([{ "token": [] }, { "apiKey": [] }, { "session": [] }, { "portalSession": [] }])
}

/// A session of somebody's browser; to change something, with what its page shows.
pub fn in_session(changes: bool) -> Value {
    match changes {
        true => json!([{ "session": [], "csrf": [] }, { "portalSession": [], "csrf": [] }]),
        false => json!([{ "session": [] }, { "portalSession": [] }]),
    }
}

fn schemes() -> Map<String, Value> {
    let schemes = json!({
        "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of the configured issuer." },
        "apiKey": { "type": "http", "scheme": "bearer", "bearerFormat": "ubk_…", "description": "An API key of a program or a user." },
        "session": { "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "A browser that came in through `/v1/login/start`." },
        "portalSession": { "type": "apiKey", "in": "cookie", "name": PORTAL_COOKIE, "description": "A browser that came in by a portal user's link." },
        "csrf": { "type": "apiKey", "in": "header", "name": CSRF_HEADER, "description": "The `csrf_token` of `/v1/login/session`; only with a session's cookie." },
    });
    schemes.as_object().cloned().unwrap_or_default()
}

/// Enums whose values are documented one by one become plain ones, which more generators understand; what the values mean is
/// said in the description.
fn plain_enums(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(plain_enums),
        Value::Object(fields) => {
            fields.values_mut().for_each(plain_enums);
            let Some(Value::Array(variants)) = fields.get("oneOf") else { return };
            let values: Option<Vec<Value>> = variants
                .iter()
                .map(|variant| {
                    let value = variant.get("const").map(|value| vec![value.clone()]);
                    value.or_else(|| variant.get("enum").and_then(Value::as_array).cloned())
                })
                .collect::<Option<Vec<_>>>()
                .map(|values| values.concat());
            let Some(values) = values.filter(|values| values.iter().all(Value::is_string)) else { return };
            let meanings = variants.iter().filter_map(|variant| {
                let (value, about) = (variant.get("const")?.as_str()?, variant.get("description")?.as_str()?);
                Some(format!("\n- `{value}`: {about}"))
            });
            let meanings: String = meanings.collect();
            let about = fields.get("description").and_then(Value::as_str).unwrap_or("One of these.");
            let about = format!("{about}\n{meanings}").trim_end().to_owned();
            fields.shift_remove("oneOf");
            fields.insert("type".to_owned(), json!("string"));
            fields.insert("enum".to_owned(), values.into());
            fields.insert("description".to_owned(), about.into());
        }
        _ => {}
    }
}

/// A header parameter.
pub fn header(name: &str, required: bool, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "required": required, "description": description, "schema": schema })
}

/// Serves the document at `/openapi.json` and a page for it at `/docs/`, where `/` leads too; and what problems lead to.
pub fn serve(config: &mut ServiceConfig, document: &'static str) {
    serve_problems(config);
    config.route(
        "/openapi.json",
        web::get().to(move || async move { HttpResponse::Ok().content_type("application/json").body(document) }),
    );
    for path in ["/", "/docs"] {
        let there = || async { HttpResponse::Found().insert_header(("Location", "/docs/")).finish() };
        config.route(path, web::get().to(there));
    }
    config.service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json")));
}
