//! An event as one JSON object: CloudEvents 1.0, structured mode, with the attributes that the stream has as headers. Whoever gets an event
//! over HTTP reads the same of it as whoever gets it from NATS.

use chrono::SecondsFormat;
use event_store::RawEvent;
use serde_json::{Map, Value};

/// The event's attributes, without its data. What is longer than 32 bits is a text, as CloudEvents' integers are not.
pub fn attributes(event: &RawEvent) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: String| all.insert(name.to_owned(), Value::String(value));
    put("specversion", "1.0".to_owned());
    put("id", event.event_id.to_string());
    put("source", format!("/tenants/{}/{}", event.tenant_id.0, event.domain));
    put("type", event.event_type.clone());
    put("subject", event.aggregate_id.to_string());
    put("time", event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true));
    put("datacontenttype", "application/json".to_owned());
    put("dataschema", format!("urn:ubos:event:{}.{}:v{}", event.domain, event.event_type, event.event_version));
    put("tenantid", event.tenant_id.0.to_string());
    put("aggregatetype", event.aggregate_type.clone());
    put("aggregateversion", event.sequence.to_string());
    put("globalposition", event.position.to_string());
    put("correlationid", event.metadata.correlation_id.to_string());
    if let Some(id) = event.metadata.causation_id {
        put("causationid", id.to_string());
    }
    put("actor", serde_json::to_string(&event.metadata.actor).unwrap_or_default());
    if !event.metadata.concerns.is_empty() {
        let concerns: Vec<String> = event.metadata.concerns.iter().map(ToString::to_string).collect();
        put("concerns", concerns.join(","));
    }
    if let Some(unit) = event.metadata.unit {
        put("unit", unit.to_string());
    }
    if let Some(trace) = &event.metadata.traceparent {
        put("traceparent", trace.clone());
    }
    all
}
