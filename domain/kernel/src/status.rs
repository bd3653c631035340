//! Status machines: where an aggregate, or a part of one, stands, and which event moves it.
//!
//! A machine is declared once, with the events, and both sides say `self.status = self.status.after(event)`; where that does not
//! suffice, both keep the same [`Progress`]. It is published too, as an enum of the API and as a figure in `docs/reference/`, so it says what can happen: an event that a status does
//! not know leaves it as it is. A move that was once published stays, because the log may hold it.

use crate::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// What is known of one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusEntry {
    /// As events, rows, the command line and metrics have it: `on_hold`.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub summary: &'static str,
}

/// The statuses that something can have; the default is the one that it begins from. `#[kernel::status]` writes it for an enum.
pub trait Status: Copy + Debug + Default + Eq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Each of them, in the order of a life.
    const ALL: &'static [Self];

    /// Its name and what it means.
    fn entry(self) -> &'static StatusEntry;

    /// Its name: `on_hold`.
    fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// The status of this name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == name)
    }
}

/// How events move a status.
pub trait Machine<E: Event>: Status {
    /// The event types of which one begins it: `project.created`.
    const BEGINS: &'static [&'static str];

    /// The status after the event.
    #[must_use]
    fn after(self, event: &E) -> Self;
}

/// What has to be remembered to say where something stands, if the status before and the event do not suffice: a run waits for as
/// long as one of its steps does. A [`Machine`] needs to remember nothing but itself.
pub trait Progress<E: Event>: Clone + Debug + Default + Eq {
    /// What it shows.
    type Status: Status;

    /// The event types of which one begins it.
    const BEGINS: &'static [&'static str];

    /// More is remembered than the status: the same event may move it or leave it.
    const REMEMBERS: bool = true;

    /// Moves along one event.
    fn apply(&mut self, event: &E);

    /// Where it stands.
    fn status(&self) -> Self::Status;
}

impl<E: Event, S: Machine<E>> Progress<E> for S {
    type Status = S;

    const BEGINS: &'static [&'static str] = <S as Machine<E>>::BEGINS;

    const REMEMBERS: bool = false;

    fn apply(&mut self, event: &E) {
        *self = self.after(event);
    }

    fn status(&self) -> S {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a kettle stands.
    #[crate::status]
    enum KettleStatus {
        /// Nobody has pressed the button.
        #[default]
        Cold,
        /// The button
        /// was pressed.
        HeatingUp,
    }

    #[test]
    fn a_status_has_one_name_everywhere_and_a_sentence() {
        let heating = KettleStatus::HeatingUp;
        assert_eq!((heating.as_str(), heating.to_string().as_str()), ("heating_up", "heating_up"));
        assert_eq!(heating.entry().summary, "The button was pressed.");
        assert_eq!(serde_json::to_string(&heating).unwrap(), "\"heating_up\"");
        assert_eq!(crate::read_input::<KettleStatus>("\"heating_up\""), Ok(heating));
        assert_eq!(KettleStatus::named("heating_up"), Some(heating));
        assert_eq!(KettleStatus::named("HeatingUp"), None);
        assert_eq!(KettleStatus::ALL, [KettleStatus::default(), heating]);
    }
}
