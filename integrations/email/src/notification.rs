//! Whoever wants to be told by email is.

use crate::Office;
use crate::email::compose;
use catalogue::AnyEvent;
use communications_events::NotificationEvent;
use event_store::RawEvent;
use kernel::UserId;
use reactions::{Job, Lane, OnFailure, Outcome, Reaction};

/// Writes to whom a notification is for.
pub struct Notified(pub Office);

impl Reaction for Notified {
    const NAME: &'static str = "email.notification";
    const ON: &'static [&'static str] = &["notification.sent"];
    /// It is in the product, too, or nobody asked for it there.
    const ON_FAILURE: OnFailure = OnFailure::Drop;

    /// One after the other to each user; none to whoever does not want it.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        wanted(event.clone()).map(|(user, _)| Lane::of(user)).into_iter().collect()
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else { return Outcome::Done };
        let event_id = event.event_id;
        let Some((user, NotificationEvent::Sent { title, body, link, .. })) = wanted(event) else {
            return Outcome::Done;
        };
        let Office { people, server, links, .. } = &self.0;
        let (name, address) = match people.user(job.tenant, user).await {
            Ok(Some(found)) => found,
            // Whoever has left is told nothing.
            Ok(None) => return Outcome::Done,
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        // Nothing is left of what was erased.
        let Some(title) = title.expose() else { return Outcome::Done };
        let mut text = body.as_ref().map_or(title.as_str(), |body| body.text()).to_owned() + "\n";
        if let Some(link) = link {
            text.push_str(&format!("\n  {}{link}\n", links.app_url.trim_end_matches('/')));
        }
        let to = (address.as_str(), name.as_str());
        match compose(&server.from, to, title.to_string(), event_id, text) {
            Ok(email) => server.send(email).await,
            Err(error) => Outcome::Never("not_written", format!("{error:#}")),
        }
    }
}

/// What a user is to be told by email.
fn wanted(event: RawEvent) -> Option<(UserId, NotificationEvent)> {
    match catalogue::decode(event).ok()?.payload {
        AnyEvent::Notification(event @ NotificationEvent::Sent { user_id, by_email: true, .. }) => {
            Some((user_id, event))
        }
        _ => None,
    }
}
