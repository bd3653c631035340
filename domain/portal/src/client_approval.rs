//! A question whether a client approves of something. Somebody at the client answers it, nobody of the firm.

use crate::PortalUser;
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, ClientId, Context, Decision, Flag, Machine, PortalUserId, ProjectId,
    Reference, Resource, Scope, Text, Timestamp, command, rejection,
};
use portal_events::{ClientApprovalEvent as E, ClientApprovalStatus as Status, ClientApprovalSubject};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ClientApprovalCommand as C;
use ClientApprovalRejection as R;

/// The thing of which a client is asked whether it approves: one question at a time.
const SUBJECT_CLAIM: &str = "portal.client_approval.subject";

/// What may be asked of such a question.
#[command("portal.client_approval", member)]
pub enum ClientApprovalCommand {
    /// Asks a client to approve of something. Portal users of the client see it.
    #[creates]
    #[refused(UnknownPortalUser, ExpiresInPast, "subject.taken", "crm.client.blocked")]
    Request {
        /// The client.
        client_id: ClientId,
        /// Who there; anybody unless given.
        #[serde(default)]
        portal_user_id: Option<PortalUserId>,
        /// The project that it belongs to.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// Of what.
        subject: ClientApprovalSubject,
        /// What there is to say of it; the client reads it.
        #[serde(default)]
        message: Option<Text>,
        /// Until when the client may answer; for ever unless given.
        #[serde(default)]
        expires_at: Option<Timestamp>,
    },
    /// Says yes, as somebody at the client.
    #[refused(ClientOnly, OfSomebodyElse, NotRequested, Expired)]
    Approve {},
    /// Says no, as somebody at the client.
    #[refused(ClientOnly, OfSomebodyElse, NotRequested, Expired)]
    Decline {
        /// Why.
        reason: Text,
    },
    /// Asks no more.
    #[refused(FirmOnly, NotRequested)]
    Withdraw {},
    /// Notes that the client has not answered in time.
    #[refused(FirmOnly, NotRequested, NotExpired)]
    Expire {},
}

/// Why such a question's command may be refused.
#[rejection("portal.client_approval")]
pub enum ClientApprovalRejection {
    /// The client has no such portal user.
    #[invalid("/portal_user_id")]
    UnknownPortalUser,
    /// It would be too late to answer at once.
    #[invalid("/expires_at")]
    ExpiresInPast,
    /// Only a portal user of the client decides.
    #[audited]
    ClientOnly,
    /// The firm does this, not the client.
    #[audited]
    FirmOnly,
    /// Another portal user is asked.
    OfSomebodyElse,
    /// The question was answered, withdrawn or has expired.
    NotRequested,
    /// It is too late to answer.
    Expired,
    /// The client may still answer.
    NotExpired,
}

/// What is remembered of such a question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientApproval {
    client_id: ClientId,
    portal_user_id: Option<PortalUserId>,
    project_id: Option<ProjectId>,
    subject: Option<ClientApprovalSubject>,
    expires_at: Option<Timestamp>,
    status: Status,
}

impl Aggregate for ClientApproval {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "portal/client-approvals";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        [self.client_id.into()].into_iter().chain(self.project_id.map(Resource::from)).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Request { client_id, project_id, .. } => {
                Scope::begins_in([(*client_id).into()].into_iter().chain(project_id.map(Resource::from)))
            }
            _ => Scope::of(self.belongs_to(id)).owned_by(self.portal_user_id),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Request { portal_user_id: Some(user), .. } => vec![Reference::id::<PortalUser>(*user)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let is_late = self.expires_at.is_some_and(|at| at <= ctx.now);
        Ok(match command {
            C::Request { client_id, portal_user_id, project_id, subject, message, expires_at } => {
                if !PortalUser::is_of_client(portal_user_id, client_id, ctx) {
                    return Err(R::UnknownPortalUser);
                }
                if expires_at.is_some_and(|at| at <= ctx.now) {
                    return Err(R::ExpiresInPast);
                }
                vec![E::Requested { client_id, portal_user_id, project_id, subject, message, expires_at }]
            }
            answer @ (C::Approve {} | C::Decline { .. }) => {
                let Actor::PortalUser { id: portal_user_id } = ctx.actor else { return Err(R::ClientOnly) };
                if self.portal_user_id.is_some_and(|asked| asked != portal_user_id) {
                    return Err(R::OfSomebodyElse);
                }
                match (answer, self.status, &self.subject) {
                    (C::Approve {}, Status::Approved, _) | (C::Decline { .. }, Status::Declined, _) => vec![],
                    (_, Status::Requested, _) if is_late => return Err(R::Expired),
                    (C::Approve {}, Status::Requested, Some(subject)) => {
                        vec![E::Approved { portal_user_id, subject: subject.clone() }]
                    }
                    (C::Decline { reason }, Status::Requested, Some(subject)) => {
                        let (subject, reason) = (subject.clone(), reason.into());
                        vec![E::Declined { portal_user_id, subject, reason }]
                    }
                    _ => return Err(R::NotRequested),
                }
            }
            _ if matches!(ctx.actor, Actor::PortalUser { .. }) => return Err(R::FirmOnly),
            C::Withdraw {} if self.status == Status::Withdrawn => vec![],
            C::Expire {} if self.status == Status::Expired => vec![],
            _ if self.status != Status::Requested => return Err(R::NotRequested),
            C::Withdraw {} => vec![E::Withdrawn {}],
            C::Expire {} if !is_late => return Err(R::NotExpired),
            C::Expire {} => vec![E::Expired {}],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Requested { client_id, portal_user_id, project_id, subject, message: _, expires_at } => {
                (self.client_id, self.portal_user_id) = (*client_id, *portal_user_id);
                (self.project_id, self.expires_at) = (*project_id, *expires_at);
                self.subject = Some(subject.clone());
            }
            E::Approved { .. } | E::Declined { .. } | E::Withdrawn {} | E::Expired {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match (event, &self.subject) {
            (E::Requested { client_id, subject, .. }, _) => vec![ClaimChange::Take(claim(*client_id, subject))],
            (E::Approved { .. } | E::Declined { .. } | E::Withdrawn {} | E::Expired {}, Some(subject)) => {
                vec![ClaimChange::Release(claim(self.client_id, subject))]
            }
            (_, None) => vec![],
        }
    }

    /// A blocked client is asked for nothing new.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Requested { client_id, .. } => vec![(Flag::CLIENT_BLOCKED, client_id.0)],
            _ => vec![],
        }
    }
}

fn claim(client: ClientId, subject: &ClientApprovalSubject) -> Claim {
    Claim::new(SUBJECT_CLAIM, format!("{client}/{}/{}", subject.kind.name(), subject.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Personal;
    use kernel::spec::{Given, given, spec_time};
    use portal_events::SubjectKind;

    const ACME: ClientId = ClientId(Uuid::from_u128(20));
    const ADA: PortalUserId = PortalUserId(Uuid::from_u128(10));

    fn subject() -> ClientApprovalSubject {
        let title = "Design".parse().unwrap();
        ClientApprovalSubject { kind: SubjectKind::Milestone, id: Uuid::from_u128(30), title }
    }

    fn request(expires_at: Option<Timestamp>) -> C {
        C::Request {
            client_id: ACME,
            portal_user_id: None,
            project_id: None,
            subject: subject(),
            message: None,
            expires_at,
        }
    }

    fn requested(portal_user_id: Option<PortalUserId>, expires_at: Option<Timestamp>) -> E {
        E::Requested {
            client_id: ACME,
            portal_user_id,
            project_id: None,
            subject: subject(),
            message: None,
            expires_at,
        }
    }

    fn open() -> Given<ClientApproval> {
        given::<ClientApproval>([requested(None, None)])
    }

    fn approved() -> E {
        E::Approved { portal_user_id: ADA, subject: subject() }
    }

    fn decline() -> C {
        C::Decline { reason: "The logo".parse().unwrap() }
    }

    #[test]
    fn a_client_is_asked_of_one_thing_once_at_a_time() {
        let when = given::<ClientApproval>([]).when(request(None)).then([requested(None, None)]);
        let claim = Claim::new("portal.client_approval.subject", format!("{ACME}/milestone/{}", Uuid::from_u128(30)));
        assert_eq!(when.claims(), [ClaimChange::Take(claim.clone())]);
        let when = open().when(C::Withdraw {}).then([E::Withdrawn {}]);
        assert_eq!(when.claims(), [ClaimChange::Release(claim)]);
        let past = given::<ClientApproval>([]).when(request(Some(spec_time())));
        past.rejected("portal.client_approval.expires_in_past");
    }

    #[test]
    fn somebody_at_the_client_decides_and_nobody_of_the_firm() {
        open().by_portal_user(ADA).when(C::Approve {}).then([approved()]);
        let reason = Personal::new("The logo".parse().unwrap());
        let declined = E::Declined { portal_user_id: ADA, subject: subject(), reason };
        open().by_portal_user(ADA).when(decline()).then([declined]);
        for command in [C::Approve {}, decline()] {
            open().when(command.clone()).rejected("portal.client_approval.client_only");
            open().by_system().when(command).rejected("portal.client_approval.client_only");
        }
        open().by_portal_user(ADA).when(C::Withdraw {}).rejected("portal.client_approval.firm_only");
    }

    #[test]
    fn who_is_asked_by_name_decides_alone() {
        let asked = || given::<ClientApproval>([requested(Some(ADA), None)]);
        asked().by_portal_user(ADA).when(C::Approve {}).then([approved()]);
        let other = asked().by_portal_user(Uuid::from_u128(11)).when(C::Approve {});
        other.rejected("portal.client_approval.of_somebody_else");
    }

    #[test]
    fn what_is_decided_stays_so() {
        let done = || given::<ClientApproval>([requested(None, None), approved()]);
        done().by_portal_user(ADA).when(C::Approve {}).then_nothing();
        done().by_portal_user(ADA).when(decline()).rejected("portal.client_approval.not_requested");
        done().when(C::Withdraw {}).rejected("portal.client_approval.not_requested");
    }

    #[test]
    fn who_answers_too_late_is_told_so() {
        let at = spec_time() + chrono::TimeDelta::minutes(5);
        let asked = || given::<ClientApproval>([requested(None, Some(at))]);
        asked().when(C::Expire {}).rejected("portal.client_approval.not_expired");
        asked().at(at).by_portal_user(ADA).when(C::Approve {}).rejected("portal.client_approval.expired");
        asked().at(at).when(C::Expire {}).then([E::Expired {}]);
        open().when(C::Expire {}).rejected("portal.client_approval.not_expired");
    }
}
