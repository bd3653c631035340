//! Payments of bills.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::revenue_events::{BillEvent as E, BillId, BillPaymentId, BillPaymentMethod, VendorId};
use kernel::{Currency, Date, Name, Text, read_model};
use uuid::Uuid;

/// What was paid to vendors.
#[read_model(
    "revenue.bill_payments",
    id = BillPaymentId,
    read = "revenue.bill_payment.read",
    created_at(filter),
    updated_at(sort),
    part_of(bill_id, "revenue.bills")
)]
pub struct BillPaymentRow {
    /// The bill.
    #[column(filter)]
    pub bill_id: BillId,
    /// To whom.
    #[column(filter)]
    pub vendor_id: VendorId,
    /// The currency.
    pub currency: Currency,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// When.
    #[column(filter, sort)]
    pub paid_on: Date,
    /// How.
    pub method: BillPaymentMethod,
    /// What the bank calls it.
    #[column(filter)]
    pub reference: Option<Name>,
    /// When it was taken back, if it was.
    pub reversed_on: Option<Date>,
    /// Why.
    pub reversal_reason: Option<Text>,
}

impl Fold for BillPaymentRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::PaymentRecorded { payment_id, .. } | E::PaymentReversed { payment_id, .. } => vec![payment_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::PaymentRecorded { vendor_id, amount, paid_on, method, reference, .. } = change else { return None };
        Some(Self {
            bill_id: BillId(event.aggregate_id),
            vendor_id: *vendor_id,
            currency: amount.currency(),
            amount_minor: amount.minor(),
            paid_on: *paid_on,
            method: *method,
            reference: reference.clone(),
            reversed_on: None,
            reversal_reason: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        // Everything else is about the bill, see `keys`.
        if let E::PaymentReversed { reversed_on, reason, .. } = change {
            (self.reversed_on, self.reversal_reason) = (Some(*reversed_on), Some(reason.clone()));
        }
        Ok(())
    }
}
