//! What happens to an API key.

use kernel::{Machine, Name, Pattern, Principal, SecretHash, Timestamp, event, status};

use ApiKeyEvent as E;

/// Where an API key stands.
#[status]
pub enum ApiKeyStatus {
    /// Opens what it may, until it expires if it does.
    #[default]
    Active,
    /// Opens nothing any more.
    Revoked,
}

impl Machine<E> for ApiKeyStatus {
    const BEGINS: &'static [&'static str] = &["api_key.issued"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Revoked { .. } => Self::Revoked,
            _ => self,
        }
    }
}

/// Everything that happens to an API key. The secret itself is in no event.
#[event("identity.api_key")]
pub enum ApiKeyEvent {
    /// A key was issued.
    Issued {
        /// What it is called.
        name: Name,
        /// Whom it speaks for.
        principal: Principal,
        /// Which of the user's times in the firm: how often they had gone before. It ends with that time; 0 of a program.
        membership: u32,
        /// The most it may do, whatever its principal may; empty for all of that.
        scopes: Vec<Pattern>,
        /// What its secret hashes to.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when it is good, if not for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// The key got another secret; the one before it is good for a while.
    Rotated {
        /// What its secret hashes to now.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when the secret before it is good.
        previous_until: Timestamp,
    },
    /// The key opens nothing any more.
    Revoked {
        /// Why.
        reason: Name,
    },
}
