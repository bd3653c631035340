//! Letters to clients about messages: whoever has not read what was written to them a while ago is told of it once, however much that
//! was.

use crate::Office;
use crate::to_clients::{Said, escaped};
use anyhow::Result;
use catalogue::AnyEvent;
use chrono::TimeDelta;
use communications_events::{MessageId, ThreadEvent as E, ThreadKind};
use event_store::RawEvent;
use kernel::{ClientId, Name, PortalUserId, Principal, TenantId, ThreadId, Timestamp};
use reactions::{Job, Lane, Outcome, Reaction};
use std::collections::BTreeMap;

/// Whoever is in the portal anyway reads it there by then.
const TIME_TO_READ: TimeDelta = TimeDelta::minutes(5);

/// Tells clients of messages.
pub struct MessageLetters(pub Office);

/// A thread with a client, as the log has it when it is written about.
#[derive(Debug, Default)]
struct Thread {
    client_id: Option<ClientId>,
    subject: Option<Name>,
    messages: Vec<Message>,
    /// The message up to which each person has read.
    read: BTreeMap<PortalUserId, MessageId>,
}

#[derive(Debug)]
struct Message {
    id: MessageId,
    author: Option<Principal>,
    /// It was taken back.
    redacted: bool,
}

impl Reaction for MessageLetters {
    const NAME: &'static str = "email.message";
    const ON: &'static [&'static str] = &["message.posted"];

    /// Each has its own time.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.event_id)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        match self.write(event).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl MessageLetters {
    async fn write(&self, event: RawEvent) -> Result<Outcome> {
        let (tenant, thread_id, event_id) = (event.tenant_id, ThreadId(event.aggregate_id), event.event_id);
        let AnyEvent::Thread(E::MessagePosted { message_id, kind: ThreadKind::Client, posted_at, .. }) =
            catalogue::decode(event)?.payload
        else {
            return Ok(Outcome::Done);
        };
        let Office { people, links, now, .. } = &self.0;
        let due: Timestamp = posted_at + TIME_TO_READ;
        if now() < due.utc() {
            return Ok(Outcome::Early(due.utc()));
        }
        let thread = self.thread(tenant, thread_id).await?;
        // Nothing is left of what was erased.
        let Some((client_id, subject)) = thread.client_id.zip(thread.subject.clone()) else { return Ok(Outcome::Done) };
        let firm = people.firm(tenant).await?.unwrap_or_else(|| "the firm".to_owned());
        for person in people.of_client(tenant, client_id).await? {
            let unread = thread.unread_by(person);
            // What came later has a letter of its own, which tells of this one, too.
            if unread.last() != Some(&message_id) {
                continue;
            }
            let Some(said) = letter(&subject, unread.len(), &firm, &links.portal_url) else {
                return Ok(Outcome::Never("not_written", "what it would say is no text".to_owned()));
            };
            let outcome = self.0.write_to_client(&event_id, tenant, client_id, person, Some(thread_id), said).await;
            if outcome != Outcome::Done {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Done)
    }

    async fn thread(&self, tenant: TenantId, id: ThreadId) -> Result<Thread> {
        let mut thread = Thread::default();
        for event in self.0.people.0.read_stream(tenant, id.0, 0, i64::MAX).await? {
            if let AnyEvent::Thread(event) = catalogue::decode(event)?.payload {
                thread.apply(event);
            }
        }
        Ok(thread)
    }
}

impl Thread {
    fn apply(&mut self, event: E) {
        match event {
            E::Opened { client_id, subject, .. } => {
                (self.client_id, self.subject) = (client_id, subject.expose().cloned());
            }
            E::Renamed { subject } => self.subject = subject.expose().cloned(),
            E::Read { reader: Principal::PortalUser { id }, message_id } => drop(self.read.insert(id, message_id)),
            E::MessagePosted { message_id: id, author, .. } => {
                self.messages.push(Message { id, author, redacted: false });
            }
            E::MessageRedacted { message_id, .. } => {
                let redacted = self.messages.iter_mut().filter(|message| message.id == message_id);
                redacted.for_each(|message| message.redacted = true);
            }
            _ => {}
        }
    }

    /// What others wrote since this person last read.
    fn unread_by(&self, person: PortalUserId) -> Vec<MessageId> {
        let read = self.read.get(&person);
        let seen = self.messages.iter().rposition(|message| Some(&message.id) == read).map_or(0, |place| place + 1);
        let by_others = |message: &&Message| message.author != Some(Principal::PortalUser { id: person });
        let unread = self.messages[seen..].iter().filter(|message| !message.redacted).filter(by_others);
        unread.map(|message| message.id).collect()
    }
}

fn letter(subject: &Name, unread: usize, firm: &str, portal: &str) -> Option<Said> {
    // Whoever wrote them may be of the client, too.
    let what = if unread == 1 { "is a message".to_owned() } else { format!("are {unread} messages") };
    let title: String = format!("{firm}: {subject}").chars().take(200).collect();
    let body = format!(
        "There {what} for you in **{}**, in the portal of {}.\n\nRead and answer there: <{portal}>\n",
        escaped(subject.as_str()),
        escaped(firm)
    );
    Some(Said { subject: title.parse().ok()?, body: body.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::spec_time;
    use kernel::{Personal, UserId};
    use uuid::Uuid;

    const ADA: PortalUserId = PortalUserId(Uuid::from_u128(1));

    fn message(n: u128) -> MessageId {
        MessageId(Uuid::from_u128(n))
    }

    fn posted(n: u128, author: Option<Principal>) -> E {
        let (participants, body) = (vec![], Personal::new("Hello".parse().unwrap()));
        E::MessagePosted {
            message_id: message(n),
            kind: ThreadKind::Client,
            author,
            participants,
            body,
            posted_at: spec_time(),
        }
    }

    fn unread(events: impl IntoIterator<Item = E>) -> Vec<MessageId> {
        let mut thread = Thread::default();
        events.into_iter().for_each(|event| thread.apply(event));
        thread.unread_by(ADA)
    }

    #[test]
    fn what_others_wrote_since_a_person_last_read_is_unread() {
        let firm = Some(UserId(Uuid::from_u128(2)).into());
        let (mine, read) = (Some(ADA.into()), |n| E::Read { reader: ADA.into(), message_id: message(n) });
        let three = || [posted(1, firm), posted(2, mine), posted(3, None)];
        assert_eq!(unread(three()), [message(1), message(3)]);
        assert_eq!(unread(three().into_iter().chain([read(1)])), [message(3)]);
        assert_eq!(unread(three().into_iter().chain([read(3)])), []);
        assert_eq!(unread(three().into_iter().chain([read(3), posted(4, firm)])), [message(4)]);
        let taken_back = E::MessageRedacted { message_id: message(3), reason: None };
        assert_eq!(unread(three().into_iter().chain([taken_back])), [message(1)]);
    }

    #[test]
    fn a_letter_says_how_much_there_is_and_where_to_read_it() {
        let said = |unread| letter(&"Q*1".parse().unwrap(), unread, "Engines", "https://portal.example").unwrap();
        assert_eq!(said(1).subject.as_str(), "Engines: Q*1");
        assert!(
            said(1).body.as_str().starts_with("There is a message for you in **Q\\*1**, in the portal of Engines."),
            "{}",
            said(1).body
        );
        assert!(said(3).body.as_str().contains("3 messages"), "{}", said(3).body);
        assert!(said(1).body.as_str().contains("<https://portal.example>"));
    }
}
