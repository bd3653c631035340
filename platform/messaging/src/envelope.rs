//! An event as a NATS message and back: CloudEvents 1.0, binary mode.
//!
//! Header values stay ASCII, because CloudEvents asks for it and some clients mangle anything else.

use crate::histories::Histories;
use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use async_nats::header::{HeaderName, NATS_MESSAGE_ID};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use event_store::RawEvent;
use kernel::{Actor, Metadata, Recorded, Resource, TenantId};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The event's position, a decimal number from 1.
pub const POSITION: &str = "ce-globalposition";
/// Where to read an event that was too large to be carried.
pub const CLAIM_CHECK: &str = "Ubos-Claim-Check";
/// Which log the event is from.
pub(crate) const LOG: &str = "Ubos-Log";
/// Sent again by an operator; its place in the stream says nothing.
pub(crate) const RETRIED: &str = "Ubos-Retried";

const ID: &str = "ce-id";
const TYPE: &str = "ce-type";
const SUBJECT: &str = "ce-subject";
const TIME: &str = "ce-time";
const DATA_SCHEMA: &str = "ce-dataschema";
const TENANT: &str = "ce-tenantid";
const VERSION: &str = "ce-aggregateversion";
const CORRELATION: &str = "ce-correlationid";
const CAUSATION: &str = "ce-causationid";
const ACTOR: &str = "ce-actor";
/// `client/<id>,project/<id>`: a CloudEvents attribute has one value.
const CONCERNS: &str = "ce-concerns";
/// `<id>/2/3`: the second of the three events that entered the log together.
const UNIT: &str = "ce-unit";
const TRACE: &str = "traceparent";
const COMMAND: &str = "Ubos-Command";
const AGGREGATE_TYPE: &str = "Ubos-Aggregate-Type";

/// The whole event as headers and body.
pub(crate) fn encode(event: &RawEvent, log_id: &str) -> (HeaderMap, Bytes) {
    let mut headers = names(event, log_id);
    let mut put = |name: &'static str, value: String| headers.insert(HeaderName::from_static(name), value);
    put("ce-datacontenttype", "application/json".to_owned());
    put(ACTOR, ascii(&serde_json::to_string(&event.metadata.actor).unwrap_or_default()));
    put(COMMAND, ascii(&event.metadata.command));
    if let Some(id) = event.metadata.causation_id {
        put(CAUSATION, id.to_string());
    }
    if let Some(trace) = &event.metadata.traceparent {
        put(TRACE, ascii(trace));
    }
    (headers, Bytes::copy_from_slice(event.payload.get().as_bytes()))
}

/// What stands in the stream for an event that NATS refuses: its names, no body, and where to read it.
pub(crate) fn claim_check(event: &RawEvent, log_id: &str) -> (HeaderMap, Bytes) {
    let mut headers = names(event, log_id);
    headers.insert(HeaderName::from_static(CLAIM_CHECK), format!("/v1/events/{}", event.position).as_str());
    (headers, Bytes::new())
}

fn names(event: &RawEvent, log_id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| headers.insert(HeaderName::from_static(name), value);
    put(ID, event.event_id.to_string());
    put("ce-specversion", "1.0".to_owned());
    put(TYPE, ascii(&event.event_type));
    put(DATA_SCHEMA, ascii(&format!("urn:ubos:event:{}.{}:v{}", event.domain, event.event_type, event.event_version)));
    put(TIME, event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true));
    put(VERSION, event.sequence.to_string());
    put(POSITION, event.position.to_string());
    put(AGGREGATE_TYPE, ascii(&event.aggregate_type));
    put(LOG, log_id.to_owned());
    put("ce-source", ascii(&format!("/tenants/{}/{}", event.tenant_id.0, event.domain)));
    put(TENANT, event.tenant_id.0.to_string());
    put(SUBJECT, event.aggregate_id.to_string());
    put(CORRELATION, event.metadata.correlation_id.to_string());
    if !event.metadata.concerns.is_empty() {
        let concerns: Vec<String> = event.metadata.concerns.iter().map(ToString::to_string).collect();
        put(CONCERNS, concerns.join(","));
    }
    if let Some(unit) = event.metadata.unit {
        put(UNIT, unit.to_string());
    }
    headers.insert(NATS_MESSAGE_ID, event.event_id.to_string());
    headers
}

/// Whether a message is from this log as it is now: neither a stranger's, nor taken back by a restore.
pub(crate) fn is_ours(headers: &HeaderMap, histories: &Histories) -> bool {
    let named = position(headers).zip(headers.get(LOG));
    named.is_some_and(|(position, log)| histories.is_ours(position, log.as_str()))
}

/// What a message brings.
#[derive(Debug)]
pub enum Decoded {
    /// The event itself.
    Event(Box<RawEvent>),
    /// Only its position: the event is to be read from the log.
    ClaimCheck {
        /// Where in the log.
        position: i64,
    },
}

/// Reads a message that the relay published.
pub fn decode(headers: &HeaderMap, payload: &[u8]) -> Result<Decoded> {
    let position = position(headers).context("no position")?;
    if headers.get(CLAIM_CHECK).is_some() {
        return Ok(Decoded::ClaimCheck { position });
    }
    let schema = text(headers, DATA_SCHEMA)?;
    let (kind, version) = schema.rsplit_once(":v").context("no version in ce-dataschema")?;
    let event_type = text(headers, TYPE)?.to_owned();
    let domain = kind.strip_prefix("urn:ubos:event:").and_then(|k| k.strip_suffix(&event_type));
    let domain = domain.and_then(|d| d.strip_suffix('.')).context("no domain in ce-dataschema")?.to_owned();
    let recorded_at = DateTime::parse_from_rfc3339(text(headers, TIME)?).context("ce-time")?.with_timezone(&Utc);
    let actor: Actor = serde_json::from_str(text(headers, ACTOR)?).context("ce-actor")?;
    let causation_id = headers.get(CAUSATION).map(|v| v.as_str().parse()).transpose().context("ce-causationid")?;
    let concerns =
        headers.get(CONCERNS).map_or("", |concerns| concerns.as_str()).split(',').filter(|one| !one.is_empty());
    let concerns = concerns.map(str::parse).collect::<Result<Vec<Resource>, _>>().context(CONCERNS)?;
    let unit = headers.get(UNIT).map(|v| v.as_str().parse()).transpose().context(UNIT)?;
    let payload = std::str::from_utf8(payload).context("payload")?.to_owned();
    let payload = RawValue::from_string(payload).context("payload")?;
    let aggregate_type = text(headers, AGGREGATE_TYPE)?.to_owned();
    ensure!(aggregate_type.starts_with(&domain), "{aggregate_type} is not of {domain}");
    Ok(Decoded::Event(Box::new(Recorded {
        position,
        event_id: id(headers, ID)?,
        tenant_id: TenantId(id(headers, TENANT)?),
        domain,
        aggregate_type,
        aggregate_id: id(headers, SUBJECT)?,
        sequence: text(headers, VERSION)?.parse().context(VERSION)?,
        event_type,
        event_version: version.parse().context(DATA_SCHEMA)?,
        payload,
        metadata: Metadata {
            actor,
            correlation_id: id(headers, CORRELATION)?,
            causation_id,
            command: text(headers, COMMAND)?.to_owned(),
            traceparent: headers.get(TRACE).map(|v| v.as_str().to_owned()),
            concerns,
            unit,
        },
        recorded_at,
    })))
}

/// The position that a message carries.
pub(crate) fn position(headers: &HeaderMap) -> Option<i64> {
    headers.get(POSITION)?.as_str().parse().ok()
}

/// The id of the event that a message carries.
pub(crate) fn event_id(headers: &HeaderMap) -> Option<Uuid> {
    headers.get(ID)?.as_str().parse().ok()
}

/// The aggregate that a message is about.
pub(crate) fn aggregate(headers: &HeaderMap) -> Option<Uuid> {
    headers.get(SUBJECT)?.as_str().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str> {
    Ok(headers.get(name).with_context(|| format!("no {name}"))?.as_str())
}

fn id(headers: &HeaderMap, name: &'static str) -> Result<Uuid> {
    text(headers, name)?.parse().context(name)
}

/// The text with everything beyond printable ASCII written as JSON would escape it.
fn ascii(text: &str) -> String {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return text.to_owned();
    }
    let mut units = [0; 2];
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            out.push(c);
        } else {
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(actor: &str) -> RawEvent {
        Recorded {
            position: 4711,
            event_id: Uuid::from_u128(1),
            tenant_id: TenantId(Uuid::from_u128(2)),
            domain: "crm".into(),
            aggregate_type: "crm.client".into(),
            aggregate_id: Uuid::from_u128(3),
            sequence: 7,
            event_type: "client.renamed".into(),
            event_version: 2,
            payload: RawValue::from_string(r#"{"name": "Łódź & Söhne \u0007"}"#.into()).unwrap(),
            metadata: Metadata {
                actor: Actor::System { name: actor.into() },
                correlation_id: Uuid::from_u128(4),
                causation_id: Some(Uuid::from_u128(5)),
                command: "crm.client.rename".into(),
                traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
                concerns: vec![
                    kernel::ClientId(Uuid::from_u128(6)).into(),
                    kernel::ClientId(Uuid::from_u128(7)).into(),
                    kernel::ProjectId(Uuid::from_u128(8)).into(),
                ],
                unit: Some(kernel::Unit { id: Uuid::from_u128(9), index: 2, size: 3 }),
            },
            recorded_at: "2026-11-23T12:34:56.789012Z".parse().unwrap(),
        }
    }

    #[test]
    fn an_event_survives_the_journey_whatever_its_actor_is_called() {
        for actor in ["importer", "Zoë 🦀", "a\r\nce-id: forged", "\u{7f}"] {
            let event = event(actor);
            let (headers, payload) = encode(&event, "log");
            for (_, values) in headers.iter() {
                assert!(values.iter().all(|v| v.as_str().bytes().all(|b| (0x20..0x7f).contains(&b))), "{values:?}");
            }
            let Decoded::Event(decoded) = decode(&headers, &payload).unwrap() else { panic!("no event") };
            assert_eq!(decoded.payload.get(), event.payload.get());
            assert_eq!(serde_json::to_value(*decoded).unwrap(), serde_json::to_value(event).unwrap());
        }
    }

    #[test]
    fn a_claim_check_is_small_and_says_where_the_event_is() {
        let (headers, payload) = claim_check(&event(&"x".repeat(1 << 20)), "log");
        let size: usize = headers.iter().flat_map(|(_, values)| values).map(|v| v.as_str().len()).sum();
        assert!(payload.is_empty() && size < 1_000, "{size}");
        assert_eq!(headers.get(CLAIM_CHECK).unwrap().as_str(), "/v1/events/4711");
        assert!(matches!(decode(&headers, &payload), Ok(Decoded::ClaimCheck { position: 4711 })));
    }

    #[test]
    fn what_the_relay_did_not_write_is_refused() {
        assert!(decode(&HeaderMap::new(), b"{}").is_err());
        let (headers, _) = encode(&event("x"), "log");
        assert!(decode(&headers, b"{").is_err() && decode(&headers, b"\xff").is_err());
    }
}
