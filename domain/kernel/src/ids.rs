//! Every kind of id, one type each. All are UUIDs; fresh ones are version 7, so that they sort by time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, Default)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
        impl From<$name> for Uuid {
            fn from(id: $name) -> Self { id.0 }
        }
        impl crate::Input for $name {
            fn read(value: serde_json::Value, faults: &mut crate::Faults) -> Option<Self> {
                Uuid::read(value, faults).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> { text.parse().map(Self) }
        }
    )*};
}

ids! {
    /// A key with which a program comes in.
    ApiKeyId,
    /// A booked meeting.
    AppointmentId,
    /// When one person can be booked.
    AvailabilityId,
    /// A firm or person that is served.
    ClientId,
    /// A person at a client.
    ContactId,
    /// A workflow definition, all its versions.
    DefinitionId,
    /// A kind of meeting that can be booked.
    EventTypeId,
    /// A folder, or one of its subfolders.
    FolderId,
    /// A tree of folders to copy from.
    FolderTemplateId,
    /// A program of somebody else's that reads the firm's events.
    SubscriberId,
    /// One invitation, into the firm or to its portal.
    InvitationId,
    /// A milestone of a project.
    MilestoneId,
    /// A person with access to the client portal.
    PortalUserId,
    /// A project.
    ProjectId,
    /// A project skeleton to copy from.
    ProjectTemplateId,
    /// A role that a firm made itself.
    RoleId,
    /// One run of a workflow.
    RunId,
    /// A program that acts in the firm's name.
    ServiceAccountId,
    /// The time between a person's login and its end.
    SessionId,
    /// A task of a project.
    TaskId,
    /// A team of the firm's staff.
    TeamId,
    /// A firm that uses UBOS; the boundary that no row, subject or key crosses.
    TenantId,
    /// A member of the firm's staff.
    UserId,
}
