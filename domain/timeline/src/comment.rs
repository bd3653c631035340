//! A comment: what somebody of the firm says about an entry of the timeline.

use crate::{belongs, is_of_a_client};
use kernel::{
    Aggregate, ClientId, Context, Decision, Imprint, Machine, Personal, Principal, ProjectId, Resource, Scope, Text,
    command, rejection,
};
use serde::{Deserialize, Serialize};
use timeline_events::{CommentEvent as E, CommentStatus as Status};
use uuid::Uuid;

use CommentCommand as C;
use CommentRejection as R;

/// What may be asked of a comment.
#[command("timeline.comment", member)]
pub enum CommentCommand {
    /// Says something about what happened.
    #[creates]
    #[refused(StaffOnly, Empty)]
    Write {
        /// The entry of the timeline: an event's id.
        entry_id: Uuid,
        /// The client on whose timeline it is.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// The project on whose timeline it is.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// What it says, in Markdown.
        body: Text,
    },
    /// Changes a comment of one's own.
    #[refused(StaffOnly, Deleted, NotYourComment, Empty)]
    Edit {
        /// What it says, in Markdown.
        body: Text,
    },
    /// Deletes the comment: it is shown to nobody any more.
    #[refused(StaffOnly)]
    Delete {},
}

/// Why a comment's command may be refused.
#[rejection("timeline.comment")]
pub enum CommentRejection {
    /// Comments are the firm's own.
    #[audited]
    StaffOnly,
    /// The comment was deleted.
    Deleted,
    /// Somebody else has written it; write one of your own.
    NotYourComment,
    /// A comment says something.
    #[invalid("/body")]
    Empty,
}

/// What is remembered of a comment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    author: Option<Principal>,
    says: Option<Imprint>,
    status: Status,
}

impl Aggregate for Comment {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "timeline/comments";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        belongs(self.client_id, self.project_id)
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Write { client_id, project_id, .. } => Scope::begins_in(belongs(*client_id, *project_id)),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            _ if is_of_a_client(ctx) => return Err(R::StaffOnly),
            C::Write { body, .. } if body.as_str().trim().is_empty() => return Err(R::Empty),
            C::Write { entry_id, client_id, project_id, body } => {
                vec![E::Written { entry_id, client_id, project_id, author: ctx.actor.principal(), body: body.into() }]
            }
            C::Delete {} if self.status == Status::Deleted => vec![],
            C::Delete {} => vec![E::Deleted {}],
            C::Edit { .. } if self.status == Status::Deleted => return Err(R::Deleted),
            C::Edit { .. } if self.author.is_none() || self.author != ctx.actor.principal() => {
                return Err(R::NotYourComment);
            }
            C::Edit { body } if body.as_str().trim().is_empty() => return Err(R::Empty),
            C::Edit { body } => {
                let body = Personal::new(body);
                if self.says == Some(Imprint::of(&body)) { vec![] } else { vec![E::Edited { body }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Written { client_id, project_id, author, body, .. } => {
                (self.client_id, self.project_id, self.author) = (*client_id, *project_id, *author);
                self.says = Some(Imprint::of(body));
            }
            E::Edited { body } => self.says = Some(Imprint::of(body)),
            E::Deleted {} => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;
    use kernel::{Actor, PortalUserId, UserId};

    fn write(body: &str) -> C {
        C::Write { entry_id: Uuid::from_u128(7), client_id: None, project_id: None, body: body.parse().unwrap() }
    }

    fn written(author: Option<Principal>) -> E {
        let body = Personal::new("Well done".parse().unwrap());
        E::Written { entry_id: Uuid::from_u128(7), client_id: None, project_id: None, author, body }
    }

    fn me() -> Option<Principal> {
        Some(UserId(Uuid::from_u128(2)).into())
    }

    fn edit(body: &str) -> C {
        C::Edit { body: body.parse().unwrap() }
    }

    #[test]
    fn a_comment_is_its_authors() {
        given::<Comment>([]).when(write("Well done")).then([written(me())]);
        given::<Comment>([]).when(write(" ")).rejected("timeline.comment.empty");
        let edited = E::Edited { body: Personal::new("Done well".parse().unwrap()) };
        given::<Comment>([written(me())]).when(edit("Done well")).then([edited]);
        given::<Comment>([written(me())]).when(edit("Well done")).then_nothing();
        given::<Comment>([written(None)]).when(edit("Mine")).rejected("timeline.comment.not_your_comment");
        given::<Comment>([written(me()), E::Deleted {}]).when(edit("x")).rejected("timeline.comment.deleted");
        given::<Comment>([written(me()), E::Deleted {}]).when(C::Delete {}).then_nothing();
    }

    #[test]
    fn nobody_of_a_client_has_to_do_with_comments() {
        let visitor = Actor::PortalUser { id: PortalUserId(Uuid::from_u128(9)) };
        given::<Comment>([]).by(visitor).when(write("x")).rejected("timeline.comment.staff_only");
    }
}
