//! Folder templates as whoever chooses one sees them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::files_events::{FolderTemplateEvent as E, FolderTemplateId, TemplatePath};
use kernel::{FolderName, Machine, Retirable, Slug, read_model};

/// Trees of folders to copy from.
#[read_model(
    "files.folder_templates",
    id = FolderTemplateId,
    read = "files.folder_template.read",
    updated_at(sort),
    away(retired)
)]
pub struct FolderTemplateRow {
    /// What definitions call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: FolderName,
    /// The subfolders, each by its path.
    pub paths: Vec<TemplatePath>,
    /// No new folders are made from it.
    pub retired: Retirable,
}

impl Fold for FolderTemplateRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key: slug, name, paths } = change else { return None };
        Some(Self { key: slug.clone(), name: name.clone(), paths: paths.clone(), retired: Retirable::default() })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { name, paths } => {
                self.name = name.clone();
                self.paths = paths.clone();
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}
