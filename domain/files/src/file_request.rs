//! A request for files: what a client is asked for, what was handed in, and whether it will do.

use crate::{File, Folder};
use files_events::{
    FileRequestEvent as E, FileRequestStatus as Status, FolderId, RequestItem, RequestItemId, RequestItemStatus,
    SubmittedFile,
};
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, ClientId, Context, Date, Decision, FileId, Flag, Imprint, Input, Machine,
    Name, ProjectId, Reference, Resource, Scope, Text, UserId, command, rejection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use FileRequestCommand as C;
use FileRequestRejection as R;

/// Items of one request.
const ITEMS_MAX: usize = 100;
/// What answers call an item that was added.
const ITEM_ID: &str = "request_item_id";
/// What answers call the items that a request began with.
const ITEM_IDS: &str = "request_item_ids";
/// Which request has the item with this id.
const ITEM_CLAIM: &str = "files.file_request.request_item_id";

/// One thing to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Input)]
pub struct WantedItem {
    /// What it is called.
    pub name: Name,
    /// What exactly is wanted.
    #[serde(default)]
    pub description: Option<Text>,
    /// May it be left out? No unless given.
    #[serde(default)]
    pub optional: Option<bool>,
}

impl WantedItem {
    fn with_id(self, id: RequestItemId) -> RequestItem {
        let required = !self.optional.unwrap_or(false);
        RequestItem { id, name: self.name, description: self.description, required }
    }
}

/// What may be asked of a request for files.
#[command("files.file_request", member)]
pub enum FileRequestCommand {
    /// Begins a request; the client does not know of it yet.
    #[creates]
    #[makes("request_item_ids")]
    #[refused(TooManyItems, UnknownFolder, FolderElsewhere, "crm.client.blocked")]
    Create {
        /// What it is called.
        title: Name,
        /// Who is asked.
        client_id: ClientId,
        /// For which project.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// The tree of folders that the files are for, by its root.
        #[serde(default)]
        folder_id: Option<FolderId>,
        /// What is said to the client.
        #[serde(default)]
        message: Option<Text>,
        /// The last day on which it is in time.
        #[serde(default)]
        due_on: Option<Date>,
        /// What is requested.
        #[serde(default)]
        items: Vec<WantedItem>,
    },
    /// Asks for one thing more.
    #[makes("request_item_id")]
    #[refused(Over, ItemExists, TooManyItems, "request_item_id.taken", "crm.client.blocked")]
    AddItem {
        /// The id that it shall have, so that a repeat adds no other; a fresh one unless given.
        #[serde(default)]
        request_item_id: Option<RequestItemId>,
        /// What it is called.
        name: Name,
        /// What exactly is wanted.
        #[serde(default)]
        description: Option<Text>,
        /// May it be left out? No unless given.
        #[serde(default)]
        optional: Option<bool>,
    },
    /// Asks the client.
    #[refused(Over, NoItems, PastDue, "crm.client.blocked")]
    Send {},
    /// Hands a file in for an item; the file is the client's, and was uploaded before.
    #[refused(NotSent, Over, UnknownItem, ItemAccepted, UnknownFile, FileNotAvailable, FileElsewhere)]
    SubmitItem {
        /// For which item.
        request_item_id: RequestItemId,
        /// Which file.
        file_id: FileId,
    },
    /// Notes that what was handed in will do.
    #[refused(NotSent, Over, UnknownItem, NothingSubmitted)]
    AcceptItem {
        /// For which item.
        request_item_id: RequestItemId,
    },
    /// Notes that what was handed in will not do; another file may be handed in.
    #[refused(NotSent, Over, UnknownItem, NothingSubmitted)]
    RejectItem {
        /// For which item.
        request_item_id: RequestItemId,
        /// Why, for the client.
        reason: Text,
    },
    /// Says by when it is due.
    #[refused(Over, PastDue)]
    ChangeDueDate {
        /// The last day on which it is in time; none if there is none.
        #[serde(default)]
        due_on: Option<Date>,
    },
    /// Asks the client once more for what is still waited for.
    #[refused(NotSent, Over, NothingWaitedFor)]
    Remind {},
    /// Notes that it is done with, whatever was handed in.
    #[refused(NotSent, Over)]
    Close {},
    /// Notes that it was not completed in time.
    #[refused(NotSent, Over, NotPastDue, AlreadyCompleted)]
    Expire {},
    /// Gives it up.
    #[refused(Over)]
    Cancel {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
}

/// Why a command about a request for files may be refused.
#[rejection("files.file_request")]
pub enum FileRequestRejection {
    /// A request has at most 100 items.
    #[invalid("/items")]
    TooManyItems,
    /// There is no such folder, or it is archived.
    #[invalid("/folder_id")]
    UnknownFolder,
    /// The folder is not of the request's client or project.
    #[invalid("/folder_id")]
    FolderElsewhere,
    /// The request is closed, cancelled or expired.
    Over,
    /// The request has another item with this id, or it was added with something else.
    ItemExists,
    /// A request asks for something.
    NoItems,
    /// The day is over.
    PastDue,
    /// The client was not asked yet.
    NotSent,
    /// The request has no such item.
    #[invalid("/request_item_id")]
    UnknownItem,
    /// What was handed in before will do.
    ItemAccepted,
    /// There is no such file.
    #[invalid("/file_id")]
    UnknownFile,
    /// No version of the file is there yet, or it is deleted; repeat once it was inspected.
    FileNotAvailable,
    /// The file is not of the client who is asked.
    #[invalid("/file_id")]
    FileElsewhere,
    /// Nothing was handed in for the item that could be judged.
    NothingSubmitted,
    /// Everything that is required was handed in.
    NothingWaitedFor,
    /// The request is in time.
    NotPastDue,
    /// Everything that is required was handed in; a request that is complete does not expire.
    AlreadyCompleted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    id: RequestItemId,
    name: Name,
    required: bool,
    status: RequestItemStatus,
    file_id: Option<FileId>,
    made_with: Imprint,
}

/// What is remembered of a request for files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileRequest {
    title: Option<Name>,
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    folder_id: Option<FolderId>,
    due_on: Option<Date>,
    status: Status,
    /// In the order in which they were asked for.
    items: Vec<Item>,
    /// Who asked the client.
    requested_by: Option<UserId>,
}

impl Aggregate for FileRequest {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "files/file-requests";
    const STATE_VERSION: i32 = 2;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        resources(self.client_id, self.project_id).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, project_id, .. } => Scope::begins_in(resources(Some(*client_id), *project_id)),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Create { folder_id: Some(tree), .. } => vec![Reference::id::<Folder>(*tree)],
            C::SubmitItem { file_id, .. } => vec![Reference::id::<File>(*file_id)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let status = self.status;
        Ok(match command {
            C::Create { title, client_id, project_id, folder_id, message, due_on, items } => {
                if items.len() > ITEMS_MAX {
                    return Err(R::TooManyItems);
                }
                check_folder(folder_id, client_id, project_id, ctx)?;
                ctx.begin_parts(ITEM_IDS);
                let request_items = items.into_iter().map(|item| item.with_id(ctx.part_of(ITEM_IDS))).collect();
                vec![E::Created { title, client_id, project_id, folder_id, message, due_on, request_items }]
            }
            C::AddItem { request_item_id: Some(id), name, description, optional } if self.item(id).is_some() => {
                let again = WantedItem { name, description, optional }.with_id(ctx.part(ITEM_ID, Some(id)));
                match self.item(id) {
                    Some(there) if there.made_with == Imprint::of(&again) => vec![],
                    _ => return Err(R::ItemExists),
                }
            }
            C::Close {} if status == Status::Closed => vec![],
            C::Expire {} if status == Status::Expired => vec![],
            C::Cancel { .. } if status == Status::Cancelled => vec![],
            _ if status.is_over() => return Err(R::Over),
            C::AddItem { request_item_id, name, description, optional } => {
                if self.items.len() >= ITEMS_MAX {
                    return Err(R::TooManyItems);
                }
                let item = WantedItem { name, description, optional }.with_id(ctx.part(ITEM_ID, request_item_id));
                let reopens = item.required && status == Status::Completed;
                let asked = status != Status::Draft;
                let (client_id, project_id) = (self.client_id.filter(|_| asked), self.project_id.filter(|_| asked));
                let mut events = vec![E::ItemAdded { request_item: item, client_id, project_id }];
                events.extend(reopens.then_some(E::Reopened {}));
                events
            }
            C::Send {} if status != Status::Draft => vec![],
            C::Send {} if self.items.is_empty() => return Err(R::NoItems),
            C::Send {} if self.is_past_due(ctx) => return Err(R::PastDue),
            C::Send {} => self.sent(ctx).into_iter().collect(),
            C::ChangeDueDate { due_on } if due_on == self.due_on => vec![],
            C::ChangeDueDate { due_on } if due_on.is_some_and(|day| day < ctx.today()) => return Err(R::PastDue),
            C::ChangeDueDate { due_on } => vec![E::DueDateChanged { due_on }],
            C::Cancel { reason } => vec![E::Cancelled { reason }],
            _ if status == Status::Draft => return Err(R::NotSent),
            C::SubmitItem { request_item_id, file_id } => return self.submit(request_item_id, file_id, ctx),
            C::AcceptItem { request_item_id } => match self.item(request_item_id).ok_or(R::UnknownItem)?.status {
                RequestItemStatus::Accepted => vec![],
                RequestItemStatus::Submitted => vec![E::ItemAccepted { request_item_id }],
                _ => return Err(R::NothingSubmitted),
            },
            C::RejectItem { request_item_id, reason } => {
                let item = self.item(request_item_id).ok_or(R::UnknownItem)?;
                match item.status {
                    RequestItemStatus::Rejected => vec![],
                    RequestItemStatus::Requested => return Err(R::NothingSubmitted),
                    _ => {
                        let reopens = item.required && status == Status::Completed;
                        let mut events = vec![E::ItemRejected { request_item_id, reason }];
                        events.extend(reopens.then_some(E::Reopened {}));
                        events
                    }
                }
            }
            C::Remind {} => {
                let waiting_for: Vec<Name> = self.missing(None).map(|item| item.name.clone()).collect();
                if waiting_for.is_empty() {
                    return Err(R::NothingWaitedFor);
                }
                self.reminded(waiting_for).into_iter().collect()
            }
            C::Close {} => vec![E::Closed {}],
            C::Expire {} if status == Status::Completed => return Err(R::AlreadyCompleted),
            C::Expire {} if !self.is_past_due(ctx) => return Err(R::NotPastDue),
            C::Expire {} => vec![E::Expired {}],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { title, client_id, project_id, folder_id, message: _, due_on, request_items } => {
                self.title = Some(title.clone());
                (self.client_id, self.project_id) = (Some(*client_id), *project_id);
                (self.folder_id, self.due_on) = (*folder_id, *due_on);
                request_items.iter().for_each(|item| self.add(item));
            }
            E::ItemAdded { request_item, .. } => self.add(request_item),
            E::ItemSubmitted { request_item_id, file_id } => {
                if let Some(item) = self.follow(*request_item_id, event) {
                    item.file_id = Some(*file_id);
                }
            }
            E::ItemAccepted { request_item_id } | E::ItemRejected { request_item_id, .. } => {
                self.follow(*request_item_id, event);
            }
            E::Sent { due_on, requested_by, .. } => (self.due_on, self.requested_by) = (*due_on, *requested_by),
            E::DueDateChanged { due_on } => self.due_on = *due_on,
            E::Completed { .. }
            | E::Reopened {}
            | E::Reminded { .. }
            | E::Closed {}
            | E::Expired {}
            | E::Cancelled { .. } => {}
        }
    }

    /// The id of an item is its own among all requests of the firm.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let claim = |item: &RequestItem| ClaimChange::Take(Claim::new(ITEM_CLAIM, item.id.to_string()));
        match event {
            E::Created { request_items, .. } => request_items.iter().map(claim).collect(),
            E::ItemAdded { request_item, .. } => vec![claim(request_item)],
            _ => vec![],
        }
    }

    /// A blocked client is asked for nothing new.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => Some(*client_id),
            E::Sent { .. } | E::ItemAdded { .. } => self.client_id,
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

impl FileRequest {
    /// The last day on which it is in time.
    pub fn due_on(&self) -> Option<Date> {
        self.due_on
    }

    /// May something be handed in?
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }

    fn item(&self, id: RequestItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    fn add(&mut self, item: &RequestItem) {
        let made_with = Imprint::of(item);
        let RequestItem { id, name, required, description: _ } = item.clone();
        self.items.push(Item { id, name, required, status: RequestItemStatus::default(), file_id: None, made_with });
    }

    fn follow(&mut self, id: RequestItemId, event: &E) -> Option<&mut Item> {
        let item = self.items.iter_mut().find(|item| item.id == id)?;
        item.status = item.status.after(event);
        Some(item)
    }

    fn is_past_due(&self, ctx: &Context) -> bool {
        self.due_on.is_some_and(|day| day < ctx.today())
    }

    /// What is required and not there, apart from one that is about to be.
    fn missing(&self, but: Option<RequestItemId>) -> impl Iterator<Item = &Item> {
        let is_missing = move |item: &&Item| item.required && !item.status.is_there() && Some(item.id) != but;
        self.items.iter().filter(is_missing)
    }

    fn submit(&self, id: RequestItemId, file_id: FileId, ctx: &Context) -> Decision<Self> {
        let item = self.item(id).ok_or(R::UnknownItem)?;
        if item.status.is_there() && item.file_id == Some(file_id) {
            return Ok(vec![]);
        }
        if item.status == RequestItemStatus::Accepted {
            return Err(R::ItemAccepted);
        }
        let file = ctx.referenced::<File>(file_id).ok_or(R::UnknownFile)?;
        if file.client_id() != self.client_id {
            return Err(R::FileElsewhere);
        }
        if !file.is_available() {
            return Err(R::FileNotAvailable);
        }
        let mut events = vec![E::ItemSubmitted { request_item_id: id, file_id }];
        if self.status != Status::Completed && self.missing(Some(id)).next().is_none() {
            events.extend(self.completed_with(id, file_id));
        }
        Ok(events)
    }

    fn sent(&self, ctx: &Context) -> Option<E> {
        let requested_by = match &ctx.actor {
            Actor::User { id } => Some(*id),
            _ => None,
        };
        Some(E::Sent {
            title: self.title.clone()?,
            client_id: self.client_id?,
            project_id: self.project_id,
            due_on: self.due_on,
            request_item_ids: self.items.iter().map(|item| item.id).collect(),
            requested_by,
        })
    }

    fn reminded(&self, waiting_for: Vec<Name>) -> Option<E> {
        Some(E::Reminded { title: self.title.clone()?, client_id: self.client_id?, due_on: self.due_on, waiting_for })
    }

    fn completed_with(&self, id: RequestItemId, file_id: FileId) -> Option<E> {
        let file_of = |item: &Item| match item.id == id {
            true => Some(file_id),
            false => item.file_id.filter(|_| item.status.is_there()),
        };
        let there = |item: &Item| Some(SubmittedFile { item_id: item.id, file_id: file_of(item)? });
        Some(E::Completed {
            title: self.title.clone()?,
            client_id: self.client_id?,
            project_id: self.project_id,
            folder_id: self.folder_id,
            files: self.items.iter().filter_map(there).collect(),
            requested_by: self.requested_by,
        })
    }
}

/// Is the folder there, and the client's or the project's?
fn check_folder(tree: Option<FolderId>, client: ClientId, project: Option<ProjectId>, ctx: &Context) -> Result<(), R> {
    let Some(tree) = tree else { return Ok(()) };
    let found = ctx.referenced::<Folder>(tree).filter(|found| !found.is_archived()).ok_or(R::UnknownFolder)?;
    let (its_client, its_project) = found.whose();
    let is_clients = its_client == Some(client) && (its_project.is_none() || its_project == project);
    let is_projects = its_client.is_none() && its_project.is_some() && its_project == project;
    if is_clients || is_projects { Ok(()) } else { Err(R::FolderElsewhere) }
}

fn resources(client: Option<ClientId>, project: Option<ProjectId>) -> impl Iterator<Item = Resource> {
    client.map(Resource::from).into_iter().chain(project.map(Resource::from))
}

#[cfg(test)]
#[path = "file_request_tests.rs"]
mod tests;
