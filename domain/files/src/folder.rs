//! A folder: the root of a tree of folders, decided on as a whole.

use crate::FolderTemplate;
use files_events::{FolderEvent as E, FolderId, Subfolder, TemplatePath};
use kernel::{
    Aggregate, Archivable, ClientId, Context, Decision, Flag, FolderName, Imprint, Keyed, Machine, ProjectId,
    Reference, Resource, Scope, Slug, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use FolderCommand as C;
use FolderRejection as R;

/// Folders of one tree.
const FOLDERS_MAX: usize = 2_000;
/// What answers call a folder that was added.
const FOLDER_ID: &str = "folder_id";

/// What may be asked of a folder tree.
#[command("files.folder", member)]
pub enum FolderCommand {
    /// Makes an empty folder.
    #[creates]
    #[refused("crm.client.blocked")]
    Create {
        /// Its name.
        name: FolderName,
        /// Whose papers it holds.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// Which project's papers it holds.
        #[serde(default)]
        project_id: Option<ProjectId>,
    },
    /// Makes a folder with all the subfolders of a template.
    #[creates]
    #[makes("folder_ids")]
    #[refused(UnknownTemplate, TemplateRetired, "crm.client.blocked")]
    CreateFromTemplate {
        /// The template's key.
        template: Slug,
        /// Its name; the template's name unless given.
        #[serde(default)]
        name: Option<FolderName>,
        /// Whose papers it holds.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// Which project's papers it holds.
        #[serde(default)]
        project_id: Option<ProjectId>,
    },
    /// Puts a folder into the tree.
    #[makes("folder_id")]
    #[refused(Archived, UnknownParent, NameTaken, FolderExists, TooManyFolders, "crm.client.blocked")]
    AddSubfolder {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        folder_id: Option<FolderId>,
        /// The folder it lies in; the root unless given.
        #[serde(default)]
        parent_id: Option<FolderId>,
        /// Its name.
        name: FolderName,
    },
    /// Gives a folder of the tree, or its root, another name.
    #[refused(Archived, UnknownFolder, NameTaken)]
    Rename {
        /// Which one; the root unless given.
        #[serde(default)]
        folder_id: Option<FolderId>,
        /// Its new name.
        name: FolderName,
    },
    /// Moves a folder elsewhere in the tree.
    #[refused(Archived, UnknownFolder, UnknownParent, NameTaken, Cycle)]
    MoveSubfolder {
        /// Which one.
        folder_id: FolderId,
        /// The folder it shall lie in.
        parent_id: FolderId,
    },
    /// Takes the tree out of every list; nothing is deleted.
    Archive {},
    /// Puts the tree back into the lists.
    #[refused("crm.client.blocked")]
    Restore {},
}

/// Why a folder's command may be refused.
#[rejection("files.folder")]
pub enum FolderRejection {
    /// The folder is archived; restore it first.
    Archived,
    /// There is no folder template with this key.
    #[invalid("/template")]
    UnknownTemplate,
    /// The folder template is retired.
    TemplateRetired,
    /// The tree has no such folder.
    #[invalid("/folder_id")]
    UnknownFolder,
    /// The tree has no such folder to put it into.
    #[invalid("/parent_id")]
    UnknownParent,
    /// A folder of this name lies there already.
    NameTaken,
    /// A folder cannot lie inside itself.
    #[invalid("/parent_id")]
    Cycle,
    /// The tree has another folder with this id, or it was added with something else.
    FolderExists,
    /// A tree has at most 2,000 folders.
    TooManyFolders,
}

/// What is remembered of a folder tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Folder {
    name: String,
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    /// Every subfolder: its parent and its name. The root is not among them.
    subfolders: BTreeMap<FolderId, (FolderId, String)>,
    /// What each of them was made with.
    made_with: BTreeMap<FolderId, Imprint>,
    archived: Archivable,
}

impl Aggregate for Folder {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "files/folders";
    const STATE_VERSION: i32 = 3;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        resources(self.client_id, self.project_id).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, project_id, .. } | C::CreateFromTemplate { client_id, project_id, .. } => {
                Scope::begins_in(resources(*client_id, *project_id))
            }
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::CreateFromTemplate { template, .. } => {
                vec![FolderTemplate::by_key(template)]
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let root = FolderId(ctx.id);
        Ok(match command {
            C::Create { name, client_id, project_id } => {
                let name = name.into();
                vec![E::Created { name, client_id, project_id, template: None, subfolders: vec![] }]
            }
            C::CreateFromTemplate { template, name, client_id, project_id } => {
                let (_, found) = FolderTemplate::with_key(&template, ctx).ok_or(R::UnknownTemplate)?;
                if found.is_retired() {
                    return Err(R::TemplateRetired);
                }
                let name = match name {
                    Some(name) => name,
                    None => found.name().parse().map_err(|_| R::UnknownTemplate)?,
                };
                let (name, subfolders) = (name.into(), plant(found.paths(), root, ctx));
                vec![E::Created { name, client_id, project_id, template: Some(template), subfolders }]
            }
            C::AddSubfolder { folder_id: Some(id), parent_id, name }
                if id == root || self.subfolders.contains_key(&id) =>
            {
                let id = ctx.part(FOLDER_ID, Some(id));
                let again = Subfolder { id, parent_id: parent_id.unwrap_or(root), name };
                match self.made_with.get(&id) {
                    Some(there) if *there == Imprint::of(&again) => vec![],
                    _ => return Err(R::FolderExists),
                }
            }
            C::Archive {} => self.archived.archive(),
            C::Restore {} => self.archived.restore(),
            _ if self.archived.is_archived() => return Err(R::Archived),
            C::AddSubfolder { folder_id, parent_id, name } => {
                let parent_id = parent_id.unwrap_or(root);
                self.check_place(root, parent_id, &name, None)?;
                if self.subfolders.len() >= FOLDERS_MAX {
                    return Err(R::TooManyFolders);
                }
                let id = ctx.part(FOLDER_ID, folder_id);
                vec![E::SubfolderAdded { subfolder: Subfolder { id, parent_id, name } }]
            }
            C::Rename { folder_id, name } => return self.rename(root, folder_id.unwrap_or(root), name),
            C::MoveSubfolder { folder_id, parent_id } => return self.relocate(root, folder_id, parent_id),
        })
    }

    fn apply(&mut self, event: &E) {
        self.archived = self.archived.after(event);
        match event {
            E::Created { name, client_id, project_id, subfolders, template: _ } => {
                self.name = name.text().to_owned();
                (self.client_id, self.project_id) = (*client_id, *project_id);
                subfolders.iter().for_each(|subfolder| self.add(subfolder));
            }
            E::SubfolderAdded { subfolder } => self.add(subfolder),
            E::Renamed { folder_id, name } => match self.subfolders.get_mut(folder_id) {
                Some((_, old)) => *old = name.text().to_owned(),
                None => self.name = name.text().to_owned(),
            },
            E::SubfolderMoved { folder_id, parent_id } => {
                if let Some((old, _)) = self.subfolders.get_mut(folder_id) {
                    *old = *parent_id;
                }
            }
            E::Archived {} | E::Restored {} => {}
        }
    }

    /// For a blocked client no folder is made or brought back.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => *client_id,
            E::SubfolderAdded { .. } | E::Restored {} => self.client_id,
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

impl Folder {
    /// Whose papers the tree holds.
    pub(crate) fn whose(&self) -> (Option<ClientId>, Option<ProjectId>) {
        (self.client_id, self.project_id)
    }

    /// Is this one of its subfolders?
    pub(crate) fn has(&self, folder: FolderId) -> bool {
        self.subfolders.contains_key(&folder)
    }

    /// Was the tree taken out of every list?
    pub(crate) fn is_archived(&self) -> bool {
        self.archived.is_archived()
    }

    fn add(&mut self, subfolder: &Subfolder) {
        let placed = (subfolder.parent_id, subfolder.name.as_str().to_owned());
        self.subfolders.insert(subfolder.id, placed);
        self.made_with.insert(subfolder.id, Imprint::of(subfolder));
    }

    /// May a folder called `name` lie in `parent`? `itself` is not in its own way.
    fn check_place(
        &self,
        root: FolderId,
        parent: FolderId,
        name: &FolderName,
        itself: Option<FolderId>,
    ) -> Result<(), R> {
        if parent != root && !self.subfolders.contains_key(&parent) {
            return Err(R::UnknownParent);
        }
        let taken = self.subfolders.iter().any(|(id, (p, n))| {
            *p == parent && Some(*id) != itself && n.parse::<FolderName>().is_ok_and(|n| n.folded() == name.folded())
        });
        if taken { Err(R::NameTaken) } else { Ok(()) }
    }

    fn rename(&self, root: FolderId, folder_id: FolderId, name: FolderName) -> Decision<Self> {
        let old = match self.subfolders.get(&folder_id) {
            Some((parent, old)) => {
                self.check_place(root, *parent, &name, Some(folder_id))?;
                old
            }
            None if folder_id == root => &self.name,
            None => return Err(R::UnknownFolder),
        };
        if old == name.as_str() { Ok(vec![]) } else { Ok(vec![E::Renamed { folder_id, name: name.into() }]) }
    }

    fn relocate(&self, root: FolderId, folder_id: FolderId, parent_id: FolderId) -> Decision<Self> {
        let Some((parent, name)) = self.subfolders.get(&folder_id) else { return Err(R::UnknownFolder) };
        if *parent == parent_id {
            return Ok(vec![]);
        }
        let mut above = Some(parent_id);
        while let Some(id) = above {
            if id == folder_id {
                return Err(R::Cycle);
            }
            above = self.subfolders.get(&id).map(|(parent, _)| *parent);
        }
        let name = name.parse().map_err(|_| R::UnknownFolder)?;
        self.check_place(root, parent_id, &name, Some(folder_id))?;
        Ok(vec![E::SubfolderMoved { folder_id, parent_id }])
    }
}

/// The client and the project, those that there are.
fn resources(client: Option<ClientId>, project: Option<ProjectId>) -> impl Iterator<Item = Resource> {
    client.map(Resource::from).into_iter().chain(project.map(Resource::from))
}

/// Fresh folders for every path of a template.
fn plant(paths: &[TemplatePath], root: FolderId, ctx: &Context) -> Vec<Subfolder> {
    let mut planted: BTreeMap<&[FolderName], FolderId> = BTreeMap::new();
    ctx.begin_parts("folder_ids");
    let mut subfolders = vec![];
    for path in paths {
        let Some((name, parent)) = path.split_last() else { continue };
        let id = ctx.part_of("folder_ids");
        let parent_id = planted.get(parent).copied().unwrap_or(root);
        planted.insert(path, id);
        subfolders.push(Subfolder { id, parent_id, name: name.clone() });
    }
    subfolders
}

#[cfg(test)]
mod tests {
    use super::*;
    use files_events::FolderTemplateEvent;
    use kernel::spec::given;

    fn id(n: u128) -> FolderId {
        FolderId(Uuid::from_u128(n))
    }

    fn name(text: &str) -> FolderName {
        text.parse().unwrap()
    }

    fn tree() -> E {
        let folder = |n, parent, text| Subfolder { id: id(n), parent_id: id(parent), name: name(text) };
        let subfolders = vec![folder(10, 3, "Contracts"), folder(11, 10, "Drafts"), folder(12, 3, "Invoices")];
        E::Created { name: name("Ada").into(), client_id: None, project_id: None, template: None, subfolders }
    }

    fn from_template() -> C {
        let template = "onboarding".parse().unwrap();
        C::CreateFromTemplate { template, name: None, client_id: None, project_id: None }
    }

    fn template(retired: bool) -> FolderTemplate {
        let mut template = FolderTemplate::default();
        let paths = vec![vec![name("Contracts")], vec![name("Contracts"), name("Drafts")]];
        let defined =
            FolderTemplateEvent::Defined { key: "onboarding".parse().unwrap(), name: name("Onboarding"), paths };
        template.apply(&defined);
        if retired {
            template.apply(&FolderTemplateEvent::Retired {});
        }
        template
    }

    #[test]
    fn a_template_becomes_a_tree_with_fresh_ids() {
        let reference = Folder::default().references(&from_template()).remove(0);
        let when = given::<Folder>([]).knowing(reference, Uuid::from_u128(99), template(false)).when(from_template());
        match when.events() {
            [E::Created { name, subfolders, .. }] => {
                assert_eq!(name.text(), "Onboarding");
                assert_eq!(subfolders.len(), 2);
                assert_eq!(subfolders[0].parent_id, id(3));
                assert_eq!(subfolders[1].parent_id, subfolders[0].id);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_or_retired_template_is_refused() {
        given::<Folder>([]).when(from_template()).rejected("files.folder.unknown_template");
        let reference = Folder::default().references(&from_template()).remove(0);
        let retired = given::<Folder>([]).knowing(reference, Uuid::from_u128(99), template(true));
        retired.when(from_template()).rejected("files.folder.template_retired");
    }

    #[test]
    fn a_folder_cannot_lie_inside_itself() {
        let swallow = C::MoveSubfolder { folder_id: id(10), parent_id: id(11) };
        given::<Folder>([tree()]).when(swallow).rejected("files.folder.cycle");
    }

    #[test]
    fn two_folders_of_one_name_cannot_lie_in_one_place() {
        let add = C::AddSubfolder { folder_id: None, parent_id: None, name: name("invoices") };
        given::<Folder>([tree()]).when(add).rejected("files.folder.name_taken");
        let elsewhere = C::AddSubfolder { folder_id: None, parent_id: Some(id(10)), name: name("Invoices") };
        assert_eq!(given::<Folder>([tree()]).when(elsewhere).events().len(), 1);
    }

    #[test]
    fn root_and_subfolders_can_be_renamed() {
        let root = C::Rename { folder_id: None, name: name("Countess") };
        given::<Folder>([tree()]).when(root).then([E::Renamed { folder_id: id(3), name: name("Countess").into() }]);
        let unknown = C::Rename { folder_id: Some(id(77)), name: name("x") };
        given::<Folder>([tree()]).when(unknown).rejected("files.folder.unknown_folder");
    }

    #[test]
    fn an_archived_tree_takes_no_new_folder() {
        let add = C::AddSubfolder { folder_id: None, parent_id: None, name: name("New") };
        given::<Folder>([tree(), E::Archived {}]).when(add).rejected("files.folder.archived");
    }
}
