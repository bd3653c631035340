//! The published schema of every event, as the files of the contract have it.
#![expect(clippy::disallowed_methods, reason = "a test may read the files that it tests")]

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// By context, event type and version.
pub struct Schemas(BTreeMap<(String, String, u32), jsonschema::Validator>);

impl Schemas {
    /// Reads the folder.
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../event-schemas/json");
        let mut all = BTreeMap::new();
        for context in fs::read_dir(folder).unwrap().flatten() {
            for file in fs::read_dir(context.path()).unwrap().flatten() {
                let name = file.file_name().into_string().unwrap();
                let (event_type, version) = name.strip_suffix(".json").unwrap().rsplit_once(".v").unwrap();
                let schema: Value = serde_json::from_str(&fs::read_to_string(file.path()).unwrap()).unwrap();
                let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
                let context = context.file_name().into_string().unwrap();
                all.insert((context, event_type.to_owned(), version.parse().unwrap()), validator);
            }
        }
        Self(all)
    }

    /// Every file's name and what it says.
    pub fn texts() -> Vec<(String, Value)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../event-schemas/json");
        let contexts = fs::read_dir(folder).unwrap().flatten();
        let files = contexts.flat_map(|context| fs::read_dir(context.path()).unwrap().flatten());
        let read = |file: fs::DirEntry| {
            let text = fs::read_to_string(file.path()).unwrap();
            (file.path().display().to_string(), serde_json::from_str(&text).unwrap())
        };
        files.map(read).collect()
    }

    /// Every event type of a context.
    pub fn event_types<'s>(&'s self, of: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.keys().filter(move |(context, ..)| context == of).map(|(_, event_type, _)| event_type.as_str())
    }

    /// Is the payload what the contract says?
    pub fn check(&self, stream: &str, event_type: &str, version: u32, payload: &str) -> TestCaseResult {
        let context = stream.split('.').next().unwrap().to_owned();
        let validator = self.0.get(&(context, event_type.to_owned(), version));
        let Some(validator) = validator else {
            return Err(TestCaseError::fail(format!("{stream}: {event_type} version {version} has no schema")));
        };
        let payload: Value = serde_json::from_str(payload).unwrap();
        let errors: Vec<String> = validator.iter_errors(&payload).map(|error| error.to_string()).collect();
        prop_assert!(errors.is_empty(), "{} {}: {:?}", event_type, payload, errors);
        Ok(())
    }
}
