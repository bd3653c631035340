//! A pipeline: the stages through which a firm's deals go.

use crm_events::{PipelineEvent as E, Probability, Stage};
use kernel::{
    Aggregate, ClaimChange, Context, Decision, Keyed, Machine, Name, Patch, Retirable, Slug, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use PipelineCommand as C;
use PipelineRejection as R;

/// Stages of one pipeline.
const STAGES_MAX: usize = 30;

/// What may be asked of a pipeline.
#[command("crm.pipeline", member)]
pub enum PipelineCommand {
    /// Defines stages through which deals go.
    #[creates]
    #[refused(NoStages, TooManyStages, DuplicateStage, "key.taken")]
    Define {
        /// What deals and definitions call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: Name,
        /// Its stages in their order.
        stages: Vec<Stage>,
    },
    /// Changes the stages. Deals stay where they are, also where the pipeline has no such stage any more, until they are moved.
    #[refused(Retired, NoStages, TooManyStages, DuplicateStage)]
    Revise {
        /// What people call it.
        name: Name,
        /// Its stages in their order; they stay if left out.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        stages: Patch<Vec<Stage>>,
    },
    /// Ends that new deals go through it.
    Retire {},
    /// Allows new deals to go through it again.
    Reinstate {},
}

/// Why a pipeline's command may be refused.
#[rejection("crm.pipeline")]
pub enum PipelineRejection {
    /// The pipeline is retired; reinstate it first.
    Retired,
    /// A pipeline has at least one stage.
    #[invalid("/stages")]
    NoStages,
    /// A pipeline has at most 30 stages.
    #[invalid("/stages")]
    TooManyStages,
    /// Two stages have the same key.
    #[invalid("/stages")]
    DuplicateStage,
}

/// What is remembered of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    name: String,
    stages: Vec<Stage>,
    retired: Retirable,
}

impl Pipeline {
    /// Where a deal begins.
    pub fn first_stage(&self) -> Option<&Stage> {
        self.stages.first()
    }

    /// The stage with this key.
    pub fn stage(&self, key: &Slug) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.key == *key)
    }

    /// How likely a deal is won that stands at this stage.
    pub fn probability_at(&self, key: &Slug) -> Option<Probability> {
        self.stage(key).map(|stage| stage.probability)
    }

    /// May no new deals go through it?
    pub fn is_retired(&self) -> bool {
        self.retired.is_retired()
    }
}

impl Keyed for Pipeline {
    const KEY: &'static str = "crm.pipeline.key";
}

impl Aggregate for Pipeline {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "crm/pipelines";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, name, stages } => {
                check(&stages)?;
                vec![E::Defined { key, name, stages }]
            }
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            _ if self.is_retired() => return Err(R::Retired),
            C::Revise { name, stages } => {
                let stages = stages.over_list(&self.stages);
                if name.as_str() == self.name && stages == self.stages {
                    return Ok(vec![]);
                }
                check(&stages)?;
                vec![E::Revised { name, stages }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key: _, name, stages } | E::Revised { name, stages } => {
                self.name = name.as_str().to_owned();
                self.stages = stages.clone();
            }
            E::Retired {} | E::Reinstated {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Defined { key, .. } => vec![ClaimChange::Take(Self::key_claim(key))],
            _ => vec![],
        }
    }
}

fn check(stages: &[Stage]) -> Result<(), R> {
    if stages.is_empty() {
        return Err(R::NoStages);
    }
    if stages.len() > STAGES_MAX {
        return Err(R::TooManyStages);
    }
    let keys: BTreeSet<&Slug> = stages.iter().map(|stage| &stage.key).collect();
    if keys.len() < stages.len() { Err(R::DuplicateStage) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::Claim;
    use kernel::spec::given;

    pub(crate) fn stage(key: &str, percent: u16) -> Stage {
        let name = key.to_uppercase().parse().unwrap();
        Stage { key: key.parse().unwrap(), name, probability: Probability::new(percent).unwrap() }
    }

    pub(crate) fn defined() -> E {
        let stages = vec![stage("talk", 10), stage("offer", 60)];
        E::Defined { key: "sales".parse().unwrap(), name: "Sales".parse().unwrap(), stages }
    }

    fn define(stages: Vec<Stage>) -> C {
        C::Define { key: "sales".parse().unwrap(), name: "Sales".parse().unwrap(), stages }
    }

    #[test]
    fn a_pipeline_claims_its_key() {
        let when = given::<Pipeline>([]).when(define(vec![stage("talk", 10), stage("offer", 60)]));
        let claims = when.then([defined()]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("crm.pipeline.key", "sales"))]);
    }

    #[test]
    fn a_pipeline_has_some_stages_each_with_a_key_of_its_own() {
        let refused = |stages, code| given::<Pipeline>([]).when(define(stages)).rejected(code);
        refused(vec![], "crm.pipeline.no_stages");
        refused(vec![stage("talk", 10), stage("talk", 20)], "crm.pipeline.duplicate_stage");
        let many = |count| (0..count).map(|n| stage(&format!("s{n}"), 10)).collect();
        refused(many(31), "crm.pipeline.too_many_stages");
        assert_eq!(given::<Pipeline>([]).when(define(many(30))).events().len(), 1);
        let revise = |stages| C::Revise { name: "Sales".parse().unwrap(), stages };
        given::<Pipeline>([defined()]).when(revise(Patch::Removed)).rejected("crm.pipeline.no_stages");
    }

    #[test]
    fn stages_that_are_left_out_stay() {
        let revise = |name: &str| C::Revise { name: name.parse().unwrap(), stages: Patch::Unchanged };
        let stages = vec![stage("talk", 10), stage("offer", 60)];
        let revised = E::Revised { name: "New business".parse().unwrap(), stages };
        given::<Pipeline>([defined()]).when(revise("New business")).then([revised]);
        given::<Pipeline>([defined()]).when(revise("Sales")).then_nothing();
    }

    #[test]
    fn a_retired_pipeline_is_not_revised_until_it_is_reinstated() {
        let revise = || C::Revise { name: "Other".parse().unwrap(), stages: Patch::Unchanged };
        given::<Pipeline>([defined()]).when(C::Retire {}).then([E::Retired {}]);
        let retired = || given::<Pipeline>([defined(), E::Retired {}]);
        retired().when(C::Retire {}).then_nothing();
        retired().when(revise()).rejected("crm.pipeline.retired");
        retired().when(C::Reinstate {}).then([E::Reinstated {}]);
        given::<Pipeline>([defined()]).when(C::Reinstate {}).then_nothing();
    }

    #[test]
    fn a_probability_is_told_its_range() {
        let body = r#"{"key":"sales","name":"Sales","stages":[{"key":"talk","name":"Talk","probability":101},{"key":"t","name":"T","probability":-1}]}"#;
        let errors = <C as kernel::Command>::parse("define", body).unwrap_err();
        let said: Vec<_> = errors.iter().map(|e| (e.pointer.as_str(), e.code.as_str(), &e.parameters["max"])).collect();
        let max = &serde_json::json!(100);
        let expected = [("/stages/0/probability", "out_of_range", max), ("/stages/1/probability", "out_of_range", max)];
        assert_eq!(said, expected);
    }
}
