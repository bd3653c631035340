//! Sends one event to one endpoint, and decides what becomes of it if it is not taken.
//!
//! An event that is not taken while others are waits for its next try in a lane of its own, so what comes after it goes on; one that is sent
//! in turn holds up its record. An endpoint that takes nothing at all is tried with one event now and then, and keeps its place meanwhile:
//! whatever waits goes on at the first success. Whoever has just failed is tried in the rooms that are kept for such lanes, so that
//! endpoints that let us wait fill no others.

use crate::desk::{At, Desk, Failing, Noted, Seen};
use crate::message::{body, message};
use crate::owners::{Owners, may_read};
use crate::rooms::Rooms;
use crate::schedule::{Schedule, by_lot};
use crate::secret::Secrets;
use crate::sender::{Answer, Sender};
use crate::way::{AT_ONCE, Way, blocked_on, job};
use anyhow::{Result, anyhow};
use chrono::Utc;
use connections::WebhookEndpoint;
use connections::webhook_endpoint::WebhookEndpointCommand as C;
use connections_events::DisabledBecause;
use event_store::{ExecuteError, RawEvent, Request, Store};
use kernel::{Actor, InvalidValue, Text};
use metrics::counter;
use reactions::{Job, OnFailure, Outcome, Reaction, Retry, put};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names its jobs, so it never changes.
pub const DELIVERY: &str = "webhooks.delivery";
/// From so many failures in a row on it is the endpoint that fails, not the event.
const TRIPS_AT: i32 = 3;
/// How soon a job is taken again that came to a room for endpoints that are well.
const SOON: Duration = Duration::from_millis(50);

/// See above.
pub struct Delivery {
    pub desk: Desk,
    pub store: Store,
    pub sender: Sender,
    pub secrets: Secrets,
    pub owners: Arc<dyn Owners>,
    pub schedule: Schedule,
    /// Where clients find query-api.
    pub records_at: String,
    /// Messages on their way.
    pub rooms: Rooms,
}

impl Reaction for Delivery {
    const NAME: &'static str = DELIVERY;
    /// Which events, endpoints say.
    const ON: &'static [&'static str] = &[];
    /// For failures of ours; what receivers do has a schedule of its own.
    const RETRY: Retry = Retry::FOR_EVER;
    /// It is noted with the endpoint, and can be asked for again.
    const ON_FAILURE: OnFailure = OnFailure::Drop;
    /// They wait for strangers most of the time.
    const AT_ONCE: usize = 256;

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = &job.event else { return Outcome::Done };
        let Some((endpoint, way)) = Way::read(&job.lane) else {
            return Outcome::Never("lane", format!("{} is no endpoint's lane", job.lane));
        };
        let at = At { tenant: job.tenant, endpoint };
        match self.deliver(job, event, at, way).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl Delivery {
    async fn deliver(&self, job: &Job, event: &RawEvent, at: At, way: Way) -> Result<Outcome> {
        let Some(seen) = self.desk.look(at, event.event_id).await? else { return Ok(Outcome::Done) };
        let is_replay = way.is_replay();
        match seen.status.as_str() {
            "removed" => return Ok(Outcome::Done),
            "disabled" if !way.is_test() => {
                self.desk.note(at, event, &Noted { status: "skipped", is_replay, ..Noted::default() }).await?;
                return Ok(Outcome::Done);
            }
            "paused" if !way.is_test() => return Ok(Outcome::Blocked(blocked_on(at.endpoint))),
            _ => {}
        }
        if !self.may_read(&seen, at, event).await? {
            self.desk.note(at, event, &Noted { status: "withheld", is_replay, ..Noted::default() }).await?;
            return Ok(Outcome::Done);
        }
        if !way.is_test()
            && let Some(outcome) = self.waits(job, &seen, at).await?
        {
            return Ok(outcome);
        }
        let at_once = if seen.is_proven { AT_ONCE } else { 1 };
        let _room = match self.rooms.enter(at.endpoint, at_once) {
            Ok(room) => room,
            Err(wait) => return Ok(Outcome::Early(Utc::now() + wait)),
        };
        let mut keys = vec![self.secrets.at(at.tenant, at.endpoint, seen.secret_version).await?];
        if let Some(version) = seen.previous_version {
            keys.push(self.secrets.at(at.tenant, at.endpoint, version).await?);
        }
        let message = message(event, body(event, &self.records_at)?, &keys, Utc::now().timestamp(), is_replay)?;
        let begun = Instant::now();
        let answer = self.sender.send(&seen.url, message).await;
        let noted = Noted { is_try: true, took: Some(begun.elapsed()), is_replay, ..Noted::default() };
        match answer {
            Answer::Taken(status) => {
                counter!("webhook_deliveries_total", "outcome" => "taken").increment(1);
                self.desk.note(at, event, &Noted { status: "delivered", answer: Some(status), ..noted }).await?;
                self.taken(at, status).await?;
                Ok(Outcome::Done)
            }
            Answer::Gone => {
                counter!("webhook_deliveries_total", "outcome" => "gone").increment(1);
                let noted = Noted { status: "given_up", answer: Some(410), error: Some("HTTP 410"), ..noted };
                self.disable(at, DisabledBecause::Gone, "HTTP 410").await?;
                self.desk.note(at, event, &noted).await?;
                Ok(Outcome::Done)
            }
            Answer::Failed { status, why, retry_after } => {
                counter!("webhook_deliveries_total", "outcome" => "failed").increment(1);
                let noted = Noted { answer: status, error: Some(&why), ..noted };
                if way.is_test() {
                    self.desk.note(at, event, &Noted { status: "given_up", ..noted }).await?;
                    return Ok(Outcome::Done);
                }
                let how = self.desk.failed(at, status, &why, retry_after, &self.schedule).await?;
                self.failed(event, (at, way), how, u32::try_from(seen.attempts).unwrap_or(0) + 1, noted, &why).await
            }
        }
    }

    /// What whoever answers for the endpoint may not read is not sent.
    async fn may_read(&self, seen: &Seen, at: At, event: &RawEvent) -> Result<bool> {
        let Some(owner) = seen.owner.as_ref().map(|owner| owner.0) else { return Ok(true) };
        let permissions = self.owners.permissions(at.tenant, owner).await?;
        Ok(permissions.is_some_and(|permissions| may_read(&permissions, owner, event)))
    }

    /// Is this not the moment? Whoever fails is tried with one event at a time, and only in the rooms for those that fail.
    async fn waits(&self, job: &Job, seen: &Seen, at: At) -> Result<Option<Outcome>> {
        let after = |wait| Some(Outcome::After(wait, "the endpoint takes nothing at the moment".to_owned()));
        if let Some(seconds) = seen.shut_for {
            // Not all at the same moment.
            return Ok(after(Duration::try_from_secs_f64(seconds).unwrap_or_default() + by_lot(SOON)));
        }
        if seen.failures > 0 && !job.is_probe {
            return Ok(after(SOON));
        }
        if seen.failures >= TRIPS_AT && !self.desk.may_probe(at).await? {
            return Ok(after(by_lot(Duration::from_secs(1))));
        }
        Ok(None)
    }

    async fn taken(&self, at: At, status: u16) -> Result<()> {
        let Some((failures, is_told)) = self.desk.taken(at, status).await? else { return Ok(()) };
        if failures >= TRIPS_AT {
            self.desk.hasten(at).await?;
        }
        if is_told {
            self.tell(at, C::RecordRecovered {}).await?;
        }
        Ok(())
    }

    async fn failed(
        &self,
        event: &RawEvent,
        (at, way): (At, Way),
        how: Failing,
        attempts: u32,
        noted: Noted<'_>,
        why: &str,
    ) -> Result<Outcome> {
        if how.is_over {
            self.disable(at, DisabledBecause::FailedTooLong, why).await?;
            self.desk.note(at, event, &Noted { status: "given_up", ..noted }).await?;
            return Ok(Outcome::Done);
        }
        if how.is_long && !how.is_told {
            self.tell(at, C::RecordFailing { detail: text(why)? }).await?;
            self.desk.told(at).await?;
        }
        let shut = Duration::try_from_secs_f64(how.shut_for).unwrap_or_default();
        if how.failures >= TRIPS_AT {
            // It is the endpoint: nothing is given up before that is.
            let next = if way.may_step_aside() { shut } else { shut.max(self.schedule.after_or_last(attempts)) };
            self.desk.note(at, event, &Noted { status: "failing", next: Some(next), ..noted }).await?;
            return Ok(Outcome::After(next, why.to_owned()));
        }
        let Some(next) = self.schedule.after(attempts) else {
            self.desk.note(at, event, &Noted { status: "given_up", ..noted }).await?;
            counter!("webhook_deliveries_total", "outcome" => "given_up").increment(1);
            return Ok(Outcome::Never("exhausted", why.to_owned()));
        };
        let next = next.max(shut);
        self.desk.note(at, event, &Noted { status: "failing", next: Some(next), ..noted }).await?;
        if !way.may_step_aside() {
            return Ok(Outcome::After(next, why.to_owned()));
        }
        let about = (event.event_id, event.position, event.aggregate_id);
        let mut again = job(at.tenant, at.endpoint, Way::Again(event.event_id), about);
        again.lane = again.lane.at(Utc::now() + next);
        let mut connection = self.desk.0.acquire().await?;
        // It may be there from an earlier time.
        put(&mut connection, DELIVERY, &[again], true).await?;
        Ok(Outcome::Done)
    }

    async fn disable(&self, at: At, because: DisabledBecause, why: &str) -> Result<()> {
        self.tell(at, C::RecordDisabled { because, detail: text(why)? }).await?;
        self.desk.disable(at).await?;
        tracing::info!(endpoint = %at.endpoint, ?because, "nothing is sent to an endpoint any more");
        Ok(())
    }

    async fn tell(&self, at: At, command: C) -> Result<()> {
        let request = Request::new(at.tenant, Actor::System { name: "webhooks".to_owned() });
        match self.store.execute::<WebhookEndpoint>(Some(at.endpoint), command, &request).await {
            Ok(_) | Err(ExecuteError::NotFound) => Ok(()),
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(error = %error, "how an endpoint is is not on its record");
                Ok(())
            }
        }
    }
}

/// What goes on a record.
fn text(why: &str) -> Result<Text> {
    why.parse().map_err(|wrong: InvalidValue| anyhow!("{}", wrong.message))
}
