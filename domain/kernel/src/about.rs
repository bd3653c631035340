//! What a note, a follow-up or a notification is about: a record of another context, by its id.

use crate::{ClientId, ContactId, DealId, EngagementId, ProjectId, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What something is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, crate::Input,
)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum About {
    /// A client.
    Client {
        /// Which one.
        id: ClientId,
    },
    /// A contact.
    Contact {
        /// Which one.
        id: ContactId,
    },
    /// A deal.
    Deal {
        /// Which one.
        id: DealId,
    },
    /// An engagement.
    Engagement {
        /// Which one.
        id: EngagementId,
    },
    /// A project.
    Project {
        /// Which one.
        id: ProjectId,
    },
}

/// The kind of what something is about, as lists show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AboutKind {
    /// A client.
    Client,
    /// A contact.
    Contact,
    /// A deal.
    Deal,
    /// An engagement.
    Engagement,
    /// A project.
    Project,
}

impl About {
    /// Its kind.
    pub fn kind(&self) -> AboutKind {
        match self {
            Self::Client { .. } => AboutKind::Client,
            Self::Contact { .. } => AboutKind::Contact,
            Self::Deal { .. } => AboutKind::Deal,
            Self::Engagement { .. } => AboutKind::Engagement,
            Self::Project { .. } => AboutKind::Project,
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        match *self {
            Self::Client { id } => id.0,
            Self::Contact { id } => id.0,
            Self::Deal { id } => id.0,
            Self::Engagement { id } => id.0,
            Self::Project { id } => id.0,
        }
    }

    /// The client, engagement or project that it is.
    pub fn resource(&self) -> Option<Resource> {
        match *self {
            Self::Client { id } => Some(id.into()),
            Self::Engagement { id } => Some(id.into()),
            Self::Project { id } => Some(id.into()),
            Self::Contact { .. } | Self::Deal { .. } => None,
        }
    }

    /// What something belongs to that is about this, and about a client besides: each once.
    pub fn with_client(&self, client: Option<ClientId>) -> Vec<Resource> {
        let own = self.resource();
        own.into_iter().chain(client.map(Resource::from).filter(|client| Some(*client) != own)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_client_belongs_to_it_once() {
        let (client, project) = (ClientId(Uuid::from_u128(1)), ProjectId(Uuid::from_u128(2)));
        assert_eq!(About::Client { id: client }.with_client(Some(client)), [client.into()]);
        assert_eq!(About::Project { id: project }.with_client(Some(client)), [project.into(), client.into()]);
        let engagement = EngagementId(Uuid::from_u128(3));
        assert_eq!(About::Engagement { id: engagement }.with_client(None), [engagement.into()]);
        assert_eq!(About::Deal { id: DealId::default() }.with_client(None), []);
    }
}
