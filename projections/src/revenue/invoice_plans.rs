//! What clients are to be invoiced.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{InvoicePlanEvent as E, InvoicePlanId, InvoicePlanStatus, PlanKind, PlanTerms};
use kernel::{ClientId, Currency, EngagementId, Machine, Name, ProjectId, Text, read_model};

/// What clients are to be invoiced, and when.
#[read_model(
    "revenue.invoice_plans",
    id = InvoicePlanId,
    read = "revenue.invoice_plan.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), engagement(engagement_id), project(project_id))
)]
pub struct InvoicePlanRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// For which project.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// For which engagement.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// When it asks for an invoice.
    #[column(filter)]
    pub kind: PlanKind,
    /// In which currency.
    pub currency: Currency,
    /// When it asks for what.
    pub terms: PlanTerms,
    /// Where it stands.
    #[column(filter)]
    pub status: InvoicePlanStatus,
    /// Why it pauses or was given up.
    pub reason: Option<Text>,
    /// How many entries it has, dropped ones included.
    pub entry_count: u32,
}

impl Fold for InvoicePlanRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, client_id, project_id, engagement_id, terms } = change else { return None };
        Some(Self {
            name: name.clone(),
            client_id: *client_id,
            project_id: *project_id,
            engagement_id: *engagement_id,
            kind: terms.kind,
            currency: terms.currency,
            terms: terms.clone(),
            status: InvoicePlanStatus::default().after(change),
            reason: None,
            entry_count: 0,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::TermsChanged { terms } => {
                (self.kind, self.currency, self.terms) = (terms.kind, terms.currency, terms.clone());
            }
            E::Activated {} => self.reason = None,
            E::Paused { reason } | E::Cancelled { reason } => self.reason = reason.clone(),
            E::EntryAdded { .. } => self.entry_count += 1,
            // The version and the time of the plan move on with its entries.
            E::Created { .. }
            | E::Completed {}
            | E::EntryReached { .. }
            | E::EntryDue { .. }
            | E::EntryInvoiced { .. }
            | E::EntryReleased { .. }
            | E::EntryDropped { .. } => {}
        }
        Ok(())
    }
}
