//! What quotas are counted for, and what it is called.

use kernel::{ApiKeyId, Principal, TenantId};
use std::fmt;
use std::net::IpAddr;

/// What every key in Redis begins with.
pub(super) const PREFIX: &str = "ubos:limit:";

/// What a quota is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Address(IpAddr),
    Failures(IpAddr),
    Logins(IpAddr),
    /// With the firm, because a firm that is not registered may call its users what it likes.
    Caller(TenantId, Principal),
    ApiKey(TenantId, ApiKeyId),
    Tenant(TenantId),
}

impl Subject {
    /// Which kind of quota it has.
    pub fn policy(self) -> Policy {
        match self {
            Subject::Address(_) => Policy::Address,
            Subject::Failures(_) => Policy::Failures,
            Subject::Logins(_) => Policy::Logins,
            Subject::Caller(..) => Policy::Caller,
            Subject::ApiKey(..) => Policy::Key,
            Subject::Tenant(_) => Policy::Tenant,
        }
    }
}

impl fmt::Display for Subject {
    /// Ids, which are of one length, and addresses, which come last: no key can be mistaken for another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.policy().name();
        match self {
            Subject::Address(address) | Subject::Failures(address) | Subject::Logins(address) => {
                write!(f, "{PREFIX}{name}:{address}")
            }
            Subject::Caller(tenant, Principal::User { id }) => write!(f, "{PREFIX}{name}:{tenant}:user:{id}"),
            Subject::Caller(tenant, Principal::ServiceAccount { id }) => {
                write!(f, "{PREFIX}{name}:{tenant}:service_account:{id}")
            }
            Subject::Caller(tenant, Principal::PortalUser { id }) => {
                write!(f, "{PREFIX}{name}:{tenant}:portal_user:{id}")
            }
            Subject::ApiKey(tenant, id) => write!(f, "{PREFIX}{name}:{tenant}:{id}"),
            Subject::Tenant(tenant) => write!(f, "{PREFIX}{name}:{tenant}"),
        }
    }
}

/// The kinds of quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Address,
    Failures,
    Caller,
    Key,
    Tenant,
    Logins,
}

impl Policy {
    pub const ALL: [Policy; 6] =
        [Policy::Address, Policy::Failures, Policy::Caller, Policy::Key, Policy::Tenant, Policy::Logins];

    /// The name in headers, metrics and keys.
    pub fn name(self) -> &'static str {
        ["address", "failures", "caller", "key", "tenant", "logins"][self as usize]
    }
}
