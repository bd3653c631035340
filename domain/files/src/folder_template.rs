//! A folder template: a tree of folders to copy from.

use files_events::{FolderTemplateEvent as E, TemplatePath};
use kernel::{
    Aggregate, ClaimChange, Context, Decision, FolderName, Keyed, Machine, Retirable, Slug, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use FolderTemplateCommand as C;
use FolderTemplateRejection as R;

/// Subfolders of one template.
const PATHS_MAX: usize = 200;
/// Folders inside folders.
const DEPTH_MAX: usize = 10;

/// What may be asked of a folder template.
#[command("files.folder_template", !member)]
pub enum FolderTemplateCommand {
    /// Defines a tree of folders to copy from.
    #[creates]
    #[refused(TooLarge, DuplicatePath, ParentMissing, "key.taken")]
    Define {
        /// What definitions call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: FolderName,
        /// The subfolders, each by its path from the root: `["Contracts", "Drafts"]`.
        paths: Vec<TemplatePath>,
    },
    /// Changes the tree; folders made earlier stay as they are.
    #[refused(Retired, TooLarge, DuplicatePath, ParentMissing)]
    Revise {
        /// What people call it.
        name: FolderName,
        /// The subfolders.
        paths: Vec<TemplatePath>,
    },
    /// Ends that new folders are made from it.
    Retire {},
    /// Allows new folders to be made from it again.
    Reinstate {},
}

/// Why a folder template's command may be refused.
#[rejection("files.folder_template")]
pub enum FolderTemplateRejection {
    /// The template is retired; reinstate it first.
    Retired,
    /// A template has at most 200 subfolders, ten deep, and no empty path.
    #[invalid("/paths")]
    TooLarge,
    /// A path occurs twice.
    #[invalid("/paths")]
    DuplicatePath,
    /// A path's parent is missing; list parents before their children.
    #[invalid("/paths")]
    ParentMissing,
}

/// What is remembered of a folder template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FolderTemplate {
    name: String,
    paths: Vec<TemplatePath>,
    retired: Retirable,
}

impl FolderTemplate {
    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The subfolders; parents come before children.
    pub fn paths(&self) -> &[TemplatePath] {
        &self.paths
    }

    /// May no new folders be made from it?
    pub fn is_retired(&self) -> bool {
        self.retired.is_retired()
    }
}

impl Keyed for FolderTemplate {
    const KEY: &'static str = "files.folder_template.key";
}

impl Aggregate for FolderTemplate {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "files/folder-templates";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, name, paths } => {
                check(&paths)?;
                vec![E::Defined { key, name, paths }]
            }
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            _ if self.is_retired() => return Err(R::Retired),
            C::Revise { name, paths } if name.as_str() == self.name && paths == self.paths => vec![],
            C::Revise { name, paths } => {
                check(&paths)?;
                vec![E::Revised { name, paths }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key: _, name, paths } | E::Revised { name, paths } => {
                self.name = name.as_str().to_owned();
                self.paths = paths.clone();
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

fn check(paths: &[TemplatePath]) -> Result<(), R> {
    if paths.len() > PATHS_MAX || paths.iter().any(|path| path.is_empty() || path.len() > DEPTH_MAX) {
        return Err(R::TooLarge);
    }
    let mut seen: BTreeSet<&[FolderName]> = BTreeSet::new();
    // A tree refuses two names in one place that look the same, so a template does.
    let mut folded = BTreeSet::new();
    for path in paths {
        let lower: Vec<String> = path.iter().map(|name| name.folded()).collect();
        if !seen.insert(path) || !folded.insert(lower) {
            return Err(R::DuplicatePath);
        }
        let parent = &path[..path.len() - 1];
        if !parent.is_empty() && !seen.contains(parent) {
            return Err(R::ParentMissing);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Claim;
    use kernel::spec::given;

    fn path(names: &[&str]) -> TemplatePath {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn define(paths: Vec<TemplatePath>) -> C {
        C::Define { key: "onboarding".parse().unwrap(), name: "Onboarding".parse().unwrap(), paths }
    }

    #[test]
    fn a_template_claims_its_key() {
        let claims = given::<FolderTemplate>([]).when(define(vec![path(&["Contracts"])])).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("files.folder_template.key", "onboarding"))]);
    }

    #[test]
    fn a_child_without_its_parent_is_refused() {
        let orphan = define(vec![path(&["Contracts", "Drafts"])]);
        given::<FolderTemplate>([]).when(orphan).rejected("files.folder_template.parent_missing");
    }

    #[test]
    fn a_path_that_occurs_twice_is_refused() {
        let twice = define(vec![path(&["Contracts"]), path(&["Contracts"])]);
        given::<FolderTemplate>([]).when(twice).rejected("files.folder_template.duplicate_path");
        let in_case_only = define(vec![path(&["Contracts"]), path(&["contracts"])]);
        given::<FolderTemplate>([]).when(in_case_only).rejected("files.folder_template.duplicate_path");
    }

    #[test]
    fn a_retired_template_cannot_be_revised() {
        let revise = C::Revise { name: "Other".parse().unwrap(), paths: vec![] };
        given::<FolderTemplate>([E::Retired {}]).when(revise).rejected("files.folder_template.retired");
    }
}
