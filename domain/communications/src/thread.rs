//! A thread: a conversation among the firm's own people, or with those of a client.

use crate::is_of_a_client;
use chrono::TimeDelta;
use communications_events::{MessageId, MessageStatus, ThreadEvent as E, ThreadKind, ThreadStatus};
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, Context, Decision, EngagementId, Imprint, Machine, Name, Personal,
    Principal, ProjectId, Resource, Scope, Text, Timestamp, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use ThreadCommand as C;
use ThreadRejection as R;

/// Messages of one thread.
const MESSAGES_MAX: usize = 1_000;
/// People of the firm who take part in one thread.
const PARTICIPANTS_MAX: usize = 50;
/// For how long whoever wrote a message may change it.
const EDITABLE_HOURS: i64 = 24;
/// What answers call a message that was posted.
const MESSAGE_ID: &str = "message_id";
/// Which thread has the message with this id.
const MESSAGE_CLAIM: &str = "communications.thread.message_id";

/// What may be asked of a thread. With a client that is blocked one may talk: it is no work.
#[command("communications.thread", member)]
pub enum ThreadCommand {
    /// Begins a conversation, among the firm's own people or with a client.
    #[creates]
    #[refused(ClientMissing, StaffOnly, TooManyParticipants)]
    Open {
        /// Who takes part: `internal` (the firm's own people) or `client`.
        #[serde(default)]
        kind: ThreadKind,
        /// What it is about.
        subject: Name,
        /// The client that takes part, or that an internal one is about.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// The project that it is about.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// The engagement that it is about.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// Who of the firm takes part, at most 50.
        #[serde(default)]
        participants: Vec<UserId>,
    },
    /// Says otherwise what the thread is about.
    #[refused(StaffOnly)]
    Rename {
        /// What it is about.
        subject: Name,
    },
    /// Has somebody of the firm take part.
    #[refused(StaffOnly, TooManyParticipants)]
    AddParticipant {
        /// Who.
        user_id: UserId,
    },
    /// Has somebody of the firm take part no longer.
    #[refused(StaffOnly)]
    RemoveParticipant {
        /// Who.
        user_id: UserId,
    },
    /// Posts a message.
    #[makes("message_id")]
    #[refused(StaffOnly, Closed, EmptyMessage, MessageExists, TooLong, "message_id.taken")]
    PostMessage {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        message_id: Option<MessageId>,
        /// What it says, in Markdown.
        body: Text,
    },
    /// Changes a message of one's own, for a day.
    #[refused(StaffOnly, Closed, UnknownMessage, MessageRedacted, NotYourMessage, TooLateToEdit, EmptyMessage)]
    EditMessage {
        /// Which one.
        message_id: MessageId,
        /// What it says, in Markdown.
        body: Text,
    },
    /// Takes a message back: it is shown to nobody any more. People of a client take back their own.
    #[refused(StaffOnly, UnknownMessage, NotYourMessage)]
    RedactMessage {
        /// Which one.
        message_id: MessageId,
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Notes how far whoever asks has read.
    #[refused(StaffOnly, UnknownMessage)]
    MarkRead {
        /// The newest message that was read.
        message_id: MessageId,
    },
    /// Ends the conversation.
    #[refused(StaffOnly)]
    Close {},
    /// Goes on with it.
    #[refused(StaffOnly)]
    Reopen {},
}

/// Why a thread's command may be refused.
#[rejection("communications.thread")]
pub enum ThreadRejection {
    /// A thread with a client says which client.
    #[invalid("/client_id")]
    ClientMissing,
    /// Only the firm's own people do this.
    #[audited]
    StaffOnly,
    /// At most 50 people of the firm take part in one thread.
    #[invalid("/participants")]
    TooManyParticipants,
    /// The thread is closed; reopen it first.
    Closed,
    /// A message says something.
    #[invalid("/body")]
    EmptyMessage,
    /// The thread has another message with this id, or it was posted with something else.
    MessageExists,
    /// A thread has at most 1,000 messages; begin another.
    TooLong,
    /// The thread has no such message.
    #[invalid("/message_id")]
    UnknownMessage,
    /// The message was taken back.
    MessageRedacted,
    /// The message is somebody else's.
    NotYourMessage,
    /// A message can be changed for a day.
    TooLateToEdit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Message {
    author: Option<Principal>,
    posted_at: Timestamp,
    /// What it said when it was posted, and what it says now, in short.
    made_with: Imprint,
    says: Imprint,
    status: MessageStatus,
    /// Its place in the thread.
    place: u32,
}

/// What is remembered of a thread.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    kind: ThreadKind,
    subject: String,
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    engagement_id: Option<EngagementId>,
    participants: BTreeSet<UserId>,
    status: ThreadStatus,
    messages: BTreeMap<MessageId, Message>,
    /// How far everybody has read, by the message's place.
    read: Vec<(Principal, u32)>,
}

impl Aggregate for Thread {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "communications/threads";
    const STATE_VERSION: i32 = 2;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        belongs(self.client_id, self.project_id, self.engagement_id)
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Open { client_id, project_id, engagement_id, .. } => {
                Scope::begins_in(belongs(*client_id, *project_id, *engagement_id))
            }
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let outside = is_of_a_client(ctx);
        Ok(match command {
            C::Open { kind: ThreadKind::Client, client_id: None, .. } => return Err(R::ClientMissing),
            C::Open { kind, participants, .. }
                if outside && (kind == ThreadKind::Internal || !participants.is_empty()) =>
            {
                return Err(R::StaffOnly);
            }
            C::Open { kind, subject, client_id, project_id, engagement_id, participants } => {
                let participants: BTreeSet<UserId> = participants.into_iter().collect();
                if participants.len() > PARTICIPANTS_MAX {
                    return Err(R::TooManyParticipants);
                }
                let participants = participants.into_iter().collect();
                let subject = subject.into();
                vec![E::Opened { kind, subject, client_id, project_id, engagement_id, participants }]
            }
            _ if outside && self.kind == ThreadKind::Internal => return Err(R::StaffOnly),
            C::Rename { .. } | C::AddParticipant { .. } | C::RemoveParticipant { .. } if outside => {
                return Err(R::StaffOnly);
            }
            C::Close {} | C::Reopen {} if outside => return Err(R::StaffOnly),
            C::Rename { subject } if subject.as_str() == self.subject => vec![],
            C::Rename { subject } => vec![E::Renamed { subject: subject.into() }],
            C::AddParticipant { user_id } if self.participants.contains(&user_id) => vec![],
            C::AddParticipant { .. } if self.participants.len() >= PARTICIPANTS_MAX => {
                return Err(R::TooManyParticipants);
            }
            C::AddParticipant { user_id } => vec![E::ParticipantAdded { user_id }],
            C::RemoveParticipant { user_id } if self.participants.contains(&user_id) => {
                vec![E::ParticipantRemoved { user_id }]
            }
            C::RemoveParticipant { .. } => vec![],
            C::Close {} if self.status == ThreadStatus::Closed => vec![],
            C::Close {} => vec![E::Closed {}],
            C::Reopen {} if self.status == ThreadStatus::Open => vec![],
            C::Reopen {} => vec![E::Reopened {}],
            C::PostMessage { message_id, body } => return self.post(message_id, body, ctx),
            C::EditMessage { message_id, body } => return self.edit(message_id, body, ctx),
            C::RedactMessage { message_id, reason } => {
                let message = self.messages.get(&message_id).ok_or(R::UnknownMessage)?;
                if outside && message.author != ctx.actor.principal() {
                    return Err(R::NotYourMessage);
                }
                match message.status {
                    MessageStatus::Redacted => vec![],
                    MessageStatus::Posted => {
                        vec![E::MessageRedacted { message_id, reason: reason.map(Personal::new) }]
                    }
                }
            }
            C::MarkRead { message_id } => {
                let place = self.messages.get(&message_id).ok_or(R::UnknownMessage)?.place;
                match ctx.actor.principal() {
                    Some(reader) if self.read_by(reader).is_none_or(|read| read < place) => {
                        vec![E::Read { reader, message_id }]
                    }
                    // Nobody reads back, and a workflow does not read.
                    _ => vec![],
                }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Opened { kind, subject, client_id, project_id, engagement_id, participants } => {
                (self.kind, self.subject) = (*kind, subject.text().to_owned());
                (self.client_id, self.project_id, self.engagement_id) = (*client_id, *project_id, *engagement_id);
                self.participants = participants.iter().copied().collect();
            }
            E::Renamed { subject } => self.subject = subject.text().to_owned(),
            E::ParticipantAdded { user_id } => {
                self.participants.insert(*user_id);
            }
            E::ParticipantRemoved { user_id } => {
                self.participants.remove(user_id);
            }
            E::Closed {} | E::Reopened {} => {}
            E::Read { reader, message_id } => {
                if let Some(place) = self.messages.get(message_id).map(|message| message.place) {
                    self.read.retain(|(other, _)| other != reader);
                    self.read.push((*reader, place));
                }
            }
            E::MessagePosted { message_id, author, body, posted_at, .. } => {
                let (made_with, place) = (Imprint::of(body), u32::try_from(self.messages.len()).unwrap_or(u32::MAX));
                let (author, posted_at, status) = (*author, *posted_at, MessageStatus::default());
                let message = Message { author, posted_at, made_with, says: made_with, status, place };
                self.messages.insert(*message_id, message);
            }
            E::MessageEdited { message_id, body } => {
                if let Some(message) = self.messages.get_mut(message_id) {
                    message.says = Imprint::of(body);
                }
            }
            E::MessageRedacted { message_id, .. } => {
                if let Some(message) = self.messages.get_mut(message_id) {
                    message.status = message.status.after(event);
                }
            }
        }
    }

    /// A message is found by its id, in whatever thread; who chooses one may choose badly.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::MessagePosted { message_id, .. } => {
                vec![ClaimChange::Take(Claim::new(MESSAGE_CLAIM, message_id.to_string()))]
            }
            _ => vec![],
        }
    }
}

impl Thread {
    fn read_by(&self, reader: Principal) -> Option<u32> {
        self.read.iter().find(|(other, _)| *other == reader).map(|(_, place)| *place)
    }

    fn post(&self, message_id: Option<MessageId>, body: Text, ctx: &Context) -> Decision<Self> {
        let author = ctx.actor.principal();
        let body = Personal::new(body);
        // The repeat of what was posted before, whatever became of it and of the thread.
        if let Some((id, there)) = message_id.and_then(|id| Some((id, self.messages.get(&id)?))) {
            ctx.part(MESSAGE_ID, Some(id));
            let is_same = there.author == author && there.made_with == Imprint::of(&body);
            return if is_same { Ok(vec![]) } else { Err(R::MessageExists) };
        }
        if self.status == ThreadStatus::Closed {
            return Err(R::Closed);
        }
        if body.text().trim().is_empty() {
            return Err(R::EmptyMessage);
        }
        if self.messages.len() >= MESSAGES_MAX {
            return Err(R::TooLong);
        }
        let (message_id, kind, posted_at) = (ctx.part(MESSAGE_ID, message_id), self.kind, ctx.now);
        let is_author = |user: &UserId| author == Some(Principal::User { id: *user });
        let participants = self.participants.iter().copied().filter(|user| !is_author(user)).collect();
        Ok(vec![E::MessagePosted { message_id, kind, author, participants, body, posted_at }])
    }

    fn edit(&self, message_id: MessageId, body: Text, ctx: &Context) -> Decision<Self> {
        let message = self.messages.get(&message_id).ok_or(R::UnknownMessage)?;
        let body = Personal::new(body);
        if message.status == MessageStatus::Redacted {
            return Err(R::MessageRedacted);
        }
        if message.author.is_none() || message.author != ctx.actor.principal() {
            return Err(R::NotYourMessage);
        }
        if message.says == Imprint::of(&body) {
            return Ok(vec![]);
        }
        if self.status == ThreadStatus::Closed {
            return Err(R::Closed);
        }
        if ctx.now > message.posted_at + TimeDelta::hours(EDITABLE_HOURS) {
            return Err(R::TooLateToEdit);
        }
        if body.text().trim().is_empty() {
            return Err(R::EmptyMessage);
        }
        Ok(vec![E::MessageEdited { message_id, body }])
    }
}

fn belongs(
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    engagement_id: Option<EngagementId>,
) -> Vec<Resource> {
    let others = [project_id.map(Resource::from), engagement_id.map(Resource::from)];
    client_id.map(Resource::from).into_iter().chain(others.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::{Given, given, spec_time};
    use kernel::{Actor, PortalUserId};

    fn client() -> Option<ClientId> {
        Some(ClientId(Uuid::from_u128(7)))
    }

    fn opened(kind: ThreadKind) -> E {
        let subject = Personal::new("Papers".parse().unwrap());
        let (client_id, participants) = (client(), vec![]);
        E::Opened { kind, subject, client_id, project_id: None, engagement_id: None, participants }
    }

    /// The user who asks in specs.
    fn me() -> Option<Principal> {
        Some(UserId(Uuid::from_u128(2)).into())
    }

    fn posted(id: u128, author: Option<Principal>) -> E {
        let (message_id, body) = (MessageId(Uuid::from_u128(id)), Personal::new("Hello".parse().unwrap()));
        let participants = vec![];
        E::MessagePosted { message_id, kind: ThreadKind::Client, author, participants, body, posted_at: spec_time() }
    }

    fn post(id: u128, body: &str) -> C {
        C::PostMessage { message_id: Some(MessageId(Uuid::from_u128(id))), body: body.parse().unwrap() }
    }

    fn edit(id: u128, body: &str) -> C {
        C::EditMessage { message_id: MessageId(Uuid::from_u128(id)), body: body.parse().unwrap() }
    }

    fn redact(id: u128) -> C {
        C::RedactMessage { message_id: MessageId(Uuid::from_u128(id)), reason: None }
    }

    fn visitor() -> Actor {
        Actor::PortalUser { id: PortalUserId(Uuid::from_u128(9)) }
    }

    fn by_visitor(events: impl IntoIterator<Item = E>) -> Given<Thread> {
        given::<Thread>(events).by(visitor())
    }

    fn open(kind: ThreadKind, client_id: Option<ClientId>, participants: usize) -> C {
        let participants = (0..participants).map(|n| UserId(Uuid::from_u128(n as u128))).collect();
        let subject = "Papers".parse().unwrap();
        C::Open { kind, subject, client_id, project_id: None, engagement_id: None, participants }
    }

    #[test]
    fn a_thread_with_a_client_says_with_which() {
        let nobody = given::<Thread>([]).when(open(ThreadKind::Client, None, 0));
        nobody.rejected("communications.thread.client_missing");
        given::<Thread>([]).when(open(ThreadKind::Client, client(), 0)).then([opened(ThreadKind::Client)]);
        let crowd = given::<Thread>([]).when(open(ThreadKind::Internal, None, 51));
        crowd.rejected("communications.thread.too_many_participants");
    }

    #[test]
    fn a_thread_belongs_to_the_engagement_that_it_is_about() {
        let engagement = EngagementId(Uuid::from_u128(8));
        let mut command = open(ThreadKind::Client, client(), 0);
        if let C::Open { engagement_id, .. } = &mut command {
            *engagement_id = Some(engagement);
        }
        assert!(Thread::default().scope(Uuid::nil(), &command).named.contains(&engagement.into()));
        let when = given::<Thread>([]).when(command);
        let mut thread = Thread::default();
        when.events().iter().for_each(|event| thread.apply(event));
        assert!(thread.belongs_to(Uuid::nil()).contains(&engagement.into()));
    }

    #[test]
    fn a_message_is_posted_once_however_often_it_comes() {
        let has = || given::<Thread>([opened(ThreadKind::Client)]);
        has().when(post(1, "Hello")).then([posted(1, me())]);
        let there = || given::<Thread>([opened(ThreadKind::Client), posted(1, me())]);
        there().when(post(1, "Hello")).then_nothing();
        there().when(post(1, "Other")).rejected("communications.thread.message_exists");
        has().when(post(1, " \n ")).rejected("communications.thread.empty_message");
        let closed = || given::<Thread>([opened(ThreadKind::Client), posted(1, me()), E::Closed {}]);
        closed().when(post(2, "Hello")).rejected("communications.thread.closed");
        closed().when(post(1, "Hello")).then_nothing();
        closed().when(C::Reopen {}).then([E::Reopened {}]);
    }

    #[test]
    fn a_message_says_who_else_of_the_firm_takes_part() {
        let colleague = UserId(Uuid::from_u128(5));
        let joined = [UserId(Uuid::from_u128(2)), colleague].map(|user_id| E::ParticipantAdded { user_id });
        let there = || given::<Thread>([&[opened(ThreadKind::Client)], &joined[..]].concat());
        let told = |when: kernel::spec::When<Thread>| match when.events() {
            [E::MessagePosted { participants, .. }] => participants.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(told(there().when(post(1, "Hello"))), [colleague]);
        assert_eq!(told(there().by(visitor()).when(post(1, "Hello"))), [UserId(Uuid::from_u128(2)), colleague]);
    }

    #[test]
    fn whoever_wrote_a_message_changes_it_for_a_day() {
        let there = || given::<Thread>([opened(ThreadKind::Client), posted(1, me())]);
        let edited = E::MessageEdited {
            message_id: MessageId(Uuid::from_u128(1)),
            body: Personal::new("Hello, Ada".parse().unwrap()),
        };
        there().when(edit(1, "Hello, Ada")).then([edited]);
        there().when(edit(1, "Hello")).then_nothing();
        there().when(edit(2, "Hello")).rejected("communications.thread.unknown_message");
        let late = there().at(spec_time() + TimeDelta::hours(25)).when(edit(1, "Late"));
        late.rejected("communications.thread.too_late_to_edit");
        let others = given::<Thread>([opened(ThreadKind::Client), posted(1, None)]).when(edit(1, "Mine"));
        others.rejected("communications.thread.not_your_message");
        let redacted = E::MessageRedacted { message_id: MessageId(Uuid::from_u128(1)), reason: None };
        there().when(redact(1)).then([redacted.clone()]);
        let gone = || given::<Thread>([opened(ThreadKind::Client), posted(1, me()), redacted.clone()]);
        gone().when(edit(1, "Back")).rejected("communications.thread.message_redacted");
        gone().when(redact(1)).then_nothing();
    }

    #[test]
    fn people_of_a_client_take_part_in_threads_with_it_and_see_to_their_own() {
        by_visitor([]).when(open(ThreadKind::Client, client(), 0)).then([opened(ThreadKind::Client)]);
        by_visitor([]).when(open(ThreadKind::Internal, client(), 0)).rejected("communications.thread.staff_only");
        by_visitor([]).when(open(ThreadKind::Client, client(), 1)).rejected("communications.thread.staff_only");
        let with = || by_visitor([opened(ThreadKind::Client), posted(1, me())]);
        with().when(post(2, "Hello")).then([posted(2, visitor().principal())]);
        with().when(redact(1)).rejected("communications.thread.not_your_message");
        with().when(C::Close {}).rejected("communications.thread.staff_only");
        for command in [post(2, "Hello"), edit(1, "x"), redact(1), C::Close {}] {
            let internal = by_visitor([opened(ThreadKind::Internal), posted(1, me())]);
            internal.when(command).rejected("communications.thread.staff_only");
        }
    }

    #[test]
    fn whoever_has_read_a_thread_does_not_read_back() {
        let mark = |id: u128| C::MarkRead { message_id: MessageId(Uuid::from_u128(id)) };
        let read = |id: u128| E::Read { reader: me().unwrap(), message_id: MessageId(Uuid::from_u128(id)) };
        let has = |events: &[E]| {
            given::<Thread>([&[opened(ThreadKind::Client), posted(1, None), posted(2, None)], events].concat())
        };
        has(&[]).when(mark(2)).then([read(2)]);
        has(&[read(2)]).when(mark(1)).then_nothing();
        has(&[read(1)]).when(mark(2)).then([read(2)]);
        has(&[]).by_system().when(mark(1)).then_nothing();
    }

    #[test]
    fn somebody_takes_part_once() {
        let user_id = UserId(Uuid::from_u128(5));
        let added = E::ParticipantAdded { user_id };
        let add = || C::AddParticipant { user_id };
        given::<Thread>([opened(ThreadKind::Internal)]).when(add()).then([added.clone()]);
        given::<Thread>([opened(ThreadKind::Internal), added.clone()]).when(add()).then_nothing();
        let remove = || C::RemoveParticipant { user_id };
        given::<Thread>([opened(ThreadKind::Internal), added]).when(remove()).then([E::ParticipantRemoved { user_id }]);
        given::<Thread>([opened(ThreadKind::Internal)]).when(remove()).then_nothing();
    }
}
