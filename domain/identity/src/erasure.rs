//! An erasure: somebody's personal data is made unreadable for good, and this says so.

use crate::Tenant;
use identity_events::{ErasureEvent as E, ErasureStatus};
use kernel::{Actor, Aggregate, Context, Decision, Flag, Machine, Name, Reference, UserId, command, rejection};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ErasureCommand as C;
use ErasureRejection as R;

/// What may be asked of an erasure.
#[command("identity.erasure", !member)]
pub enum ErasureCommand {
    /// Orders that everything personal about somebody is erased; nothing brings it back. No owner: who owns the firm hands it
    /// over first.
    #[creates]
    #[refused(Owner, "identity.user.owner")]
    Request {
        /// Whom: the id of a user, contact, client, portal user, appointment or whatever else speaks of one person.
        subject_id: Uuid,
        /// Why: a ticket or a paragraph, never the person's name.
        reason: Name,
        /// Also erases what workflows have made of it: the client, the contact and the folder of an appointment, say.
        #[serde(default)]
        derived: bool,
    },
    /// Notes that it is done, and what it came to; only UBOS itself does.
    #[refused(SystemOnly)]
    Complete {
        /// Streams that were erased.
        streams: u32,
        /// Keys that were destroyed.
        keys: u32,
        /// Events of these streams.
        events: u32,
        /// Events among them that were written before there was a vault and still say something personal.
        plain_events: u32,
        /// Rows of read models that were folded anew.
        rows: u32,
        /// Messages that were deleted from NATS.
        messages: u32,
    },
}

/// Why an erasure's command may be refused.
#[rejection("identity.erasure")]
pub enum ErasureRejection {
    /// An owner hands the firm over first: identity.tenant.transfer_ownership.
    #[invalid("/subject_id")]
    Owner,
    /// Only UBOS itself completes an erasure.
    #[audited]
    SystemOnly,
}

/// What is remembered of an erasure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    status: ErasureStatus,
}

impl Aggregate for Erasure {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/erasures";
    const STATE_VERSION: i32 = 2;

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        match command {
            C::Request { .. } => vec![Reference::id::<Tenant>(ctx.tenant.0)],
            C::Complete { .. } => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Request { subject_id, .. } if owns(UserId(subject_id), ctx) => return Err(R::Owner),
            C::Request { subject_id, reason, derived } => {
                vec![E::Requested { subject_id, reason, derived, of_closed_firm: of_closed_firm(ctx) }]
            }
            C::Complete { .. } if !matches!(ctx.actor, Actor::System { .. }) => return Err(R::SystemOnly),
            C::Complete { .. } if self.status == ErasureStatus::Completed => vec![],
            C::Complete { streams, keys, events, plain_events, rows, messages } => {
                vec![E::Completed { streams, keys, events, plain_events, rows, messages }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
    }

    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Requested { subject_id, of_closed_firm: false, .. } => vec![(Flag::OWNER, *subject_id)],
            E::Requested { .. } | E::Completed { .. } => vec![],
        }
    }
}

fn owns(user: UserId, ctx: &Context) -> bool {
    !of_closed_firm(ctx) && ctx.referenced::<Tenant>(ctx.tenant.0).is_some_and(|firm| firm.is_owner(user))
}

/// A firm that is closed needs no owner any more, and operators may erase its last one.
fn of_closed_firm(ctx: &Context) -> bool {
    ctx.actor.is_system() && ctx.referenced::<Tenant>(ctx.tenant.0).is_some_and(Tenant::is_closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    fn requested() -> E {
        let (subject_id, reason) = (Uuid::from_u128(7), "ticket 4711".parse().unwrap());
        E::Requested { subject_id, reason, derived: false, of_closed_firm: false }
    }

    fn complete() -> C {
        C::Complete { streams: 1, keys: 1, events: 3, plain_events: 0, rows: 1, messages: 3 }
    }

    #[test]
    fn an_erasure_is_ordered_with_a_reason() {
        let request =
            C::Request { subject_id: Uuid::from_u128(7), reason: "ticket 4711".parse().unwrap(), derived: false };
        let ordered = given::<Erasure>([]).when(request);
        assert_eq!(ordered.forbidden_by(), [(Flag::OWNER, Uuid::from_u128(7))], "who becomes an owner meanwhile");
        ordered.then([requested()]);
    }

    #[test]
    fn an_owner_is_not_erased() {
        use identity_events::TenantEvent;
        let registered = TenantEvent::Registered {
            name: "Engines".parse().unwrap(),
            owner_id: UserId(Uuid::from_u128(7)),
            trial_ends_at: kernel::spec::spec_time(),
        };
        let mut firm = Tenant::default();
        firm.apply(&registered);
        let request =
            || C::Request { subject_id: Uuid::from_u128(7), reason: "ticket 4711".parse().unwrap(), derived: false };
        let (id, by) = (Uuid::from_u128(1), Reference::id::<Tenant>(Uuid::from_u128(1)));
        let known = |firm: &Tenant| given::<Erasure>([]).knowing(by.clone(), id, firm.clone());
        known(&firm).when(request()).rejected("identity.erasure.owner");
        known(&firm).by_system().when(request()).rejected("identity.erasure.owner");
        firm.apply(&TenantEvent::Closed { purge_at: kernel::spec::spec_time() });
        known(&firm).when(request()).rejected("identity.erasure.owner");
        let of_last_owner = known(&firm).by_system().when(request());
        assert_eq!((of_last_owner.events().len(), of_last_owner.forbidden_by()), (1, vec![]));
    }

    #[test]
    fn only_ubos_itself_says_that_it_is_done_and_once() {
        given::<Erasure>([requested()]).when(complete()).rejected("identity.erasure.system_only");
        let done = E::Completed { streams: 1, keys: 1, events: 3, plain_events: 0, rows: 1, messages: 3 };
        given::<Erasure>([requested()]).by_system().when(complete()).then([done.clone()]);
        given::<Erasure>([requested(), done]).by_system().when(complete()).then([]);
    }
}
