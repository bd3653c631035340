//! An erasure: somebody's personal data is made unreadable for good, and this says so.

use identity_events::ErasureEvent as E;
use kernel::{Actor, Aggregate, Context, Decision, Name, command, rejection};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ErasureCommand as C;
use ErasureRejection as R;

/// What may be asked of an erasure.
#[command("identity.erasure")]
pub enum ErasureCommand {
    /// Orders that everything personal about somebody is erased; nothing brings it back.
    #[creates]
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
    #[refused(NotOurs)]
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
    /// Only UBOS itself completes an erasure.
    NotOurs,
}

/// What is remembered of an erasure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    completed: bool,
}

impl Aggregate for Erasure {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/erasures";

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Request { subject_id, reason, derived } => vec![E::Requested { subject_id, reason, derived }],
            C::Complete { .. } if !matches!(ctx.actor, Actor::System { .. }) => return Err(R::NotOurs),
            C::Complete { .. } if self.completed => vec![],
            C::Complete { streams, keys, events, plain_events, rows, messages } => {
                vec![E::Completed { streams, keys, events, plain_events, rows, messages }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Requested { .. } => {}
            E::Completed { .. } => self.completed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    fn requested() -> E {
        E::Requested { subject_id: Uuid::from_u128(7), reason: "ticket 4711".parse().unwrap(), derived: false }
    }

    fn complete() -> C {
        C::Complete { streams: 1, keys: 1, events: 3, plain_events: 0, rows: 1, messages: 3 }
    }

    #[test]
    fn an_erasure_is_ordered_with_a_reason() {
        let request =
            C::Request { subject_id: Uuid::from_u128(7), reason: "ticket 4711".parse().unwrap(), derived: false };
        given::<Erasure>([]).when(request).then([requested()]);
    }

    #[test]
    fn only_ubos_itself_says_that_it_is_done_and_once() {
        given::<Erasure>([requested()]).when(complete()).rejected("identity.erasure.not_ours");
        let done = E::Completed { streams: 1, keys: 1, events: 3, plain_events: 0, rows: 1, messages: 3 };
        given::<Erasure>([requested()]).by_system().when(complete()).then([done.clone()]);
        given::<Erasure>([requested(), done]).by_system().when(complete()).then([]);
    }
}
