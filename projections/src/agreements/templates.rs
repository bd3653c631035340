//! Templates as whoever chooses one sees them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::agreements_events::{MergeField, TemplateEvent as E, TemplateKind};
use kernel::{Machine, Markdown, Name, Retirable, Slug, TemplateId, read_model};

/// Templates of proposals and contracts, in their latest versions.
#[read_model(
    "agreements.templates",
    id = TemplateId,
    read = "agreements.template.read",
    updated_at(sort),
    away(retired)
)]
pub struct TemplateRow {
    /// What definitions call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// What is made from it.
    #[column(filter)]
    pub kind: TemplateKind,
    /// The number of its latest version.
    pub latest: u32,
    /// What that says, in Markdown with fields.
    pub body: Markdown,
    /// The fields.
    pub fields: Vec<MergeField>,
    /// Nothing new is made from it.
    pub retired: Retirable,
}

impl Fold for TemplateRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key, name, kind, content } = change else { return None };
        Some(Self {
            key: key.clone(),
            name: name.clone(),
            kind: *kind,
            latest: 1,
            body: content.body.clone(),
            fields: content.fields.clone(),
            retired: Retirable::default(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Published { version, name, content } => {
                (self.latest, self.name) = (*version, name.clone());
                (self.body, self.fields) = (content.body.clone(), content.fields.clone());
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}
