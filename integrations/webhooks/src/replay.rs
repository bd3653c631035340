//! Sends again what happened, because somebody asked for it: goes through the log, and has waiting what the endpoint asks for.

use crate::delivery::DELIVERY;
use crate::desk::{At, Desk, asks_for};
use crate::way::{Way, job};
use anyhow::Result;
use catalogue::AnyEvent;
use chrono::Utc;
use connections_events::WebhookEndpointEvent as E;
use event_store::Log;
use kernel::Event as _;
use reactions::{Job, NewJob, Outcome, Reaction, Retry, put};
use std::time::{Duration, Instant};

/// Events that are looked at in one transaction.
const PAGE: i64 = 1_000;
/// For how long a job goes on before it lets others.
const TURN: Duration = Duration::from_secs(20);

/// See above.
pub struct Replay {
    pub desk: Desk,
    pub log: Log,
}

impl Reaction for Replay {
    const NAME: &'static str = "webhooks.replay";
    const ON: &'static [&'static str] = &["webhook_endpoint.replay_asked"];
    const RETRY: Retry = Retry::FOR_EVER;

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else { return Outcome::Done };
        let (at, position) = (At { tenant: job.tenant, endpoint: event.aggregate_id }, event.position);
        let (after, until) = match catalogue::decode(event).map(|event| event.payload) {
            Ok(AnyEvent::WebhookEndpoint(E::ReplayAsked { after, until })) => (after, until),
            Ok(_) => return Outcome::Done,
            Err(error) => return Outcome::Never("unreadable", error.to_string()),
        };
        let number = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        // What comes after whoever asked is sent anyway.
        let until = until.map_or(position, number).min(position);
        match self.go_on(job, at, number(after), until).await {
            Ok(true) => Outcome::Done,
            Ok(false) => Outcome::Early(Utc::now()),
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl Replay {
    /// True if it is through.
    async fn go_on(&self, job: &Job, at: At, after: i64, until: i64) -> Result<bool> {
        let begun = Instant::now();
        let mut read = self.desk.replayed_to(at.tenant, job.id).await?.unwrap_or(after);
        while read < until {
            let Some((scopes, is_ordered)) = self.desk.asked(at).await? else { break };
            read = self.page(job, at, (read, until), &scopes, is_ordered).await?;
            if begun.elapsed() > TURN && read < until {
                return Ok(false);
            }
        }
        self.desk.replayed(at.tenant, job.id).await?;
        Ok(true)
    }

    async fn page(
        &self,
        at_work: &Job,
        at: At,
        (read, until): (i64, i64),
        scopes: &[String],
        is_ordered: bool,
    ) -> Result<i64> {
        let limit = PAGE.min(until - read);
        let events = self.log.read(read, limit).await?;
        let wanted = events.iter().filter(|event| {
            let is_own = event.aggregate_type == E::STREAM && event.aggregate_id == at.endpoint;
            event.tenant_id == at.tenant && !is_own && asks_for(scopes, event)
        });
        let jobs: Vec<NewJob> = wanted
            .map(|event| {
                let way = if is_ordered { Way::ReplayInTurn(event.aggregate_id) } else { Way::Replay };
                job(at.tenant, at.endpoint, way, (event.event_id, event.position, event.aggregate_id))
            })
            .collect();
        let mut tx = event_store::begin(self.log.pool()).await?;
        put(&mut tx, DELIVERY, &jobs, true).await?;
        let sql = "insert into webhooks.replays (tenant_id, job, position) values ($1, $2, $3)
                   on conflict (tenant_id, job) do update set position = excluded.position";
        let next = read + limit;
        sqlx::query(sql).bind(at.tenant.0).bind(at_work.id).bind(next).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(next)
    }
}
