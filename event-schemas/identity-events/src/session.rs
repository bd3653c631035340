//! What happens to a session.

use kernel::{Issuer, Machine, Name, Personal, Timestamp, UserId, event, status};

use SessionEvent as E;

/// Where a session stands.
#[status]
pub enum SessionStatus {
    /// Opens what its user may, until it expires.
    #[default]
    Active,
    /// Opens nothing any more.
    Ended,
}

impl Machine<E> for SessionStatus {
    const BEGINS: &'static [&'static str] = &["session.started"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Ended { .. } => Self::Ended,
            _ => self,
        }
    }
}

/// Everything that happens to a session: the time between a person's login and its end.
#[event("identity.session")]
pub enum SessionEvent {
    /// A person logged in.
    Started {
        /// Who.
        user_id: UserId,
        /// Which of the person's times in the firm: how often they had gone before. It ends with that time.
        membership: u32,
        /// Where the person showed who they are.
        issuer: Issuer,
        /// When it ends at the latest.
        ends_at: Timestamp,
        /// What the person's browser calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_agent: Option<Personal<Name>>,
    },
    /// The session opens nothing any more.
    Ended {
        /// Why.
        reason: Name,
    },
}
