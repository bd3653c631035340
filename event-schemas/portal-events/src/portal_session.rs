//! What happens to a portal session.

use kernel::{ClientId, Name, Personal, PortalUserId, Timestamp, event};

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
