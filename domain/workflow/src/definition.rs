//! A definition: which event starts a run, and what the run does.

use kernel::{Aggregate, Context, Decision, Machine, Name, Patch, Pattern, Text, command, rejection};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow_events::{DefinitionEvent as E, DefinitionStatus};

use DefinitionCommand as C;
use DefinitionRejection as R;

/// What may be asked of a definition.
#[command("workflow.definition", !member)]
pub enum DefinitionCommand {
    /// Publishes the first version of a definition; only `ubos workflow publish` does, because it checks it.
    #[creates]
    #[refused(NotValidated, PatternsExceedYourPermissions)]
    Publish {
        /// What the definition is called.
        name: Name,
        /// What it is for.
        #[serde(default)]
        description: Option<Text>,
        /// With which permissions its steps run.
        runs_as: Vec<Pattern>,
        /// Which event starts a run: `appointment.booked`.
        trigger_event_type: String,
        /// SHA-256 of the document, in hexadecimal.
        hash: String,
        /// The whole definition.
        document: Value,
    },
    /// Publishes another version of a definition; only `ubos workflow publish` does, because it checks it.
    #[refused(NotValidated, PatternsExceedYourPermissions, Retired)]
    Revise {
        /// What it is for; it stays if left out.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        description: Patch<Text>,
        /// With which permissions its steps run.
        runs_as: Vec<Pattern>,
        /// Which event starts a run: `appointment.booked`.
        trigger_event_type: String,
        /// SHA-256 of the document, in hexadecimal.
        hash: String,
        /// The whole definition.
        document: Value,
    },
    /// Lets no new runs start until the definition is resumed.
    #[refused(Retired)]
    Pause {
        /// Why.
        reason: Name,
    },
    /// Lets new runs start again.
    #[refused(Retired)]
    Resume {},
    /// Ends that new runs start, for good.
    Retire {
        /// Why.
        reason: Name,
    },
}

/// Why a definition's command may be refused.
#[rejection("workflow.definition")]
pub enum DefinitionRejection {
    /// Definitions are published with `ubos workflow publish`, which checks them first.
    #[audited]
    NotValidated,
    /// The patterns of `runs_as` grant more than you have.
    #[audited]
    PatternsExceedYourPermissions,
    /// The definition is retired; publish it under another name.
    Retired,
}

/// What is remembered of a definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    name: Option<Name>,
    description: Option<Text>,
    version: u32,
    hash: String,
    status: DefinitionStatus,
}

impl Definition {
    /// Its latest version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// SHA-256 of the latest version's document.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl Aggregate for Definition {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "workflow/definitions";
    const STATE_VERSION: i32 = 3;

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let engine = crate::is_engine(&ctx.actor);
        Ok(match command {
            // Nobody gives a workflow what they do not have.
            C::Publish { runs_as, .. } | C::Revise { runs_as, .. }
                if !ctx.permissions.cover(runs_as.iter().map(Pattern::as_str)) =>
            {
                return Err(R::PatternsExceedYourPermissions);
            }
            C::Publish { .. } | C::Revise { .. } if !engine => return Err(R::NotValidated),
            // What was checked is what runs; a document that names nothing runs with nothing.
            C::Publish { runs_as, document, .. } | C::Revise { runs_as, document, .. }
                if *document.get("runs_as").unwrap_or(&json!([])) != json!(runs_as) =>
            {
                return Err(R::NotValidated);
            }
            C::Publish { name, description, runs_as: _, trigger_event_type, hash, document } => {
                vec![E::Published { version: 1, hash, name, description, trigger_event_type, document }]
            }
            C::Retire { .. } if self.status == DefinitionStatus::Retired => vec![],
            C::Retire { reason } => vec![E::Retired { reason }],
            _ if self.status == DefinitionStatus::Retired => return Err(R::Retired),
            C::Revise { description, runs_as: _, trigger_event_type, hash, document } => {
                let description = description.over(&self.description);
                // The same content again is no new version, so that a deployment may publish everything every time.
                if hash == self.hash && description == self.description {
                    return Ok(vec![]);
                }
                let Some(name) = self.name.clone() else { return Err(R::Retired) };
                let version = self.version + 1;
                vec![E::Published { version, hash, name, description, trigger_event_type, document }]
            }
            C::Pause { .. } if self.status == DefinitionStatus::Paused => vec![],
            C::Pause { reason } => vec![E::Paused { reason }],
            C::Resume {} if self.status == DefinitionStatus::Paused => vec![E::Resumed {}],
            C::Resume {} => vec![],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        if let E::Published { version, hash, name, description, .. } = event {
            self.description.clone_from(description);
            self.version = *version;
            self.hash = hash.clone();
            self.name = Some(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;
    use kernel::{Actor, Permissions};

    fn about(description: Option<&str>, published: E) -> E {
        let E::Published { version, hash, name, trigger_event_type, document, .. } = published else {
            return published;
        };
        let description = description.map(|text| text.parse().unwrap());
        E::Published { version, hash, name, description, trigger_event_type, document }
    }

    fn published(version: u32, hash: &str) -> E {
        E::Published {
            version,
            hash: hash.into(),
            name: "Onboarding".parse().unwrap(),
            description: None,
            trigger_event_type: "appointment.booked".into(),
            document: json!({ "runs_as": ["crm.client.tag"] }),
        }
    }

    fn revise(hash: &str) -> C {
        C::Revise {
            description: Patch::Unchanged,
            runs_as: vec!["crm.client.tag".parse().unwrap()],
            trigger_event_type: "appointment.booked".into(),
            hash: hash.into(),
            document: json!({ "runs_as": ["crm.client.tag"] }),
        }
    }

    fn decide(events: &[E], command: C) -> Decision<Definition> {
        decide_within(events, command, Permissions::all())
    }

    fn decide_within(events: &[E], command: C, held: Permissions) -> Decision<Definition> {
        let mut definition = Definition::default();
        events.iter().for_each(|event| definition.apply(event));
        let actor = Actor::System { name: "publish".into() };
        let id = kernel::spec::spec_time();
        let mut ctx = Context::new(Default::default(), actor, id, Default::default(), Default::default());
        ctx.permissions = held.into();
        definition.decide(command, &ctx)
    }

    #[test]
    fn other_content_is_the_next_version() {
        assert_eq!(decide(&[published(1, "aa")], revise("bb")), Ok(vec![published(2, "bb")]));
    }

    #[test]
    fn the_same_content_is_no_new_version() {
        assert_eq!(decide(&[published(1, "aa")], revise("aa")), Ok(vec![]));
    }

    #[test]
    fn a_revision_keeps_the_description_that_it_leaves_out() {
        let before = about(Some("For new clients."), published(1, "aa"));
        let with = |description: Patch<Text>| match revise("bb") {
            C::Revise { runs_as, trigger_event_type, hash, document, .. } => {
                C::Revise { description, runs_as, trigger_event_type, hash, document }
            }
            other => other,
        };
        let revised = |description| decide(std::slice::from_ref(&before), with(description)).unwrap();
        assert_eq!(revised(Patch::Unchanged), [about(Some("For new clients."), published(2, "bb"))]);
        assert_eq!(revised(Patch::Removed), [published(2, "bb")]);
        assert_eq!(revised(Patch::Set("Anew.".parse().unwrap())), [about(Some("Anew."), published(2, "bb"))]);
    }

    #[test]
    fn nobody_gives_a_workflow_what_they_do_not_have() {
        let held = |patterns: &[&str]| Permissions::patterns(patterns.iter().copied());
        for (held, may) in [
            (held(&["crm.*"]), true),
            (held(&["crm.client.tag"]), true),
            (held(&["crm.client.tag:own"]), false),
            (held(&["*", "!crm.client.tag"]), false),
            (held(&["files.*"]), false),
            (held(&["*"]).within(["workflow.*"]), false),
            (held(&["*"]).within(["crm.client.*"]), true),
        ] {
            let decided = decide_within(&[published(1, "aa")], revise("bb"), held);
            assert_eq!(decided, if may { Ok(vec![published(2, "bb")]) } else { Err(R::PatternsExceedYourPermissions) });
        }
    }

    #[test]
    fn what_was_checked_is_what_runs() {
        let C::Revise { description, runs_as, trigger_event_type, hash, .. } = revise("bb") else { panic!() };
        let document = json!({ "runs_as": ["*"] });
        let other = C::Revise { description, runs_as, trigger_event_type, hash, document };
        assert_eq!(decide(&[published(1, "aa")], other), Err(R::NotValidated));
    }

    #[test]
    fn a_person_cannot_publish_what_nobody_checked() {
        given::<Definition>([published(1, "aa")]).when(revise("bb")).rejected("workflow.definition.not_validated");
    }

    #[test]
    fn a_retired_definition_stays_retired() {
        let retired = E::Retired { reason: "replaced".parse().unwrap() };
        assert_eq!(decide(&[published(1, "aa"), retired.clone()], revise("bb")), Err(R::Retired));
        given::<Definition>([published(1, "aa"), retired]).when(C::Resume {}).rejected("workflow.definition.retired");
    }

    #[test]
    fn pausing_twice_keeps_the_first_reason() {
        let paused = E::Paused { reason: "holidays".parse().unwrap() };
        let again = C::Pause { reason: "other".parse().unwrap() };
        given::<Definition>([published(1, "aa"), paused]).when(again).then_nothing();
    }
}
