//! A file: its versions, the uploads that bring them, and where it lies.

use crate::Folder;
use files_events::{
    Announced, FileEvent as E, FileSize, FileStatus, FileVersionId, FolderId, PartSize, RejectReason, UploadId,
    UploadPlace, UploadStatus,
};
use kernel::{
    Aggregate, Checksum, Claim, ClaimChange, ClientId, Context, Decision, FileName, Flag, Imprint, Machine, MediaType,
    Name, ProjectId, Reference, Resource, Scope, Text, Timestamp, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

use FileCommand as C;
use FileRejection as R;

/// How long the bytes of an upload may come.
pub const UPLOAD_LASTS: Duration = Duration::from_secs(24 * 3_600);
/// Bytes that S3 takes in one piece.
const PIECE_MAX: u64 = 5 << 30;
/// Parts of an upload; each is a URL of the answer.
const PARTS_MAX: u64 = 1_000;
/// Uploads of one file, those that came to nothing included.
const UPLOADS_MAX: usize = 1_000;
/// Uploads of one file that are on their way.
const OPEN_MAX: usize = 10;
/// What answers call an upload that was begun.
const UPLOAD_ID: &str = "upload_id";
/// Which file has the upload with this id.
const UPLOAD_CLAIM: &str = "files.file.upload_id";

/// What may be asked of a file.
#[command("files.file", member)]
pub enum FileCommand {
    /// Begins a file and announces the bytes of its first version; the answer says where to send them.
    #[creates]
    #[makes("upload_id")]
    #[tells("upload", UploadPlace)]
    #[refused(
        NotInOnePiece,
        WrongPartSize,
        UnknownFolder,
        UnknownSubfolder,
        FolderArchived,
        FolderElsewhere,
        "upload_id.taken",
        "crm.client.blocked"
    )]
    BeginUpload {
        /// What the file is called.
        name: FileName,
        /// How many bytes will come.
        size: FileSize,
        /// What they are.
        content_type: MediaType,
        /// What they hash to.
        sha256: Checksum,
        /// Bytes of each part but the last; in one piece unless given.
        #[serde(default)]
        part_size: Option<PartSize>,
        /// The tree of folders to put it into, by its root.
        #[serde(default)]
        folder_id: Option<FolderId>,
        /// The folder of that tree; the root unless given.
        #[serde(default)]
        subfolder_id: Option<FolderId>,
        /// Whose it is; the folder's client unless given.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// Which project's it is; the folder's unless client or project are given.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// The id that the upload shall have; a fresh one unless given.
        #[serde(default)]
        upload_id: Option<UploadId>,
    },
    /// Announces the bytes of one more version; the answer says where to send them.
    #[makes("upload_id")]
    #[tells("upload", UploadPlace)]
    #[refused(
        NotInOnePiece,
        WrongPartSize,
        Deleted,
        UploadExists,
        TooManyUploads,
        "upload_id.taken",
        "crm.client.blocked"
    )]
    AddVersion {
        /// How many bytes will come.
        size: FileSize,
        /// What they are.
        content_type: MediaType,
        /// What they hash to.
        sha256: Checksum,
        /// Bytes of each part but the last; in one piece unless given.
        #[serde(default)]
        part_size: Option<PartSize>,
        /// The id that the upload shall have, so that a repeat begins no other; a fresh one unless given.
        #[serde(default)]
        upload_id: Option<UploadId>,
    },
    /// Notes what the store calls an upload in parts.
    #[refused(SystemOnly, UnknownUpload, UploadClosed, UploadExpired, NotInParts, AlreadyPrepared)]
    PrepareUpload {
        /// Which upload.
        upload_id: UploadId,
        /// What the store calls it.
        store_upload: Text,
    },
    /// Says that all bytes are at the store; they are inspected, and a version from then on.
    #[refused(UnknownUpload, UploadClosed, UploadExpired, NotPrepared, WrongParts)]
    CompleteUpload {
        /// Which upload.
        upload_id: UploadId,
        /// The `ETag` that the store answered to each part, in order; none if it came in one piece.
        #[serde(default)]
        etags: Vec<Name>,
    },
    /// Gives an upload up.
    #[refused(UnknownUpload, UploadClosed)]
    AbortUpload {
        /// Which upload.
        upload_id: UploadId,
    },
    /// Gives an upload up that was not completed in time.
    #[refused(SystemOnly, UnknownUpload, UploadClosed, NotExpired)]
    ExpireUpload {
        /// Which upload.
        upload_id: UploadId,
    },
    /// Makes a version of bytes that were inspected.
    #[refused(SystemOnly, UnknownUpload, NotInQuarantine)]
    AcceptUpload {
        /// Which upload.
        upload_id: UploadId,
    },
    /// Notes that bytes are not what was announced.
    #[refused(SystemOnly, UnknownUpload, NotInQuarantine)]
    RejectUpload {
        /// Which upload.
        upload_id: UploadId,
        /// Why.
        reason: RejectReason,
        /// The same in words.
        detail: Text,
    },
    /// Notes that something harmful was found in bytes.
    #[refused(SystemOnly, UnknownUpload, NotInQuarantine)]
    NoteInfected {
        /// Which upload.
        upload_id: UploadId,
        /// What the scanner calls it.
        signature: Text,
    },
    /// Gives the file another name.
    #[refused(NoVersion, Deleted)]
    Rename {
        /// Its new name.
        name: FileName,
    },
    /// Puts the file into another folder of the same client or project, or into none.
    #[refused(NoVersion, Deleted, UnknownFolder, UnknownSubfolder, FolderArchived, FolderElsewhere)]
    Move {
        /// The tree of folders, by its root; none takes the file out of its folder.
        #[serde(default)]
        folder_id: Option<FolderId>,
        /// The folder of that tree; the root unless given.
        #[serde(default)]
        subfolder_id: Option<FolderId>,
    },
    /// Makes the file a project's too.
    #[refused(NoVersion, Deleted, AttachedElsewhere, "crm.client.blocked")]
    Attach {
        /// Which project's.
        project_id: ProjectId,
    },
    /// Takes the file out of every list; its bytes are kept.
    #[refused(NoVersion)]
    Delete {},
    /// Puts the file back.
    #[refused(NoVersion, "crm.client.blocked")]
    Restore {},
}

/// Why a file's command may be refused.
#[rejection("files.file")]
pub enum FileRejection {
    /// More than 5 GiB come in parts.
    #[invalid("/part_size")]
    NotInOnePiece,
    /// There are at most 1,000 parts.
    #[invalid("/part_size")]
    WrongPartSize,
    /// There is no such folder.
    #[invalid("/folder_id")]
    UnknownFolder,
    /// The tree has no such folder.
    #[invalid("/subfolder_id")]
    UnknownSubfolder,
    /// The folder is archived.
    FolderArchived,
    /// The folder is not of the file's client or project.
    #[invalid("/folder_id")]
    FolderElsewhere,
    /// The file is deleted; restore it first.
    Deleted,
    /// No version of the file is there yet.
    NoVersion,
    /// The file has another upload with this id, or it was begun with something else.
    UploadExists,
    /// A file has at most 1,000 uploads, and 10 of them on their way.
    TooManyUploads,
    /// The file has no such upload.
    #[invalid("/upload_id")]
    UnknownUpload,
    /// The upload was given up, or its bytes were not what was announced; begin another.
    UploadClosed,
    /// The upload was not completed within 24 hours; begin another.
    UploadExpired,
    /// The upload's time is not over.
    NotExpired,
    /// The upload comes in one piece.
    NotInParts,
    /// The store calls the upload something else.
    AlreadyPrepared,
    /// The store expects no parts yet; ask again where to send them.
    NotPrepared,
    /// An upload in parts has an `ETag` for each of them, one in one piece has none.
    #[invalid("/etags")]
    WrongParts,
    /// The upload is not waiting to be inspected.
    NotInQuarantine,
    /// The file is another project's.
    AttachedElsewhere,
    /// Only whoever keeps and inspects the bytes may say so.
    #[audited]
    SystemOnly,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Upload {
    announced: Announced,
    store_upload: Option<String>,
    status: UploadStatus,
    expires_at: Timestamp,
}

/// What is remembered of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    name: String,
    folder: Option<Place>,
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    status: FileStatus,
    uploads: BTreeMap<UploadId, Upload>,
    /// The versions, the current one last.
    versions: Vec<FileVersionId>,
}

/// A folder of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    tree: FolderId,
    folder: Option<FolderId>,
}

/// An upload as whoever says where its bytes go sees it.
#[derive(Debug, Clone, Copy)]
pub struct UploadSeen<'f> {
    /// What was announced.
    pub announced: &'f Announced,
    /// What the store calls it, if it comes in parts and the store expects them.
    pub store_upload: Option<&'f str>,
    /// Where it stands.
    pub status: UploadStatus,
    /// When it is given up.
    pub expires_at: Timestamp,
}

impl File {
    /// One of its uploads.
    pub fn upload(&self, id: UploadId) -> Option<UploadSeen<'_>> {
        self.uploads.get(&id).map(|upload| UploadSeen {
            announced: &upload.announced,
            store_upload: upload.store_upload.as_deref(),
            status: upload.status,
            expires_at: upload.expires_at,
        })
    }

    /// Can it be downloaded?
    pub fn is_available(&self) -> bool {
        self.status == FileStatus::Available
    }

    /// Are bytes on their way that may become a version, or wait to be inspected?
    pub fn is_awaited(&self) -> bool {
        self.uploads.values().any(|upload| upload.status.is_open() || upload.status == UploadStatus::Completed)
    }

    /// Its current version, and what it is; none while there is none.
    pub fn current(&self) -> Option<(FileVersionId, &Announced)> {
        let version = *self.versions.last()?;
        Some((version, &self.uploads.get(&UploadId(version.0))?.announced))
    }

    /// Which project's it is.
    pub fn project_id(&self) -> Option<ProjectId> {
        self.project_id
    }

    /// Whose it is.
    pub fn client_id(&self) -> Option<ClientId> {
        self.client_id
    }
}

impl Aggregate for File {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "files/files";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        resources(self.client_id, self.project_id).collect()
    }

    /// Whoever may not put something everywhere says whose it is.
    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::BeginUpload { client_id, project_id, .. } => Scope::begins_in(resources(*client_id, *project_id)),
            C::Attach { project_id } => Scope::of(self.belongs_to(id)).naming([(*project_id).into()]),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::BeginUpload { folder_id: Some(tree), .. } | C::Move { folder_id: Some(tree), .. } => {
                vec![Reference::id::<Folder>(*tree)]
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        if is_of_the_system(&command) && !ctx.actor.is_system() {
            return Err(R::SystemOnly);
        }
        match command {
            C::BeginUpload {
                name,
                size,
                content_type,
                sha256,
                part_size,
                folder_id,
                subfolder_id,
                client_id,
                project_id,
                upload_id,
            } => {
                let announced = checked(size, content_type, sha256, part_size)?;
                let named = (client_id, project_id);
                let (client_id, project_id) = whose(folder_id, subfolder_id, named, ctx)?;
                let upload_id = ctx.part(UPLOAD_ID, upload_id);
                let created = E::Created { name: name.into(), folder_id, subfolder_id, client_id, project_id };
                Ok(vec![created, begun(upload_id, announced, ctx)])
            }
            C::AddVersion { size, content_type, sha256, part_size, upload_id } => {
                let announced = checked(size, content_type, sha256, part_size)?;
                self.add_version(announced, upload_id, ctx)
            }
            C::PrepareUpload { upload_id, .. }
            | C::CompleteUpload { upload_id, .. }
            | C::AbortUpload { upload_id }
            | C::ExpireUpload { upload_id }
            | C::AcceptUpload { upload_id }
            | C::RejectUpload { upload_id, .. }
            | C::NoteInfected { upload_id, .. } => {
                let upload = self.uploads.get(&upload_id).ok_or(R::UnknownUpload)?;
                self.on_upload(upload_id, upload, command, ctx)
            }
            _ if self.status == FileStatus::Pending => Err(R::NoVersion),
            C::Delete {} if self.status == FileStatus::Deleted => Ok(vec![]),
            C::Delete {} => Ok(vec![E::Deleted {}]),
            C::Restore {} if self.status == FileStatus::Available => Ok(vec![]),
            C::Restore {} => Ok(vec![E::Restored {}]),
            _ if self.status == FileStatus::Deleted => Err(R::Deleted),
            C::Rename { name } if name.as_str() == self.name => Ok(vec![]),
            C::Rename { name } => Ok(vec![E::Renamed { name: name.into() }]),
            C::Move { folder_id, subfolder_id } => self.relocate(folder_id, subfolder_id, ctx),
            C::Attach { project_id } => match self.project_id {
                Some(there) if there == project_id => Ok(vec![]),
                Some(_) => Err(R::AttachedElsewhere),
                None => Ok(vec![E::Attached { project_id, version_ids: self.versions.clone() }]),
            },
        }
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { name, folder_id, subfolder_id, client_id, project_id } => {
                self.name = name.text().to_owned();
                self.folder = place(*folder_id, *subfolder_id);
                (self.client_id, self.project_id) = (*client_id, *project_id);
            }
            E::UploadBegun { upload_id, announced, expires_at } => {
                let status = UploadStatus::default();
                let upload =
                    Upload { announced: announced.clone(), store_upload: None, status, expires_at: *expires_at };
                self.uploads.insert(*upload_id, upload);
            }
            E::UploadPrepared { upload_id, store_upload } => {
                self.follow(*upload_id, event);
                if let Some(upload) = self.uploads.get_mut(upload_id) {
                    upload.store_upload = Some(store_upload.clone());
                }
            }
            E::UploadCompleted { upload_id, .. }
            | E::UploadAccepted { upload_id }
            | E::UploadRejected { upload_id, .. }
            | E::UploadInfected { upload_id, .. }
            | E::UploadAborted { upload_id, .. }
            | E::UploadExpired { upload_id, .. } => self.follow(*upload_id, event),
            E::VersionAdded { version_id, .. } => self.versions.push(*version_id),
            E::Renamed { name } => self.name = name.text().to_owned(),
            E::Moved { folder_id, subfolder_id } => self.folder = place(*folder_id, *subfolder_id),
            E::Attached { project_id, .. } => self.project_id = Some(*project_id),
            E::Deleted {} | E::Restored {} => {}
        }
    }

    /// The id of an upload is its own among all files of the firm; who chooses one may choose badly.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::UploadBegun { upload_id, .. } => {
                vec![ClaimChange::Take(Claim::new(UPLOAD_CLAIM, upload_id.to_string()))]
            }
            _ => vec![],
        }
    }

    /// For a blocked client nothing is begun; what was begun may be finished or given up.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => *client_id,
            E::UploadBegun { .. } | E::Attached { .. } | E::Restored {} => self.client_id,
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

impl File {
    fn follow(&mut self, id: UploadId, event: &E) {
        if let Some(upload) = self.uploads.get_mut(&id) {
            upload.status = upload.status.after(event);
        }
    }

    fn add_version(&self, announced: Announced, chosen: Option<UploadId>, ctx: &Context) -> Decision<Self> {
        if let Some((id, there)) = chosen.and_then(|id| self.uploads.get_key_value(&id)) {
            ctx.part(UPLOAD_ID, Some(*id));
            let is_same = Imprint::of(&there.announced) == Imprint::of(&announced);
            return if is_same { Ok(vec![]) } else { Err(R::UploadExists) };
        }
        if self.status == FileStatus::Deleted {
            return Err(R::Deleted);
        }
        let open = self.uploads.values().filter(|upload| upload.status.is_open()).count();
        if self.uploads.len() >= UPLOADS_MAX || open >= OPEN_MAX {
            return Err(R::TooManyUploads);
        }
        Ok(vec![begun(ctx.part(UPLOAD_ID, chosen), announced, ctx)])
    }

    fn on_upload(&self, upload_id: UploadId, upload: &Upload, command: C, ctx: &Context) -> Decision<Self> {
        use UploadStatus as S;
        let (status, store_upload) = (upload.status, upload.store_upload.clone());
        let is_over = upload.expires_at <= ctx.now;
        Ok(match command {
            C::PrepareUpload { .. } if upload.announced.part_size.is_none() => return Err(R::NotInParts),
            C::PrepareUpload { store_upload: new, .. } if store_upload.is_some() => {
                return if store_upload.as_deref() == Some(new.as_str()) {
                    Ok(vec![])
                } else {
                    Err(R::AlreadyPrepared)
                };
            }
            C::CompleteUpload { .. } if matches!(status, S::Completed | S::Accepted) => vec![],
            C::AbortUpload { .. } if status == S::Aborted => vec![],
            C::ExpireUpload { .. } if status == S::Expired => vec![],
            C::AcceptUpload { .. } if status == S::Accepted => vec![],
            C::RejectUpload { .. } if status == S::Rejected => vec![],
            C::NoteInfected { .. } if status == S::Infected => vec![],
            C::AcceptUpload { .. } | C::RejectUpload { .. } | C::NoteInfected { .. } if status != S::Completed => {
                return Err(R::NotInQuarantine);
            }
            C::AcceptUpload { .. } => self.accept(upload_id, upload),
            C::RejectUpload { reason, detail, .. } => vec![E::UploadRejected { upload_id, reason, detail }],
            C::NoteInfected { signature, .. } => vec![E::UploadInfected { upload_id, signature }],
            C::PrepareUpload { .. } | C::CompleteUpload { .. } if status == S::Expired => {
                return Err(R::UploadExpired);
            }
            _ if !status.is_open() => return Err(R::UploadClosed),
            C::AbortUpload { .. } => vec![E::UploadAborted { upload_id, store_upload }],
            C::ExpireUpload { .. } if !is_over => return Err(R::NotExpired),
            C::ExpireUpload { .. } => vec![E::UploadExpired { upload_id, store_upload }],
            C::PrepareUpload { .. } | C::CompleteUpload { .. } if is_over => return Err(R::UploadExpired),
            C::PrepareUpload { store_upload, .. } => {
                vec![E::UploadPrepared { upload_id, store_upload: store_upload.as_str().to_owned() }]
            }
            C::CompleteUpload { etags, .. } => {
                let parts = upload.announced.parts();
                if parts.is_some() && store_upload.is_none() {
                    return Err(R::NotPrepared);
                }
                if u64::try_from(etags.len()) != Ok(parts.unwrap_or(0)) {
                    return Err(R::WrongParts);
                }
                let etags = etags.iter().map(|etag| etag.as_str().to_owned()).collect();
                vec![E::UploadCompleted { upload_id, announced: upload.announced.clone(), store_upload, etags }]
            }
            _ => vec![],
        })
    }

    fn accept(&self, upload_id: UploadId, upload: &Upload) -> Vec<E> {
        let Announced { size, content_type, sha256, .. } = upload.announced.clone();
        let number = u32::try_from(self.versions.len()).unwrap_or(u32::MAX).saturating_add(1);
        let added = E::VersionAdded {
            version_id: FileVersionId(upload_id.0),
            number,
            // None is left of one that was erased meanwhile.
            name: self.name.parse().unwrap_or_default(),
            size,
            content_type,
            sha256,
            folder_id: self.folder.map(|place| place.tree),
            subfolder_id: self.folder.and_then(|place| place.folder),
            client_id: self.client_id,
            project_id: self.project_id,
        };
        vec![E::UploadAccepted { upload_id }, added]
    }

    fn relocate(&self, tree: Option<FolderId>, folder: Option<FolderId>, ctx: &Context) -> Decision<Self> {
        let wanted = place(tree, folder);
        if tree.is_none() && folder.is_some() {
            return Err(R::UnknownSubfolder);
        }
        if wanted == self.folder {
            return Ok(vec![]);
        }
        let own = (self.client_id, self.project_id);
        let found = whose(tree, folder, own, ctx)?;
        // It would be somebody else's there: of whoever owns the folder, if the file is nobody's.
        if found != own {
            return Err(R::FolderElsewhere);
        }
        Ok(vec![E::Moved { folder_id: tree, subfolder_id: folder }])
    }
}

/// What only those say who keep and inspect the bytes.
fn is_of_the_system(command: &C) -> bool {
    matches!(
        command,
        C::PrepareUpload { .. }
            | C::ExpireUpload { .. }
            | C::AcceptUpload { .. }
            | C::RejectUpload { .. }
            | C::NoteInfected { .. }
    )
}

/// Can so many bytes come in such parts?
fn checked(size: FileSize, content_type: MediaType, sha256: Checksum, part: Option<PartSize>) -> Result<Announced, R> {
    let announced = Announced { size: size.0, content_type, sha256, part_size: part.map(|PartSize(part)| part) };
    match announced.parts() {
        None if announced.size > PIECE_MAX => Err(R::NotInOnePiece),
        Some(parts) if parts > PARTS_MAX => Err(R::WrongPartSize),
        _ => Ok(announced),
    }
}

fn begun(upload_id: UploadId, announced: Announced, ctx: &Context) -> E {
    let lasts = chrono::TimeDelta::from_std(UPLOAD_LASTS).unwrap_or_default();
    E::UploadBegun { upload_id, announced, expires_at: ctx.now.checked_add(lasts).unwrap_or(ctx.now) }
}

/// The client and the project of a file that names these and lies there: the folder's if it names none. A folder of somebody is
/// for that client's or that project's files, any other for those of nobody.
fn whose(
    tree: Option<FolderId>,
    folder: Option<FolderId>,
    named: (Option<ClientId>, Option<ProjectId>),
    ctx: &Context,
) -> Result<(Option<ClientId>, Option<ProjectId>), R> {
    let Some(tree) = tree else {
        return if folder.is_some() { Err(R::UnknownSubfolder) } else { Ok(named) };
    };
    let found = ctx.referenced::<Folder>(tree).ok_or(R::UnknownFolder)?;
    if folder.is_some_and(|folder| folder != tree && !found.has(folder)) {
        return Err(R::UnknownSubfolder);
    }
    if found.is_archived() {
        return Err(R::FolderArchived);
    }
    let its = found.whose();
    if named == (None, None) {
        return Ok(its);
    }
    fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
        one.is_some() && other.is_some() && one != other
    }
    let shares = named.0.is_some() && named.0 == its.0 || named.1.is_some() && named.1 == its.1;
    if !shares || differ(named.0, its.0) || differ(named.1, its.1) {
        return Err(R::FolderElsewhere);
    }
    Ok(named)
}

fn place(tree: Option<FolderId>, folder: Option<FolderId>) -> Option<Place> {
    tree.map(|tree| Place { tree, folder: folder.filter(|folder| *folder != tree) })
}

/// The client and the project, those that there are.
fn resources(client: Option<ClientId>, project: Option<ProjectId>) -> impl Iterator<Item = Resource> {
    client.map(Resource::from).into_iter().chain(project.map(Resource::from))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
