//! What happens to an invoice plan.

use kernel::{
    ClientId, Currency, Date, EngagementId, InvoiceId, Machine, Money, Name, ProjectId, Slug, Text, event, status,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use InvoicePlanEvent as E;

kernel::ids! {
    /// What is to be invoiced, and when.
    InvoicePlanId,
    /// Something of a plan that is to be invoiced once.
    PlanEntryId,
}

/// When a plan asks for an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// When a milestone is reached.
    Milestone,
    /// When enough time was worked.
    Time,
    /// Each month the same, whatever is done.
    Retainer,
    /// Every few months.
    Recurring,
}

/// What a plan's entries come to, where the plan itself says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    /// When it asks for an invoice.
    pub kind: PlanKind,
    /// In which currency.
    pub currency: Currency,
    /// What each period comes to, without tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// So many months are a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_months: Option<u16>,
    /// The first day of the first period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_on: Option<Date>,
    /// No period begins after this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_on: Option<Date>,
    /// What an hour costs, where the time itself does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_rate: Option<Money>,
    /// The tax of its lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rate: Option<Slug>,
}

/// Something that is to be invoiced once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanEntry {
    /// Its id.
    pub id: PlanEntryId,
    /// What the line says.
    pub name: Name,
    /// What it comes to, without tax.
    pub amount: Money,
    /// The milestone after which it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone_id: Option<Uuid>,
    /// The task after which it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    /// The day from which it is due; the first of its period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
    /// Which period of the plan it is for, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
}

/// Where a plan stands.
#[status]
pub enum InvoicePlanStatus {
    /// Being written.
    #[default]
    Draft,
    /// Its entries become due.
    Active,
    /// Nothing becomes due for the time being.
    Paused,
    /// All of it was invoiced.
    Completed,
    /// Given up; what was invoiced stays.
    Cancelled,
}

impl InvoicePlanStatus {
    /// Can something be invoiced from it, now or later?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Active | Self::Paused)
    }
}

impl Machine<E> for InvoicePlanStatus {
    const BEGINS: &'static [&'static str] = &["invoice_plan.created"];

    fn after(self, event: &E) -> Self {
        use InvoicePlanStatus::{Active, Cancelled, Completed, Draft, Paused};
        match (self, event) {
            (Draft | Paused, E::Activated {}) => Active,
            (Active, E::Paused { .. }) => Paused,
            (Active | Paused, E::Completed {}) => Completed,
            (Draft | Active | Paused, E::Cancelled { .. }) => Cancelled,
            _ => self,
        }
    }
}

/// Where an entry of a plan stands.
#[status]
pub enum EntryStatus {
    /// Not due yet.
    #[default]
    Planned,
    /// To be invoiced.
    Due,
    /// On an invoice.
    Invoiced,
    /// Not to be invoiced after all.
    Dropped,
}

impl Machine<E> for EntryStatus {
    const BEGINS: &'static [&'static str] = &["plan_entry.added"];

    fn after(self, event: &E) -> Self {
        match (self, event) {
            (Self::Planned, E::EntryDue { .. }) => Self::Due,
            (Self::Due, E::EntryInvoiced { .. }) => Self::Invoiced,
            (Self::Invoiced, E::EntryReleased { .. }) => Self::Due,
            (Self::Planned | Self::Due, E::EntryDropped { .. }) => Self::Dropped,
            _ => self,
        }
    }
}

/// Everything that happens to an invoice plan; its entries are parts of it.
#[event("revenue.invoice_plan")]
pub enum InvoicePlanEvent {
    /// It is being written what a client is to be invoiced.
    Created {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// For which project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// For which engagement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// When it asks for what.
        terms: PlanTerms,
    },
    /// It asks for something else from now on; entries that are there stay.
    TermsChanged {
        /// When it asks for what.
        terms: PlanTerms,
    },
    /// Its entries become due from now on, or again after a pause.
    Activated {},
    /// Nothing becomes due for the time being.
    Paused {
        /// Why.
        reason: Option<Text>,
    },
    /// All of it was invoiced.
    Completed {},
    /// It was given up.
    Cancelled {
        /// Why.
        reason: Option<Text>,
    },
    /// Something is to be invoiced.
    #[name("plan_entry.added")]
    EntryAdded {
        /// What.
        plan_entry: PlanEntry,
    },
    /// What an entry waits for has come while nothing becomes due; it is to be invoiced as soon as something does.
    #[name("plan_entry.reached")]
    EntryReached {
        /// Which one.
        plan_entry_id: PlanEntryId,
    },
    /// An entry is to be invoiced now.
    #[name("plan_entry.due")]
    EntryDue {
        /// Which one.
        plan_entry_id: PlanEntryId,
        /// What the line says.
        name: Name,
        /// What it comes to, without tax.
        amount: Money,
        /// The client.
        client_id: ClientId,
    },
    /// An entry is on an invoice.
    #[name("plan_entry.invoiced")]
    EntryInvoiced {
        /// Which one.
        plan_entry_id: PlanEntryId,
        /// On which.
        invoice_id: InvoiceId,
    },
    /// An entry is to be invoiced again: its invoice was given up, or its line taken out.
    #[name("plan_entry.released")]
    EntryReleased {
        /// Which one.
        plan_entry_id: PlanEntryId,
        /// On which invoice it was.
        invoice_id: InvoiceId,
    },
    /// An entry is not to be invoiced after all.
    #[name("plan_entry.dropped")]
    EntryDropped {
        /// Which one.
        plan_entry_id: PlanEntryId,
    },
}
