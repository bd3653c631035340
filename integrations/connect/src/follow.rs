//! What the record of a connection says is so for whoever uses it: paused, used again, looked at again, given up. What was blocked goes on.

use catalogue::{AnyEvent, connections_events::ConnectionEvent as E};
use chrono::{DateTime, NaiveTime, Utc};
use kernel::{ConnectionId, Date};
use ports::Place;
use providers::{Links, Sweeper};
use reactions::{Job, Outcome, Reaction, Retry, StartAt, release};
use std::sync::Arc;
use std::time::Duration;

/// How long a provider may take to take a grant back.
const REVOKING: Duration = Duration::from_secs(15);

/// See above.
pub struct Follow {
    pub links: Links,
    pub sweepers: Arc<Vec<Arc<dyn Sweeper>>>,
}

impl Reaction for Follow {
    const NAME: &'static str = "connect.follow";
    const ON: &'static [&'static str] = &[
        "connection.authorised",
        "connection.recovered",
        "connection.paused",
        "connection.resumed",
        "connection.resync_requested",
        "connection.disconnected",
    ];
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry::FOR_EVER;

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else { return Outcome::Done };
        let at = Place { tenant: event.tenant_id, connection: ConnectionId(event.aggregate_id) };
        let recorded_at = event.recorded_at;
        let event = match catalogue::decode(event).map(|event| event.payload) {
            Ok(AnyEvent::Connection(event)) => event,
            Ok(_) => return Outcome::Done,
            Err(error) => return Outcome::Never("unreadable", error.to_string()),
        };
        let done = match event {
            E::Authorised { provider, .. } => self.begin(at, provider.does()).await,
            E::Recovered { .. } => self.go_on(at).await,
            E::Paused {} => self.pause(at, true).await,
            E::Resumed {} => self.pause(at, false).await,
            E::ResyncRequested { since } => self.resync(at, since).await,
            E::Disconnected {} => self.end(at, recorded_at).await,
            _ => Ok(()),
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl Follow {
    /// What waited until there is a connection to anybody who does this goes on too.
    async fn begin(&self, at: Place, does: &str) -> anyhow::Result<()> {
        release(self.links.pool(), at.tenant, does).await?;
        self.go_on(at).await
    }

    /// The lanes that waited for the connection go on, few at first.
    async fn go_on(&self, at: Place) -> anyhow::Result<()> {
        release(self.links.pool(), at.tenant, &at.connection.to_string()).await?;
        Ok(())
    }

    async fn resync(&self, at: Place, since: Option<Date>) -> anyhow::Result<()> {
        let since = since.map(|day| day.and_time(NaiveTime::MIN).and_utc());
        Ok(self.links.resync(at, since).await?)
    }

    async fn pause(&self, at: Place, is_paused: bool) -> anyhow::Result<()> {
        self.links.pause(at, is_paused).await?;
        if is_paused { Ok(()) } else { self.go_on(at).await }
    }

    /// The provider is told, if it can be; the grant is destroyed here either way. One that somebody agreed to since is another one.
    async fn end(&self, at: Place, given_up_at: DateTime<Utc>) -> anyhow::Result<()> {
        let Some(provider) = self.links.given_up(at, given_up_at).await? else { return Ok(()) };
        for sweeper in self.sweepers.iter() {
            if sweeper.provider() == provider {
                match tokio::time::timeout(REVOKING, sweeper.revoke(at)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::info!(error = %error, "a provider was not told that we go"),
                    Err(_) => tracing::info!("a provider takes too long to be told that we go"),
                }
            }
        }
        Ok(self.links.destroy(at, given_up_at).await?)
    }
}
