//! What happens to a connection. Secrets are nowhere in it: they are sealed beside the log, under the connection's id.

use kernel::{Date, Machine, Name, Text, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use ConnectionEvent as E;

/// Whom a connection leads to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, kernel::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// DocuSign eSignature: has papers signed.
    Docusign,
    /// Dropbox Sign: has papers signed.
    DropboxSign,
    /// Xero: keeps the books.
    Xero,
    /// QuickBooks Online: keeps the books.
    Quickbooks,
}

impl Provider {
    /// What it does: by this, what waits for a firm that is connected with nobody who does it.
    pub fn does(self) -> &'static str {
        match self {
            Self::Docusign | Self::DropboxSign => "signing",
            Self::Xero | Self::Quickbooks => "ledger",
        }
    }

    /// Its name in settings, addresses and claims.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docusign => "docusign",
            Self::DropboxSign => "dropbox_sign",
            Self::Xero => "xero",
            Self::Quickbooks => "quickbooks",
        }
    }
}

/// What is wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The provider takes our grant no more: it was revoked, or not used for too long.
    GrantRefused,
    /// The grant is good, but does not reach what is asked for.
    NotPermitted,
    /// What we keep of the grant cannot be opened, or is not there.
    SecretsLost,
    /// The provider does not answer, or only with errors of its own.
    Unreachable,
    /// What the provider allows in a day is used up.
    QuotaUsedUp,
}

impl Trouble {
    /// Its name in answers and beside the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GrantRefused => "grant_refused",
            Self::NotPermitted => "not_permitted",
            Self::SecretsLost => "secrets_lost",
            Self::Unreachable => "unreachable",
            Self::QuotaUsedUp => "quota_used_up",
        }
    }

    /// What it is, for whoever looks after the firm's connections.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::GrantRefused => {
                "The provider takes our grant no more: it was revoked there, or not used for too long."
            }
            Self::NotPermitted => {
                "Whoever agreed may not do at the provider what is asked for, or did not allow all of it."
            }
            Self::SecretsLost => "What we keep of the grant cannot be opened any more.",
            Self::Unreachable => "The provider does not answer, or only with errors of its own.",
            Self::QuotaUsedUp => "What the provider allows in a day is used up.",
        }
    }

    /// What helps.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::GrantRefused | Self::SecretsLost => {
                "Authorise the connection again. What waits for it goes on by itself then."
            }
            Self::NotPermitted => {
                "Authorise the connection again as somebody who may do everything that is asked for at the provider, and allow all of it."
            }
            Self::Unreachable => "Nothing has to be done: it is tried again until the provider answers.",
            Self::QuotaUsedUp => "Nothing has to be done: it goes on when the provider's day is over.",
        }
    }

    /// Does it last until somebody agrees at the provider again?
    pub fn needs_somebody(self) -> bool {
        matches!(self, Self::GrantRefused | Self::NotPermitted | Self::SecretsLost)
    }
}

/// Where a connection stands.
#[status]
pub enum ConnectionStatus {
    /// Nobody has agreed at the provider yet.
    #[default]
    Pending,
    /// It works.
    Connected,
    /// It works badly, and mends by itself.
    Degraded,
    /// It works no more until somebody agrees at the provider again.
    AuthError,
    /// Somebody of the firm has stopped it for a while.
    Paused,
    /// It was given up.
    Disconnected,
}

impl Machine<E> for ConnectionStatus {
    const BEGINS: &'static [&'static str] = &["connection.created"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Created { .. } | E::Renamed { .. } | E::AuthorisationBegun {} | E::ResyncRequested { .. } => self,
            E::Disconnected {} => Self::Disconnected,
            E::Resumed {} if self == Self::Paused => Self::Connected,
            E::Paused {} if matches!(self, Self::Connected | Self::Degraded | Self::AuthError) => Self::Paused,
            // Whoever agrees again while it is paused does not set it going.
            E::Authorised { .. } if self != Self::Paused => Self::Connected,
            E::Degraded { .. } if self == Self::Connected => Self::Degraded,
            E::AuthFailed { .. } if matches!(self, Self::Connected | Self::Degraded) => Self::AuthError,
            E::Recovered { .. } if matches!(self, Self::Degraded | Self::AuthError) => Self::Connected,
            E::Resumed {}
            | E::Paused {}
            | E::Authorised { .. }
            | E::Degraded { .. }
            | E::AuthFailed { .. }
            | E::Recovered { .. } => self,
        }
    }
}

/// Everything that happens to a connection.
#[event("connections.connection")]
pub enum ConnectionEvent {
    /// The firm wants to work with a provider.
    Created {
        /// Which one.
        provider: Provider,
        /// What the firm calls the connection.
        name: Name,
    },
    /// The connection is called differently now.
    Renamed {
        /// The new name.
        name: Name,
    },
    /// Somebody went to the provider to agree.
    AuthorisationBegun {},
    /// Somebody agreed at the provider, and we keep what it takes to act for them.
    Authorised {
        /// The provider, for whoever waits for one and not for this connection.
        provider: Provider,
        /// The provider's id of the account that is reached; the same for as long as the connection lives.
        account_id: Name,
        /// What the provider calls the account.
        account_label: Name,
    },
    /// It works badly at the moment.
    Degraded {
        /// What is wrong.
        trouble: Trouble,
        /// The same in words.
        detail: Option<Text>,
    },
    /// The provider does not let us in any more; somebody has to agree there again.
    AuthFailed {
        /// What is wrong.
        trouble: Trouble,
        /// The same in words.
        detail: Option<Text>,
    },
    /// It works again.
    Recovered {
        /// What was wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Trouble>,
    },
    /// Somebody wants everything at the provider looked at again.
    ResyncRequested {
        /// What has changed there since the beginning of this day; since somebody last agreed if none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Date>,
    },
    /// Nothing is sent through it until it is resumed.
    Paused {},
    /// It is used again.
    Resumed {},
    /// It was given up, and what we kept of it is destroyed.
    Disconnected {},
}
