//! What happens to a payment.

use kernel::{ClientId, Date, InvoiceId, Machine, Money, Name, Text, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use PaymentEvent as E;

/// How money came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// From account to account.
    #[default]
    BankTransfer,
    /// Drawn from the client's account.
    DirectDebit,
    /// By card.
    Card,
    /// In cash.
    Cash,
    /// By cheque.
    Cheque,
    /// Otherwise.
    Other,
}

/// The part of a payment or of a credit that pays for one invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocation {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// How much of it is paid so.
    pub amount: Money,
}

/// Where a payment stands.
#[status]
pub enum PaymentStatus {
    /// It came in.
    #[default]
    Received,
    /// It was taken back, or never was.
    Reversed,
}

impl Machine<E> for PaymentStatus {
    const BEGINS: &'static [&'static str] = &["payment.received"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Received { .. } | E::Allocated { .. } | E::Deallocated { .. } | E::Refunded { .. } => self,
            E::Reversed { .. } => Self::Reversed,
        }
    }
}

/// Everything that happens to a payment.
#[event("revenue.payment")]
pub enum PaymentEvent {
    /// Money came in.
    Received {
        /// From whom.
        client_id: ClientId,
        /// How much.
        amount: Money,
        /// When.
        received_on: Date,
        /// How.
        method: PaymentMethod,
        /// What it came with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Name>,
        /// What the bank, or whoever told of it, knows it by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<Name>,
        /// What it pays for.
        allocations: Vec<Allocation>,
        /// What pays for nothing yet.
        unallocated: Money,
    },
    /// A part of it pays for an invoice from now on.
    Allocated {
        /// Which invoice, and how much: in place of what it was.
        allocation: Allocation,
        /// What pays for nothing yet.
        unallocated: Money,
    },
    /// It pays for an invoice no longer.
    Deallocated {
        /// Which.
        invoice_id: InvoiceId,
        /// What pays for nothing now.
        unallocated: Money,
    },
    /// What paid for nothing was given back to the client.
    Refunded {
        /// How much.
        amount: Money,
    },
    /// It was taken back; what it paid for is owed again.
    Reversed {
        /// Why.
        reason: Text,
        /// How much it was.
        amount: Money,
        /// What it paid for.
        allocations: Vec<Allocation>,
    },
}
