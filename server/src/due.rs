//! Follow-ups fall due by themselves: each has a job that waits for its time.

use crate::connect::bus;
use ::vault::Vault;
use anyhow::{Context, Result};
use catalogue::AnyEvent;
use event_store::{ExecuteError, Log, RawEvent, Request, Store};
use kernel::Actor;
use messaging::Events;
use reactions::{Engine, Job, Lane, Outcome, Reaction, Retry, StartAt};
use runtime::settings::Settings;
use sqlx::PgPool;
use std::sync::Arc;
use timeline::FollowUp;
use timeline::follow_up::FollowUpCommand;
use timeline_events::FollowUpEvent as E;
use tokio_util::sync::CancellationToken;

/// Notes that a follow-up's time has come.
struct Due {
    store: Store,
}

impl Reaction for Due {
    const NAME: &'static str = "timeline.follow_up_due";
    const ON: &'static [&'static str] = &["follow_up.scheduled", "follow_up.snoozed"];
    const START: StartAt = StartAt::Beginning;
    /// Its time comes, however far off it is.
    const RETRY: Retry = Retry::FOR_EVER;

    /// None waits for another's time.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.event_id)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        match self.look(job).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl Due {
    async fn look(&self, job: &Job) -> Result<Outcome> {
        let Some(event) = job.event.clone() else { return Ok(Outcome::Done) };
        let id = event.aggregate_id;
        let said = match catalogue::decode(event)?.payload {
            AnyEvent::FollowUp(E::Scheduled { due_at, .. } | E::Snoozed { due_at }) => due_at,
            _ => return Ok(Outcome::Done),
        };
        let (follow_up, _) = self.store.load::<FollowUp>(job.tenant, id).await.context("loading a follow-up")?;
        // Done, given up or put off meanwhile; what put it off has a job of its own.
        if follow_up.waits_until() != Some(said) {
            return Ok(Outcome::Done);
        }
        if chrono::Utc::now() < said.utc() {
            return Ok(Outcome::Early(said.utc()));
        }
        let request = Request::new(job.tenant, Actor::System { name: "due".to_owned() });
        match self.store.execute::<FollowUp>(Some(id), FollowUpCommand::FallDue {}, &request).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Err(error).context("noting that a follow-up is due")
            }
            // Our clock may be ahead of the one that decides.
            Err(ExecuteError::Rejected { code: "timeline.follow_up.not_yet", .. }) => {
                Ok(Outcome::Later(None, "its time is about to come".to_owned()))
            }
            Err(error) => Ok(Outcome::Never("refused", error.to_string())),
        }
    }
}

/// Has follow-ups fall due until asked to stop.
///
/// # Errors
/// When what it needs cannot be connected.
pub async fn work(
    settings: &Settings,
    pool: &PgPool,
    vault: &Option<Vault>,
    events: Arc<dyn Events>,
    stop: CancellationToken,
) -> Result<()> {
    let store = bus(settings, pool.clone(), vault.clone())?.store().clone();
    let log = Log::unsealing(pool.clone(), vault.clone());
    Engine::new(log).with(Due { store: store.clone() }).run(events, stop).await;
    store.drain().await;
    Ok(())
}
