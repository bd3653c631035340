//! The emails that the firm sends. Each goes out under an id that derives from its own, also when it is sent once more, so that whoever
//! has it twice can tell. No mail server can be asked what became of an email, so one whose end nobody knows is not tried again by
//! itself: the record says so, and somebody decides.

use crate::Office;
use crate::attachments::{Attached, NotAttached};
use crate::email::addressed;
use crate::letter::{self, Letter, To};
use crate::note::{noted, reason, request};
use crate::server::Handed;
use crate::{markdown, people};
use anyhow::{Context, Result};
use communications::email::{Email as Record, EmailCommand as C};
use communications_events::EmailStatus;
use kernel::{Email, Name, Slug, TenantId};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, Message, MultiPart};
use reactions::{EXHAUSTED, Found, Job, OnFailure, Outcome, Reaction, StartAt};
use std::time::Duration;
use uuid::Uuid;

/// How often it is tried to write down that an email is out, and the first pause between.
const NOTES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Hands the firm's emails in.
pub struct Outgoing(pub Office);

impl Reaction for Outgoing {
    const NAME: &'static str = "email.outgoing";
    const ON: &'static [&'static str] = &["email.queued", "email.queued_again"];
    /// Without a mail server emails wait.
    const START: StartAt = StartAt::Beginning;
    /// The email's own record says why, and is sent once more from there.
    const ON_FAILURE: OnFailure = OnFailure::Drop;

    async fn perform(&self, job: &Job) -> Outcome {
        let (id, letter) = match self.letter(job).await {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Done,
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        let (name, address) = match self.address(job.tenant, &letter.to).await {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Never("no_address", "whoever it is for has no address any more".to_owned()),
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        let files = match self.0.attachments.fetch(job.tenant, letter.client_id, &letter.attachments).await {
            Ok(files) => files,
            Err(NotAttached::Never(code, why)) => return Outcome::Never(code, why),
            Err(NotAttached::Later(why)) => return Outcome::Later(None, why),
        };
        let email = match write(&self.0.server.from, &name, &address, id, &letter, files) {
            Ok(email) => email,
            Err(error) => return Outcome::Never("not_written", format!("{error:#}")),
        };
        let attempt = letter.attempt;
        match self.0.server.hand_in(email).await {
            Handed::Refused(why) => Outcome::Never("refused", why),
            Handed::NotNow(why) => Outcome::Later(None, why),
            Handed::Taken => match self.note(job.tenant, id, C::MarkSent { attempt, address }).await {
                Ok(()) => Outcome::Done,
                // It is out, and must not go out again because nobody could write that down.
                Err(error) => Outcome::Unknown(format!("{error:#}")),
            },
            Handed::Unknown(why) => {
                let unknown = C::MarkUnknown { attempt, reason: reason(&why) };
                match self.note(job.tenant, id, unknown).await {
                    Ok(()) => Outcome::Done,
                    Err(_) => Outcome::Unknown(why),
                }
            }
        }
    }

    /// There is nobody to ask, so the record says that nobody knows.
    async fn look_up(&self, job: &Job) -> Found {
        let said = async {
            let Some((id, letter)) = self.letter(job).await? else { return Ok(()) };
            let why = "the mailer ended while it handed the email in";
            self.note(job.tenant, id, C::MarkUnknown { attempt: letter.attempt, reason: reason(why) }).await
        };
        match said.await {
            Ok(()) => Found::Done,
            Err(error) => Found::Unclear(format!("{error:#}")),
        }
    }

    async fn given_up(&self, job: &Job, code: &str, why: &str) -> Result<()> {
        let Some((id, letter)) = self.letter(job).await? else { return Ok(()) };
        let code: Slug = code.parse().or_else(|_| EXHAUSTED.parse()).context("a code")?;
        self.note(job.tenant, id, C::MarkFailed { attempt: letter.attempt, code, reason: reason(why) }).await
    }
}

impl Outgoing {
    /// The email that a job is for, if it waits for this attempt.
    async fn letter(&self, job: &Job) -> Result<Option<(Uuid, Letter)>> {
        let Some(event) = &job.event else { return Ok(None) };
        let letter = letter::read(&self.0.people.0, job.tenant, event.aggregate_id).await?;
        // An attempt that came to an end was settled, and a newer one has a job of its own.
        let waits = letter.filter(|letter| letter.status == EmailStatus::Queued);
        Ok(waits.map(|letter| (event.aggregate_id, letter)))
    }

    async fn address(&self, tenant: TenantId, to: &To) -> Result<Option<(Option<Name>, Email)>> {
        let people: &people::People = &self.0.people;
        let found = match to {
            To::Address(email) => return Ok(Some((None, email.clone()))),
            To::Contact(id) => people.contact(tenant, *id).await?,
            To::User(id) => people.user(tenant, *id).await?,
            To::PortalUser(id) => people.portal_user(tenant, *id).await?.map(|person| (person.name, person.email)),
        };
        Ok(found.map(|(name, email)| (Some(name), email)))
    }

    /// Writes down what became of it. What the record does not take, such as that of an email that was erased, is not tried again.
    async fn note(&self, tenant: TenantId, id: Uuid, command: C) -> Result<()> {
        let mut pause = PAUSE;
        for _ in 1..NOTES {
            let done = self.0.store.execute::<Record>(Some(id), command.clone(), &request(tenant)).await;
            if noted(done.map(drop)).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        noted(self.0.store.execute::<Record>(Some(id), command, &request(tenant)).await.map(drop))
    }
}

/// The email as it goes out: the same one at every attempt, known by its id.
fn write(
    from: &Mailbox,
    name: &Option<Name>,
    to: &Email,
    id: Uuid,
    letter: &Letter,
    files: Vec<Attached>,
) -> Result<Message> {
    let called = name.as_ref().map_or("", Name::as_str);
    let mut email = addressed(from, called, to)?
        .subject(letter.subject.as_str())
        .message_id(Some(format!("<{id}@{}>", from.email.domain())));
    if let Some(thread) = letter.thread_id {
        // What mailboxes put the emails of one thread together by.
        email = email.references(format!("<{thread}.thread@{}>", from.email.domain()));
    }
    let (text, html) = (markdown::to_text(letter.body.as_str()), markdown::to_html(letter.body.as_str()));
    let shown = MultiPart::alternative_plain_html(text, html);
    if files.is_empty() {
        return Ok(email.multipart(shown)?);
    }
    let mut parts = MultiPart::mixed().multipart(shown);
    for Attached { name, content_type, bytes } in files {
        let content_type = ContentType::parse(content_type.as_str()).context("the type of a file")?;
        parts = parts.singlepart(Attachment::new(name.to_string()).body(bytes, content_type));
    }
    Ok(email.multipart(parts)?)
}
