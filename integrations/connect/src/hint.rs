//! Something may have changed at a provider: whoever wants to know asks how it is now.

use kernel::ConnectionId;
use ports::Place;
use providers::{HINTS, Hears};
use reactions::{Job, OnFailure, Outcome, Reaction, Retry};
use std::sync::Arc;

/// See above.
pub struct Hints(pub Vec<Arc<dyn Hears>>);

impl Reaction for Hints {
    const NAME: &'static str = HINTS;
    /// Providers and sweeps say so, and no event.
    const ON: &'static [&'static str] = &[];
    const RETRY: Retry = Retry::TWO_DAYS;
    const ON_FAILURE: OnFailure = OnFailure::Park;

    async fn perform(&self, job: &Job) -> Outcome {
        let mut parts = job.key.splitn(3, '/');
        let (Some(provider), Some(kind), Some(id), Some(connection)) =
            (parts.next(), parts.next(), parts.next(), job.subject)
        else {
            return Outcome::Never("unreadable", format!("{} names nothing", job.key));
        };
        let at = Place { tenant: job.tenant, connection: ConnectionId(connection) };
        for hearer in &self.0 {
            if hearer.of() == (provider, kind) {
                match hearer.changed(at, id).await {
                    Outcome::Done => {}
                    // The others are asked when it comes again; whoever has seen it finds nothing new.
                    outcome => return outcome,
                }
            }
        }
        Outcome::Done
    }
}
