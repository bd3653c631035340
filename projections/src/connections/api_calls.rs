//! Calls to providers' own APIs, and what became of them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::connections_events::{ApiCallEvent as E, ApiCallId, ApiCallStatus, CallMethod, KeptValue, Provider};
use kernel::{ConnectionId, Machine, Name, Slug, Text, read_model};

/// Calls to providers' own APIs, and what became of them.
#[read_model(
    "connections.api_calls",
    id = ApiCallId,
    read = "connections.api_call.read",
    created_at(filter),
    updated_at(filter, sort)
)]
pub struct ApiCallRow {
    /// Through which connection.
    #[column(filter)]
    pub connection_id: ConnectionId,
    /// Where that leads.
    #[column(filter)]
    pub provider: Provider,
    /// What the call does.
    pub method: CallMethod,
    /// Where, below the account: one step each.
    pub path: Vec<Name>,
    /// Where it stands.
    #[column(filter)]
    pub status: ApiCallStatus,
    /// The status of the answer, once there is one.
    pub answer_status: Option<u32>,
    /// What of the answer was wanted, and there.
    pub answer_values: Vec<KeptValue>,
    /// Why it cannot be made.
    pub failure: Option<Slug>,
    /// The same in words, or what is known of a call of which nobody knows.
    pub reason: Option<Text>,
    /// Whether it was made, as somebody saw who looked.
    pub happened: Option<bool>,
}

impl Fold for ApiCallRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Requested { connection_id, provider, method, path, .. } = change else { return None };
        Some(Self {
            connection_id: *connection_id,
            provider: *provider,
            method: *method,
            path: path.clone(),
            status: ApiCallStatus::default().after(change),
            answer_status: None,
            answer_values: vec![],
            failure: None,
            reason: None,
            happened: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Requested { .. } => {}
            E::Answered { status, values } => {
                (self.answer_status, self.answer_values) = (Some(*status), values.clone());
            }
            E::Failed { code, reason } => (self.failure, self.reason) = (Some(code.clone()), Some(reason.clone())),
            E::OutcomeUnknown { reason } => self.reason = Some(reason.clone()),
            E::Settled { happened, note } => {
                self.happened = Some(*happened);
                self.reason = note.clone().or_else(|| self.reason.take());
            }
        }
        Ok(())
    }
}
