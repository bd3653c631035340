//! Whom events are about, told from what the log says alone: what a stream's events name, it belongs to from then on.

use kernel::{ClientId, EngagementId, ProjectId, Resource};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use samples::{Attempt, Key, World};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What every stream belongs to.
#[derive(Debug, Default)]
pub struct Concerns(BTreeMap<Key, BTreeSet<Resource>>);

impl Concerns {
    /// Does the log say of the attempt's events whom they are about?
    pub fn check(&mut self, world: &World, key: &Key, attempt: &Attempt) -> TestCaseResult {
        let belongs = self.0.entry(*key).or_default();
        let mut expected = BTreeSet::new();
        for event in attempt.events() {
            let payload: Value = serde_json::from_str(&event.payload).unwrap();
            // What started a run is about says so itself; its payload is another event's.
            let named = match payload.pointer("/trigger/concerns") {
                Some(concerns) => serde_json::from_value(concerns.clone()).unwrap(),
                None if payload.get("trigger").is_some() => BTreeSet::new(),
                None => named(&payload),
            };
            expected.extend(&named);
            match event.event_type {
                "contact.unlinked_from_client" | "project.unlinked_from_engagement" => {
                    belongs.retain(|resource| !named.contains(resource))
                }
                // The offer of a draft says anew which engagement it is about.
                "proposal.changed" => {
                    belongs.retain(|resource| !matches!(resource, Resource::Engagement { .. }));
                    belongs.extend(named);
                }
                // A right that somebody is given for a client does not make them the client's.
                granted if granted.ends_with(".granted") || granted.ends_with(".grant_revoked") => {}
                _ => belongs.extend(named),
            }
            match key.1 {
                "crm.client" => drop(belongs.insert(ClientId(key.2).into())),
                "crm.engagement" => drop(belongs.insert(EngagementId(key.2).into())),
                "projects.project" => drop(belongs.insert(ProjectId(key.2).into())),
                _ => {}
            }
            expected.extend(belongs.iter());
        }
        prop_assert_eq!(&attempt.concerns, &expected, "{} {}", attempt.entry.name, attempt.body);
        let written = world.log().iter().rev().take(attempt.events().len());
        for event in written {
            let concerns: BTreeSet<Resource> = event.metadata.concerns.iter().copied().collect();
            prop_assert_eq!(&concerns, &expected, "{}", event.event_type);
        }
        Ok(())
    }
}

/// The clients, engagements and projects that a payload names, wherever in it.
fn named(payload: &Value) -> BTreeSet<Resource> {
    let mut found = BTreeSet::new();
    collect(payload, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<Resource>) {
    match value {
        Value::Object(fields) => {
            if let Ok(resource) = serde_json::from_value(value.clone()) {
                found.insert(resource);
            }
            for (name, value) in fields {
                let id = value.as_str().and_then(|text| text.parse::<Uuid>().ok());
                match (name.as_str(), id) {
                    ("client_id", Some(id)) => drop(found.insert(ClientId(id).into())),
                    ("engagement_id", Some(id)) => drop(found.insert(EngagementId(id).into())),
                    ("project_id", Some(id)) => drop(found.insert(ProjectId(id).into())),
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
