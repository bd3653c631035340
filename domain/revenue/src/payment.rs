//! A payment: money that came in, and the invoices that it pays. What it says and what they say enters the log as one.

use crate::Invoice;
use crate::invoice::InvoiceCommand;
use crate::money::{least, left, sum};
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, Companions, Context, Date, Decision, InvoiceId, Machine, Money, Name,
    Reference, Resource, Scope, Text, command, rejection,
};
use revenue_events::{Allocation, PaymentEvent as E, PaymentId, PaymentMethod, PaymentStatus, Settlement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use PaymentCommand as C;
use PaymentRejection as R;

/// Invoices that one payment pays.
const ALLOCATIONS_MAX: usize = 25;
/// Which payment is that of the bank with this id.
const EXTERNAL_CLAIM: &str = "revenue.payment.external_id";

/// A part of a payment as it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewAllocation {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// How much of it is paid so; as much as is open and as there is unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// What may be asked of a payment.
#[command("revenue.payment", !member)]
pub enum PaymentCommand {
    /// Notes that money came in, and what it pays for. What pays for nothing is the client's credit.
    #[creates]
    #[refused(
        NotPositive,
        TooManyAllocations,
        InvoiceTwice,
        UnknownInvoice,
        InvoiceNotOpen,
        OtherClient,
        CurrencyMismatch,
        MoreThanOpen,
        MoreThanThereIs,
        "external_id.taken"
    )]
    Receive {
        /// From whom.
        client_id: ClientId,
        /// How much.
        amount: Money,
        /// When; the firm's today unless given.
        #[serde(default)]
        received_on: Option<Date>,
        /// How; from account to account unless given.
        #[serde(default)]
        method: PaymentMethod,
        /// What it came with.
        #[serde(default)]
        reference: Option<Name>,
        /// What the bank, or whoever tells of it, knows it by; no two payments of a firm share one.
        #[serde(default)]
        external_id: Option<Name>,
        /// What it pays for.
        #[serde(default)]
        allocations: Vec<NewAllocation>,
    },
    /// Says how much of it pays for an invoice, in place of what did.
    #[refused(
        Reversed,
        NotPositive,
        TooManyAllocations,
        UnknownInvoice,
        InvoiceNotOpen,
        OtherClient,
        CurrencyMismatch,
        MoreThanOpen,
        MoreThanThereIs
    )]
    Allocate {
        /// The invoice.
        invoice_id: InvoiceId,
        /// How much of it is paid so; unless given as much as is open and as there is, or what it pays for it already.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Takes it away from an invoice.
    #[refused(Reversed)]
    Deallocate {
        /// The invoice.
        invoice_id: InvoiceId,
    },
    /// Notes that what pays for nothing was given back to the client.
    #[refused(Reversed)]
    Refund {},
    /// Takes the payment back: it bounced, or was noted by mistake. What it paid for is owed again.
    #[refused(Refunded)]
    Reverse {
        /// Why.
        reason: Text,
    },
}

/// Why a payment's command may be refused.
#[rejection("revenue.payment")]
pub enum PaymentRejection {
    /// The amount is nothing, or less.
    NotPositive,
    /// A payment pays at most 25 invoices.
    TooManyAllocations,
    /// An invoice is named twice.
    #[invalid("/allocations")]
    InvoiceTwice,
    /// There is no such invoice.
    UnknownInvoice,
    /// Nothing of the invoice is open.
    InvoiceNotOpen,
    /// The invoice is another client's.
    OtherClient,
    /// The invoice is in another currency.
    CurrencyMismatch,
    /// That is more than is open of the invoice.
    MoreThanOpen,
    /// That is more than there is of the payment.
    MoreThanThereIs,
    /// The payment was taken back.
    Reversed,
    /// A part of it was given back to the client.
    Refunded,
}

/// What is remembered of a payment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    client_id: Option<ClientId>,
    amount: Option<Money>,
    status: PaymentStatus,
    allocations: Vec<Allocation>,
    refunded: Option<Money>,
}

impl Payment {
    fn allocated(&self, invoice_id: InvoiceId) -> Option<Money> {
        self.allocations.iter().find(|part| part.invoice_id == invoice_id).map(|part| part.amount)
    }

    /// What of it pays for nothing, and was not given back.
    fn unallocated(&self) -> Option<Money> {
        let amount = self.amount?;
        let used = self.allocations.iter().map(|part| part.amount).chain(self.refunded);
        Some(left(amount, sum(used, amount)))
    }
}

/// The part that pays for an invoice, in place of `before`, of a client's money of which so much is `free`.
pub(crate) fn part(
    (invoice_id, amount): (InvoiceId, Option<Money>),
    (client_id, free, before): (ClientId, Money, Option<Money>),
    settlement: Settlement,
    ctx: &Context,
) -> Result<Allocation, R> {
    let invoice = ctx.referenced::<Invoice>(invoice_id).ok_or(R::UnknownInvoice)?;
    let outstanding = invoice.outstanding().ok_or(R::InvoiceNotOpen)?;
    if invoice.client_id() != Some(client_id) {
        return Err(R::OtherClient);
    }
    if outstanding.currency() != free.currency() {
        return Err(R::CurrencyMismatch);
    }
    let before = before.unwrap_or(Money::zero(free.currency()));
    let most = |more: Money| before.plus(more).map_err(|_| R::MoreThanThereIs);
    let amount = amount.map_or_else(|| most(least(outstanding, free)), Ok)?;
    if amount.currency() != free.currency() {
        return Err(R::CurrencyMismatch);
    }
    if amount.minor() <= 0 {
        // Nothing is left of one of the two, if nobody said how much.
        return Err(if outstanding.is_zero() { R::InvoiceNotOpen } else { R::NotPositive });
    }
    if amount.minor() > most(free)?.minor() {
        return Err(R::MoreThanThereIs);
    }
    if amount.minor() > most(outstanding)?.minor() {
        return Err(R::MoreThanOpen);
    }
    invoice.settle(settlement, client_id, amount, ctx).map_err(|_| R::InvoiceNotOpen)?;
    Ok(Allocation { invoice_id, amount })
}

impl Payment {
    /// What it pays for from the start.
    fn begun(
        client_id: ClientId,
        amount: Money,
        wanted: &[NewAllocation],
        ctx: &Context,
    ) -> Result<Vec<Allocation>, R> {
        let named: BTreeSet<InvoiceId> = wanted.iter().map(|part| part.invoice_id).collect();
        if wanted.len() > ALLOCATIONS_MAX {
            return Err(R::TooManyAllocations);
        }
        if named.len() < wanted.len() {
            return Err(R::InvoiceTwice);
        }
        let by = Settlement::Payment { payment_id: PaymentId(ctx.id) };
        let (mut free, mut allocations) = (amount, vec![]);
        for wanted in wanted {
            let allocation = part((wanted.invoice_id, wanted.amount), (client_id, free, None), by, ctx)?;
            free = left(free, allocation.amount);
            allocations.push(allocation);
        }
        Ok(allocations)
    }

    /// Does it pay so much for an invoice already? If nobody says how much, it pays what it pays.
    fn is_so(known: Option<Money>, wanted: Option<Money>) -> bool {
        known.is_some() && (wanted.is_none() || known == wanted)
    }

    fn allocate(&self, invoice_id: InvoiceId, amount: Option<Money>, ctx: &Context) -> Result<Allocation, R> {
        let (Some(client_id), Some(free)) = (self.client_id, self.unallocated()) else { return Err(R::Reversed) };
        let before = self.allocated(invoice_id);
        if before.is_none() && self.allocations.len() >= ALLOCATIONS_MAX {
            return Err(R::TooManyAllocations);
        }
        let by = Settlement::Payment { payment_id: PaymentId(ctx.id) };
        part((invoice_id, amount), (client_id, free, before), by, ctx)
    }
}

impl Aggregate for Payment {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/payments";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.client_id.map(Resource::from).into_iter().collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Receive { client_id, .. } => Scope::begins_in([(*client_id).into()]),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        let invoice = |id: InvoiceId| Reference::id::<Invoice>(id);
        match command {
            C::Receive { allocations, .. } => {
                allocations.iter().take(ALLOCATIONS_MAX).map(|part| invoice(part.invoice_id)).collect()
            }
            C::Allocate { invoice_id, .. } => vec![invoice(*invoice_id)],
            C::Deallocate { .. } | C::Refund {} | C::Reverse { .. } => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Receive { amount, .. } if amount.minor() <= 0 => return Err(R::NotPositive),
            C::Receive { client_id, amount, received_on, method, reference, external_id, allocations } => {
                let allocations = Self::begun(client_id, amount, &allocations, ctx)?;
                let unallocated = left(amount, sum(allocations.iter().map(|part| part.amount), amount));
                let received_on = received_on.unwrap_or(ctx.today());
                vec![E::Received {
                    client_id,
                    amount,
                    received_on,
                    method,
                    reference,
                    external_id,
                    allocations,
                    unallocated,
                }]
            }
            C::Reverse { .. } if self.status == PaymentStatus::Reversed => vec![],
            _ if self.status == PaymentStatus::Reversed => return Err(R::Reversed),
            C::Reverse { .. } if self.refunded.is_some() => return Err(R::Refunded),
            C::Reverse { reason } => {
                let allocations = self.allocations.clone();
                self.amount.map(|amount| E::Reversed { reason, amount, allocations }).into_iter().collect()
            }
            C::Allocate { invoice_id, amount } => {
                let known = self.allocated(invoice_id);
                if Self::is_so(known, amount) {
                    return Ok(vec![]);
                }
                let allocation = self.allocate(invoice_id, amount, ctx)?;
                let before = self.unallocated().unwrap_or(allocation.amount);
                let free = known.map_or(Ok(before), |known| before.plus(known)).unwrap_or(before);
                vec![E::Allocated { allocation, unallocated: left(free, allocation.amount) }]
            }
            C::Deallocate { invoice_id } => match (self.allocated(invoice_id), self.unallocated()) {
                (Some(amount), Some(free)) => {
                    let unallocated = free.plus(amount).unwrap_or(free);
                    vec![E::Deallocated { invoice_id, unallocated }]
                }
                _ => vec![],
            },
            C::Refund {} => match self.unallocated() {
                Some(amount) if !amount.is_zero() => vec![E::Refunded { amount }],
                _ => vec![],
            },
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Received { client_id, amount, allocations, .. } => {
                (self.client_id, self.amount) = (Some(*client_id), Some(*amount));
                self.allocations = allocations.clone();
            }
            E::Allocated { allocation, .. } => {
                self.allocations.retain(|part| part.invoice_id != allocation.invoice_id);
                self.allocations.push(*allocation);
            }
            E::Deallocated { invoice_id, .. } => self.allocations.retain(|part| part.invoice_id != *invoice_id),
            E::Refunded { amount } => {
                let before = self.refunded.unwrap_or(Money::zero(amount.currency()));
                self.refunded = before.plus(*amount).ok().or(self.refunded);
            }
            E::Reversed { .. } => self.allocations.clear(),
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Received { external_id: Some(external_id), .. } => {
                vec![ClaimChange::Take(Claim::new(EXTERNAL_CLAIM, external_id.as_str()))]
            }
            _ => vec![],
        }
    }

    /// The invoices say the same, or nobody says anything.
    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        let settlement = Settlement::Payment { payment_id: PaymentId(ctx.id) };
        let mut settle = |client_id, Allocation { invoice_id, amount }| {
            companions.add::<Invoice>(invoice_id, InvoiceCommand::Settle { settlement, client_id, amount });
        };
        let nothing = |part: &Allocation| Allocation { amount: Money::zero(part.amount.currency()), ..*part };
        match (command, self.client_id) {
            (C::Receive { client_id, amount, allocations, .. }, _) if amount.minor() > 0 => {
                let begun = Self::begun(*client_id, *amount, allocations, ctx).unwrap_or_default();
                begun.into_iter().for_each(|part| settle(*client_id, part));
            }
            (C::Allocate { invoice_id, amount }, Some(client_id))
                if !Self::is_so(self.allocated(*invoice_id), *amount) =>
            {
                let part = self.allocate(*invoice_id, *amount, ctx);
                part.into_iter().for_each(|part| settle(client_id, part));
            }
            (C::Deallocate { invoice_id }, Some(client_id)) => {
                let there = self.allocations.iter().filter(|part| part.invoice_id == *invoice_id);
                there.for_each(|part| settle(client_id, nothing(part)));
            }
            (C::Reverse { .. }, Some(client_id)) if self.refunded.is_none() => {
                self.allocations.iter().for_each(|part| settle(client_id, nothing(part)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
