//! Something that a client is asked to do: the client says that it is done, the firm that it is as it should be.

use crate::PortalUser;
use kernel::{
    Actor, Aggregate, ClientId, Context, Date, Decision, Flag, Machine, Name, Patch, Personal, PortalUserId, ProjectId,
    Reference, Resource, Scope, Text, command, rejection,
};
use portal_events::{ClientTaskEvent as E, ClientTaskStatus as Status};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ClientTaskCommand as C;
use ClientTaskRejection as R;

/// What may be asked of a client's task.
#[command("portal.client_task", member)]
pub enum ClientTaskCommand {
    /// Asks a client to do something. Portal users of the client see it.
    #[creates]
    #[refused(UnknownPortalUser, "crm.client.blocked")]
    Assign {
        /// The client.
        client_id: ClientId,
        /// Who there; anybody unless given.
        #[serde(default)]
        portal_user_id: Option<PortalUserId>,
        /// The project that it is for.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// What is to be done.
        title: Name,
        /// How.
        #[serde(default)]
        description: Option<Text>,
        /// When it is due.
        #[serde(default)]
        due_on: Option<Date>,
    },
    /// Asks for something else, or by another day. What is left out stays, `null` removes it.
    #[refused(NotWithClient, FirmOnly)]
    Revise {
        /// What is to be done.
        #[serde(default)]
        title: Option<Name>,
        /// How.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        description: Patch<Text>,
        /// When it is due.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        due_on: Patch<Date>,
    },
    /// Says that it is done; the firm says so for a client who does not come in.
    #[refused(NotWithClient, OfSomebodyElse)]
    Submit {
        /// What there is to say of it.
        #[serde(default)]
        note: Option<Text>,
    },
    /// Says that it is as it should be.
    #[refused(NotSubmitted, FirmOnly)]
    Accept {},
    /// Says that it is not as it should be; the client is to do it again.
    #[refused(NotSubmitted, FirmOnly)]
    Return {
        /// What is wrong; the client reads it.
        reason: Text,
    },
    /// Ends it, after it was accepted.
    #[refused(NotAccepted, FirmOnly)]
    Complete {},
    /// Takes it back: the client need not do it.
    #[refused(AlreadyAccepted, FirmOnly)]
    Withdraw {},
}

/// Why a client's task's command may be refused.
#[rejection("portal.client_task")]
pub enum ClientTaskRejection {
    /// The client has no such portal user.
    #[invalid("/portal_user_id")]
    UnknownPortalUser,
    /// The client is not to do it now.
    NotWithClient,
    /// Another portal user is to do it.
    OfSomebodyElse,
    /// The client has not said that it is done.
    NotSubmitted,
    /// It is not accepted.
    NotAccepted,
    /// It was accepted, and cannot be taken back.
    AlreadyAccepted,
    /// The firm does this, not the client.
    #[audited]
    FirmOnly,
}

/// What is remembered of a client's task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientTask {
    client_id: ClientId,
    portal_user_id: Option<PortalUserId>,
    project_id: Option<ProjectId>,
    title: String,
    description: Option<Text>,
    due_on: Option<Date>,
    status: Status,
}

impl Aggregate for ClientTask {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "portal/client-tasks";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        [self.client_id.into()].into_iter().chain(self.project_id.map(Resource::from)).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Assign { client_id, project_id, .. } => {
                Scope::begins_in([(*client_id).into()].into_iter().chain(project_id.map(Resource::from)))
            }
            _ => Scope::of(self.belongs_to(id)).owned_by(self.portal_user_id),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Assign { portal_user_id: Some(user), .. } => vec![Reference::id::<PortalUser>(*user)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let client = match ctx.actor {
            Actor::PortalUser { id } => Some(id),
            _ => None,
        };
        Ok(match command {
            C::Assign { client_id, portal_user_id, project_id, title, description, due_on } => {
                if !PortalUser::is_of_client(portal_user_id, client_id, ctx) {
                    return Err(R::UnknownPortalUser);
                }
                vec![E::Assigned { client_id, portal_user_id, project_id, title, description, due_on }]
            }
            C::Submit { .. } if client.is_some() && self.portal_user_id.is_some() && client != self.portal_user_id => {
                return Err(R::OfSomebodyElse);
            }
            C::Submit { .. } if self.status == Status::Submitted => vec![],
            C::Submit { .. } if !self.status.is_with_client() => return Err(R::NotWithClient),
            C::Submit { note } => vec![E::Submitted { note: note.map(Personal::new) }],
            _ if client.is_some() => return Err(R::FirmOnly),
            C::Revise { .. } if !self.status.is_with_client() => return Err(R::NotWithClient),
            C::Revise { title, description, due_on } => {
                let is_new = title.as_ref().is_some_and(|title| title.as_str() != self.title);
                let (description, due_on) = (description.over(&self.description), due_on.over(&self.due_on));
                if !is_new && description == self.description && due_on == self.due_on {
                    return Ok(vec![]);
                }
                let title = title.or_else(|| self.title.parse().ok());
                title.map(|title| E::Revised { title, description, due_on }).into_iter().collect()
            }
            C::Accept {} if matches!(self.status, Status::Accepted | Status::Done) => vec![],
            C::Return { .. } if self.status == Status::Returned => vec![],
            C::Return { reason } if matches!(self.status, Status::Submitted | Status::Accepted) => {
                vec![E::Returned { reason }]
            }
            C::Accept {} | C::Return { .. } if self.status != Status::Submitted => return Err(R::NotSubmitted),
            C::Accept {} => vec![E::Accepted {}],
            C::Return { .. } => return Err(R::NotSubmitted),
            C::Complete {} if self.status == Status::Done => vec![],
            C::Complete {} if self.status != Status::Accepted => return Err(R::NotAccepted),
            C::Complete {} => vec![E::Completed {}],
            C::Withdraw {} if self.status == Status::Withdrawn => vec![],
            C::Withdraw {} if matches!(self.status, Status::Accepted | Status::Done) => {
                return Err(R::AlreadyAccepted);
            }
            C::Withdraw {} => vec![E::Withdrawn {}],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Assigned { client_id, portal_user_id, project_id, title, description, due_on } => {
                (self.client_id, self.portal_user_id) = (*client_id, *portal_user_id);
                self.project_id = *project_id;
                self.title = title.as_str().to_owned();
                (self.description, self.due_on) = (description.clone(), *due_on);
            }
            E::Revised { title, description, due_on } => {
                self.title = title.as_str().to_owned();
                (self.description, self.due_on) = (description.clone(), *due_on);
            }
            E::Submitted { .. } | E::Accepted {} | E::Returned { .. } | E::Completed {} | E::Withdrawn {} => {}
        }
    }

    /// A blocked client is asked for nothing new.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Assigned { client_id, .. } => vec![(Flag::CLIENT_BLOCKED, client_id.0)],
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::{Given, given};
    use portal_events::PortalUserEvent;

    const ACME: ClientId = ClientId(Uuid::from_u128(20));
    const ADA: PortalUserId = PortalUserId(Uuid::from_u128(10));

    fn assign(portal_user_id: Option<PortalUserId>) -> C {
        C::Assign {
            client_id: ACME,
            portal_user_id,
            project_id: None,
            title: "Send the receipts".parse().unwrap(),
            description: None,
            due_on: None,
        }
    }

    fn assigned(portal_user_id: Option<PortalUserId>) -> E {
        E::Assigned {
            client_id: ACME,
            portal_user_id,
            project_id: None,
            title: "Send the receipts".parse().unwrap(),
            description: None,
            due_on: None,
        }
    }

    fn portal_user(client_id: ClientId) -> PortalUser {
        let mut user = PortalUser::default();
        user.apply(&PortalUserEvent::Created {
            client_id,
            contact_id: None,
            name: Personal::new("Ada".parse().unwrap()),
            email: Personal::new("ada@example.com".parse().unwrap()),
        });
        user
    }

    fn submit() -> C {
        C::Submit { note: None }
    }

    fn submitted() -> E {
        E::Submitted { note: None }
    }

    fn returned() -> E {
        E::Returned { reason: "March is missing".parse().unwrap() }
    }

    fn of(events: impl IntoIterator<Item = E>) -> Given<ClientTask> {
        given::<ClientTask>([assigned(None)].into_iter().chain(events))
    }

    #[test]
    fn a_client_is_asked_and_only_a_portal_user_of_that_client_can_be() {
        let when = given::<ClientTask>([]).when(assign(None)).then([assigned(None)]);
        assert_eq!(when.forbidden_by(), [(Flag::CLIENT_BLOCKED, ACME.0)]);
        let knowing =
            |client| given::<ClientTask>([]).knowing(Reference::id::<PortalUser>(ADA), ADA, portal_user(client));
        knowing(ACME).when(assign(Some(ADA))).then([assigned(Some(ADA))]);
        let other = knowing(ClientId(Uuid::from_u128(21))).when(assign(Some(ADA)));
        other.rejected("portal.client_task.unknown_portal_user");
        let nobody = given::<ClientTask>([]).when(assign(Some(ADA)));
        nobody.rejected("portal.client_task.unknown_portal_user");
    }

    #[test]
    fn the_client_submits_and_the_firm_accepts_or_returns() {
        of([]).by_portal_user(ADA).when(submit()).then([submitted()]);
        of([submitted()]).by_portal_user(ADA).when(submit()).then_nothing();
        of([submitted()]).when(C::Accept {}).then([E::Accepted {}]);
        let give_back = || C::Return { reason: "March is missing".parse().unwrap() };
        of([submitted()]).when(give_back()).then([returned()]);
        of([submitted(), E::Accepted {}]).when(give_back()).then([returned()]);
        of([submitted(), returned()]).by_portal_user(ADA).when(submit()).then([submitted()]);
        of([submitted(), E::Accepted {}]).when(C::Complete {}).then([E::Completed {}]);
        of([submitted()]).when(C::Complete {}).rejected("portal.client_task.not_accepted");
        of([]).when(C::Accept {}).rejected("portal.client_task.not_submitted");
        of([]).when(give_back()).rejected("portal.client_task.not_submitted");
        of([submitted(), E::Accepted {}]).when(submit()).rejected("portal.client_task.not_with_client");
    }

    #[test]
    fn what_is_the_firms_to_say_the_client_cannot_say() {
        let events = || [submitted()];
        for command in [C::Accept {}, C::Complete {}, C::Withdraw {}] {
            of(events()).by_portal_user(ADA).when(command).rejected("portal.client_task.firm_only");
        }
    }

    #[test]
    fn what_one_person_is_asked_for_nobody_else_of_the_client_submits() {
        let task = || given::<ClientTask>([assigned(Some(ADA))]);
        task().by_portal_user(ADA).when(submit()).then([submitted()]);
        let other = PortalUserId(Uuid::from_u128(11));
        task().by_portal_user(other).when(submit()).rejected("portal.client_task.of_somebody_else");
        task().when(submit()).then([submitted()]);
    }

    #[test]
    fn what_is_accepted_is_not_taken_back() {
        of([]).when(C::Withdraw {}).then([E::Withdrawn {}]);
        of([E::Withdrawn {}]).when(C::Withdraw {}).then_nothing();
        of([E::Withdrawn {}]).by_portal_user(ADA).when(submit()).rejected("portal.client_task.not_with_client");
        let accepted = [submitted(), E::Accepted {}];
        of(accepted).when(C::Withdraw {}).rejected("portal.client_task.already_accepted");
    }

    #[test]
    fn what_is_asked_for_changes_while_the_client_has_it() {
        let due = || C::Revise {
            title: None,
            description: Patch::Unchanged,
            due_on: Patch::Set("2026-12-01".parse().unwrap()),
        };
        let revised = E::Revised {
            title: "Send the receipts".parse().unwrap(),
            description: None,
            due_on: "2026-12-01".parse().ok(),
        };
        of([]).when(due()).then([revised.clone()]);
        of([revised]).when(due()).then_nothing();
        of([submitted()]).when(due()).rejected("portal.client_task.not_with_client");
    }
}
