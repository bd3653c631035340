//! Says on the record what became of it at the ledger.

use crate::Books;
use anyhow::{Context, Result};
use event_store::{ExecuteError, Request};
use kernel::{Actor, Aggregate, Text};
use reactions::Job;
use uuid::Uuid;

/// Characters of a reason; a ledger may say any number.
const REASON_MAX: usize = 500;

/// What the record answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is so now, or was so before.
    Noted,
    /// It does not take it, and would not later: why, as a code.
    Refused(&'static str),
}

impl Books {
    /// A command of UBOS itself, because of an event if there is one.
    pub(crate) fn request(&self, tenant: kernel::TenantId, job: Option<&Job>) -> Request {
        let request = Request::new(tenant, Actor::System { name: self.provider.to_owned() });
        match job.and_then(|job| job.event.as_ref()) {
            Some(event) => {
                Request { causation_id: Some(event.event_id), correlation_id: event.metadata.correlation_id, ..request }
            }
            None => request,
        }
    }

    /// Sends it. What the record does not take is no failure: somebody has changed it meanwhile, and knows better.
    pub(crate) async fn tell<A: Aggregate>(&self, id: Uuid, command: A::Command, request: &Request) -> Result<Told> {
        match self.store.execute::<A>(Some(id), command, request).await {
            // A creation that is repeated meets what it created.
            Ok(_) | Err(ExecuteError::AlreadyExists) => Ok(Told::Noted),
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Err(error).context("noting what became of it at the ledger")
            }
            Err(ExecuteError::Rejected { code, .. }) => Ok(Told::Refused(code)),
            Err(error) => {
                tracing::warn!(error = %error, "what became of it at the ledger is not on the record");
                Ok(Told::Refused("other"))
            }
        }
    }
}

/// The reason as a text that can be kept.
pub(crate) fn reason(code: &str, why: &str) -> Text {
    let plain = format!("{code}: {why}");
    let plain: String = plain.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect();
    let unclear = || "the ledger does not take it".parse().unwrap_or_else(|_| unreachable!("it is a text"));
    plain.parse().unwrap_or_else(|_| unclear())
}
