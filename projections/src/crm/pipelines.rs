//! Pipelines as whoever chooses one, or draws a board of deals, sees them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::crm_events::{PipelineEvent as E, PipelineId, Stage};
use kernel::{Machine, Name, Retirable, Slug, read_model};

/// Stages through which deals go.
#[read_model(
    "crm.pipelines",
    id = PipelineId,
    read = "crm.pipeline.read",
    updated_at(sort),
    away(retired)
)]
pub struct PipelineRow {
    /// What deals and definitions call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// Its stages in their order.
    pub stages: Vec<Stage>,
    /// No new deals go through it.
    pub retired: Retirable,
}

impl Fold for PipelineRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key: slug, name, stages } = change else { return None };
        let (key, name, stages) = (slug.clone(), name.clone(), stages.clone());
        Some(Self { key, name, stages, retired: Retirable::default() })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { name, stages } => (self.name, self.stages) = (name.clone(), stages.clone()),
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}
