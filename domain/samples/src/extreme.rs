//! What strangers put into fields: the ends of every range, what lies beyond them, and what looks like nothing.

use serde_json::{Map, Value, json};

/// Where a value stands in a body, as a JSON Pointer.
pub(crate) type Place = String;

/// Every place of the body, lists and objects included.
pub(crate) fn places(body: &Value) -> Vec<Place> {
    let mut found = vec![];
    collect(body, String::new(), &mut found);
    found
}

fn collect(value: &Value, at: Place, found: &mut Vec<Place>) {
    if !at.is_empty() {
        found.push(at.clone());
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        // One item is like the other.
        Value::Array(items) => items.iter().take(1).for_each(|item| collect(item, format!("{at}/0"), found)),
        _ => {}
    }
}

/// The body with every extreme at a place, one after the other.
pub(crate) fn bodies(body: &Value, place: &Place) -> Vec<Value> {
    let Some(old) = body.pointer(place) else { return vec![] };
    let put = |extreme: Value| {
        let mut body = body.clone();
        if let Some(value) = body.pointer_mut(place) {
            *value = extreme;
        }
        body
    };
    extremes(old).into_iter().map(put).collect()
}

/// Days and moments.
const TIMES: &[&str] = &[
    "0001-01-01",
    "0000-01-01",
    "0000-12-31",
    "9999-12-31",
    "+10000-01-01",
    "+12026-01-01",
    "-0001-12-31",
    "-0044-03-15",
    "+262142-12-31",
    "-262143-01-01",
    "2024-02-29",
    "2026-02-29",
    "2026-1-1",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:60Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:55:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0000-12-31T23:59:59Z",
    "+12026-01-01T00:00:00Z",
    "-0044-03-15T12:00:00Z",
    "+262142-12-31T23:59:59Z",
    "2016-12-31T23:59:60Z",
    "2016-12-31T23:59:60.999999999+14:00",
    "2026-11-03T10:00:00.1234567Z",
    "2026-11-03 10:00:00z",
    "infinity",
    "-infinity",
    "epoch",
    "now",
    "24:00",
    "00:00",
    "24:01",
];

/// What looks like nothing, hides something or is spelt in two ways.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\t",
    "a\nb",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{200b}",
    "a\u{200b}b",
    "\u{2060}",
    "\u{202e}gnp.exe",
    "\u{2066}a\u{2069}",
    "\u{feff}a",
    "\u{3164}",
    "\u{2800}",
    "\u{fe0f}",
    "\u{e0001}\u{e0041}",
    "\u{fffe}\u{10ffff}",
    "\u{e000}",
    "Cafe\u{301}",
    "Café",
    "\u{212a}im@example.com",
    "a..b@example.com",
    "a@b",
    "a@[127.0.0.1]",
    "a@-example.com",
    "\"a b\"@example.com",
    "a@xn--bcher-kva.example",
    "a@BÜCHER.example",
    "a\u{200b}@example.com",
    "+49 (0) 30 123456",
    "+0000000",
    "00493012345678",
    "+1 (900) 555-1234 ext. 7",
    ".",
    "..",
    "a/b",
    "a\\b",
    "null",
    "\\N",
    "\\u0000",
    "{{ event.id }}",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "*",
    "!*",
    "Etc/GMT+12",
    "Pacific/Kiritimati",
];

fn numbers() -> Vec<Value> {
    let whole = [0, 1, -1, 255, 256, 65_536, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::from(u32::MAX)];
    let more = [i64::from(u32::MAX) + 1, i64::from(i32::MIN) - 1, 9_007_199_254_740_993, i64::MAX, i64::MIN];
    let mut numbers: Vec<Value> = whole.into_iter().chain(more).map(Value::from).collect();
    numbers.extend([json!(u64::MAX), json!(0.5), json!(-0.0), json!(1e19), json!(f64::MAX), json!(f64::MIN_POSITIVE)]);
    numbers
}

fn long_texts() -> Vec<Value> {
    let repeated =
        [("x", 200), ("x", 201), ("𝔘", 200), ("𝔘", 5_000), ("e\u{301}", 200), ("x\r\n", 2_000), ("x", 70_000)];
    repeated.into_iter().map(|(text, times)| text.repeat(times).into()).collect()
}

/// Lists inside each other.
fn deep(levels: usize) -> Value {
    (0..levels).fold(json!("\u{1}"), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "k": inner }) })
}

fn extremes(old: &Value) -> Vec<Value> {
    let nothings = [Value::Null, json!([]), json!({})];
    match old {
        Value::String(_) => {
            let texts = TIMES.iter().chain(TEXTS).map(|text| Value::from(*text));
            texts.chain(long_texts()).chain(nothings).chain([json!(0)]).collect()
        }
        Value::Number(_) => numbers().into_iter().chain(nothings).chain([json!("1")]).collect(),
        Value::Array(items) => {
            let item = items.first().cloned().unwrap_or(Value::Null);
            let many = [0, 1, 2, 101, 1_000].map(|times| Value::from(vec![item.clone(); times]));
            many.into_iter().chain([Value::Null, json!(""), deep(40), deep(120)]).collect()
        }
        Value::Object(_) => {
            let keys = ["", "\0", "a\0b", "\u{200b}", "__proto__", &"k".repeat(70_000)];
            let odd = keys.map(|key| Value::from(Map::from_iter([(key.to_owned(), json!("\0"))])));
            odd.into_iter().chain(nothings).chain([deep(40), deep(120)]).collect()
        }
        Value::Bool(_) | Value::Null => {
            let any = [json!("a\0b"), json!({ "\0": "\0" }), json!(u64::MAX), json!(f64::MAX), deep(40), deep(120)];
            nothings.into_iter().chain(any).chain([json!(true), json!("true"), json!(1)]).collect()
        }
    }
}
