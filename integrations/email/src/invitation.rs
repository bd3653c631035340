//! An invitation is an event, and the email about it goes out at least once: the same one, known by its Message-ID, at every try.

use crate::Office;
use crate::email::{self, NotWritten};
use crate::note::{self, Noted};
use anyhow::Result;
use reactions::{Job, Outcome, Reaction, StartAt};

/// Writes to whoever is invited.
pub struct Invitation(pub Office);

impl Reaction for Invitation {
    const NAME: &'static str = "email.invitation";
    const ON: &'static [&'static str] = &["user.invited", "portal_user.invited"];
    /// Without a mail server emails wait.
    const START: StartAt = StartAt::Beginning;

    async fn perform(&self, job: &Job) -> Outcome {
        let Office { people, store, server, links, .. } = &self.0;
        let Some(event) = job.event.clone() else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        let email = match email::write(people, event, &server.from, links).await {
            Ok(Some(email)) => email,
            Ok(None) => return Outcome::Done,
            // Nothing is sent that cannot be written, and trying again changes nothing until we are corrected.
            Err(NotWritten::Never(why)) => return Outcome::Never("not_written", why),
            Err(NotWritten::Later(why)) => return Outcome::Later(None, why),
        };
        let outcome = server.send(email).await;
        if outcome == Outcome::Done && job.has_failed {
            // The email is out; if this cannot be noted now, the same email goes out again.
            if let Err(error) = note::email(store, job, Noted::Sent).await {
                return Outcome::Later(None, format!("{error:#}"));
            }
        }
        outcome
    }

    /// The record says so first: whoever is told of an email twice is told the same.
    async fn given_up(&self, job: &Job, _: &str, why: &str) -> Result<()> {
        note::email(&self.0.store, job, Noted::Failed(why)).await
    }
}
