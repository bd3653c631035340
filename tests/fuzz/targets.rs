//! What is fed to the parsers that strangers reach. Each target takes any bytes and panics if something is so that must not be.
//!
//! `cargo fuzz` drives them with libFuzzer (`tests/fuzz/README.md`); `cargo xtask test` replays the corpus, and mutations of it, on the
//! stable toolchain (`tests/e2e/tests/fast/fuzz_corpus.rs`).

use ::web::{Problem, Verifier, VerifierSettings, code};
use actix_web::ResponseError;
use actix_web::body::MessageBody;
use catalogue::AnyEvent;
use credentials::{NoDirectory, ShownKey};
use kernel::{FieldCode, FieldError, Pattern, Permissions, TenantId};
use query_api::AuditFilter;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use uuid::Uuid;

/// A target's name, which is also its corpus's, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("token", token),
    ("api_key", api_key),
    ("cursor", cursor),
    ("problem", problem),
    ("definition", definition),
    ("template", template),
    ("pattern", pattern),
    ("event", event),
];

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
});

/// Whatever is shown as a token is refused: nobody here can sign.
pub fn token(data: &[u8]) {
    static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
        runtime::install_crypto();
        let key = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "use": "sig", "alg": "EdDSA",
                                     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
        let file = std::env::temp_dir().join(format!("ubos-fuzz-{}.json", std::process::id()));
        std::fs::write(&file, key.to_string()).expect("a file with the key");
        let settings = VerifierSettings::new(file.display(), "https://id.example", "ubos");
        let settings = VerifierSettings { refresh: Duration::from_secs(1_000_000), ..settings };
        let verifier = RUNTIME.block_on(Verifier::start(settings, Arc::new(NoDirectory)));
        std::fs::remove_file(&file).expect("the file goes");
        verifier.expect("the key is read")
    });
    let Ok(text) = std::str::from_utf8(data) else { return };
    let refused = RUNTIME.block_on(VERIFIER.verify(text)).expect_err("let in with a token that nobody signed");
    assert_eq!(refused.status(), 401);
    assert!(!refused.detail().contains(text) || text.len() < 20, "a refusal repeats what it refuses");
}

/// A key is read only if it is spelt as it would be minted.
pub fn api_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if ShownKey::read("ubk", text).is_some() {
        assert_eq!(text.len(), 79, "{text:?}");
        assert!(text.starts_with("ubk_") && text.is_ascii());
    }
}

/// A cursor of another list is refused, and none is taken for SQL. The first byte says where it stands.
pub fn cursor(data: &[u8]) {
    let Some((place, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let names = ["cursor", "at_from", "correlation_id", "limit", "actor", "outcome"];
    let name = names[usize::from(*place) % names.len()];
    let tenant = TenantId(Uuid::from_u128(1));
    match AuditFilter::parse(tenant, vec![(name.to_owned(), text.to_owned())]) {
        Err(problem) => assert_eq!(problem.status(), 400),
        // Only this list's own cursors are bound to it, and the fuzzer has no SHA-256 of it.
        Ok(_) => assert_ne!(name, "cursor", "{text:?}"),
    }
}

/// Whatever a problem quotes, its body is JSON of a known shape.
pub fn problem(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let problem = Problem::new(&code::INVALID_INPUT, text.clone())
        .coded(text.clone())
        .field(FieldError::new(text.clone(), FieldCode::NotAllowed, text.clone()))
        .with("parameter", text.clone());
    let response = problem.error_response();
    assert_eq!(response.status(), 422);
    let body = response.into_body().try_into_bytes().expect("a body in one piece");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["errors"][0]["pointer"], text);
    assert_eq!((&body["detail"], &body["code"], &body["parameter"]), (&json!(text), &json!(text), &json!(text)));
}

/// A definition is good or has problems with places and codes.
pub fn definition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match workflow_engine::read(text) {
        Err(problem) => assert!(!problem.code.is_empty()),
        Ok(document) => {
            if let Err(problems) = workflow_engine::check(&document, &BUS) {
                assert!(!problems.is_empty());
            }
        }
    }
}

/// Every command, over a log that is never reached.
static BUS: LazyLock<event_store::CommandBus> = LazyLock::new(|| {
    let _entered = RUNTIME.enter();
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").expect("a URL");
    let mut bus = event_store::CommandBus::new(event_store::Store::start(pool, event_store::StoreOptions::default()));
    registry::mount_all(&mut bus);
    bus
});

/// A text with expressions becomes a value or an error; what it sees is not looked into again.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let event = json!({ "payload": { "n": 3, "name": "{{ event.payload.n }}", "list": [1, 2, 3], "none": null } });
    match workflow_engine::fill_in(&json!({ "text": text }), &event) {
        Err(error) => assert!(!error.code.is_empty()),
        Ok(filled) => assert!(filled.to_string().len() < 1 << 20, "{} bytes", filled.to_string().len()),
    }
}

/// Nobody who covers patterns lacks what they grant. Lines: what somebody holds, what is given, what is asked for.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (held, given, asked) = (line(), line(), line());
    let own = Permissions::patterns(held.split(','));
    if own.cover(given.split(',')) && Permissions::patterns(given.split(',')).allow(asked) {
        assert!(own.allow(asked), "{held:?} covers {given:?} and lacks {asked:?}");
    }
    let scoped = own.clone().within(given.split(','));
    assert!(!scoped.allow(asked) || own.allow(asked), "a scope gives {asked:?}");
    if let Ok(pattern) = held.parse::<Pattern>() {
        assert_eq!(pattern.as_str(), held, "what is taken is kept as it is");
    }
}

/// A stored payload of any version is read or unreadable. The first line is the event's type.
pub fn event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((name, payload)) = text.split_once('\n') else { return };
    let Some(entry) = catalogue::by_event_type(name) else { return };
    for version in 0..=entry.version + 1 {
        if let Ok(read) = AnyEvent::read(entry.stream, entry.event_type, version, payload) {
            let written = serde_json::to_string(&read).expect("what was read can be written");
            let again = AnyEvent::read(entry.stream, entry.event_type, entry.version, &written);
            assert_eq!(again.expect("what was written can be read"), read);
        }
    }
}
