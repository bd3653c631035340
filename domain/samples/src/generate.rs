//! Command bodies from JSON Schemas. Values come from small pools, so that commands meet what earlier ones left behind;
//! now and then one is wild, so that nobody relies on the pools.

use crate::world::{Key, World};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use kernel::Name;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use uuid::Uuid;

/// Lists and maps inside each other at most, where a schema allows anything.
const DEPTH_MAX: usize = 3;

/// Texts that are easy to get wrong: two spellings of one name, quotes, the escapes of COPY, letters beyond ASCII.
const TEXTS: &[&str] =
    &["Ada", "ada", "Ada Ltd", "Contracts", "\"quoted\" \\N 'x' %s", "Zoë ☃ 𝔘", "<b>&amp;</b> {{ event.id }}", "0"];
const EMAILS: &[&str] = &["ada@engines.example", "zoë@bücher.example", "Eve+x@Engines.example"];
const PHONES: &[&str] = &["+49 (0) 30 123456", "+4930123456", "+442079460958", "+390612345678", "+1 202-555-0143"];
const WEB: &[&str] =
    &["https://engines.example/", "HTTP://Bücher.example:8080/über?a=1#b", "https://www.engines.example"];
/// Three letters alone are rarely a currency, nor two a country. One currency for each number of minor units.
const CURRENCIES: &[&str] = &["EUR", "JPY", "KWD"];
/// Check digits are rarely right by chance.
const IBANS: &[&str] = &["DE89370400440532013000", "GB82WEST12345698765432"];
const COUNTRIES: &[&str] = &["DE", "GB", "US"];
/// Kinds of what is told of a run that end it; like commands that do, they are said less often.
const ENDS: &[&str] = &["cancelled", "compensated", "compensation_started", "finished"];
/// Fields that name something by its key, and the scope of the claims on such keys.
const KEYS: &[(&[&str], &str)] = &[
    (&["tax_rate", "default_tax_rate"], "revenue.tax_rate.key"),
    (&["series", "invoice_series", "credit_note_series"], "revenue.invoice_series.key"),
];
const NUMBERS: &[i64] = &[0, 1, 2, 5, 10, 30, 60, 365];

/// Makes one command's body.
pub(crate) struct Generator<'w> {
    pub rng: StdRng,
    pub world: &'w World,
    /// Whom the command is for; its id is fresh if it creates.
    pub target: Key,
    /// Ids that the target's state mentions.
    pub own: Vec<Uuid>,
    /// Fields that name parts of the target.
    pub parts: Vec<&'static str>,
}

impl Generator<'_> {
    /// A value that the schema allows.
    pub fn value(&mut self, schema: &Value, field: &str, depth: usize) -> Value {
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(value) = self.one_of(schema, "enum") {
            return value.clone();
        }
        for alternatives in ["anyOf", "oneOf"] {
            if let Some(schema) = self.one_of(schema, alternatives) {
                return self.value(schema, field, depth);
            }
        }
        // Blind guesses are rarely opening hours in which anybody can be met.
        if field == "weekly" && schema["type"] == "array" && self.rng.random_bool(0.5) {
            return open_always();
        }
        // A body has to name the fields that are declared, and no others.
        if field == "content" && schema["properties"].get("fields").is_some() {
            return self.template();
        }
        // Nor are they rules by which somebody who is there approves.
        if field == "rules"
            && schema["type"] == "array"
            && schema.to_string().contains("\"approvers\"")
            && self.rng.random_bool(0.7)
        {
            return anybody_approves(self.rng.random_range(1..=2));
        }
        let kind = match &schema["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds.choose(&mut self.rng).and_then(Value::as_str).unwrap_or("null").to_owned(),
            _ if schema.get("properties").is_some() => "object".to_owned(),
            _ => return self.anything(depth),
        };
        match kind.as_str() {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, field, depth),
            "string" => self.text(schema, field).into(),
            "integer" => self.integer(schema).into(),
            "number" => self.rng.random_range(-1e6..1e6).into(),
            "boolean" => self.rng.random_bool(0.5).into(),
            _ => Value::Null,
        }
    }

    fn wild(&mut self) -> bool {
        self.rng.random_ratio(1, 16)
    }

    fn one_of<'s>(&mut self, schema: &'s Value, keyword: &str) -> Option<&'s Value> {
        let weight = |one: &Value| match one["properties"]["kind"]["const"].as_str() {
            Some(kind) if ENDS.contains(&kind) => 1,
            // Most of what may become of a question needs it to be asked, and more than once.
            Some("approval_requested") => 12,
            _ => 4,
        };
        schema.get(keyword)?.as_array()?.choose_weighted(&mut self.rng, weight).ok()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|r| r == name));
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required(name) || self.rng.random_bool(0.6) {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        object.into()
    }

    fn array(&mut self, schema: &Value, field: &str, depth: usize) -> Value {
        if let Some(places) = schema["prefixItems"].as_array() {
            return places.iter().map(|place| self.value(place, field, depth + 1)).collect();
        }
        // A run of several steps that are spoken of has more to tell than one of many that nobody names again.
        if let Some(known) = schema["items"].get("examples").filter(|_| field == "steps" && self.rng.random_bool(0.5)) {
            return known.clone();
        }
        let bound = |keyword: &str| schema[keyword].as_u64().and_then(|n| usize::try_from(n).ok());
        let least = bound("minItems").unwrap_or(0);
        let most = bound("maxItems").unwrap_or(usize::MAX).min(least + 3);
        let mut count = self.rng.random_range(least..=most);
        // Of several things that are told of a run, all must fit where it stands.
        if matches!(field, "entries" | "steps") && self.rng.random_bool(0.7) {
            count = 1.clamp(least, most);
        }
        (0..count).map(|_| self.value(&schema["items"], field, depth + 1)).collect()
    }

    /// A template whose fields, if it has any, need not all be filled in.
    fn template(&mut self) -> Value {
        let field = |key: &str, kind: &str, required: bool| json!({ "key": key, "kind": kind, "label": "Field", "required": required });
        let bodies = [
            json!({ "body": "As agreed." }),
            json!({ "body": "Dear {{name}},\n\nas agreed.", "fields": [field("name", "text", false)] }),
            json!({ "body": "{{a.day}} {{fee}} {{ fee }}", "fields": [field("a.day", "date", false), field("fee", "money", true)] }),
        ];
        bodies.choose(&mut self.rng).cloned().unwrap_or_default()
    }

    fn anything(&mut self, depth: usize) -> Value {
        let kinds = if depth < DEPTH_MAX { 7 } else { 5 };
        match self.rng.random_range(0..kinds) {
            0 => Value::Null,
            1 => self.rng.random_bool(0.5).into(),
            2 => self.rng.random::<i64>().into(),
            3 => self.rng.random_range(-1e9..1e9).into(),
            4 => self.name().into(),
            5 => (0..self.rng.random_range(0..3)).map(|_| self.anything(depth + 1)).collect(),
            _ => {
                let entries = 0..self.rng.random_range(0..3);
                entries.map(|n| (format!("key {n}"), self.anything(depth + 1))).collect::<Map<_, _>>().into()
            }
        }
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let bound = |keyword: &str| schema[keyword].as_f64().map(|n| n as i64);
        let most = match schema["format"].as_str() {
            Some("uint8") => 255,
            Some("uint16") => 65_535,
            Some("int32") => i64::from(i32::MAX),
            Some("uint32") => i64::from(u32::MAX),
            _ => i64::MAX,
        };
        let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(most));
        if self.wild() {
            return self.rng.random_range(least..=most);
        }
        NUMBERS.choose(&mut self.rng).copied().unwrap_or(0).clamp(least, most)
    }

    fn text(&mut self, schema: &Value, field: &str) -> String {
        let keyword = |name: &str| schema[name].as_str();
        match keyword("format") {
            Some("uuid") => return self.id(field).to_string(),
            Some("date-time") => return self.time().to_rfc3339(),
            Some("date") => return self.time().date_naive().to_string(),
            Some("idn-email") => return EMAILS.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
            Some("phone") => return PHONES.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
            // Amounts that meet are mostly of one currency.
            Some("currency") if self.rng.random_bool(0.6) => return CURRENCIES[0].to_owned(),
            Some("currency") => return CURRENCIES.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
            Some("country") => return COUNTRIES.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
            Some("iban") => return IBANS.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
            Some("uri") => return WEB.choose(&mut self.rng).copied().unwrap_or_default().to_owned(),
            Some("folder-name") => return self.name().replace(['/', '\\'], "-"),
            Some("file-name") => return file_name(&self.name()),
            _ => {}
        }
        if let Some(key) = self.known_key(field) {
            return key;
        }
        if let Some(pattern) = keyword("pattern") {
            return self.matching(pattern);
        }
        if let Some(example) = self.one_of(schema, "examples") {
            // Blind guesses rarely meet the step that a run stands at.
            let first = matches!(field, "step" | "steps") && self.rng.random_bool(0.7);
            let known = schema["examples"][0].as_str().filter(|_| first);
            return known.or(example.as_str()).unwrap_or_default().to_owned();
        }
        let most = schema["maxLength"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(200);
        let mut text = self.name();
        // Only what may be long may have lines.
        if most > 1_000 && self.rng.random_bool(0.3) {
            text.push_str("\r\n\tand so on");
        }
        text.chars().take(most).collect()
    }

    fn name(&mut self) -> String {
        if !self.wild() {
            return TEXTS.choose(&mut self.rng).copied().unwrap_or_default().to_owned();
        }
        let length = self.rng.random_range(0..199);
        let is_seen = |c: &char| format!("x{c}x").parse::<Name>().is_ok();
        let letters = (0..length).map(|_| Some(self.rng.random::<char>()).filter(is_seen).unwrap_or(' '));
        // Not only spaces, and none at the ends, which would be taken off. NFC makes two letters of a few.
        let text = kernel::nfc(&format!("x{}", letters.collect::<String>()));
        text.chars().take(200).collect::<String>().trim().to_owned()
    }

    /// The key of something that is there, most of the time where the field names one that much else depends on.
    fn known_key(&mut self, field: &str) -> Option<String> {
        let scope = KEYS.iter().find(|(fields, _)| fields.contains(&field)).map(|(_, scope)| *scope)?;
        let held = self.world.held(self.target.0, scope);
        if held.is_empty() || self.rng.random_bool(0.3) {
            return None;
        }
        held.choose(&mut self.rng).map(|key| (*key).to_owned())
    }

    /// One of six texts that match, or any.
    fn matching(&mut self, pattern: &str) -> String {
        if self.wild() {
            return texts_like(pattern, &self.rng.random(), 1).pop().unwrap_or_default();
        }
        static POOLS: LazyLock<Mutex<HashMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(pattern.to_owned()).or_insert_with(|| texts_like(pattern, &[7; 32], 6));
        pool.choose(&mut self.rng).cloned().unwrap_or_default()
    }

    /// On the five-minute grid of the next three days, most of the time.
    fn time(&mut self) -> DateTime<Utc> {
        let now = self.world.now();
        if self.wild() {
            return now + TimeDelta::microseconds(self.rng.random_range(-1i64 << 55..1 << 55));
        }
        let grid = now.duration_trunc(TimeDelta::minutes(5)).unwrap_or(now);
        grid + TimeDelta::minutes(5 * self.rng.random_range(-10..864))
    }

    /// Something that is there: what the field's name speaks of, what the target itself mentions, a member of staff.
    fn id(&mut self, field: &str) -> Uuid {
        let kind = field.strip_suffix("_ids").or(field.strip_suffix("_id")).unwrap_or(field);
        // `to_user_id` is a user's, as `user_id` is.
        let kinds = [Some(kind), kind.split_once('_').map(|(_, kind)| kind)];
        let named = kinds.into_iter().flatten().map(|kind| self.world.ids(self.target.0, kind));
        // A payment of a bill is a part of it, and no payment of a client.
        let named = named.into_iter().find(|ids| !ids.is_empty()).filter(|_| !self.parts.contains(&field));
        let named = named.unwrap_or_default();
        let staff = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];
        let pools: [&[Uuid]; 3] = [&named, &self.own, &staff];
        let pool = match self.rng.random_range(0..20) {
            0 => return Uuid::from_u128(self.rng.random()),
            1 => 2,
            2..6 => 1,
            6.. if !named.is_empty() => 0,
            _ if !self.own.is_empty() => 1,
            _ => 2,
        };
        pools[pool].choose(&mut self.rng).copied().unwrap_or(staff[0])
    }
}

fn texts_like(pattern: &str, seed: &[u8; 32], count: usize) -> Vec<String> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // The generator makes whole texts anyway and does not know anchors.
    let texts = proptest::string::string_regex(&pattern.replace(['^', '$'], ""));
    let texts = texts.unwrap_or_else(|e| panic!("{pattern}: {e}"));
    let text = |_| texts.new_tree(&mut runner).unwrap_or_else(|e| panic!("{pattern}: {e}")).current();
    (0..count).map(text).collect()
}

/// A step of a path, of no more bytes than a file's name may have.
fn file_name(name: &str) -> String {
    let mut text = name.replace(['/', '\\'], "-");
    while text.len() > 255 {
        text.pop();
    }
    text.trim().to_owned()
}

fn open_always() -> Value {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    days.map(|day| json!({ "weekday": day, "periods": [{ "from": "00:00", "to": "24:00" }] })).to_vec().into()
}

/// One rule for everything: at each of so many steps one of the staff.
fn anybody_approves(steps: u32) -> Value {
    let approvers: Vec<Value> = (1..=3).map(|n| json!({ "kind": "user", "user_id": Uuid::from_u128(n) })).collect();
    let steps: Vec<Value> =
        (0..steps).map(|n| json!({ "name": format!("Step {n}"), "approvers": approvers })).collect();
    json!([{ "name": "Everything", "steps": steps }])
}

/// The numbers' own source of chance.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
