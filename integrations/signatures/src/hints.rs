//! Something may have changed with an envelope.

use crate::desk::Desk;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ports::Place;
use providers::Hears;
use reactions::Outcome;

/// Asks how an envelope stands, whenever the provider or a sweep says that it may have changed.
pub struct Envelopes {
    desk: Desk,
    provider: &'static str,
}

impl Envelopes {
    /// One for each provider that collects signatures.
    pub fn all(desk: &Desk) -> impl Iterator<Item = Self> {
        desk.providers().into_iter().map(move |provider| Self { desk: desk.clone(), provider })
    }
}

impl Hears for Envelopes {
    fn of(&self) -> (&'static str, &'static str) {
        (self.provider, "envelope")
    }

    fn changed<'a>(&'a self, at: Place, id: &'a str) -> BoxFuture<'a, Outcome> {
        async move {
            // An account has other envelopes too. One of ours that is not noted yet is looked at by whoever notes it.
            let known = match self.desk.book.contract(at, id).await {
                Ok(known) => known,
                Err(outcome) => return outcome,
            };
            let Some(which) = known else { return Outcome::Done };
            self.desk.look(at, which, id).await.map_or_else(|outcome| outcome, |()| Outcome::Done)
        }
        .boxed()
    }
}
