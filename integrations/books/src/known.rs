//! What the log says of invoices, bills, vendors and payments, as far as a ledger wants to know it.

use anyhow::Result;
use catalogue::AnyEvent;
use event_store::Log;
use kernel::{Amounts, ClientId, ConnectionId, Date, InvoiceId, Money, Name, TenantId};
use revenue_events::{
    BillEvent, BillPaymentId, Buyer, InvoiceEvent, Line, OwedBill, PaymentEvent, PaymentId, Settlement, VendorDetails,
    VendorEvent, VendorId,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// An invoice that was issued.
pub(crate) struct Invoice {
    pub client_id: ClientId,
    pub number: Name,
    pub issued_on: Date,
    pub due_on: Date,
    pub buyer: Buyer,
    pub lines: Vec<Line>,
    pub amounts: Amounts,
    /// What the ledger calls it.
    pub pushed: Option<Name>,
    pub is_voided: bool,
    /// The payments that ever paid for it.
    pub payments: BTreeSet<PaymentId>,
}

/// A bill that is owed.
pub(crate) struct Bill {
    pub owed: OwedBill,
    pub pushed: Option<Name>,
    pub is_voided: bool,
    /// Its payments: how much, what it came with, whether it was taken back.
    pub payments: BTreeMap<BillPaymentId, (Money, Option<Name>, bool)>,
}

/// A vendor.
pub(crate) struct Vendor {
    pub name: Option<Name>,
    pub details: VendorDetails,
    /// What ledgers call it.
    pub ledgers: BTreeMap<ConnectionId, Name>,
}

/// Money that came in, as far as it pays for one invoice.
pub(crate) struct Receipt {
    pub external_id: Option<Name>,
    pub allocated: Option<Money>,
    pub is_reversed: bool,
}

/// Reads a stream from its beginning.
async fn stream(log: &Log, tenant: TenantId, id: Uuid) -> Result<Vec<AnyEvent>> {
    let events = log.read_stream(tenant, id, 0, i64::MAX).await?;
    events.into_iter().map(|event| Ok(catalogue::decode(event)?.payload)).collect()
}

/// The invoice, if it was issued.
pub(crate) async fn invoice(log: &Log, tenant: TenantId, id: Uuid) -> Result<Option<Invoice>> {
    let mut found: Option<Invoice> = None;
    for event in stream(log, tenant, id).await? {
        let AnyEvent::Invoice(event) = event else { continue };
        match (event, &mut found) {
            (InvoiceEvent::Issued { client_id, number, issued_on, due_on, buyer, lines, amounts, .. }, _) => {
                let (payments, pushed, is_voided) = (BTreeSet::new(), None, false);
                found = Some(Invoice {
                    client_id,
                    number,
                    issued_on,
                    due_on,
                    buyer,
                    lines,
                    amounts,
                    pushed,
                    is_voided,
                    payments,
                });
            }
            (InvoiceEvent::PushedToLedger { external_id }, Some(invoice)) => invoice.pushed = Some(external_id),
            (InvoiceEvent::Voided { .. }, Some(invoice)) => invoice.is_voided = true,
            (
                InvoiceEvent::PartiallyPaid { settlement: Settlement::Payment { payment_id }, .. }
                | InvoiceEvent::Paid { settlement: Settlement::Payment { payment_id }, .. },
                Some(invoice),
            ) => drop(invoice.payments.insert(payment_id)),
            _ => {}
        }
    }
    Ok(found)
}

/// The bill, if it was approved.
pub(crate) async fn bill(log: &Log, tenant: TenantId, id: Uuid) -> Result<Option<Bill>> {
    let mut found: Option<Bill> = None;
    for event in stream(log, tenant, id).await? {
        let AnyEvent::Bill(event) = event else { continue };
        match (event, &mut found) {
            (BillEvent::Approved { owed }, _) => {
                found = Some(Bill { owed, pushed: None, is_voided: false, payments: BTreeMap::new() });
            }
            (BillEvent::PushedToLedger { external_id, .. }, Some(bill)) => bill.pushed = Some(external_id),
            (BillEvent::Voided { .. }, Some(bill)) => bill.is_voided = true,
            (BillEvent::PaymentRecorded { payment_id, amount, reference, .. }, Some(bill)) => {
                bill.payments.insert(payment_id, (amount, reference, false));
            }
            (BillEvent::PaymentReversed { payment_id, .. }, Some(bill)) => {
                bill.payments.entry(payment_id).and_modify(|(.., is_reversed)| *is_reversed = true);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The vendor, if there is one.
pub(crate) async fn vendor(log: &Log, tenant: TenantId, id: VendorId) -> Result<Option<Vendor>> {
    let mut found: Option<Vendor> = None;
    for event in stream(log, tenant, id.0).await? {
        let AnyEvent::Vendor(event) = event else { continue };
        match (event, &mut found) {
            (VendorEvent::Added { name, details, .. }, _) => {
                found = Some(Vendor { name: name.expose().cloned(), details, ledgers: BTreeMap::new() });
            }
            (VendorEvent::Renamed { name }, Some(vendor)) => vendor.name = name.expose().cloned(),
            (VendorEvent::DetailsChanged { details }, Some(vendor)) => vendor.details = details,
            (VendorEvent::LinkedToLedger { connection_id, external_id }, Some(vendor)) => {
                vendor.ledgers.insert(connection_id, external_id);
            }
            (VendorEvent::UnlinkedFromLedger { connection_id }, Some(vendor)) => {
                vendor.ledgers.remove(&connection_id);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The payment, if there is one, as far as it pays for this invoice.
pub(crate) async fn receipt(log: &Log, tenant: TenantId, id: PaymentId, invoice: InvoiceId) -> Result<Option<Receipt>> {
    let mut found: Option<Receipt> = None;
    for event in stream(log, tenant, id.0).await? {
        let AnyEvent::Payment(event) = event else { continue };
        match (event, &mut found) {
            (PaymentEvent::Received { external_id, allocations, .. }, _) => {
                let part = allocations.iter().find(|part| part.invoice_id == invoice);
                let allocated = part.map(|part| part.amount);
                found = Some(Receipt { external_id, allocated, is_reversed: false });
            }
            (PaymentEvent::Allocated { allocation, .. }, Some(receipt)) if allocation.invoice_id == invoice => {
                receipt.allocated = Some(allocation.amount);
            }
            (PaymentEvent::Deallocated { invoice_id, .. }, Some(receipt)) if invoice_id == invoice => {
                receipt.allocated = None;
            }
            (PaymentEvent::Reversed { .. }, Some(receipt)) => receipt.is_reversed = true,
            _ => {}
        }
    }
    Ok(found)
}
