//! What happens to a tenant, the firm itself.

use kernel::{Issuer, Machine, Name, TimeZone, Timestamp, UserId, event, status};
use uuid::Uuid;

use TenantEvent as E;

/// Where a firm stands.
#[status]
pub enum TenantStatus {
    /// Tries UBOS.
    #[default]
    Trialing,
    /// A customer.
    Active,
    /// Owes a payment.
    PastDue,
    /// Kept out for the time being.
    Suspended,
    /// Has ended its time with UBOS; its data is kept for the time being.
    Closed,
}

impl Machine<E> for TenantStatus {
    const BEGINS: &'static [&'static str] = &["tenant.registered"];

    fn after(self, event: &E) -> Self {
        use TenantStatus::{Active, Closed, PastDue, Suspended, Trialing};
        match (self, event) {
            (Trialing | PastDue, E::Activated {}) => Active,
            (Trialing | Active, E::PaymentOverdue {}) => PastDue,
            (Trialing | Active | PastDue, E::Suspended { .. }) => Suspended,
            // Whoever was suspended comes in as a customer again; that a payment is owed is noted anew.
            (Suspended, E::Resumed {}) => Active,
            (_, E::Closed { .. }) => Closed,
            (Closed, E::Reopened { status }) => *status,
            _ => self,
        }
    }
}

impl TenantStatus {
    /// Where a firm would stand had it never closed. A firm that is closed can be suspended still, and is when it is reopened.
    #[must_use]
    pub fn after_unless_closed(self, event: &E) -> Self {
        match event {
            E::Closed { .. } | E::Reopened { .. } => self,
            event => self.after(event),
        }
    }
}

/// Everything that happens to a tenant, the firm itself. Its stream's id is the tenant's.
#[event("identity.tenant")]
pub enum TenantEvent {
    /// A firm began to use UBOS, with its first owner.
    Registered {
        /// What the firm is called.
        name: Name,
        /// Its first owner.
        owner_id: UserId,
        /// Until when it may try UBOS.
        trial_ends_at: Timestamp,
    },
    /// The firm got another name.
    Renamed {
        /// What it is called now.
        name: Name,
    },
    /// The firm said where its clocks hang; before that it is UTC.
    TimeZoneSet {
        /// An IANA name.
        time_zone: TimeZone,
    },
    /// The firm became a customer, or is one again.
    Activated {},
    /// The firm owes a payment.
    PaymentOverdue {},
    /// Nobody of the firm comes in for the time being.
    Suspended {
        /// Why.
        reason: Name,
    },
    /// The firm comes in again.
    Resumed {},
    /// The firm stopped; its data is kept for the time being.
    Closed {
        /// When its data is destroyed.
        purge_at: Timestamp,
    },
    /// The firm changed its mind before its data was destroyed.
    Reopened {
        /// Where it stands again: as it would had it never closed.
        status: TenantStatus,
    },
    /// The firm said which providers its people log in at.
    LoginsLimited {
        /// Each provider's `iss`; any of the installation's if there are none.
        issuers: Vec<Issuer>,
    },
    /// A user became an owner of the firm.
    OwnerAdded {
        /// Who.
        user_id: UserId,
    },
    /// A user is no owner any more.
    OwnerRemoved {
        /// Who.
        user_id: UserId,
    },
    /// One owner stepped down for another.
    OwnershipTransferred {
        /// Who was an owner.
        from_user_id: UserId,
        /// Who is one now.
        to_user_id: UserId,
    },
    /// An operator put something else in the place of an event of the firm that could not be applied; whoever keeps copies
    /// reads it again.
    #[name("event.repaired")]
    EventRepaired {
        /// The event's position.
        position: i64,
        /// The event.
        event_id: Uuid,
        /// The kind of stream it belongs to.
        aggregate_type: String,
        /// The stream.
        aggregate_id: Uuid,
        /// Why, in the operator's words.
        reason: Name,
    },
}
