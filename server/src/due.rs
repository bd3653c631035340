//! What falls due by itself: each follow-up, and each day on which an invoice plan opens something, has a job that waits for
//! its time.

use crate::connect::bus_with;
use ::vault::Vault;
use access::LogDirectory;
use anyhow::{Context, Result};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use event_store::{ExecuteError, Log, RawEvent, Request, Store, TimeZones};
use kernel::{Actor, Aggregate};
use messaging::Events;
use reactions::{Engine, Job, Lane, Outcome, Reaction, Retry, StartAt};
use revenue::InvoicePlan;
use revenue::invoice_plan::InvoicePlanCommand;
use revenue_events::InvoicePlanEvent;
use runtime::settings::Settings;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use timeline::FollowUp;
use timeline::follow_up::FollowUpCommand;
use timeline_events::FollowUpEvent;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Our clock may be ahead of the one that decides.
const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// What becomes of a job, or an error after which it is tried again.
fn outcome(looked: Result<Outcome>) -> Outcome {
    looked.unwrap_or_else(|error| Outcome::Later(None, format!("{error:#}")))
}

/// Says that a time has come; why not, if the rules refuse it.
async fn say<A: Aggregate>(store: &Store, job: &Job, id: Uuid, command: A::Command) -> Result<Option<ExecuteError>> {
    let request = Request::new(job.tenant, Actor::System { name: "due".to_owned() });
    match store.execute::<A>(Some(id), command, &request).await {
        Ok(_) => Ok(None),
        Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
            Err(error).context("noting that something is due")
        }
        Err(refused) => Ok(Some(refused)),
    }
}

/// A follow-up is due at its time.
struct FollowUps {
    store: Store,
}

impl Reaction for FollowUps {
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
        outcome(self.look(job).await)
    }
}

impl FollowUps {
    async fn look(&self, job: &Job) -> Result<Outcome> {
        let Some(event) = job.event.clone() else { return Ok(Outcome::Done) };
        let id = event.aggregate_id;
        let said = match catalogue::decode(event)?.payload {
            AnyEvent::FollowUp(FollowUpEvent::Scheduled { due_at, .. } | FollowUpEvent::Snoozed { due_at }) => due_at,
            _ => return Ok(Outcome::Done),
        };
        let (follow_up, _) = self.store.load::<FollowUp>(job.tenant, id).await.context("loading a follow-up")?;
        // Done, given up or put off meanwhile; what put it off has a job of its own.
        if follow_up.waits_until() != Some(said) {
            return Ok(Outcome::Done);
        }
        if Utc::now() < said.utc() {
            return Ok(Outcome::Early(said.utc()));
        }
        Ok(match say::<FollowUp>(&self.store, job, id, FollowUpCommand::FallDue {}).await? {
            None => Outcome::Done,
            Some(ExecuteError::Rejected { code: "timeline.follow_up.not_yet", .. }) => {
                Outcome::Later(Some(CLOCKS_DIFFER), "its time is about to come".to_owned())
            }
            Some(refused) => Outcome::Never("refused", refused.to_string()),
        })
    }
}

/// Entries of a plan that wait for a day are due when it begins for the firm, and so is each period of what recurs.
struct PlanDays {
    store: Store,
    time_zones: LogDirectory,
}

impl Reaction for PlanDays {
    const NAME: &'static str = "revenue.invoice_plan_day";
    const ON: &'static [&'static str] = &["invoice_plan.activated", "plan_entry.added"];
    const START: StartAt = StartAt::Beginning;
    /// Its days come, however far off they are.
    const RETRY: Retry = Retry::FOR_EVER;

    /// None waits for another's day.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.event_id)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        outcome(self.look(job).await)
    }
}

impl PlanDays {
    /// A plan that is active has a job that goes from day to day; what is added to it has one until its own day.
    async fn look(&self, job: &Job) -> Result<Outcome> {
        let Some(event) = job.event.clone() else { return Ok(Outcome::Done) };
        let id = event.aggregate_id;
        let until = match catalogue::decode(event)?.payload {
            AnyEvent::InvoicePlan(InvoicePlanEvent::Activated {}) => None,
            AnyEvent::InvoicePlan(InvoicePlanEvent::EntryAdded { plan_entry })
                if plan_entry.period.is_none() && plan_entry.due_on.is_some() =>
            {
                plan_entry.due_on
            }
            _ => return Ok(Outcome::Done),
        };
        let mut opened = None;
        loop {
            let (plan, _) = self.store.load::<InvoicePlan>(job.tenant, id).await.context("loading an invoice plan")?;
            // A plan that is not active opens nothing; when it is again, another job goes on.
            let Some(day) = plan.opens_on().filter(|day| until.is_none_or(|until| *day <= until)) else {
                return Ok(Outcome::Done);
            };
            if opened == Some(day) {
                return Ok(Outcome::Later(Some(CLOCKS_DIFFER), "its day is about to come".to_owned()));
            }
            let zone = self.time_zones.time_zone(job.tenant).await.context("asking for a firm's time zone")?;
            let begins: DateTime<Utc> = day.begins_in(zone).utc();
            if Utc::now() < begins {
                return Ok(Outcome::Early(begins));
            }
            match say::<InvoicePlan>(&self.store, job, id, InvoicePlanCommand::OpenPeriods {}).await? {
                None => opened = Some(day),
                // Paused or closed at this moment.
                Some(ExecuteError::Rejected {
                    code: "revenue.invoice_plan.not_active" | "revenue.invoice_plan.closed",
                    ..
                }) => return Ok(Outcome::Done),
                Some(refused) => return Ok(Outcome::Never("refused", refused.to_string())),
            }
        }
    }
}

/// Has things fall due until asked to stop.
///
/// # Errors
/// When what it needs cannot be connected.
pub async fn work(
    settings: &Settings,
    pool: &PgPool,
    vault: &Option<Vault>,
    time_zones: LogDirectory,
    events: Arc<dyn Events>,
    stop: CancellationToken,
) -> Result<()> {
    let store = bus_with(settings, pool.clone(), vault.clone(), Some(time_zones.clone()))?.store().clone();
    let log = Log::unsealing(pool.clone(), vault.clone());
    let plan_days = PlanDays { store: store.clone(), time_zones };
    Engine::new(log).with(FollowUps { store: store.clone() }).with(plan_days).run(events, stop).await;
    store.drain().await;
    Ok(())
}
