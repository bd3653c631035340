//! Money that came in.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{Allocation, PaymentEvent as E, PaymentId, PaymentMethod, PaymentStatus};
use kernel::{ClientId, Currency, Date, Machine, Name, Text, read_model};

/// Money that came in, and what it pays for.
#[read_model(
    "revenue.payments",
    id = PaymentId,
    read = "revenue.payment.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id))
)]
pub struct PaymentRow {
    /// From whom.
    #[column(filter)]
    pub client_id: ClientId,
    /// Where it stands.
    #[column(filter)]
    pub status: PaymentStatus,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// In which currency.
    #[column(filter)]
    pub currency: Currency,
    /// When.
    #[column(filter, sort)]
    pub received_on: Date,
    /// How.
    #[column(filter)]
    pub method: PaymentMethod,
    /// What it came with.
    pub reference: Option<Name>,
    /// What the bank, or whoever told of it, knows it by.
    #[column(filter)]
    pub external_id: Option<Name>,
    /// What it pays for.
    pub allocations: Vec<Allocation>,
    /// What of it pays for nothing and was not given back, in minor units: the client's credit.
    pub unallocated_minor: i64,
    /// What of it was given back, in minor units.
    pub refunded_minor: i64,
    /// Why it was taken back.
    pub reason: Option<Text>,
}

impl Fold for PaymentRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Received { client_id, amount, received_on, method, reference, external_id, allocations, unallocated } =
            change
        else {
            return None;
        };
        Some(Self {
            client_id: *client_id,
            status: PaymentStatus::default().after(change),
            amount_minor: amount.minor(),
            currency: amount.currency(),
            received_on: *received_on,
            method: *method,
            reference: reference.clone(),
            external_id: external_id.clone(),
            allocations: allocations.clone(),
            unallocated_minor: unallocated.minor(),
            refunded_minor: 0,
            reason: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Received { .. } => {}
            E::Allocated { allocation, unallocated } => {
                self.allocations.retain(|part| part.invoice_id != allocation.invoice_id);
                self.allocations.push(*allocation);
                self.unallocated_minor = unallocated.minor();
            }
            E::Deallocated { invoice_id, unallocated } => {
                self.allocations.retain(|part| part.invoice_id != *invoice_id);
                self.unallocated_minor = unallocated.minor();
            }
            E::Refunded { amount } => {
                self.refunded_minor += amount.minor();
                self.unallocated_minor -= amount.minor();
            }
            E::Reversed { reason, .. } => {
                self.allocations.clear();
                (self.unallocated_minor, self.reason) = (0, Some(reason.clone()));
            }
        }
        Ok(())
    }
}
