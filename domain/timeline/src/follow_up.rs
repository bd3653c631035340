//! A follow-up: what somebody does about a client, a contact, a deal, a project or an engagement when its time comes.

use crate::is_of_a_client;
use kernel::{
    About, Aggregate, ClientId, Context, Decision, Machine, Name, Personal, Resource, Scope, Text, Timestamp, UserId,
    command, rejection,
};
use serde::{Deserialize, Serialize};
use timeline_events::{FollowUpEvent as E, FollowUpStatus as Status};
use uuid::Uuid;

use FollowUpCommand as C;
use FollowUpRejection as R;

/// What may be asked of a follow-up. Of a client that is blocked one may be reminded, too.
#[command("timeline.follow_up", member)]
pub enum FollowUpCommand {
    /// Has something followed up at its time.
    #[creates]
    #[refused(StaffOnly, InThePast)]
    Schedule {
        /// What it is about: a client, contact, deal, engagement or project.
        about: About,
        /// The client that what it is about belongs to, so that it is on its timeline too.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// Who does it.
        assignee_id: UserId,
        /// What is to be done.
        title: Name,
        /// What there is to know about it.
        #[serde(default)]
        note: Option<Text>,
        /// When its time comes.
        due_at: Timestamp,
    },
    /// Notes that its time has come; only UBOS itself does.
    #[refused(SystemOnly, NotYet)]
    FallDue {},
    /// Puts it off.
    #[refused(StaffOnly, Closed, InThePast)]
    Snooze {
        /// When its time comes again.
        due_at: Timestamp,
    },
    /// Has somebody else do it.
    #[refused(StaffOnly, Closed)]
    Reassign {
        /// Who.
        assignee_id: UserId,
    },
    /// Notes that it is done.
    #[refused(StaffOnly, Closed)]
    Complete {},
    /// Notes that it need not be done.
    #[refused(StaffOnly, Closed)]
    Dismiss {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
}

/// Why a follow-up's command may be refused.
#[rejection("timeline.follow_up")]
pub enum FollowUpRejection {
    /// Follow-ups are the firm's own.
    #[audited]
    StaffOnly,
    /// Only UBOS itself notes that a time has come.
    #[audited]
    SystemOnly,
    /// That time has passed.
    #[invalid("/due_at")]
    InThePast,
    /// Its time has not come.
    NotYet,
    /// It is done, or need not be done any more.
    Closed,
}

/// What is remembered of a follow-up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FollowUp {
    about: Option<About>,
    client_id: Option<ClientId>,
    assignee_id: Option<UserId>,
    due_at: Option<Timestamp>,
    status: Status,
}

impl FollowUp {
    /// When its time comes, if it waits for that.
    pub fn waits_until(&self) -> Option<Timestamp> {
        self.due_at.filter(|_| self.status.waits())
    }
}

impl Aggregate for FollowUp {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "timeline/follow-ups";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.about.map(|about| about.with_client(self.client_id)).unwrap_or_default()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Schedule { about, client_id, assignee_id, .. } => {
                Scope::begins_in(about.with_client(*client_id)).owned_by([*assignee_id])
            }
            _ => Scope::of(self.belongs_to(id)).owned_by(self.assignee_id),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::FallDue {} if !ctx.actor.is_system() => return Err(R::SystemOnly),
            C::FallDue {} => match self.waits_until() {
                Some(due_at) if ctx.now < due_at => return Err(R::NotYet),
                Some(_) => self.assignee_id.map(|assignee_id| E::Due { assignee_id }).into_iter().collect(),
                None => vec![],
            },
            _ if is_of_a_client(ctx) => return Err(R::StaffOnly),
            C::Schedule { due_at, .. } if due_at < ctx.now => return Err(R::InThePast),
            C::Schedule { about, client_id, assignee_id, title, note, due_at } => {
                let (title, note) = (title.into(), note.map(Personal::new));
                vec![E::Scheduled { about, client_id, assignee_id, title, note, due_at }]
            }
            C::Complete {} if self.status == Status::Done => vec![],
            C::Dismiss { .. } if self.status == Status::Dismissed => vec![],
            _ if !self.status.is_open() => return Err(R::Closed),
            C::Snooze { due_at } if self.waits_until() == Some(due_at) => vec![],
            C::Snooze { due_at } if due_at < ctx.now => return Err(R::InThePast),
            C::Snooze { due_at } => vec![E::Snoozed { due_at }],
            C::Reassign { assignee_id } if self.assignee_id == Some(assignee_id) => vec![],
            C::Reassign { assignee_id } => vec![E::Reassigned { assignee_id }],
            C::Complete {} => vec![E::Completed {}],
            C::Dismiss { reason } => vec![E::Dismissed { reason: reason.map(Personal::new) }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Scheduled { about, client_id, assignee_id, due_at, .. } => {
                (self.about, self.client_id) = (Some(*about), *client_id);
                (self.assignee_id, self.due_at) = (Some(*assignee_id), Some(*due_at));
            }
            E::Snoozed { due_at } => self.due_at = Some(*due_at),
            E::Reassigned { assignee_id } => self.assignee_id = Some(*assignee_id),
            E::Due { .. } | E::Completed {} | E::Dismissed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use kernel::spec::{Given, given, spec_time};
    use kernel::{Actor, PortalUserId};
    use std::slice::from_ref;

    fn about() -> About {
        About::Client { id: ClientId(Uuid::from_u128(7)) }
    }

    fn later(hours: i64) -> Timestamp {
        spec_time() + TimeDelta::hours(hours)
    }

    fn schedule(due_at: Timestamp) -> C {
        let (title, assignee_id) = ("Call Ada".parse().unwrap(), UserId(Uuid::from_u128(2)));
        C::Schedule { about: about(), client_id: None, assignee_id, title, note: None, due_at }
    }

    fn scheduled(due_at: Timestamp) -> E {
        let (title, assignee_id) = (Personal::new("Call Ada".parse().unwrap()), UserId(Uuid::from_u128(2)));
        E::Scheduled { about: about(), client_id: None, assignee_id, title, note: None, due_at }
    }

    fn due(assignee: u128) -> E {
        E::Due { assignee_id: UserId(Uuid::from_u128(assignee)) }
    }

    fn has(events: &[E]) -> Given<FollowUp> {
        given::<FollowUp>([&[scheduled(later(2))], events].concat())
    }

    #[test]
    fn a_follow_up_is_for_a_time_to_come() {
        given::<FollowUp>([]).when(schedule(later(2))).then([scheduled(later(2))]);
        given::<FollowUp>([]).when(schedule(later(-1))).rejected("timeline.follow_up.in_the_past");
        let visitor = Actor::PortalUser { id: PortalUserId(Uuid::from_u128(9)) };
        given::<FollowUp>([]).by(visitor).when(schedule(later(2))).rejected("timeline.follow_up.staff_only");
    }

    #[test]
    fn it_falls_due_when_its_time_has_come_and_once() {
        has(&[]).at(later(3)).when(C::FallDue {}).rejected("timeline.follow_up.system_only");
        has(&[]).by_system().at(later(1)).when(C::FallDue {}).rejected("timeline.follow_up.not_yet");
        has(&[]).by_system().at(later(2)).when(C::FallDue {}).then([due(2)]);
        has(&[due(2)]).by_system().at(later(3)).when(C::FallDue {}).then_nothing();
        has(&[E::Completed {}]).by_system().at(later(3)).when(C::FallDue {}).then_nothing();
    }

    #[test]
    fn what_is_put_off_falls_due_again() {
        let snoozed = E::Snoozed { due_at: later(5) };
        has(&[due(2)]).when(C::Snooze { due_at: later(5) }).then([snoozed.clone()]);
        has(from_ref(&snoozed)).when(C::Snooze { due_at: later(5) }).then_nothing();
        has(&[]).when(C::Snooze { due_at: later(2) }).then_nothing();
        has(&[]).when(C::Snooze { due_at: later(-1) }).rejected("timeline.follow_up.in_the_past");
        has(from_ref(&snoozed)).by_system().at(later(3)).when(C::FallDue {}).rejected("timeline.follow_up.not_yet");
        has(&[due(2), snoozed]).by_system().at(later(5)).when(C::FallDue {}).then([due(2)]);
    }

    #[test]
    fn what_is_over_stays_over() {
        has(&[]).when(C::Complete {}).then([E::Completed {}]);
        has(&[E::Completed {}]).when(C::Complete {}).then_nothing();
        has(&[E::Completed {}]).when(C::Dismiss { reason: None }).rejected("timeline.follow_up.closed");
        let dismissed = E::Dismissed { reason: None };
        has(&[due(2)]).when(C::Dismiss { reason: None }).then([dismissed.clone()]);
        has(from_ref(&dismissed)).when(C::Dismiss { reason: None }).then_nothing();
        has(&[dismissed]).when(C::Snooze { due_at: later(9) }).rejected("timeline.follow_up.closed");
    }

    #[test]
    fn somebody_else_does_it_from_now_on() {
        let assignee_id = UserId(Uuid::from_u128(5));
        has(&[]).when(C::Reassign { assignee_id }).then([E::Reassigned { assignee_id }]);
        has(&[]).when(C::Reassign { assignee_id: UserId(Uuid::from_u128(2)) }).then_nothing();
        let reassigned = E::Reassigned { assignee_id };
        has(from_ref(&reassigned)).by_system().at(later(2)).when(C::FallDue {}).then([due(5)]);
    }
}
