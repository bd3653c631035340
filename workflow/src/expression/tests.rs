use super::*;
use serde_json::json;

fn scope() -> Scope {
    Scope::of([("event", json!({ "payload": { "n": 3, "name": "Ada", "list": [1, 2, 3], "none": null } }))])
}

fn code(source: &str) -> &'static str {
    evaluate(source, &scope()).unwrap_err().code
}

#[test]
fn values_keep_their_types() {
    assert_eq!(evaluate("event.payload.n + 1", &scope()), Ok(json!(4)));
    assert_eq!(evaluate("event.payload.list.map(x, x * 2)", &scope()), Ok(json!([2, 4, 6])));
    assert_eq!(evaluate("event.payload.none == null", &scope()), Ok(json!(true)));
    assert_eq!(evaluate("{'b': 1, 'a': 2}", &scope()).unwrap().to_string(), r#"{"a":2,"b":1}"#);
    assert_eq!(
        evaluate("timestamp('2026-01-01T00:00:00Z') + duration('2h')", &scope()),
        Ok(json!("2026-01-01T02:00:00Z"))
    );
}

#[test]
fn a_condition_is_true_or_false() {
    assert_eq!(holds("event.payload.n > 2", &scope()), Ok(true));
    assert_eq!(holds("event.payload.n", &scope()).unwrap_err().code, "condition_not_boolean");
}

#[test]
fn what_one_firm_uses_often_stays_compiled_however_much_another_uses_once() {
    let often = "event.payload.n > 1 && event.payload.n < 1001";
    let compiled = compile(often).unwrap();
    for n in 0..2 * COMPILED_MAX {
        compile(&format!("event.payload.n == {n}")).unwrap();
        if n % 64 == 0 {
            assert!(Arc::ptr_eq(&compiled, &compile(often).unwrap()), "{n}");
        }
    }
}

#[test]
fn x_03_x_05_nothing_of_the_host_is_in_reach() {
    for hostile in [
        "constructor.constructor('return process')()",
        "process.env",
        "require('fs')",
        "now()",
        "env('HOME')",
        "event.__proto__.polluted",
        "event.payload.name.constructor",
        "std::fs::read('/etc/passwd')",
        "`id`",
        "$(id)",
        "{{ event.payload.n }}",
    ] {
        assert!(evaluate(hostile, &scope()).is_err(), "{hostile}");
    }
}

#[test]
fn x_06_what_is_not_an_expression_says_so() {
    assert_eq!(code("event.payload."), "expression_invalid");
    assert_eq!(code("a b"), "expression_invalid");
    assert_eq!(code(""), "expression_invalid");
    assert_eq!(code("event.payload.unknown"), "expression_failed");
    assert_eq!(code("1 / 0"), "expression_failed");
    assert_eq!(code(&"1+".repeat(600)), "expression_too_long");
}

#[test]
fn x_01_deep_nesting_ends_in_an_error_and_not_in_an_overflow() {
    for hostile in [
        "(".repeat(EXPRESSION_CHARS_MAX),
        format!("{}1{}", "(".repeat(480), ")".repeat(480)),
        format!("{}true", "!".repeat(990)),
        format!("{}1", "-".repeat(990)),
        format!("{}1{}", "[".repeat(480), "]".repeat(480)),
        format!("a{}", ".a".repeat(490)),
        format!("1{}", "+1".repeat(490)),
        format!("true{}", "?true:true".repeat(90)),
        format!("{}1", "true||".repeat(160)),
    ] {
        // On a thread with the stack of a runtime's worker.
        let evaluated = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            drop(evaluate(&hostile, &scope()));
        });
        evaluated.unwrap().join().expect("no overflow");
    }
}

#[test]
fn x_01_loops_are_bounded_by_what_they_run_over() {
    assert_eq!(code("[1].map(a, [1].map(b, [1].map(c, 1)))"), "expression_too_costly");
    let long = Scope::of([("event", json!({ "list": vec![1; 1_000] }))]);
    let nested = "event.list.map(a, event.list.map(b, a + b))";
    assert_eq!(evaluate(nested, &long).unwrap_err().code, "expression_too_costly");
    assert!(evaluate("event.list.map(a, a + 1)", &long).is_ok());
    let large = Scope::of([("event", json!({ "list": vec![1; 1_000], "text": "x".repeat(1 << 20) }))]);
    let copies = "event.list.map(a, event.text + event.text)";
    assert_eq!(evaluate(copies, &large).unwrap_err().code, "expression_too_costly");
}

/// Words that expressions are made of, and some that they are not.
const WORDS: &[&str] = &[
    "event",
    "payload",
    ".",
    "n",
    "name",
    "list",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ":",
    ",",
    "?",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1u",
    "1.5",
    "1e400",
    "'a'",
    "\"",
    "'",
    "r'\\'",
    "b'\\xff'",
    "null",
    "true",
    "+",
    "-",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">",
    "&&",
    "||",
    "!",
    "in",
    "has",
    "map",
    "filter",
    "exists",
    "all",
    "x",
    "size",
    "matches",
    "'('",
    "startsWith",
    "timestamp",
    "duration",
    "'1h'",
    "'2026-01-01T00:00:00Z'",
    "getHours",
    "int",
    "string",
    "double",
    "uint",
    "bytes",
    "type",
    "dyn",
    " ",
    "\\",
    "\0",
    "é",
    "string(event)",
    "event.payload.list.map(x,",
    "event.payload.name.matches(",
    "timestamp('",
    "duration('999999999h')",
];

#[test]
fn whatever_is_written_has_a_value_or_an_error() {
    use rand::{Rng as _, SeedableRng as _};
    let scope = scope();
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let (mut values, mut errors) = (0, 0);
    for _ in 0..2_000 {
        let length = random.random_range(1..12);
        let source: String = (0..length).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
        match evaluate(&source, &scope) {
            Ok(_) => values += 1,
            Err(_) => errors += 1,
        }
    }
    assert!(values > 20 && errors > 1_000, "{values} values, {errors} errors");
}

#[test]
fn x_02_a_regular_expression_takes_linear_time_and_bounded_room() {
    let scope = Scope::of([("event", json!({ "text": format!("{}!", "a".repeat(20_000)) }))]);
    for pattern in ["(a+)+$", "(a|aa)+$", "^(a|a?)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        assert_eq!(evaluate(&format!("event.text.matches('{pattern}')"), &scope), Ok(json!(false)), "{pattern}");
    }
    for pattern in ["a{1000}{1000}{1000}", "(((a{99}){99}){99}){99}", "(?<name>a)\\\\k<name>"] {
        let error = evaluate(&format!("event.text.matches('{pattern}')"), &scope).unwrap_err();
        assert_eq!(error.code, "expression_failed", "{pattern}");
    }
}
