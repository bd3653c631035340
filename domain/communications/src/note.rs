//! A note: what the firm keeps in mind about a client, a contact, a deal, a project or an engagement.

use crate::is_of_a_client;
use communications_events::{NoteEvent as E, NoteStatus};
use kernel::{
    About, Aggregate, ClientId, Context, Decision, Imprint, Machine, Personal, Principal, Resource, Scope, Text,
    command, rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use NoteCommand as C;
use NoteRejection as R;

/// What may be asked of a note.
#[command("communications.note", member)]
pub enum NoteCommand {
    /// Notes something.
    #[creates]
    #[refused(StaffOnly, Empty)]
    Add {
        /// What it is about: a client, contact, deal, engagement or project.
        about: About,
        /// The client that what it is about belongs to, so that the note is on its timeline too.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// What it says, in Markdown.
        body: Text,
    },
    /// Changes a note of one's own.
    #[refused(StaffOnly, Deleted, NotYourNote, Empty)]
    Edit {
        /// What it says, in Markdown.
        body: Text,
    },
    /// Deletes the note: it is shown to nobody any more.
    #[refused(StaffOnly)]
    Delete {},
}

/// Why a note's command may be refused.
#[rejection("communications.note")]
pub enum NoteRejection {
    /// Notes are the firm's own.
    #[audited]
    StaffOnly,
    /// The note was deleted.
    Deleted,
    /// Somebody else has written it; write one of your own.
    NotYourNote,
    /// A note says something.
    #[invalid("/body")]
    Empty,
}

/// What is remembered of a note.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Note {
    about: Option<About>,
    client_id: Option<ClientId>,
    author: Option<Principal>,
    says: Option<Imprint>,
    status: NoteStatus,
}

impl Aggregate for Note {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "communications/notes";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.about.map(|about| about.with_client(self.client_id)).unwrap_or_default()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Add { about, client_id, .. } => Scope::begins_in(about.with_client(*client_id)),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            _ if is_of_a_client(ctx) => return Err(R::StaffOnly),
            C::Add { body, .. } if body.as_str().trim().is_empty() => return Err(R::Empty),
            C::Add { about, client_id, body } => {
                vec![E::Added { about, client_id, author: ctx.actor.principal(), body: body.into() }]
            }
            C::Delete {} if self.status == NoteStatus::Deleted => vec![],
            C::Delete {} => vec![E::Deleted {}],
            C::Edit { .. } if self.status == NoteStatus::Deleted => return Err(R::Deleted),
            C::Edit { .. } if self.author.is_none() || self.author != ctx.actor.principal() => {
                return Err(R::NotYourNote);
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
            E::Added { about, client_id, author, body } => {
                (self.about, self.client_id, self.author) = (Some(*about), *client_id, *author);
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

    fn about() -> About {
        About::Client { id: ClientId(Uuid::from_u128(7)) }
    }

    fn added(author: Option<Principal>) -> E {
        E::Added { about: about(), client_id: None, author, body: Personal::new("Calls on Mondays".parse().unwrap()) }
    }

    fn me() -> Option<Principal> {
        Some(UserId(Uuid::from_u128(2)).into())
    }

    fn add(body: &str) -> C {
        C::Add { about: about(), client_id: None, body: body.parse().unwrap() }
    }

    fn edit(body: &str) -> C {
        C::Edit { body: body.parse().unwrap() }
    }

    #[test]
    fn a_note_is_its_authors_and_on_the_timeline_of_its_client() {
        given::<Note>([]).when(add("Calls on Mondays")).then([added(me())]);
        given::<Note>([]).when(add(" ")).rejected("communications.note.empty");
        let edited = E::Edited { body: Personal::new("Calls on Fridays".parse().unwrap()) };
        given::<Note>([added(me())]).when(edit("Calls on Fridays")).then([edited]);
        given::<Note>([added(me())]).when(edit("Calls on Mondays")).then_nothing();
        given::<Note>([added(None)]).when(edit("Mine")).rejected("communications.note.not_your_note");
        let note = given::<Note>([added(None)]).when(C::Delete {}).before();
        assert_eq!(note.belongs_to(Uuid::nil()), [ClientId(Uuid::from_u128(7)).into()]);
    }

    #[test]
    fn a_deleted_note_stays_deleted() {
        given::<Note>([added(me())]).when(C::Delete {}).then([E::Deleted {}]);
        given::<Note>([added(me()), E::Deleted {}]).when(C::Delete {}).then_nothing();
        given::<Note>([added(me()), E::Deleted {}]).when(edit("x")).rejected("communications.note.deleted");
    }

    #[test]
    fn nobody_of_a_client_has_to_do_with_notes() {
        let visitor = || Actor::PortalUser { id: PortalUserId(Uuid::from_u128(9)) };
        given::<Note>([]).by(visitor()).when(add("x")).rejected("communications.note.staff_only");
        for command in [edit("x"), C::Delete {}] {
            given::<Note>([added(None)]).by(visitor()).when(command).rejected("communications.note.staff_only");
        }
    }
}
