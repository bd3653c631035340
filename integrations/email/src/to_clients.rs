//! Letters to the people of a client. Each is an email of the firm's own to one person with a place in the portal, so it has a record:
//! who got it, whether it came back, and it can be sent once more.

use crate::Office;
use crate::note::request;
use crate::people::People;
use anyhow::Result;
use catalogue::AnyEvent;
use communications::email::{Email, EmailCommand, Recipient};
use event_store::{ExecuteError, Kind};
use kernel::{ClientId, Name, PortalUserId, TenantId, Text, ThreadId};
use portal_events::PortalUserEvent;
use reactions::Outcome;
use uuid::Uuid;

/// People of one client who are written to.
const PEOPLE_MAX: usize = 100;
/// Events of a kind that are read at a time.
const PAGE: i64 = 1_000;

/// What is said.
#[derive(Debug, Clone)]
pub struct Said {
    /// In one line.
    pub subject: Name,
    /// In Markdown.
    pub body: Text,
}

impl Office {
    /// Writes to one person of a client because of an event. It is known by that event and the person, so that nobody has it twice.
    pub async fn write_to_client(
        &self,
        event_id: &Uuid,
        tenant: TenantId,
        client_id: ClientId,
        person: PortalUserId,
        thread_id: Option<ThreadId>,
        said: Said,
    ) -> Outcome {
        let send = EmailCommand::Send {
            to: Recipient::PortalUser { id: person },
            template: None,
            fields: vec![],
            subject: Some(said.subject),
            body: Some(said.body),
            client_id: Some(client_id),
            thread_id,
            attachments: vec![],
        };
        let letter = Uuid::new_v5(event_id, person.0.as_bytes());
        match self.store.execute::<Email>(Some(letter), send, &request(tenant)).await {
            Ok(_) | Err(ExecuteError::AlreadyExists) => Outcome::Done,
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Outcome::Later(None, error.to_string())
            }
            Err(error) => Outcome::Never("not_written", error.to_string()),
        }
    }
}

impl People {
    /// Everybody of the client who comes in, or would with an open invitation. No read model is asked: the log alone says who was let
    /// in when the client is asked.
    pub async fn of_client(&self, tenant: TenantId, client: ClientId) -> Result<Vec<PortalUserId>> {
        let (mut found, mut after) = (vec![], 0);
        loop {
            let kind = Kind {
                tenant,
                event_type: "portal_user.created",
                aggregate_id: None,
                after,
                before: i64::MAX,
                from: None,
                until: None,
            };
            let page = self.0.read_kind(&kind, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in page {
                let id = PortalUserId(event.aggregate_id);
                let AnyEvent::PortalUser(PortalUserEvent::Created { client_id, .. }) =
                    catalogue::decode(event)?.payload
                else {
                    continue;
                };
                if client_id != client || found.len() >= PEOPLE_MAX {
                    continue;
                }
                if self.portal_user(tenant, id).await?.is_some_and(|person| person.comes_in) {
                    found.push(id);
                }
            }
        }
        Ok(found)
    }
}

/// Text that stays text in Markdown.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && c != '.' && c != ',' && c != '-' && c != '\'' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
