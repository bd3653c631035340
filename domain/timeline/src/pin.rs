//! A pin: an entry of a timeline that is kept in sight.

use crate::{belongs, is_of_a_client};
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, Context, Decision, Machine, ProjectId, Resource, Scope, command, rejection,
};
use serde::{Deserialize, Serialize};
use timeline_events::{PinEvent as E, PinStatus as Status};
use uuid::Uuid;

use PinCommand as C;
use PinRejection as R;

/// Which pin an entry has on a timeline.
const ENTRY_CLAIM: &str = "timeline.pin.entry";

/// What may be asked of a pin.
#[command("timeline.pin", member)]
pub enum PinCommand {
    /// Pins an entry on the timeline of a client, a project or the firm; once on each.
    #[creates]
    #[refused(StaffOnly, "entry.taken")]
    Place {
        /// The entry of the timeline: an event's id.
        entry_id: Uuid,
        /// The client on whose timeline it is.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// The project on whose timeline it is.
        #[serde(default)]
        project_id: Option<ProjectId>,
    },
    /// Takes the pin out; the entry can be pinned again.
    #[refused(StaffOnly)]
    Remove {},
}

/// Why a pin's command may be refused.
#[rejection("timeline.pin")]
pub enum PinRejection {
    /// Pins are the firm's own.
    #[audited]
    StaffOnly,
}

/// What is remembered of a pin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    entry_id: Uuid,
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    status: Status,
}

impl Aggregate for Pin {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "timeline/pins";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        belongs(self.client_id, self.project_id)
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Place { client_id, project_id, .. } => Scope::begins_in(belongs(*client_id, *project_id)),
            C::Remove {} => Scope::of(self.belongs_to(id)),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            _ if is_of_a_client(ctx) => return Err(R::StaffOnly),
            C::Place { entry_id, client_id, project_id } => vec![E::Placed { entry_id, client_id, project_id }],
            C::Remove {} if self.status == Status::Removed => vec![],
            C::Remove {} => vec![E::Removed {}],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Placed { entry_id, client_id, project_id } => {
                (self.entry_id, self.client_id, self.project_id) = (*entry_id, *client_id, *project_id);
            }
            E::Removed {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Placed { entry_id, client_id, project_id } => {
                vec![ClaimChange::Take(entry_claim(*entry_id, *client_id, *project_id))]
            }
            E::Removed {} => vec![ClaimChange::Release(entry_claim(self.entry_id, self.client_id, self.project_id))],
        }
    }
}

/// The place of an entry on a timeline.
fn entry_claim(entry: Uuid, client_id: Option<ClientId>, project_id: Option<ProjectId>) -> Claim {
    let on: Vec<String> = belongs(client_id, project_id).iter().map(ToString::to_string).collect();
    Claim::new(ENTRY_CLAIM, format!("{entry}@{}", on.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;
    use kernel::{Actor, PortalUserId};

    fn placed() -> E {
        let client_id = Some(ClientId(Uuid::from_u128(7)));
        E::Placed { entry_id: Uuid::from_u128(1), client_id, project_id: None }
    }

    fn place() -> C {
        let client_id = Some(ClientId(Uuid::from_u128(7)));
        C::Place { entry_id: Uuid::from_u128(1), client_id, project_id: None }
    }

    #[test]
    fn an_entry_is_pinned_once_on_a_timeline_until_the_pin_is_taken_out() {
        let value = format!("{}@client/{}", Uuid::from_u128(1), Uuid::from_u128(7));
        let claim = Claim::new("timeline.pin.entry", value);
        assert_eq!(given::<Pin>([]).when(place()).then([placed()]).claims(), [ClaimChange::Take(claim.clone())]);
        let removed = given::<Pin>([placed()]).when(C::Remove {}).then([E::Removed {}]);
        assert_eq!(removed.claims(), [ClaimChange::Release(claim)]);
        given::<Pin>([placed(), E::Removed {}]).when(C::Remove {}).then_nothing();
    }

    #[test]
    fn nobody_of_a_client_pins() {
        let visitor = Actor::PortalUser { id: PortalUserId(Uuid::from_u128(9)) };
        given::<Pin>([]).by(visitor).when(place()).rejected("timeline.pin.staff_only");
    }
}
