//! What is to be invoiced once, and by which invoice it was.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::revenue_events::{EntryStatus, InvoicePlanEvent as E, InvoicePlanId, PlanEntryId};
use kernel::{Currency, Date, InvoiceId, Machine, Name, read_model};
use uuid::Uuid;

/// Entries of invoice plans.
#[read_model(
    "revenue.plan_entries",
    id = PlanEntryId,
    read = "revenue.plan_entry.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(
        client_of(invoice_plan_id, "revenue.invoice_plans"),
        engagement_of(invoice_plan_id, "revenue.invoice_plans")
    ),
    part_of(invoice_plan_id, "revenue.invoice_plans")
)]
pub struct PlanEntryRow {
    /// The plan.
    #[column(filter)]
    pub invoice_plan_id: InvoicePlanId,
    /// What the line says.
    #[column(filter, sort)]
    pub name: Name,
    /// What it comes to, without tax, in minor units.
    pub amount_minor: i64,
    /// In which currency.
    pub currency: Currency,
    /// The milestone after which it is due.
    #[column(filter)]
    pub milestone_id: Option<Uuid>,
    /// The day from which it is due.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// Where it stands.
    #[column(filter)]
    pub status: EntryStatus,
    /// The invoice that it is on.
    #[column(filter)]
    pub invoice_id: Option<InvoiceId>,
    /// The task after which it is due.
    #[column(filter)]
    pub task_id: Option<Uuid>,
    /// What it waits for has come while nothing of the plan became due.
    pub reached: bool,
}

impl Fold for PlanEntryRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::EntryAdded { plan_entry } => vec![plan_entry.id.0],
            E::EntryDue { plan_entry_id, .. }
            | E::EntryInvoiced { plan_entry_id, .. }
            | E::EntryReleased { plan_entry_id, .. }
            | E::EntryReached { plan_entry_id }
            | E::EntryDropped { plan_entry_id } => vec![plan_entry_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::EntryAdded { plan_entry } = change else { return None };
        Some(Self {
            invoice_plan_id: InvoicePlanId(event.aggregate_id),
            name: plan_entry.name.clone(),
            amount_minor: plan_entry.amount.minor(),
            currency: plan_entry.amount.currency(),
            milestone_id: plan_entry.milestone_id,
            task_id: plan_entry.task_id,
            reached: false,
            due_on: plan_entry.due_on,
            status: EntryStatus::default(),
            invoice_id: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::EntryInvoiced { invoice_id, .. } => self.invoice_id = Some(*invoice_id),
            E::EntryReleased { .. } => self.invoice_id = None,
            E::EntryReached { .. } => self.reached = true,
            // Everything else is about the plan, see `keys`, or moves the status alone.
            _ => {}
        }
        Ok(())
    }
}
