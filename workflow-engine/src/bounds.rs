//! How many runs may follow: from one event, from everything that one request has led to, and in one firm within an hour.
//!
//! Definitions can start each other. How long such a chain gets is bounded by its depth, but two runs from each run are a million
//! after twenty, so their number is bounded too. Runs beyond it stand still with an incident that says why, and as many again
//! at most: what comes after those is not started.

use crate::tasks::Tasks;
use crate::turn::Failure;
use metrics::counter;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Runs that lead to runs that lead to runs: beyond it, something goes in circles.
const DEPTH_MAX: u32 = 20;

/// How many runs may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Runs that one event starts, and runs that follow from those, in all.
    pub per_trigger: u32,
    /// Runs that follow from runs, in a firm within an hour.
    pub per_firm: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_trigger: 1_000, per_firm: 10_000 }
    }
}

/// Why a run stands still before its first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Incident {
    pub code: String,
    pub message: String,
}

impl Incident {
    pub fn new(code: &str, message: String) -> Self {
        Self { code: code.to_owned(), message }
    }
}

impl From<Incident> for Failure {
    fn from(incident: Incident) -> Self {
        Self::terminal(incident.code, incident.message)
    }
}

/// Whether a run may begin.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Admitted {
    Yes,
    /// It shall stand still.
    Parked(Incident),
    /// There are enough that stand still.
    No,
}

impl Admitted {
    /// The `nth` of at most `most`, from 1.
    fn of(nth: u64, most: u32, code: &str, message: impl FnOnce() -> String) -> Self {
        match nth {
            nth if nth <= u64::from(most) => Self::Yes,
            nth if nth <= 2 * u64::from(most) => Self::Parked(Incident::new(code, message())),
            _ => Self::No,
        }
    }

    /// Counts what is not started.
    fn counted(self, tenant: Uuid, chain: Uuid) -> Self {
        if self == Self::No {
            counter!("workflow_runs_not_started_total").increment(1);
            tracing::warn!(%tenant, correlation_id = %chain, "too many runs follow, so this one is not started");
        }
        self
    }
}

impl Bounds {
    /// The `nth` run that one event starts, from 1.
    pub(crate) fn of_event(&self, tenant: Uuid, chain: Uuid, nth: u64) -> Admitted {
        let most = self.per_trigger;
        let message = || format!("one event starts no more than {most} runs");
        Admitted::of(nth, most, "too_many_runs", message).counted(tenant, chain)
    }

    /// A run at this depth, that an event of another run starts.
    pub(crate) async fn of_run(
        &self,
        tasks: &Tasks,
        tenant: Uuid,
        chain: Uuid,
        depth: u32,
    ) -> Result<Admitted, sqlx::Error> {
        let (most, most_of_firm) = (self.per_trigger, self.per_firm);
        let (of_chain, of_firm) = tasks.follow(tenant, chain, most).await?;
        if depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} runs have led to each other");
            return Ok(Admitted::Parked(Incident::new("chain_too_long", message)));
        }
        let message = || format!("one request has led to more than {most} runs that follow from others");
        let of_chain = Admitted::of(of_chain, most, "too_many_runs", message);
        let admitted = if of_chain == Admitted::Yes {
            let message = || format!("the firm's runs have led to more than {most_of_firm} others within an hour");
            Admitted::of(of_firm, most_of_firm, "too_many_runs_of_firm", message)
        } else {
            of_chain
        };
        Ok(admitted.counted(tenant, chain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_as_many_again_stand_still_and_then_no_more_are_started() {
        let bounds = Bounds { per_trigger: 2, per_firm: 10 };
        let admitted: Vec<Admitted> = (1..=5).map(|nth| bounds.of_event(Uuid::nil(), Uuid::nil(), nth)).collect();
        assert_eq!(admitted[..2], [Admitted::Yes, Admitted::Yes]);
        assert!(
            admitted[2..4].iter().all(|admitted| matches!(admitted, Admitted::Parked(i) if i.code == "too_many_runs"))
        );
        assert_eq!(admitted[4], Admitted::No);
    }
}
