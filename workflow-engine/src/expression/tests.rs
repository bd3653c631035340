use super::*;
use serde_json::json;

fn scope() -> Scope<'static> {
    Scope::of([("event", json!({ "payload": { "n": 3, "name": "Ada", "list": [1, 2, 3], "none": null } }))])
}

fn code(source: &str) -> &'static str {
    evaluate(source, &scope()).unwrap_err().code
}

#[test]
fn a_variable_is_made_once_and_only_if_an_expression_names_it() {
    let made = std::sync::atomic::AtomicUsize::new(0);
    let make = || {
        made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        json!({ "n": 3 })
    };
    let scope = Scope::of([("event", json!({ "payload": { "n": 3 } }))]).and("steps", make);
    let scope = scope.and("run", || unreachable!("no expression names it"));
    assert_eq!(evaluate("event.payload.n", &scope), Ok(json!(3)));
    assert_eq!(made.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(evaluate("steps.n + event.payload.n", &scope), Ok(json!(6)));
    assert_eq!(evaluate("[1].map(n, n + steps.n)", &scope), Ok(json!([4])));
    assert_eq!(made.load(std::sync::atomic::Ordering::Relaxed), 1);
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

/// The same text, so many times as a list.
fn times(count: usize, part: &str) -> String {
    format!("[{}]", vec![part; count].join(","))
}

#[test]
fn x_01_the_size_of_what_is_made_counts_and_not_only_the_steps() {
    let hostile = [
        // 10,000 texts of 10,000 letters, by some 700 letters.
        format!("{}.map(a,{}.map(b,a+b))", times(100, "e.t"), times(80, "e.t")),
        format!("{}.map(a,{}.map(b,a+b))", times(140, "t"), times(140, "t")),
        // Lists of lists, maps, and texts that double.
        format!("{}.map(a,{})", times(140, "t"), times(140, "a")),
        format!("{}.map(a,{{'a':{}}})", times(140, "t"), times(140, "a")),
        format!(
            "[{}].map(a,[{}].map(b,{}))",
            vec!["t"; 30].join("+"),
            vec!["a"; 30].join("+"),
            vec!["b"; 30].join("+")
        ),
        // What is thrown away again was made all the same.
        format!("size({}.map(a,{}.map(b,a+b)))", times(140, "t"), times(140, "t")),
        format!("{}.filter(a,{}.exists(b,a+b==''))", times(140, "t"), times(140, "t")),
        // A loop over what may fail goes on after a failure.
        format!("{}.exists(a,{}.exists(b,a+b=='')||1/0==1)", times(140, "t"), times(140, "t")),
        format!("{}.all(a,{}.exists(b,size({})<0))", times(100, "t"), times(100, "t"), times(100, "b")),
        // Comparing and searching what is large is work, although nothing is made.
        format!("[{}].map(a,list.exists(i,a!=a||a.contains('no')))", vec!["t"; 30].join("+")),
        "list.exists(i,list==[i])".to_owned(),
        // So is compiling.
        "list.exists(i,'b'.matches('((a{50}){50}){50}')||'b'.matches('(a{9}){99}'))".to_owned(),
        "list.exists(i,i==-1||'b'.matches('a{'+string(i)+'}{99}'))".to_owned(),
    ];
    let text = "x".repeat(5_000);
    for source in hostile {
        let scope = Scope::of([
            ("t", json!(text)),
            ("e", json!({ "t": text })),
            ("list", json!((0..5_000).collect::<Vec<i32>>())),
        ]);
        let ended = evaluate(&source, &scope);
        assert!(source.chars().count() <= EXPRESSION_CHARS_MAX);
        assert_eq!(ended.map(|_| ()).map_err(|error| error.code), Err("expression_too_costly"), "{source}");
        assert!(evaluate("t", &scope).is_ok(), "what ended for being too much has used nothing up: {source}");
    }
}

#[test]
fn what_people_write_is_far_from_any_bound() {
    let texts: Vec<String> = (0..500).map(|n| format!("{n}: {}", "x".repeat(1_000))).collect();
    let texts = Scope::of([("event", json!({ "texts": texts }))]);
    let numbers = Scope::of([("event", json!({ "list": (0..141).collect::<Vec<i32>>() }))]);
    for (scope, source) in [
        (&texts, "event.texts.map(text, text + '!')"),
        (&texts, "event.texts.filter(text, text.matches('^[0-9]+7: x+$'))"),
        (&texts, "event.texts.exists(text, text.contains('499: ') && text in event.texts)"),
        (&numbers, "event.list.map(a, event.list.map(b, a * b))"),
        (&numbers, "event.list.map(a, {'n': a, 'of': size(event.list)})"),
        (&texts, "event"),
    ] {
        assert!(evaluate(source, scope).is_ok(), "{source}");
    }
}

#[test]
fn counting_changes_no_value() {
    for (source, value) in [
        ("[1, 2, 3].filter(x, x > 1).map(x, x * x)", json!([4, 9])),
        ("[1, 2, 3].exists_one(x, x == 2)", json!(true)),
        ("[1, 2, 3].all(x, x > 0 || 1 / 0 == 1)", json!(true)),
        ("[0, 1].exists(x, 1 / x == 1)", json!(true)),
        ("{'a': [1, {'b': 'c'}]}.a[1].b + 'd'", json!("cd")),
        ("{'b': 1, 'a': 2}.map(key, key + key)[0].size()", json!(2)),
        ("optional.of([1]).orValue([2])[0]", json!(1)),
        ("'abc'.matches('^a.c$') && matches('abc', 'b')", json!(true)),
        ("'Ada' in [event.payload.name, 'Bob'] ? string(1.5) : ''", json!("1.5")),
        ("has(event.payload.name) && !has(event.payload.nobody)", json!(true)),
        ("-event.payload.n - -1", json!(-2)),
        ("bytes('a') + bytes('b') == bytes('ab')", json!(true)),
        ("type(event.payload.name) == string", json!(true)),
    ] {
        assert_eq!(evaluate(source, &scope()), Ok(value), "{source}");
    }
}

#[test]
fn x_01_an_expression_as_deep_as_any_needs_no_more_than_a_worker_s_stack() {
    let deep = [
        format!("{}1{}", "[".repeat(60), "]".repeat(60)),
        format!("{}1{}", "string(".repeat(60), ")".repeat(60)),
        format!("'a'{}", "+'a'".repeat(60)),
        format!("{}1{}", "{1:".repeat(60), "}".repeat(60)),
    ];
    for source in deep {
        let evaluated = std::thread::Builder::new().stack_size(2 << 20).spawn(move || evaluate(&source, &scope()));
        assert!(evaluated.unwrap().join().expect("no overflow").is_ok());
    }
}
