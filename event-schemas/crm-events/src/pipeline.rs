//! What happens to a pipeline: the stages through which deals go.

use crate::Probability;
use kernel::{Name, Slug, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// The stages through which deals go.
    PipelineId,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What deals and definitions call it; unique in the pipeline.
    pub key: Slug,
    /// What people call it.
    pub name: Name,
    /// How likely a deal is won that stands here, in per cent.
    pub probability: Probability,
}

/// Everything that happens to a pipeline.
#[event("crm.pipeline")]
pub enum PipelineEvent {
    /// Deals may go through these stages.
    Defined {
        /// What deals and definitions call it.
        key: Slug,
        /// What people call it.
        name: Name,
        /// Its stages in their order.
        stages: Vec<Stage>,
    },
    /// The stages changed; deals stay where they are.
    Revised {
        /// What people call it.
        name: Name,
        /// Its stages in their order.
        stages: Vec<Stage>,
    },
    /// No new deals go through it.
    Retired {},
    /// New deals may go through it again.
    Reinstated {},
}

kernel::retirable!(PipelineEvent begins "pipeline.defined");
