use super::*;
use crate::{Email, Name, Principal, Slug};
use serde_json::json;

/// A part of the body below.
#[derive(Debug, PartialEq, crate::Input)]
struct Line {
    what: Name,
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug, PartialEq, crate::Input)]
#[serde(rename_all = "snake_case")]
enum Speed {
    Slow,
    VeryFast,
}

#[derive(Debug, PartialEq, crate::Input)]
struct Order {
    name: Name,
    email: Option<Email>,
    #[serde(default)]
    gift: bool,
    lines: Vec<Line>,
    by: Principal,
    speed: Speed,
    paths: Vec<Vec<Slug>>,
}

fn wrong(body: &Value) -> Vec<(String, &'static str)> {
    let errors = read_input::<Order>(&body.to_string()).unwrap_err();
    errors.iter().map(|error| (error.pointer.clone(), error.code.as_str())).collect()
}

fn right() -> Value {
    json!({ "name": "Ada", "lines": [{ "what": "pens" }], "by": { "kind": "user", "id": Uuid::nil() }, "speed": "slow",
            "paths": [["a", "b"]] })
}

#[test]
fn what_is_left_out_has_its_default() {
    let order: Order = read_input(&right().to_string()).unwrap();
    assert_eq!((order.email, order.gift, order.lines[0].count), (None, false, 1));
    assert_eq!(order.speed, Speed::Slow);
}

#[test]
fn everything_that_is_wrong_is_named_wherever_it_is() {
    let body = json!({
        "nmae": "Ada", "email": "ada@", "gift": 1, "speed": "veryfast", "by": { "kind": "users" },
        "lines": [{ "what": "" }, { "what": "pens", "count": -1, "colour": "red" }, 7, { "count": 1.5 }],
        "paths": [["a", "B"], "c", [null]],
    });
    assert_eq!(
        wrong(&body),
        [
            ("/nmae", "unknown"),
            ("/name", "required"),
            ("/email", "not_an_email"),
            ("/gift", "wrong_type"),
            ("/lines/0/what", "too_short"),
            ("/lines/1/colour", "unknown"),
            ("/lines/1/count", "out_of_range"),
            ("/lines/2", "wrong_type"),
            ("/lines/3/what", "required"),
            ("/lines/3/count", "wrong_type"),
            ("/by/kind", "not_one_of"),
            ("/speed", "not_one_of"),
            ("/paths/0/1", "not_a_key"),
            ("/paths/1", "wrong_type"),
            ("/paths/2/0", "wrong_type"),
        ]
        .map(|(pointer, code)| (pointer.to_owned(), code))
    );
}

#[test]
fn an_error_has_parameters_and_a_near_name() {
    let mut body = right();
    body["gif"] = true.into();
    body["speed"] = "very-fast".into();
    body["name"] = "x".repeat(201).into();
    let errors = read_input::<Order>(&body.to_string()).unwrap_err();
    let parameters: Vec<Value> = errors.iter().map(|error| error.parameters.clone().into()).collect();
    assert_eq!(
        parameters,
        [
            json!({ "nearest": "gift" }),
            json!({ "max": 200 }),
            json!({ "options": ["slow", "very_fast"], "nearest": "very_fast" }),
        ]
    );
}

#[test]
fn what_is_no_object_is_named_as_a_whole() {
    assert_eq!(wrong(&json!([])), [(String::new(), "wrong_type")]);
    assert_eq!(wrong(&json!(null)), [(String::new(), "wrong_type")]);
}

#[test]
fn an_answer_names_a_hundred_errors_and_no_more() {
    let lines: Vec<Value> = (0..500).map(|_| json!({})).collect();
    let mut body = right();
    body["lines"] = lines.into();
    assert_eq!(wrong(&body).len(), ERRORS_MAX);
}

#[test]
fn odd_keys_are_pointed_at() {
    let mut body = right();
    body["a/b~c"] = 1.into();
    body[""] = 1.into();
    let pointers: Vec<String> = wrong(&body).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/a~1b~0c", "/"]);
}

#[test]
fn a_free_value_can_be_stored_and_read_back() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let read = |value: Value| read_input::<Value>(&value.to_string()).map_err(|errors| errors.to_string());
    for right in [json!({ "a": ["b", null] }), nested(64), json!("\u{1}")] {
        assert_eq!(read(right.clone()), Ok(right));
    }
    for wrong in [json!({ "a": ["a\0b"] }), json!({ "a\0b": 1 }), json!("\0"), nested(65)] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn near_is_what_a_slip_of_the_hand_or_another_habit_makes() {
    let fields = ["name", "email", "starts_on", "client_id"];
    for (typed, meant) in [
        ("nam", "name"),
        ("naem", "name"),
        ("e-mail", "email"),
        ("startsOn", "starts_on"),
        ("ClientId", "client_id"),
        ("client", "client_id"),
    ] {
        assert_eq!(nearest(typed, fields), Some(meant), "{typed}");
    }
    assert_eq!(nearest("colour", fields), None);
    assert_eq!(nearest("x", ["y"]), None);
}
