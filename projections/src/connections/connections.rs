//! Connections to providers, with how they are. No secret is here.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::connections_events::{ConnectionEvent as E, ConnectionStatus, Provider, Trouble};
use chrono::{DateTime, Utc};
use kernel::{ConnectionId, Machine, Name, Text, read_model};

/// Connections to providers outside, and how they are.
#[read_model(
    "connections.connections",
    id = ConnectionId,
    read = "connections.connection.read",
    updated_at(filter, sort)
)]
pub struct ConnectionRow {
    /// Whom it leads to.
    #[column(filter)]
    pub provider: Provider,
    /// What the firm calls it.
    #[column(filter, sort)]
    pub name: Name,
    /// Where it stands.
    #[column(filter)]
    pub status: ConnectionStatus,
    /// Since when it stands there.
    #[column(sort)]
    pub status_since: DateTime<Utc>,
    /// The provider's id of the account, if somebody has agreed there.
    #[column(filter)]
    pub account_id: Option<Name>,
    /// What the provider calls the account.
    pub account_label: Option<Name>,
    /// When somebody last agreed at the provider.
    pub authorised_at: Option<DateTime<Utc>>,
    /// When it was last known to work: somebody had just agreed, or it worked again.
    pub last_success_at: Option<DateTime<Utc>>,
    /// What is wrong, or was when it last went wrong.
    #[column(filter)]
    pub last_error: Option<Trouble>,
    /// The same in words.
    pub last_error_detail: Option<Text>,
    /// When it last went wrong.
    pub last_error_at: Option<DateTime<Utc>>,
}

impl ConnectionRow {
    fn went_wrong(&mut self, trouble: Trouble, detail: Option<&Text>, event: Envelope<'_>) {
        (self.last_error, self.last_error_detail) = (Some(trouble), detail.cloned());
        self.last_error_at = Some(event.recorded_at);
    }
}

impl Fold for ConnectionRow {
    type Event = E;

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::Created { provider, name } = change else { return None };
        Some(Self {
            provider: *provider,
            name: name.clone(),
            status: ConnectionStatus::default().after(change),
            status_since: event.recorded_at,
            account_id: None,
            account_label: None,
            authorised_at: None,
            last_success_at: None,
            last_error: None,
            last_error_detail: None,
            last_error_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        let status = self.status.after(change);
        if status != self.status {
            (self.status, self.status_since) = (status, event.recorded_at);
        }
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::AuthorisationBegun {}
            | E::Paused {}
            | E::Resumed {}
            | E::ResyncRequested { .. }
            | E::Disconnected {} => {}
            E::Authorised { provider: _, account_id, account_label } => {
                (self.account_id, self.account_label) = (Some(account_id.clone()), Some(account_label.clone()));
                (self.authorised_at, self.last_success_at) = (Some(event.recorded_at), Some(event.recorded_at));
            }
            E::Degraded { trouble, detail } | E::AuthFailed { trouble, detail } => {
                self.went_wrong(*trouble, detail.as_ref(), event);
            }
            E::Recovered { .. } => self.last_success_at = Some(event.recorded_at),
        }
        Ok(())
    }
}
