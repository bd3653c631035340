//! Project templates as whoever chooses one sees them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::projects_events::{ProjectTemplateEvent as E, ProjectTemplateId, TemplateMilestone, TemplateTask};
use kernel::{Machine, Name, Retirable, Slug, read_model};

/// Project skeletons to copy from.
#[read_model(
    "projects.project_templates",
    id = ProjectTemplateId,
    read = "projects.project_template.read",
    updated_at(sort),
    away(retired)
)]
pub struct ProjectTemplateRow {
    /// What definitions call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// Its milestones.
    pub milestones: Vec<TemplateMilestone>,
    /// Its tasks.
    pub tasks: Vec<TemplateTask>,
    /// No new projects are made from it.
    pub retired: Retirable,
}

impl Fold for ProjectTemplateRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key: slug, name, milestones, tasks } = change else { return None };
        Some(Self {
            key: slug.clone(),
            name: name.clone(),
            milestones: milestones.clone(),
            tasks: tasks.clone(),
            retired: Retirable::default(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { name, milestones, tasks } => {
                self.name = name.clone();
                self.milestones = milestones.clone();
                self.tasks = tasks.clone();
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}
