//! Endpoints that are sent the firm's events. No secret is here.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::connections_events::{
    DisabledBecause, WebhookEndpointEvent as E, WebhookEndpointId, WebhookEndpointStatus, WebhookOrder,
};
use chrono::{DateTime, Utc};
use kernel::{EventScope, Machine, Name, Text, WebAddress, read_model};

/// Endpoints that are sent the firm's events, and how they are.
#[read_model(
    "connections.webhook_endpoints",
    id = WebhookEndpointId,
    read = "connections.webhook_endpoint.read",
    created_at(filter),
    updated_at(filter, sort)
)]
pub struct WebhookEndpointRow {
    /// Where to.
    pub url: WebAddress,
    /// Which events; all of the firm's if there are none.
    pub events: Vec<EventScope>,
    /// In which order.
    pub delivery_order: WebhookOrder,
    /// What it is for.
    pub description: Option<Name>,
    /// Where it stands.
    #[column(filter)]
    pub status: WebhookEndpointStatus,
    /// Since when it stands there.
    pub status_since: DateTime<Utc>,
    /// What happened last when it failed or was disabled.
    pub status_detail: Option<Text>,
    /// Why nothing was sent there any more, when that was last so.
    pub disabled_because: Option<DisabledBecause>,
    /// When its secret was made.
    pub secret_rotated_at: DateTime<Utc>,
    /// Until when what is sent is signed with the secret before, too.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When somebody last had it tested.
    pub last_tested_at: Option<DateTime<Utc>>,
    /// When somebody last asked that something be sent again.
    pub last_replay_at: Option<DateTime<Utc>>,
}

impl Fold for WebhookEndpointRow {
    type Event = E;

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::Added { url, events, order, description, owner: _ } = change else { return None };
        Some(Self {
            url: url.clone(),
            events: events.clone(),
            delivery_order: *order,
            description: description.clone(),
            status: WebhookEndpointStatus::default().after(change),
            status_since: event.recorded_at,
            status_detail: None,
            disabled_because: None,
            secret_rotated_at: event.recorded_at,
            previous_secret_until: None,
            last_tested_at: None,
            last_replay_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        let status = self.status.after(change);
        if status != self.status {
            (self.status, self.status_since) = (status, event.recorded_at);
        }
        match change {
            E::Added { .. } | E::Paused {} | E::Removed {} => {}
            E::AddressChanged { url, owner: _ } => self.url = url.clone(),
            E::EventsChosen { events, order, owner: _ } => {
                (self.events, self.delivery_order) = (events.clone(), *order);
            }
            E::Described { description } => self.description = description.clone(),
            E::SecretRotated { previous_until } => {
                (self.secret_rotated_at, self.previous_secret_until) = (event.recorded_at, Some(previous_until.utc()));
            }
            E::Tested {} => self.last_tested_at = Some(event.recorded_at),
            E::ReplayAsked { .. } => self.last_replay_at = Some(event.recorded_at),
            E::Failing { detail } => self.status_detail = Some(detail.clone()),
            E::Disabled { because, detail } => {
                (self.disabled_because, self.status_detail) = (Some(*because), Some(detail.clone()));
            }
            E::Recovered {} | E::Resumed {} => self.status_detail = None,
        }
        Ok(())
    }
}
