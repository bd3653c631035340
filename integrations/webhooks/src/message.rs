//! What is sent: the event as a CloudEvent, with the time and the headers that Standard Webhooks asks for.

use crate::signature::{SigningKey, signatures};
use anyhow::{Context, Result};
use event_store::RawEvent;
use messaging::attributes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// Bytes of a body; of a larger event only the names are sent, with a link to it, as the standard advises.
const BODY_MAX: usize = 20 * 1024;

/// One message, signed.
#[derive(Debug, Clone)]
pub struct Message {
    /// What goes before the body.
    pub headers: HeaderMap,
    /// The body, as it was signed.
    pub body: Vec<u8>,
}

/// The body of the message about an event. `records_at` is where clients find query-api.
///
/// # Errors
/// If the event's payload is no JSON, which the log does not hold.
pub fn body(event: &RawEvent, records_at: &str) -> Result<Vec<u8>> {
    let mut all = attributes(event);
    // Standard Webhooks: `type`, `timestamp` and `data`.
    all.insert("timestamp".to_owned(), all.get("time").cloned().unwrap_or_default());
    let mut whole = all.clone();
    whole.insert("data".to_owned(), serde_json::from_str(event.payload.get()).context("the event's payload")?);
    let body = serde_json::to_vec(&whole)?;
    if body.len() <= BODY_MAX {
        return Ok(body);
    }
    let link = format!("{}/v1/events/{}", records_at.trim_end_matches('/'), event.position);
    all.insert("dataref".to_owned(), Value::String(link));
    Ok(serde_json::to_vec(&all)?)
}

/// Puts a message together that leaves now. Its id is the event's, the same at every try.
///
/// # Errors
/// If a header cannot be written.
pub fn message(event: &RawEvent, body: Vec<u8>, keys: &[SigningKey], now: i64, is_replay: bool) -> Result<Message> {
    let id = event.event_id.to_string();
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| -> Result<()> {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok(())
    };
    put("webhook-id", &id)?;
    put("webhook-timestamp", &now.to_string())?;
    put("webhook-signature", &signatures(keys, &id, now, &body))?;
    // What cannot be a header was not a trace either.
    if let Some(trace) = event.metadata.traceparent.as_deref().filter(|trace| HeaderValue::from_str(trace).is_ok()) {
        put("traceparent", trace)?;
    }
    if is_replay {
        put("ubos-replayed", "true")?;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
    Ok(Message { headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Actor, Metadata, Recorded, TenantId};
    use serde_json::json;
    use serde_json::value::RawValue;
    use uuid::Uuid;

    fn event(payload: &str) -> RawEvent {
        Recorded {
            position: 5_000_000_000,
            event_id: Uuid::from_u128(1),
            tenant_id: TenantId(Uuid::from_u128(2)),
            domain: "crm".into(),
            aggregate_type: "crm.client".into(),
            aggregate_id: Uuid::from_u128(3),
            sequence: 7,
            event_type: "client.renamed".into(),
            event_version: 2,
            payload: RawValue::from_string(payload.into()).unwrap(),
            metadata: Metadata {
                actor: Actor::System { name: "importer".into() },
                correlation_id: Uuid::from_u128(4),
                causation_id: None,
                command: "crm.client.rename".into(),
                traceparent: None,
                concerns: vec![kernel::ClientId(Uuid::from_u128(3)).into()],
                unit: None,
            },
            recorded_at: "2026-11-23T12:34:56.789012Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_body_is_a_cloud_event_with_what_the_standard_asks_for() {
        let body: Value = serde_json::from_slice(&body(&event(r#"{"name":"Zoë"}"#), "").unwrap()).unwrap();
        let uuid = |n: u128| Uuid::from_u128(n).to_string();
        let expected = json!({
            "specversion": "1.0", "id": uuid(1), "source": format!("/tenants/{}/crm", uuid(2)), "type": "client.renamed",
            "subject": uuid(3), "time": "2026-11-23T12:34:56.789012Z", "datacontenttype": "application/json",
            "dataschema": "urn:ubos:event:crm.client.renamed:v2", "tenantid": uuid(2), "aggregatetype": "crm.client",
            "aggregateversion": "7", "globalposition": "5000000000", "correlationid": uuid(4),
            "actor": r#"{"kind":"system","name":"importer"}"#, "concerns": format!("client/{}", uuid(3)),
            "timestamp": "2026-11-23T12:34:56.789012Z", "data": { "name": "Zoë" },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn of_a_large_event_there_is_a_link() {
        let large = event(&json!({ "name": "x".repeat(BODY_MAX) }).to_string());
        let body = body(&large, "https://query.example/").unwrap();
        assert!(body.len() < 1_000);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["dataref"], "https://query.example/v1/events/5000000000");
        assert!(body.get("data").is_none());
    }

    #[test]
    fn every_try_has_the_same_id_and_the_time_at_which_it_leaves() {
        let keys = [SigningKey::new(vec![1; 32])];
        let sent = |now| message(&event("{}"), b"{}".to_vec(), &keys, now, false).unwrap().headers;
        let (first, second) = (sent(1_000), sent(2_000));
        assert_eq!(first["webhook-id"], second["webhook-id"]);
        assert_eq!(first["webhook-timestamp"], "1000");
        assert_eq!(second["webhook-timestamp"], "2000");
        assert_ne!(first["webhook-signature"], second["webhook-signature"]);
        assert!(first.get("ubos-replayed").is_none());
    }
}
