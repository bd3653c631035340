//! What happens to a team.

use kernel::{Machine, Name, Pattern, Resource, UserId, event, status};

use TeamEvent as E;

/// Where a team stands.
#[status]
pub enum TeamStatus {
    /// Its members have its rights.
    #[default]
    Active,
    /// Has ended.
    Disbanded,
}

impl Machine<E> for TeamStatus {
    const BEGINS: &'static [&'static str] = &["team.created"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Disbanded {} => Self::Disbanded,
            _ => self,
        }
    }
}

/// Everything that happens to a team.
#[event("identity.team")]
pub enum TeamEvent {
    /// A team was made.
    Created {
        /// What it is called; one team per name.
        name: Name,
    },
    /// The team is called something else.
    Renamed {
        /// What it is called now.
        name: Name,
    },
    /// A user joined.
    MemberAdded {
        /// Who.
        user_id: UserId,
        /// Which of the person's times in the firm: how often they had gone before. Whoever comes back is no member.
        membership: u32,
    },
    /// A user is no member any more.
    MemberRemoved {
        /// Who.
        user_id: UserId,
    },
    /// Its members got a right for one resource.
    Granted {
        /// What may be done.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Its members lost a right for one resource.
    GrantRevoked {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// The team ended.
    Disbanded {},
}
