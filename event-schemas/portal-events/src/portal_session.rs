//! What happens to a portal session.

use kernel::{ClientId, Machine, Name, Personal, PortalUserId, Timestamp, event, status};

use PortalSessionEvent as E;

/// Where a portal session stands.
#[status]
pub enum PortalSessionStatus {
    /// Opens what its portal user may, until it expires.
    #[default]
    Active,
    /// Opens nothing any more.
    Ended,
}

impl Machine<E> for PortalSessionStatus {
    const BEGINS: &'static [&'static str] = &["portal_session.started"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Ended { .. } => Self::Ended,
            _ => self,
        }
    }
}

/// Everything that happens to a portal session: the time between a portal user's coming in and its end.
#[event("portal.portal_session")]
pub enum PortalSessionEvent {
    /// A portal user came in.
    Started {
        /// Who.
        portal_user_id: PortalUserId,
        /// Which of the person's times in the portal: how often their place had been closed before. It ends with that time.
        membership: u32,
        /// At which client.
        client_id: ClientId,
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
