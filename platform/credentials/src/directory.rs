//! Who comes in and what they may do now, whatever a token said when it was made. The answers are somebody else's business;
//! here is only how they are asked for.

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use kernel::{
    ApiKeyId, EventScope, Permissions, PortalUserId, Principal, SecretHash, SessionId, SubscriberId, TenantId, UserId,
};
use std::sync::Arc;

/// Whom a request shows itself to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The subject of a token that was found good.
    User(UserId),
    /// A browser that was given a session.
    Session {
        /// Whose it is.
        user: UserId,
        /// Which one.
        id: SessionId,
    },
    /// A browser that was given a session for the portal.
    Portal {
        /// Whose it is.
        user: PortalUserId,
        /// Which one.
        id: SessionId,
    },
    /// An API key.
    ApiKey {
        /// Which one it says it is.
        id: ApiKeyId,
        /// What it hashes to.
        secret_hash: SecretHash,
    },
    /// The secret of a program that reads the firm's events.
    Subscriber {
        /// Which one it says it is.
        id: SubscriberId,
        /// What the secret hashes to.
        secret_hash: SecretHash,
    },
}

/// What is so for a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The firm is not registered: whoever issues tokens vouches for their subjects, and there are no keys.
    Unregistered,
    /// Comes in, as this one, and may do this.
    In(Principal, Arc<Permissions>),
    /// Reads the firm's events, and does nothing else.
    Reads {
        /// Until then, if not for ever.
        until: Option<DateTime<Utc>>,
        /// These, if not all.
        scopes: Arc<[EventScope]>,
    },
    /// Does not come in, and why; and who that is, if the credential was found to be that one's.
    Out(&'static str, Option<Principal>),
}

impl Standing {
    /// Is whoever shows this credential refused?
    pub fn refuses(&self, credential: &Credential) -> bool {
        match self {
            Self::In(..) | Self::Reads { .. } => false,
            Self::Out(..) => true,
            Self::Unregistered => !matches!(credential, Credential::User(_)),
        }
    }
}

/// Answers what is so; one per process, shared.
pub trait Directory: Send + Sync {
    /// What is so, if that is known at once and lets somebody in; else [`Directory::look_up`] is to be asked.
    fn recall(&self, tenant: TenantId, credential: &Credential) -> Option<Standing>;

    /// What is so.
    ///
    /// # Errors
    /// If that cannot be found out at the moment.
    fn look_up<'d>(&'d self, tenant: TenantId, credential: &'d Credential) -> BoxFuture<'d, Result<Standing>>;
}

/// For tests and tools without firms: nobody is registered.
#[derive(Debug, Clone, Copy)]
pub struct NoDirectory;

impl Directory for NoDirectory {
    fn recall(&self, _: TenantId, _: &Credential) -> Option<Standing> {
        Some(Standing::Unregistered)
    }

    fn look_up<'d>(&'d self, _: TenantId, _: &'d Credential) -> BoxFuture<'d, Result<Standing>> {
        Box::pin(std::future::ready(Ok(Standing::Unregistered)))
    }
}
