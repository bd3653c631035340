//! Who calls, and what they may do.

use crate::current::may_say_of_this;
use crate::problem::{Problem, code};
use credentials::Who;
use kernel::{Actor, ApiKeyId, Permissions, Principal, Reach, Role, TenantId};
use std::sync::Arc;

/// Who calls. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The firm; nothing outside it exists for this caller.
    pub tenant: TenantId,
    /// The member of staff or the program.
    pub principal: Principal,
    /// The key that was shown, if not a token.
    pub api_key: Option<ApiKeyId>,
    /// What the caller may do.
    pub permissions: Arc<Permissions>,
    /// The roles that a token says, where its firm is not registered; else the firm says which they are.
    pub vouched_roles: Arc<[Role]>,
}

impl Caller {
    /// Who acts when this caller asks for something.
    pub fn actor(&self) -> Actor {
        match (self.principal, self.api_key) {
            (Principal::User { id }, _) => Actor::User { id },
            (Principal::ServiceAccount { id }, api_key) => {
                Actor::ServiceAccount { id, api_key_id: api_key.unwrap_or_default() }
            }
            (Principal::PortalUser { id }, _) => Actor::PortalUser { id },
        }
    }

    /// Who that is, for the audit trail.
    pub fn who(&self) -> Who {
        Who { tenant: self.tenant, principal: self.principal, api_key: self.api_key }
    }

    /// Whose idempotency keys this caller's are.
    pub fn scope(&self) -> String {
        match self.principal {
            Principal::User { id } => format!("user {id}"),
            Principal::ServiceAccount { id } => format!("service_account {id}"),
            Principal::PortalUser { id } => format!("portal_user {id}"),
        }
    }

    /// How far `permission` reaches for the caller; refuses with 403 if it reaches nothing.
    pub fn reach(&self, permission: &str) -> Result<Reach, Problem> {
        let reach = self.permissions.reach(permission);
        if reach == Reach::Nothing { Err(self.denied(permission)) } else { Ok(reach) }
    }

    /// Refuses with 403 whoever has a permission not at all, or only for single resources: for what belongs to none.
    pub fn require(&self, permission: &str) -> Result<(), Problem> {
        if self.reach(permission)? == Reach::Everything { Ok(()) } else { Err(self.denied(permission)) }
    }

    /// What whoever lacks `permission` is answered; logged, because it may be the beginning of something.
    pub fn denied(&self, permission: &str) -> Problem {
        if may_say_of_this() {
            tracing::warn!(tenant = %self.tenant, principal = ?self.principal, permission, "denied");
        }
        Problem::new(&code::FORBIDDEN, format!("this needs the permission {permission}"))
    }
}
