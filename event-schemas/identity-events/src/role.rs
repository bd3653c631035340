//! What happens to a role that a firm made itself.

use kernel::{Machine, Pattern, Resource, RoleId, Slug, Text, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use RoleEvent as E;

/// A role as somebody has it. The name of a role of the firm's own is free again once it is withdrawn, so the id says which
/// one it is, and whoever had the one does not have the next of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct GivenRole {
    /// What it is called.
    pub name: Slug,
    /// Which one of the firm's own; none of those that every firm has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RoleId>,
}

/// Where a role stands.
#[status]
pub enum RoleStatus {
    /// Grants what it says to whoever has it.
    #[default]
    Active,
    /// Grants nothing any more.
    Withdrawn,
}

impl Machine<E> for RoleStatus {
    const BEGINS: &'static [&'static str] = &["role.defined"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Withdrawn {} => Self::Withdrawn,
            _ => self,
        }
    }
}

/// Everything that happens to a role that a firm made itself.
#[event("identity.role")]
pub enum RoleEvent {
    /// A role was made.
    Defined {
        /// What it is called where it is assigned; one role per name.
        name: Slug,
        /// What it is for.
        description: Text,
        /// What it grants and denies.
        patterns: Vec<Pattern>,
    },
    /// The role grants something else.
    Changed {
        /// What it is for.
        description: Text,
        /// What it grants and denies.
        patterns: Vec<Pattern>,
    },
    /// Whoever has the role got a right for one resource.
    Granted {
        /// What may be done.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Whoever has the role lost a right for one resource.
    GrantRevoked {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// The role grants nothing any more; its name is free again.
    Withdrawn {},
}
