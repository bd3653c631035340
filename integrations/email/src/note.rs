//! What became of an email, on the record of whom it is for, so that whoever asked for it sees it.

use crate::people::Person;
use anyhow::{Context, Result};
use catalogue::AnyEvent;
use event_store::{ExecuteError, Request, Store};
use identity::User;
use identity::user::UserCommand;
use identity_events::UserEvent;
use kernel::{Actor, TenantId, Text};
use portal::PortalUser;
use portal::portal_user::PortalUserCommand;
use portal_events::PortalUserEvent;
use reactions::Job;

/// Characters of a reason; a mail server may say any number.
const REASON_MAX: usize = 500;

/// What became of an email.
#[derive(Debug, Clone, Copy)]
pub enum Noted<'a> {
    /// It was sent.
    Sent,
    /// It cannot be sent, and why.
    Failed(&'a str),
}

/// Notes what became of the email that a job's event asks for.
pub async fn email(store: &Store, job: &Job, outcome: Noted<'_>) -> Result<()> {
    let Some(event) = job.event.clone() else { return Ok(()) };
    let (tenant, id) = (event.tenant_id, Some(event.aggregate_id));
    // Whoever cannot be written to because of an event that cannot be read is not noted on its record either.
    let Ok(event) = catalogue::decode(event) else { return Ok(()) };
    match event.payload {
        AnyEvent::User(UserEvent::Invited { invitation_id, .. }) => {
            let command = match outcome {
                Noted::Sent => UserCommand::NoteEmailSent { invitation_id },
                Noted::Failed(why) => UserCommand::NoteEmailFailed { invitation_id, reason: reason(why) },
            };
            noted(store.execute::<User>(id, command, &request(tenant)).await.map(drop))
        }
        AnyEvent::PortalUser(PortalUserEvent::Invited { invitation_id, .. }) => {
            let invitation_id = Some(invitation_id);
            let command = match outcome {
                Noted::Sent => PortalUserCommand::NoteEmailSent { invitation_id },
                Noted::Failed(why) => PortalUserCommand::NoteEmailFailed { invitation_id, reason: reason(why) },
            };
            noted(store.execute::<PortalUser>(id, command, &request(tenant)).await.map(drop))
        }
        _ => Ok(()),
    }
}

/// Notes what became of an email with the link that a portal user asked for.
pub async fn magic_link(store: &Store, person: &Person, outcome: Noted<'_>) -> Result<()> {
    let command = match outcome {
        Noted::Sent => PortalUserCommand::NoteEmailSent { invitation_id: None },
        Noted::Failed(why) => PortalUserCommand::NoteEmailFailed { invitation_id: None, reason: reason(why) },
    };
    noted(store.execute::<PortalUser>(Some(person.id.0), command, &request(person.tenant)).await.map(drop))
}

/// What the record does not take, such as that of a person who was erased meanwhile, is not tried again.
pub(crate) fn noted(result: Result<(), ExecuteError>) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
            Err(error).context("noting what became of an email")
        }
        Err(error) => {
            tracing::warn!(error = %error, "what became of an email is not on the record");
            Ok(())
        }
    }
}

/// The reason as a text that can be kept.
pub(crate) fn reason(why: &str) -> Text {
    let plain: String = why.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect();
    let unclear = || "the mail server refused it".parse().unwrap_or_else(|_| unreachable!("it is a text"));
    plain.parse().unwrap_or_else(|_| unclear())
}

pub(crate) fn request(tenant: TenantId) -> Request {
    Request::new(tenant, Actor::System { name: "mailer".to_owned() })
}
