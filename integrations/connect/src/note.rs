//! Tells the record of a connection how it is, so that whoever looks after the firm sees it and can mend it.

use anyhow::Result;
use connections::Connection;
use connections::connection::ConnectionCommand as C;
use connections_events::Trouble;
use event_store::{ExecuteError, Request, Store};
use kernel::{Actor, ConnectionId, Text};
use ports::Place;
use providers::{Health, Links, NOTES};
use reactions::{Job, Outcome, Reaction, Retry};

/// See above. It reads how the connection is when it says so, so that an older note never speaks last.
pub struct Note {
    pub links: Links,
    pub store: Store,
}

impl Reaction for Note {
    const NAME: &'static str = NOTES;
    /// Whoever uses a connection finds out, and no event says so.
    const ON: &'static [&'static str] = &[];
    const RETRY: Retry = Retry::FOR_EVER;

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(connection) = job.subject else { return Outcome::Done };
        let at = Place { tenant: job.tenant, connection: ConnectionId(connection) };
        match self.tell(at).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl Note {
    async fn tell(&self, at: Place) -> Result<()> {
        let Some(Health { health, trouble, detail }) = self.links.health(at).await? else { return Ok(()) };
        let trouble = trouble.and_then(|name| serde_json::from_value::<Trouble>(name.into()).ok());
        let trouble = trouble.unwrap_or(Trouble::Unreachable);
        let detail: Option<Text> = detail.and_then(|detail| detail.parse().ok());
        let command = match health.as_str() {
            "refused" => C::RecordAuthFailed { trouble, detail },
            "degraded" => C::RecordDegraded { trouble, detail },
            _ => C::RecordRecovered {},
        };
        let request = Request::new(at.tenant, Actor::System { name: "connect".to_owned() });
        match self.store.execute::<Connection>(Some(at.connection.0), command, &request).await {
            Ok(_) | Err(ExecuteError::NotFound) => Ok(()),
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(error = %error, "how a connection is is not on its record");
                Ok(())
            }
        }
    }
}
