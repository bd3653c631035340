//! Every version of every template, so that it can be read from what a paper was made.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::agreements_events::{MergeField, TemplateContent, TemplateEvent as E};
use kernel::{Markdown, Name, TemplateId, read_model};
use uuid::Uuid;

/// Versions of templates; none of them changes.
#[read_model(
    "agreements.template_versions",
    read = "agreements.template_version.read",
    part_of(template_id, "agreements.templates")
)]
pub struct TemplateVersionRow {
    /// Of which template.
    #[column(filter)]
    pub template_id: TemplateId,
    /// Its number, from 1.
    #[column(filter)]
    pub number: u32,
    /// What people called the template.
    pub name: Name,
    /// What it says, in Markdown with fields.
    pub body: Markdown,
    /// The fields.
    pub fields: Vec<MergeField>,
}

/// What an event publishes.
fn published(change: &E) -> Option<(u32, &Name, &TemplateContent)> {
    match change {
        E::Defined { name, content, .. } => Some((1, name, content)),
        E::Published { version, name, content } => Some((*version, name, content)),
        E::Retired {} | E::Reinstated {} => None,
    }
}

impl Fold for TemplateVersionRow {
    type Event = E;

    fn keys(change: &E, event: &Event) -> Vec<Uuid> {
        let id = |number: u32| Uuid::new_v5(&event.aggregate_id, number.to_string().as_bytes());
        published(change).map(|(number, ..)| id(number)).into_iter().collect()
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let (number, name, content) = published(change)?;
        Some(Self {
            template_id: TemplateId(event.aggregate_id),
            number,
            name: name.clone(),
            body: content.body.clone(),
            fields: content.fields.clone(),
        })
    }

    fn apply(&mut self, _: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        // Every version is published once.
        Ok(())
    }
}
