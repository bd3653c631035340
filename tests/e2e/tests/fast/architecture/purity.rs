//! No async, SQL, clock, randomness or logging in the domain: neither by a crate nor by a word.

use super::crates::{PURE, Part, part};
use super::tree::{files, folder, packages, read, relative, root};
use cargo_metadata::DependencyKind;

/// What pure code may build on: data types, tables of Unicode and of telephone numbers, text formats and `cqrs-es`, whose traits the kernel adapts.
const PURE_CRATES: &[&str] = &[
    "async-trait",
    "chrono",
    "chrono-tz",
    "cqrs-es",
    "icu_casemap",
    "icu_normalizer",
    "icu_properties",
    "idna",
    "iso3166-static",
    "iso_currency",
    "phonenumber",
    "proc-macro2",
    "quote",
    "regex",
    "schemars",
    "secrecy",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "sha2",
    "syn",
    "thiserror",
    "url",
    "uuid",
];

/// What its tests may add; tokio drives `cqrs-es`'s test framework.
const PURE_TEST_CRATES: &[&str] = &["proptest", "tokio", "trybuild", "jsonschema", "serde-saphyr"];

fn is_pure(part: Part) -> bool {
    matches!(part, Part::Macros | Part::Kernel | Part::Context | Part::Registry | Part::Events)
}

/// May a pure crate use this crate of the world's?
pub fn foreign(from: &str, name: &str, kind: DependencyKind) -> Result<(), &'static str> {
    let test = kind == DependencyKind::Development && PURE_TEST_CRATES.contains(&name);
    if is_pure(part(from)) && !test && !PURE_CRATES.contains(&name) { Err(PURE) } else { Ok(()) }
}

/// What no line of the domain may say. Clippy refuses the same calls; this list also sees what has no path.
const IMPURE: &[&str] = &[
    "Utc::now",
    "Local::now",
    "SystemTime",
    "Instant::now",
    "Uuid::now_v7",
    "Uuid::new_v4",
    "rand::",
    "thread_rng",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "tokio::",
    "sqlx::",
    "tracing::",
    "log::",
    "println!",
    "eprintln!",
    "dbg!",
    "async fn",
    // The day it is in UTC is no firm's and no host's: `Timestamp::date_in`.
    "date_naive",
    "naive_utc",
];

/// The impure words of a source text, its comments and its tests aside.
fn impurities(source: &str) -> Vec<&'static str> {
    let code =
        source.split("#[cfg(test)]").next().unwrap_or(source).lines().filter(|l| !l.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    IMPURE.iter().copied().filter(|word| code.iter().any(|line| line.contains(word))).collect()
}

#[test]
fn a_database_or_a_clock_in_the_domain_is_found() {
    for name in ["sqlx", "tokio", "rand", "tracing", "async-nats", "actix-web"] {
        assert_eq!(foreign("domain/crm", name, DependencyKind::Normal), Err(PURE), "{name}");
    }
    assert_eq!(foreign("domain/crm", "sqlx", DependencyKind::Development), Err(PURE));
    assert_eq!(foreign("domain/crm", "proptest", DependencyKind::Development), Ok(()));
    assert_eq!(foreign("domain/crm", "proptest", DependencyKind::Normal), Err(PURE));
    assert_eq!(foreign("platform/event-store", "sqlx", DependencyKind::Normal), Ok(()));
    assert_eq!(impurities("let now = chrono::Utc::now();"), ["Utc::now"]);
    assert_eq!(impurities("// Utc::now() would be wrong here.\n#[cfg(test)]\nmod tests { use std::fs; }"), [""; 0]);
}

#[test]
fn the_domain_asks_no_clock_draws_no_random_number_and_does_no_io() {
    let root = root();
    let mut found = vec![];
    for package in packages().iter().filter(|p| is_pure(part(&folder(p)))) {
        for file in files(&root.join(folder(package)).join("src"), ".rs") {
            let name = relative(&file);
            // The one place that knows `cqrs-es`, whose traits are asynchronous.
            let words = impurities(&read(&file))
                .into_iter()
                .filter(|w| !(*w == "async fn" && name == "domain/kernel/src/cqrs.rs"));
            found.extend(words.map(|word| format!("{name} says {word}, but: {PURE}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
