use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(path: PathBuf) -> Value {
    let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every version of every event.
fn versions() -> impl Iterator<Item = (&'static EventEntry, u32)> {
    entries().flat_map(|entry| (1..=entry.version).map(move |version| (entry, version)))
}

#[test]
fn generated_files_are_fresh() {
    match stale(&root()) {
        Ok(stale) => assert!(stale.is_empty(), "run cargo xtask gen: {stale:#?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn event_types_are_unique_across_contexts() {
    let mut seen = BTreeMap::new();
    for entry in entries() {
        let other = seen.insert(entry.event_type, entry.stream);
        assert_eq!(other, None, "{} is an event of {} too", entry.event_type, entry.stream);
        assert_eq!(by_event_type(entry.event_type).map(|e| e.name), Some(entry.name));
        assert_eq!(by_name(entry.name).map(|e| e.event_type), Some(entry.event_type));
    }
}

#[test]
fn streams_are_unique_and_begin_with_their_context() {
    let streams: BTreeSet<_> = CATALOGUES.iter().map(|catalogue| catalogue[0].stream).collect();
    assert_eq!(streams.len(), CATALOGUES.len());
    for entry in entries() {
        assert_eq!(entry.name, format!("{}.{}", context_of(entry), entry.event_type));
        // A NATS subject token must not come from anywhere else.
        assert!(
            entry.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c)),
            "{}",
            entry.name
        );
    }
}

#[test]
fn every_aggregate_that_declares_events_is_in_the_catalogue() {
    let mut declared = BTreeSet::new();
    for context in fs::read_dir(root().join("event-schemas")).unwrap().flatten() {
        for file in fs::read_dir(context.path().join("src")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).unwrap();
            let streams = text.lines().filter_map(|line| line.strip_prefix("#[event(\""));
            declared.extend(streams.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    let known: BTreeSet<_> = CATALOGUES.iter().map(|catalogue| catalogue[0].stream.to_owned()).collect();
    assert_eq!(known, declared, "add the missing ones to any_event! in event-schemas/catalogue/src/lib.rs");
}

#[test]
fn an_unknown_name_finds_nothing() {
    assert!(by_event_type("client.teleported").is_none());
    assert!(by_name("projects.client.created").is_none());
    assert!(by_name("client").is_none());
    assert!(schema("client.teleported", 1).is_none());
    assert!(schema("client.created", 99).is_none());
}

#[test]
fn every_golden_event_of_every_version_reads() {
    for (entry, version) in versions() {
        let golden = json(golden_path(entry, version));
        let read = AnyEvent::read(entry.stream, entry.event_type, version, &golden.to_string());
        let event = read.unwrap_or_else(|e| panic!("{} version {version}: {e}", entry.name));
        assert_eq!(event.entry().name, entry.name);
        if version == entry.version {
            // What is read is what would be written: no field is lost on the way.
            assert_eq!(serde_json::to_value(&event).unwrap(), golden, "{}", entry.name);
        }
    }
}

#[test]
fn every_golden_event_satisfies_its_schema() {
    for (entry, version) in versions() {
        let schema = schema(entry.event_type, version).unwrap_or_else(|| panic!("{} version {version}", entry.name));
        assert_eq!(schema, json(schema_path(entry, version)), "{} version {version}", entry.name);
        jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let validator = options.build(&schema).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        let errors: Vec<_> = validator.iter_errors(&json(golden_path(entry, version))).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{} version {version}: {errors:#?}", entry.name);
    }
}

#[test]
fn every_event_is_a_sentence_and_every_field_says_what_it_is() {
    for entry in entries() {
        assert!(entry.summary.ends_with('.'), "{}: {:?} is not a sentence", entry.name, entry.summary);
        let schema = published_schema(entry);
        assert_eq!(schema["type"], "object", "{}", entry.name);
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema.get("description").is_some(), "{}: /{field} has no doc comment", entry.name);
        }
    }
}

#[test]
fn a_version_one_client_reads_as_an_organisation() {
    let entry = by_event_type("client.created").unwrap();
    let golden = json(golden_path(entry, 1));
    assert!(golden.get("kind").is_none());
    let event = AnyEvent::read("crm.client", "client.created", 1, &golden.to_string()).unwrap();
    let AnyEvent::Client(crm_events::ClientEvent::Created { kind, .. }) = event else { panic!("{event:?}") };
    assert_eq!(kind, crm_events::ClientKind::Organisation);
}

#[test]
fn what_cannot_be_read_says_why() {
    let read =
        |stream, event_type, version, payload| AnyEvent::read(stream, event_type, version, payload).unwrap_err().0;
    assert_eq!(read("crm.client", "client.teleported", 1, "{}"), r#"crm.client has no event "client.teleported""#);
    assert_eq!(read("crm.ghost", "client.created", 1, "{}"), r#"crm.ghost has no event "client.created""#);
    assert!(read("crm.client", "client.created", 3, "{}").contains("newer than the 2 that this program knows"));
    assert!(read("crm.client", "client.renamed", 1, r#"{"name": 1}"#).starts_with("/name: "));
}

#[test]
fn an_envelope_keeps_everything_but_the_payloads_form() {
    let stored: Recorded<Box<RawValue>> = serde_json::from_value(serde_json::json!({
        "position": 4711, "event_id": uuid::Uuid::from_u128(1), "tenant_id": uuid::Uuid::from_u128(2), "domain": "crm",
        "aggregate_type": "crm.client", "aggregate_id": uuid::Uuid::from_u128(3), "sequence": 5,
        "event_type": "client.renamed", "event_version": 1, "payload": { "name": "Ada" },
        "metadata": { "actor": { "kind": "system", "name": "test" }, "correlation_id": uuid::Uuid::from_u128(4), "command": "crm.client.rename" },
        "recorded_at": "2026-11-02T09:00:00Z",
    }))
    .unwrap();
    let event = decode(stored).unwrap();
    assert_eq!((event.position, event.sequence, event.name().as_str()), (4711, 5, "crm.client.renamed"));
    assert_eq!(event.payload.entry().event_type, "client.renamed");
}

/// A copy of the committed contract, to change at will.
struct Contract(PathBuf);

impl Contract {
    fn copy(name: &str) -> Self {
        let copy = Self(std::env::temp_dir().join(format!("ubos-catalogue-{name}-{}", std::process::id())));
        for (path, content) in artefacts(&root()).unwrap() {
            copy.put(&path, &content);
        }
        assert!(stale(&copy.0).unwrap().is_empty());
        copy
    }

    fn put(&self, path: &Path, content: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The sentence with which generating is refused.
    fn refusal(&self) -> String {
        let refusal = write(&self.0).unwrap_err().to_string();
        assert_eq!(stale(&self.0).unwrap_err().to_string(), refusal, "`gen --check` finds what `gen` refuses");
        refusal
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn renamed() -> &'static EventEntry {
    by_event_type("client.renamed").unwrap()
}

#[test]
fn a_breaking_change_to_a_published_schema_is_not_written() {
    let contract = Contract::copy("breaking");
    let path = schema_path(renamed(), 1);
    let mut published = json(path.clone());
    published["properties"]["nickname"] = serde_json::json!({ "type": "string" });
    contract.put(&path, &published.to_string());
    assert_eq!(
        contract.refusal(),
        "crm.client.renamed version 1 is published, but /nickname was removed or renamed: raise the version to 2 and write \
         an upcaster"
    );
    assert_eq!(fs::read_to_string(contract.0.join(path)).unwrap(), published.to_string(), "the contract is untouched");
}

#[test]
fn a_compatible_change_is_written() {
    let contract = Contract::copy("compatible");
    let path = schema_path(renamed(), 1);
    let mut published = json(path.clone());
    published["description"] = "An older sentence.".into();
    contract.put(&path, &published.to_string());
    assert_eq!(write(&contract.0).unwrap(), [path]);
    assert!(stale(&contract.0).unwrap().is_empty());
}

#[test]
fn an_existing_golden_example_is_never_rewritten_and_a_missing_one_is_made() {
    let contract = Contract::copy("golden");
    let path = golden_path(renamed(), 1);
    let mine = "{\n  \"name\": \"Somebody Else\"\n}\n";
    contract.put(&path, mine);
    write(&contract.0).unwrap();
    assert_eq!(fs::read_to_string(contract.0.join(&path)).unwrap(), mine);
    fs::remove_file(contract.0.join(&path)).unwrap();
    assert!(write(&contract.0).unwrap().contains(&path));
    assert!(contract.0.join(&path).exists());
}

#[test]
fn a_published_version_cannot_disappear() {
    let contract = Contract::copy("disappeared");
    let first = schema_path(by_event_type("client.created").unwrap(), 1);
    fs::remove_file(contract.0.join(&first)).unwrap();
    assert!(contract.refusal().contains("client.created.v1.json is missing: a published version is kept for ever"));
}

#[test]
fn a_published_event_cannot_disappear() {
    let contract = Contract::copy("orphan");
    contract.put(Path::new("event-schemas/json/crm/client.teleported.v1.json"), "{}");
    assert_eq!(
        contract.refusal(),
        "event-schemas/json/crm/client.teleported.v1.json belongs to no event: a published event stays readable for ever: \
         keep its variant, marked #[retired]"
    );
}

#[test]
fn a_golden_example_that_no_longer_reads_stops_generating() {
    let contract = Contract::copy("unreadable");
    contract.put(&golden_path(renamed(), 1), "{}");
    assert!(contract.refusal().contains("missing field `name`"), "{}", contract.refusal());
}

#[test]
fn every_subject_of_asyncapi_is_an_event_and_every_event_has_one() {
    let text = fs::read_to_string(root().join("event-schemas/asyncapi.yaml")).unwrap();
    let document: Value = serde_saphyr::from_str(&text).unwrap();
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(channels.len(), entries().count());
    for entry in entries() {
        let channel = &channels[entry.name];
        assert_eq!(channel["address"], format!("ubos.events.{{tenant}}.{}", entry.name));
        assert_eq!(channel["messages"].as_object().unwrap().len(), entry.version as usize);
    }
    let mut references = vec![];
    collect_references(&document, &mut references);
    for reference in references {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere"),
            None => assert!(root().join("event-schemas").join(&reference).exists(), "{reference} leads nowhere"),
        }
    }
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|v| collect_references(v, into));
        }
        Value::Array(items) => items.iter().for_each(|v| collect_references(v, into)),
        _ => {}
    }
}

#[test]
fn no_published_event_shows_a_secret_or_what_one_hashes_to() {
    for entry in entries() {
        let schema = published_schema(entry);
        assert!(!schema.to_string().contains("x-secret"), "{}", entry.name);
        for field in schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
            let tells = ["secret", "password", "token", "credential"].iter().any(|word| field.contains(word));
            assert!(!tells, "{}: /{field} is to be marked x-secret, as SecretHash is", entry.name);
        }
    }
}

#[test]
fn an_event_that_hides_a_secret_leaves_without_it_and_still_reads() {
    let issued = identity_events::ApiKeyEvent::Rotated {
        secret_hash: kernel::SecretHash::of("secret"),
        previous_until: "2026-11-23T12:34:56Z".parse().unwrap(),
    };
    let payload = serde_json::value::to_raw_value(&issued).unwrap();
    assert!(payload.get().contains("secret_hash"), "the log has it");
    let mut stored = Recorded {
        position: 1,
        event_id: uuid::Uuid::from_u128(1),
        tenant_id: kernel::TenantId(uuid::Uuid::from_u128(2)),
        domain: "identity".into(),
        aggregate_type: "identity.api_key".into(),
        aggregate_id: uuid::Uuid::from_u128(3),
        sequence: 2,
        event_type: "api_key.rotated".into(),
        event_version: 1,
        payload,
        metadata: kernel::Metadata {
            actor: kernel::Actor::System { name: "test".into() },
            correlation_id: uuid::Uuid::from_u128(4),
            causation_id: None,
            command: "identity.api_key.rotate".into(),
            traceparent: None,
            concerns: vec![],
            unit: None,
        },
        recorded_at: "2026-11-23T12:34:56Z".parse().unwrap(),
    };
    withhold(&mut stored);
    assert_eq!(stored.payload.get(), r#"{"previous_until":"2026-11-23T12:34:56Z"}"#);
    let AnyEvent::ApiKey(identity_events::ApiKeyEvent::Rotated { secret_hash, .. }) = decode(stored).unwrap().payload
    else {
        panic!("another event")
    };
    assert!(secret_hash.is_withheld() && secret_hash != kernel::SecretHash::of(""));
}
