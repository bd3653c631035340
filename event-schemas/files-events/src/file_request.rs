//! What happens to a request for files and to its items.

use crate::FolderId;
use kernel::{ClientId, Date, FileId, Machine, Name, ProjectId, Text, UserId, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use FileRequestEvent as E;

kernel::ids! {
    /// A request for files.
    FileRequestId,
    /// One thing that is requested.
    RequestItemId,
}

/// One thing that is requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestItem {
    /// Its id.
    pub id: RequestItemId,
    /// What it is called.
    pub name: Name,
    /// What exactly is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Is the request incomplete without it?
    pub required: bool,
}

/// What was handed in for an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmittedFile {
    /// For which item.
    pub item_id: RequestItemId,
    /// Which file.
    pub file_id: FileId,
}

/// Where a request for files stands.
#[status]
pub enum FileRequestStatus {
    /// It is being put together.
    #[default]
    Draft,
    /// The client was asked.
    Sent,
    /// Some of it was handed in.
    PartiallyCompleted,
    /// All that is required was handed in.
    Completed,
    /// It is done with.
    Closed,
    /// It was not completed in time.
    Expired,
    /// It was given up.
    Cancelled,
}

impl FileRequestStatus {
    /// May something be handed in?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::PartiallyCompleted | Self::Completed)
    }

    /// Is it over?
    pub fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Expired | Self::Cancelled)
    }
}

impl Machine<E> for FileRequestStatus {
    const BEGINS: &'static [&'static str] = &["file_request.created"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Sent { .. } if self == Self::Draft => Self::Sent,
            E::ItemSubmitted { .. } if self == Self::Sent => Self::PartiallyCompleted,
            E::Completed { .. } if self == Self::PartiallyCompleted => Self::Completed,
            E::Reopened {} if self == Self::Completed => Self::PartiallyCompleted,
            E::Closed {} if self.is_open() => Self::Closed,
            E::Expired {} if matches!(self, Self::Sent | Self::PartiallyCompleted) => Self::Expired,
            E::Cancelled { .. } if !self.is_over() => Self::Cancelled,
            E::Created { .. }
            | E::ItemAdded { .. }
            | E::Sent { .. }
            | E::ItemSubmitted { .. }
            | E::ItemAccepted { .. }
            | E::ItemRejected { .. }
            | E::Completed { .. }
            | E::Reopened {}
            | E::DueDateChanged { .. }
            | E::Reminded { .. }
            | E::Closed {}
            | E::Expired {}
            | E::Cancelled { .. } => self,
        }
    }
}

/// Where an item of a request stands.
#[status]
pub enum RequestItemStatus {
    /// It is waited for.
    #[default]
    Requested,
    /// A file was handed in.
    Submitted,
    /// The file will do.
    Accepted,
    /// The file will not do; another may be handed in.
    Rejected,
}

impl RequestItemStatus {
    /// Is a file there that may do?
    pub fn is_there(self) -> bool {
        matches!(self, Self::Submitted | Self::Accepted)
    }
}

impl Machine<E> for RequestItemStatus {
    const BEGINS: &'static [&'static str] = &["file_request.created", "request_item.added"];

    fn after(self, event: &E) -> Self {
        match event {
            E::ItemSubmitted { .. } if self != Self::Accepted => Self::Submitted,
            E::ItemAccepted { .. } if self == Self::Submitted => Self::Accepted,
            E::ItemRejected { .. } if self.is_there() => Self::Rejected,
            E::Created { .. }
            | E::ItemAdded { .. }
            | E::Sent { .. }
            | E::ItemSubmitted { .. }
            | E::ItemAccepted { .. }
            | E::ItemRejected { .. }
            | E::Completed { .. }
            | E::Reopened {}
            | E::DueDateChanged { .. }
            | E::Reminded { .. }
            | E::Closed {}
            | E::Expired {}
            | E::Cancelled { .. } => self,
        }
    }
}

/// Everything that happens to a request for files.
#[event("files.file_request")]
pub enum FileRequestEvent {
    /// A request was begun; the client does not know of it yet.
    Created {
        /// What it is called.
        title: Name,
        /// Who is asked.
        client_id: ClientId,
        /// For which project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// The tree of folders that the files are for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder_id: Option<FolderId>,
        /// What is said to the client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Text>,
        /// The last day on which it is in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<Date>,
        /// What is requested.
        request_items: Vec<RequestItem>,
    },
    /// One thing more is requested.
    #[name("request_item.added")]
    ItemAdded {
        /// What.
        request_item: RequestItem,
        /// The client, if it was asked before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// For which project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
    },
    /// The client was asked.
    Sent {
        /// What the request is called.
        title: Name,
        /// Who is asked.
        client_id: ClientId,
        /// For which project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// The last day on which it is in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<Date>,
        /// What is requested.
        request_item_ids: Vec<RequestItemId>,
        /// Who asked, if that was a member of staff.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested_by: Option<UserId>,
    },
    /// A file was handed in for an item.
    #[name("request_item.submitted")]
    ItemSubmitted {
        /// For which item.
        request_item_id: RequestItemId,
        /// Which file.
        file_id: FileId,
    },
    /// What was handed in will do.
    #[name("request_item.accepted")]
    ItemAccepted {
        /// For which item.
        request_item_id: RequestItemId,
    },
    /// What was handed in will not do.
    #[name("request_item.rejected")]
    ItemRejected {
        /// For which item.
        request_item_id: RequestItemId,
        /// Why.
        reason: Text,
    },
    /// All that is required was handed in.
    Completed {
        /// What the request is called.
        title: Name,
        /// Who was asked.
        client_id: ClientId,
        /// For which project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// The tree of folders that the files are for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder_id: Option<FolderId>,
        /// What was handed in.
        files: Vec<SubmittedFile>,
        /// Who asked, if that was a member of staff.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested_by: Option<UserId>,
    },
    /// It is not complete after all: something that was handed in will not do, or more is wanted.
    Reopened {},
    /// It is due on another day.
    DueDateChanged {
        /// The last day on which it is in time; none if there is none.
        due_on: Option<Date>,
    },
    /// The client was asked once more.
    Reminded {
        /// What the request is called.
        title: Name,
        /// Who is asked.
        client_id: ClientId,
        /// The last day on which it is in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<Date>,
        /// What is still waited for.
        waiting_for: Vec<Name>,
    },
    /// It is done with.
    Closed {},
    /// It was not completed in time.
    Expired {},
    /// It was given up.
    Cancelled {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
}
