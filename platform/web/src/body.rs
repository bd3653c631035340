//! Bodies: JSON objects in UTF-8, of bounded size and arriving in bounded time, without duplicate keys and without NUL characters.

use crate::front::may_send_more;
use crate::problem::{Problem, code};
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{BytesMut, Payload};
use futures::StreamExt;
use kernel::{FieldCode, FieldError, FieldErrors};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

/// A body as text that is known to be a JSON object.
#[derive(Debug, Clone)]
pub struct JsonBody(pub String);

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes at most.
    pub bytes_max: usize,
    /// From the first byte to the last at most.
    pub time_max: Duration,
}

/// Bytes of a body that count as one request of their sender's quotas: memory, disk and log are shared too, and one large body
/// takes as much of them as many small ones.
const PIECE: usize = 16 << 10;

/// Reads and checks a body. An empty one stands for `{}`.
pub async fn read_json(request: &HttpRequest, payload: Payload, limits: BodyLimits) -> Result<JsonBody, Problem> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        // What is small on the wire may be anything when it is unpacked.
        return Err(Problem::new(&code::UNSUPPORTED_MEDIA_TYPE, "expected a body without Content-Encoding"));
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limits.bytes_max) {
        return Err(too_large(limits));
    }
    let bytes = tokio::time::timeout(limits.time_max, read(request, payload, limits)).await.map_err(|_| {
        let detail = format!("expected the whole body within {} ms", limits.time_max.as_millis());
        Problem::new(&code::REQUEST_TIMEOUT, detail)
    })??;
    if bytes.is_empty() {
        return Ok(JsonBody("{}".to_owned()));
    }
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !is_json(media_type) {
        return Err(Problem::new(
            &code::UNSUPPORTED_MEDIA_TYPE,
            format!("expected application/json, got {media_type:?}"),
        ));
    }
    let text = String::from_utf8(bytes.into())
        .map_err(|_| Problem::new(&code::UNSUPPORTED_MEDIA_TYPE, "the body is not UTF-8"))?;
    check(&text)?;
    Ok(JsonBody(text))
}

async fn read(request: &HttpRequest, mut payload: Payload, limits: BodyLimits) -> Result<BytesMut, Problem> {
    let mut bytes = BytesMut::new();
    let mut counted = PIECE;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| Problem::new(&code::INVALID_JSON, format!("the body could not be read: {e}")))?;
        if bytes.len() + chunk.len() > limits.bytes_max {
            return Err(too_large(limits));
        }
        bytes.extend_from_slice(&chunk);
        while bytes.len() > counted {
            may_send_more(request).await?;
            counted += PIECE;
        }
    }
    Ok(bytes)
}

fn too_large(limits: BodyLimits) -> Problem {
    Problem::new(&code::BODY_TOO_LARGE, format!("expected at most {} bytes", limits.bytes_max))
}

fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts
            .all(|parameter| parameter.is_empty() || parameter.to_ascii_lowercase().replace('"', "") == "charset=utf-8")
}

/// Refuses what parsers disagree on or PostgreSQL cannot store.
fn check(text: &str) -> Result<(), Problem> {
    if !text.trim_start().starts_with('{') {
        return Err(Problem::new(&code::INVALID_JSON, "expected a JSON object"));
    }
    let mut faults = vec![];
    let mut reader = serde_json::Deserializer::from_str(text);
    let walked = Walk { place: Place::Body, faults: &mut faults }.deserialize(&mut reader).and_then(|()| reader.end());
    match (walked, FieldErrors::new(faults)) {
        (Err(error), _) => Err(Problem::new(&code::INVALID_JSON, error.to_string())),
        (Ok(()), Some(errors)) => Err(Problem::invalid(errors)),
        (Ok(()), None) => Ok(()),
    }
}

/// Where a value is. Spelt out only for the one at fault: a pointer per value costs the square of the body's size.
#[derive(Clone, Copy)]
enum Place<'p> {
    Body,
    Field(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    /// As a JSON Pointer (RFC 6901).
    fn pointer(self) -> String {
        match self {
            Place::Body => String::new(),
            Place::Field(parent, key) => {
                format!("{}/{}", parent.pointer(), key.replace('~', "~0").replace('/', "~1"))
            }
            Place::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// Faults that are remembered at most.
const FAULTS_MAX: usize = 100;

/// Visits every value and remembers those that must not be.
struct Walk<'f, 'p> {
    place: Place<'p>,
    faults: &'f mut Vec<FieldError>,
}

impl Walk<'_, '_> {
    fn text(self, text: &str) {
        if text.contains('\0') {
            self.refuse(FieldCode::NulCharacter, "expected text without NUL characters");
        }
    }

    fn refuse(self, code: FieldCode, message: &str) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(FieldError::new(self.place.pointer(), code, message));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let place = Place::Item(&self.place, index);
            if items.next_element_seed(Walk { place, faults: self.faults })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            let place = Place::Field(&self.place, &key);
            Walk { place, faults: self.faults }.text(&key);
            if seen.contains(&key) {
                Walk { place, faults: self.faults }.refuse(FieldCode::Duplicate, "expected every key once");
            }
            entries.next_value_seed(Walk { place, faults: self.faults })?;
            seen.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> String {
        check(text).map_or_else(|problem| problem.code().to_owned(), |()| "accepted".to_owned())
    }

    #[test]
    fn objects_are_accepted() {
        assert_eq!(code_of(r#"{"a": [1, 2.5, null, true, {"b": "\u00e9"}]}"#), "accepted");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in
            ["[1]", "\"x\"", "{", "{'a': 1}", "{\"a\": 1} x", r#"{"a": "\ud800"}"#, "{\"a\": \"\u{1}\"}", "{\"a\": 01}"]
        {
            assert_eq!(code_of(text), "invalid-json", "{text}");
        }
        assert_eq!(code_of(&("{\"a\":".repeat(1000) + "1" + &"}".repeat(1000))), "invalid-json");
    }

    #[test]
    fn duplicate_keys_and_nul_characters_name_their_place() {
        let problem = check(r#"{"a": {"b": 1, "b": 2}}"#).unwrap_err();
        assert!(problem.to_string().contains("/a/b"), "{problem}");
        let problem = check(r#"{"a": ["x", "y\u0000z"]}"#).unwrap_err();
        assert!(problem.to_string().contains("/a/1"), "{problem}");
        let problem = check(r#"{"a": 1, "a": "\u0000", "b": [{"c": 1, "c": 2}, "\u0000"]}"#).unwrap_err();
        assert_eq!(problem.detail().matches("expected").count(), 3, "the first three of them: {problem}");
        assert!(problem.detail().ends_with("and 1 more"), "{problem}");
        assert_eq!(code_of(r#"{"a\u0000": 1}"#), "invalid-input");
        assert_eq!(code_of(r#"{"a": "\\u0000"}"#), "accepted");
    }

    #[test]
    fn a_long_key_over_many_items_costs_no_more_than_reading_it() {
        let body = format!("{{\"{}\":[{}0]}}", "k".repeat(340_000), "0,".repeat(340_000));
        let started = std::time::Instant::now();
        assert_eq!(code_of(&body), "accepted");
        // Half a second in debug on a slow machine; a pointer per item took 2.5 s.
        assert!(started.elapsed() < std::time::Duration::from_millis(800), "{:?}", started.elapsed());
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=\"UTF-8\""));
        assert!(!is_json("text/plain"));
        assert!(!is_json("application/json; charset=latin-1"));
        assert!(!is_json(""));
    }
}
