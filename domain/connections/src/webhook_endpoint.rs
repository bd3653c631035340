//! An endpoint that is sent what happens in the firm: a webhook (Standard Webhooks).
//!
//! Its secret is derived from the firm's keys, from its id and the version at which it was made, so no event and no table has it. Whoever
//! learns a secret or chooses events may read what is sent: the one who does answers for the endpoint from then on.

use chrono::TimeDelta;
use connections_events::{
    DisabledBecause, WebhookEndpointEvent as E, WebhookEndpointStatus as Status, WebhookOrder, WebhookSecret,
};
use kernel::{Aggregate, Context, Decision, EventScope, Machine, Name, Text, WebAddress, command, rejection};
use serde::{Deserialize, Serialize};

use WebhookEndpointCommand as C;
use WebhookEndpointRejection as R;

/// Kinds of events that one endpoint may ask for.
const EVENTS_MAX: usize = 50;
/// Hours for which what is sent is signed with the secret before, too, unless the command says otherwise; and at most.
const OVERLAP_HOURS: u32 = 24;
const OVERLAP_HOURS_MAX: u32 = 168;

/// What may be asked of an endpoint.
#[command("connections.webhook_endpoint", !member)]
pub enum WebhookEndpointCommand {
    /// Has the firm's events sent somewhere, all or some; the answer shows the secret that they are signed with.
    #[creates]
    #[tells("secret", WebhookSecret)]
    #[refused(ExceedsYourPermissions, TooManyEvents)]
    Add {
        /// Where to: `https`, a name that leads to a public address, and port 443 or 8443 unless the installation allows more.
        url: WebAddress,
        /// Which events, such as `projects.>`, at most 50; all of the firm's unless given.
        #[serde(default)]
        events: Vec<EventScope>,
        /// In which order.
        #[serde(default)]
        order: WebhookOrder,
        /// What it is for.
        #[serde(default)]
        description: Option<Name>,
    },
    /// Has the events sent elsewhere.
    #[refused(ExceedsYourPermissions, Removed)]
    ChangeAddress {
        /// Where to.
        url: WebAddress,
    },
    /// Has other events sent, or in another order; what waits already is sent as it was asked for.
    #[refused(ExceedsYourPermissions, TooManyEvents, Removed)]
    ChooseEvents {
        /// Which events, at most 50; all of the firm's if there are none.
        events: Vec<EventScope>,
        /// In which order.
        #[serde(default)]
        order: WebhookOrder,
    },
    /// Says differently what it is for.
    #[refused(Removed)]
    Describe {
        /// What it is for.
        #[serde(default)]
        description: Option<Name>,
    },
    /// Gives the endpoint another secret, which the answer shows; for a while what is sent is signed with both.
    #[tells("secret", WebhookSecret)]
    #[refused(ExceedsYourPermissions, OverlapTooLong, Removed)]
    RotateSecret {
        /// Hours for which the secret before it is signed with, too, 24 unless given, at most 168.
        #[serde(default)]
        overlap_hours: Option<u32>,
    },
    /// Sends the endpoint an event about itself, once, to see whether it comes.
    #[refused(Removed)]
    Test {},
    /// Sends again what has happened since a position of the log, of the events that the endpoint asks for.
    #[refused(ExceedsYourPermissions, NothingBetween, Disabled, Removed)]
    Replay {
        /// What comes after this position.
        after: u64,
        /// Up to this one; up to now unless given.
        #[serde(default)]
        until: Option<u64>,
    },
    /// Sends nothing until it is resumed; what happens meanwhile waits.
    #[refused(Disabled, Removed)]
    Pause {},
    /// Sends events again. What happened while it was disabled is sent again when somebody asks for it.
    #[refused(Removed)]
    Resume {},
    /// Notes that it has taken nothing for a while; only whoever sends says so.
    #[refused(WebhooksOnly)]
    RecordFailing {
        /// What happened last.
        detail: Text,
    },
    /// Notes that it takes events again; only whoever sends says so.
    #[refused(WebhooksOnly)]
    RecordRecovered {},
    /// Sends nothing any more; only whoever sends says so.
    #[refused(WebhooksOnly)]
    RecordDisabled {
        /// Why.
        because: DisabledBecause,
        /// What happened last.
        detail: Text,
    },
    /// Gives it up.
    Remove {},
}

/// Why an endpoint's command may be refused.
#[rejection("connections.webhook_endpoint")]
pub enum WebhookEndpointRejection {
    /// The endpoint would be sent what you may not read, or for longer than you may.
    #[audited]
    ExceedsYourPermissions,
    /// An endpoint asks for 50 kinds of events at most; leave them out for all.
    #[invalid("/events")]
    TooManyEvents,
    /// What is sent is signed with the secret before for 168 hours at most.
    #[invalid("/overlap_hours")]
    OverlapTooLong,
    /// Nothing comes after the one position and not after the other.
    #[invalid("/until")]
    NothingBetween,
    /// Nothing is sent there; resume it first.
    Disabled,
    /// It was given up; add another.
    Removed,
    /// Only whoever sends notes what came of it.
    #[audited]
    WebhooksOnly,
}

/// What is remembered of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    status: Status,
    url: Option<WebAddress>,
    events: Vec<EventScope>,
    order: WebhookOrder,
    description: Option<Name>,
}

impl Aggregate for WebhookEndpoint {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "connections/webhook-endpoints";

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        // Whoever chooses what is sent where, or learns what it is signed with, sees it.
        let sees = match &command {
            C::Add { events, .. } | C::ChooseEvents { events, .. } => Some(events),
            C::ChangeAddress { .. } | C::RotateSecret { .. } | C::Replay { .. } => Some(&self.events),
            _ => None,
        };
        if sees.is_some_and(|events| !may_read(events, ctx)) {
            return Err(R::ExceedsYourPermissions);
        }
        let owner = ctx.actor.principal();
        Ok(match command {
            C::RecordFailing { .. } | C::RecordRecovered {} | C::RecordDisabled { .. } if !ctx.actor.is_system() => {
                return Err(R::WebhooksOnly);
            }
            C::Add { events, .. } | C::ChooseEvents { events, .. } if events.len() > EVENTS_MAX => {
                return Err(R::TooManyEvents);
            }
            C::Add { url, events, order, description } => {
                vec![E::Added { url, events: without_covered(events), order, description, owner }]
            }
            C::Remove {} if self.status == Status::Removed => vec![],
            C::Remove {} => vec![E::Removed {}],
            // What is said of one that is gone changes nothing.
            C::RecordFailing { detail } => self.moved(E::Failing { detail }),
            C::RecordRecovered {} => self.moved(E::Recovered {}),
            C::RecordDisabled { because, detail } => self.moved(E::Disabled { because, detail }),
            _ if self.status == Status::Removed => return Err(R::Removed),
            C::ChangeAddress { url } if self.url.as_ref() == Some(&url) => vec![],
            C::ChangeAddress { url } => vec![E::AddressChanged { url, owner }],
            C::ChooseEvents { events, order } => {
                let events = without_covered(events);
                if events == self.events && order == self.order {
                    return Ok(vec![]);
                }
                vec![E::EventsChosen { events, order, owner }]
            }
            C::Describe { description } if self.description == description => vec![],
            C::Describe { description } => vec![E::Described { description }],
            C::RotateSecret { overlap_hours } => {
                let hours = overlap_hours.unwrap_or(OVERLAP_HOURS);
                if hours > OVERLAP_HOURS_MAX {
                    return Err(R::OverlapTooLong);
                }
                vec![E::SecretRotated { previous_until: ctx.now + TimeDelta::hours(i64::from(hours)) }]
            }
            C::Test {} => vec![E::Tested {}],
            C::Replay { .. } if self.status == Status::Disabled => return Err(R::Disabled),
            C::Replay { after, until } if until.is_some_and(|until| until <= after) => return Err(R::NothingBetween),
            C::Replay { after, until } => vec![E::ReplayAsked { after, until }],
            C::Pause {} if self.status == Status::Disabled => return Err(R::Disabled),
            C::Pause {} => self.moved(E::Paused {}),
            C::Resume {} => self.moved(E::Resumed {}),
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Added { url, events, order, description, .. } => {
                (self.url, self.events, self.order) = (Some(url.clone()), events.clone(), *order);
                self.description = description.clone();
            }
            E::AddressChanged { url, .. } => self.url = Some(url.clone()),
            E::EventsChosen { events, order, .. } => (self.events, self.order) = (events.clone(), *order),
            E::Described { description } => self.description = description.clone(),
            E::SecretRotated { .. }
            | E::Tested {}
            | E::ReplayAsked { .. }
            | E::Failing { .. }
            | E::Recovered {}
            | E::Paused {}
            | E::Resumed {}
            | E::Disabled { .. }
            | E::Removed {} => {}
        }
    }
}

impl WebhookEndpoint {
    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The event, if it leads anywhere from here.
    fn moved(&self, event: E) -> Vec<E> {
        if self.status.after(&event) == self.status { vec![] } else { vec![event] }
    }
}

/// May whoever asks read, for good, all that these events are about?
fn may_read(events: &[EventScope], ctx: &Context) -> bool {
    let reads = |scope: &EventScope| {
        let mut parts = scope.as_str().split('.');
        match (parts.next(), parts.next()) {
            (Some(context), Some(">") | None) => format!("{context}.*.read"),
            (Some(context), Some(record)) => format!("{context}.{record}.read"),
            (None, _) => "*.read".to_owned(),
        }
    };
    let all: Vec<String> =
        if events.is_empty() { vec!["*.read".to_owned()] } else { events.iter().map(reads).collect() };
    ctx.permissions.cover_until(all.iter().map(String::as_str), None)
}

/// Each kind of event once.
fn without_covered(mut events: Vec<EventScope>) -> Vec<EventScope> {
    events.sort();
    events.dedup();
    let all = events.clone();
    events.retain(|scope| !all.iter().any(|other| other != scope && other.covers(scope)));
    events
}

#[cfg(test)]
mod tests;
