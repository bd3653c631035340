//! What is said of an aggregate to all others, of other contexts too, so that they may refuse because of it.

use crate::Claim;
use uuid::Uuid;

/// Something that is so of an aggregate, or not: a client is blocked. It is put up and taken down by the aggregate itself, or
/// by one that knows of it, and kept as a claim on its id, so whether it is up is known within every append: whoever is refused because of it was after
/// it, and whoever is not was before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name, which is the code of refusals because of it: `crm.client.blocked`.
    pub name: &'static str,
    /// For the user whom it stops.
    pub message: &'static str,
}

impl Flag {
    /// The firm does no new work for this client.
    pub const CLIENT_BLOCKED: Flag =
        Flag { name: "crm.client.blocked", message: "The client is blocked; unblock it first." };

    /// This user owns the firm, which therefore is never without an owner who comes in.
    pub const OWNER: Flag = Flag {
        name: "identity.user.owner",
        message: "An owner hands the firm over first: identity.tenant.transfer_ownership.",
    };
    /// This user does not come in: suspended, or out of the firm.
    pub const KEPT_OUT: Flag =
        Flag { name: "identity.user.kept_out", message: "The user does not come in, and owns no firm." };

    /// Every flag that there is.
    pub const ALL: [Flag; 3] = [Flag::CLIENT_BLOCKED, Flag::OWNER, Flag::KEPT_OUT];

    /// The flag with this name.
    pub fn named(name: &str) -> Option<Flag> {
        Self::ALL.into_iter().find(|flag| flag.name == name)
    }

    /// As what it is kept while it is up.
    pub fn of(self, id: impl Into<Uuid>) -> Claim {
        Claim::new(self.name, id.into().to_string())
    }
}
