//! Email templates as whoever chooses one sees them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::communications_events::{EmailTemplateEvent as E, EmailTemplateId};
use kernel::{Machine, Name, Retirable, Slug, Text, read_model};

/// What emails are made from.
#[read_model(
    "communications.email_templates",
    id = EmailTemplateId,
    read = "communications.email_template.read",
    updated_at(sort),
    away(retired)
)]
pub struct EmailTemplateRow {
    /// What definitions call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// The subject, with fields that are filled in.
    pub subject: Name,
    /// The text in Markdown, with fields that are filled in.
    pub body: Text,
    /// No new emails are made from it.
    pub retired: Retirable,
}

impl Fold for EmailTemplateRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key, name, subject, body } = change else { return None };
        let (key, name, subject, body) = (key.clone(), name.clone(), subject.clone(), body.clone());
        Some(Self { key, name, subject, body, retired: Retirable::default() })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Defined { .. } | E::Retired {} | E::Reinstated {} => {}
            E::Revised { name, subject, body } => {
                (self.name, self.subject, self.body) = (name.clone(), subject.clone(), body.clone());
            }
        }
        Ok(())
    }
}
