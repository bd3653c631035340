//! `asyncapi.yaml`: every event as a subscriber on NATS sees it.

use crate::published::Published;
use crate::{context_of, schema_id, schema_url};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The committed document as the services answer it: payloads refer to the schemas that are served beside it.
pub fn served() -> Value {
    // `check` and the tests compare the file with the types.
    let mut document = serde_saphyr::from_str(include_str!("../../asyncapi.yaml")).unwrap_or_default();
    refer(&mut document);
    document
}

/// `./json/crm/client.created.v1.json` is served as `/schemas/crm.client.created.v1`.
fn refer(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some((context, file)) = reference.strip_prefix("./json/").and_then(|path| path.split_once('/'))
                && let Some((event_type, version)) = file.trim_end_matches(".json").rsplit_once(".v")
            {
                let version = version.parse().unwrap_or_default();
                *reference = schema_url(&format!("{context}.{event_type}"), version);
            }
            fields.values_mut().for_each(refer);
        }
        Value::Array(items) => items.iter_mut().for_each(refer),
        _ => {}
    }
}

/// The AsyncAPI 3.0 document over every published version of every event.
pub(crate) fn document(published: &[Published]) -> String {
    yaml(&described(published))
}

fn described(published: &[Published]) -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for event in published {
        let name = event.entry.name;
        let message = message_name(event);
        let channel = channels.entry(name).or_insert_with(|| channel(event));
        channel["messages"][&message] = json!({ "$ref": format!("#/components/messages/{message}") });
        let operation = operations.entry(name).or_insert_with(|| operation(event));
        let list = operation["messages"].as_array_mut();
        list.into_iter().for_each(|l| l.push(json!({ "$ref": format!("#/channels/{name}/messages/{message}") })));
        messages.insert(message, self::message(event));
    }
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:ubos:events",
        "info": {
            "title": "UBOS events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "contact": { "name": "Whoever runs this installation" },
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            "tags": contexts(published),
        },
        "defaultContentType": "application/json",
        "servers": { "nats": {
            "host": "{host}",
            "protocol": "nats",
            "title": "NATS with JetStream",
            "description": CONNECTING,
            "variables": { "host": { "default": "localhost:4222", "description": "Host and port of the installation." } },
            "security": [
                { "$ref": "#/components/securitySchemes/token" },
                { "$ref": "#/components/securitySchemes/password" },
            ],
        } },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "messageTraits": { "cloudEvent": {
                "headers": headers(),
                "correlationId": { "location": "$message.header#/ce-correlationid" },
                "bindings": { "nats": {} },
            } },
            "parameters": { "tenant": { "description": "Id of the firm, a UUID. A connection sees its own firm only." } },
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "password",
                    "description": "The secret of a subscriber as the connection's token: `ubi_…`. `POST \
                        /v1/identity/subscribers` of command-api answers it once, with the subscriber's id, and `rotate` another.",
                },
                "password": {
                    "type": "userPassword",
                    "description": "For clients that want a user: any name, and the same secret as the password.",
                },
            },
        },
    })
}

const CONNECTING: &str = "\
A subscriber reads one firm's events from the durable pull consumer that is made for it, in the stream EVENTS under its id, \
with explicit acknowledgement within 30 seconds. The prefix of its inboxes is `_INBOX_<id>`, the prefix of its JetStream API \
is `UBOS`. It may ask for its next messages, ask for its consumer's state and acknowledge; subscribing to the subjects below, like \
everything else, is denied. Its scopes say which of them its consumer gets.";

const INTRODUCTION: &str = "\
Everything that happens, as CloudEvents 1.0 in binary mode: attributes are headers, the body is the event's payload.

Delivery is at least once and in order of `ce-globalposition`, which counts every event of the installation without a \
gap. Remember the last position you have handled and skip anything at or below it. `Nats-Msg-Id` is the event's id.

A payload may gain optional fields and enums may gain values without a new version: ignore what you do not know. Any \
other change is a new version, named by `ce-dataschema`. What lets somebody in, and what it hashes to, is in no event that leaves.";

/// The contexts that events belong to, as tags.
fn contexts(published: &[Published]) -> Vec<Value> {
    let names: BTreeSet<&str> = published.iter().map(|event| context_of(event.entry)).collect();
    names
        .into_iter()
        .map(|name| json!({ "name": name, "description": format!("What happens in the context {name}.") }))
        .collect()
}

fn message_name(event: &Published) -> String {
    format!("{}.v{}", event.entry.name, event.version)
}

fn channel(event: &Published) -> Value {
    let entry = event.entry;
    let mut channel = json!({
        "address": format!("ubos.events.{{tenant}}.{}", entry.name),
        "title": entry.name,
        "description": entry.summary,
        "messages": {},
        "parameters": { "tenant": { "$ref": "#/components/parameters/tenant" } },
        "bindings": { "nats": {} },
    });
    if entry.retired {
        channel["description"] = format!("{} No longer written.", entry.summary).into();
    }
    channel
}

fn operation(event: &Published) -> Value {
    let name = event.entry.name;
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{name}") },
        "summary": event.entry.summary,
        "description": format!("{} The body is the event's payload, the headers say the rest.", event.entry.summary),
        "tags": [{ "name": context_of(event.entry) }],
        "bindings": { "nats": { "bindingVersion": "0.1.0" } },
        "messages": [],
    })
}

fn message(event: &Published) -> Value {
    let entry = event.entry;
    let context = context_of(entry);
    let summary = match event.schema.get("description").and_then(Value::as_str) {
        Some(summary) => summary,
        None => entry.summary,
    };
    let example_headers = json!({
        "ce-specversion": "1.0",
        "ce-type": entry.event_type,
        "ce-dataschema": schema_id(entry.name, event.version),
    });
    json!({
        "name": entry.event_type,
        "title": format!("{}, version {}", entry.name, event.version),
        "summary": summary,
        "contentType": "application/json",
        "traits": [{ "$ref": "#/components/messageTraits/cloudEvent" }],
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": { "$ref": format!("./json/{context}/{}.v{}.json", entry.event_type, event.version) },
        },
        "examples": [{ "name": "golden", "headers": example_headers, "payload": event.golden }],
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let uuid = |description: &str| json!({ "type": "string", "format": "uuid", "description": description });
    json!({
        "type": "object",
        "required": [
            "Nats-Msg-Id", "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-dataschema",
            "ce-tenantid", "ce-aggregateversion", "ce-globalposition", "ce-correlationid", "Ubos-Aggregate-Type", "Ubos-Log",
        ],
        "properties": {
            "Nats-Msg-Id": uuid("The event's id; JetStream drops a second message with the same one."),
            "ce-specversion": { "const": "1.0" },
            "ce-id": uuid("The event's id."),
            "ce-source": text("`/tenants/<tenant>/<domain>`"),
            "ce-type": text("The event type: `client.created`."),
            "ce-subject": uuid("The aggregate's id."),
            "ce-time": { "type": "string", "format": "date-time", "description": "When it was committed, UTC." },
            "ce-dataschema": text("Name of the payload's schema, its version included."),
            "ce-datacontenttype": { "const": "application/json" },
            "ce-tenantid": uuid("The firm."),
            "ce-aggregateversion": text("The aggregate's version after this event, a decimal number from 1."),
            "ce-globalposition": text("The event's position, a decimal number from 1."),
            "ce-correlationid": uuid("The request that started the whole chain."),
            "ce-causationid": uuid("What led to this event directly, if anything."),
            "ce-actor": text("Who acted, as JSON."),
            "ce-concerns": text("The clients and projects that it is about, if any: `client/<id>,project/<id>`."),
            "ce-unit": text("The unit that it entered the log with, if any, its place in it and how many events it has: `<id>/2/3`."),
            "traceparent": text("W3C trace context."),
            "Ubos-Aggregate-Type": text("The stream's kind: `crm.client`."),
            "Ubos-Command": text("The command that was decided: `crm.client.create`."),
            "Ubos-Log": text("Which log the event is from; another value means another installation."),
            "Ubos-Retried": text("Set when an operator published a claim-checked event in full, later than its turn."),
            "Ubos-Claim-Check": text("Where to read an event that was too large to be carried; its body is empty."),
        },
    })
}

fn yaml(document: &Value) -> String {
    let body = serde_saphyr::to_string(document).unwrap_or_default();
    format!("# Generated from the Rust types by `cargo xtask gen`; edits are lost.\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_names_the_secret_that_subscribers_show() {
        let document = served();
        let schemes = &document["components"]["securitySchemes"];
        assert_eq!(schemes["token"]["type"], "apiKey");
        for scheme in document["servers"]["nats"]["security"].as_array().unwrap() {
            let reference = scheme["$ref"].as_str().unwrap();
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_schema_is_found_by_each_of_its_names() {
        let schema = crate::schema("client.created", 2);
        assert!(schema.is_some());
        for name in [
            "crm.client.created.v2",
            "crm.client.created.v2.json",
            "urn:ubos:event:crm.client.created:v2",
            "crm.client.created",
            "client.created.v2",
        ] {
            assert_eq!(crate::schema_named(name), schema, "{name}");
        }
        for name in
            ["", "crm.client.created.v3", "crm.client.created.v0", "files.client.created", "crm.client.created.v", "x"]
        {
            assert_eq!(crate::schema_named(name), None, "{name}");
        }
    }
}
