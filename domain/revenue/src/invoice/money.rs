//! What is paid of an invoice, what is taken back of it, and what is open.

use super::{E, Invoice, R};
use crate::money::{left, sum};
use kernel::{Amounts, ClientId, Context, Money, Name};
use revenue_events::{Buyer, CreditNoteId, InvoiceStatus, Language, Line, Reopened, Seller, Settlement};

impl Invoice {
    /// Is its paper there?
    pub fn has_paper(&self) -> bool {
        self.issued.as_ref().is_some_and(|issued| issued.paper.is_some())
    }

    /// In which language it is written.
    pub(crate) fn language(&self) -> Option<&Language> {
        self.issued.as_ref().and_then(|issued| issued.language.as_ref())
    }

    /// Whose it is.
    pub(crate) fn client_id(&self) -> Option<ClientId> {
        self.client_id
    }

    /// What it says of whom and how much; none if it has no number, or was voided.
    pub(crate) fn paper(&self) -> Option<(&Name, &Seller, &Buyer, &[Line], &Amounts)> {
        let issued = self.issued.as_ref().filter(|_| self.status.is_issued())?;
        Some((&issued.number, &issued.seller, &issued.buyer, &self.lines, &issued.amounts))
    }

    /// What is paid of it.
    fn paid(&self) -> Option<Money> {
        let issued = self.issued.as_ref()?;
        Some(sum(issued.settled.iter().map(|(_, amount)| *amount), issued.amounts.total))
    }

    /// What is open of it.
    pub(crate) fn outstanding(&self) -> Option<Money> {
        Some(left(self.issued.as_ref()?.amounts.total, self.paid()?))
    }

    /// How much of it this pays now.
    pub(crate) fn paid_by(&self, settlement: Settlement) -> Option<Money> {
        let settled = &self.issued.as_ref()?.settled;
        settled.iter().find(|(by, _)| *by == settlement).map(|(_, amount)| *amount)
    }

    /// What of it was not taken back yet.
    pub(crate) fn creditable(&self) -> Option<Money> {
        let issued = self.issued.as_ref().filter(|_| self.is_creditable())?;
        let total = issued.amounts.total;
        Some(left(total, sum(issued.credited.iter().map(|(_, amount)| *amount), total)))
    }

    fn is_creditable(&self) -> bool {
        self.status.is_open() || self.status == InvoiceStatus::Paid
    }

    /// A draft, or an issued one of which nothing is paid or taken back.
    pub(super) fn is_voidable(&self) -> bool {
        use InvoiceStatus::{Paid, PartiallyPaid, Voided, WrittenOff};
        let is_touched = |issued: &super::Issued| !issued.settled.is_empty() || !issued.credited.is_empty();
        !matches!(self.status, Paid | PartiallyPaid | Voided | WrittenOff)
            && !self.issued.as_ref().is_some_and(is_touched)
    }

    /// What follows when this pays so much of it, in place of what it did.
    pub(crate) fn settle(
        &self,
        settlement: Settlement,
        of: ClientId,
        amount: Money,
        ctx: &Context,
    ) -> Result<Vec<E>, R> {
        let (Some(client_id), Some(issued), Some(paid)) = (self.client_id, &self.issued, self.paid()) else {
            return Err(R::NotOpen);
        };
        let total = issued.amounts.total;
        if client_id != of {
            return Err(R::OtherClient);
        }
        if amount.currency() != total.currency() {
            return Err(R::CurrencyMismatch);
        }
        if amount.is_negative() {
            return Err(R::NotPositive);
        }
        let before = self.paid_by(settlement).unwrap_or(Money::zero(total.currency()));
        if amount == before {
            return Ok(vec![]);
        }
        let others = left(paid, before);
        if amount.minor() < before.minor() {
            // Money can be taken back of whatever it paid for, also of what was given up since.
            if !self.status.is_issued() {
                return Err(R::NotOpen);
            }
            let paid = others.plus(amount).map_err(|_| R::Overpaid)?;
            let outstanding = left(total, paid);
            let returns_to = match paid.is_zero() {
                _ if self.overdue || ctx.now >= issued.overdue_at => Reopened::Overdue,
                false => Reopened::PartiallyPaid,
                true if self.sent => Reopened::Sent,
                true => Reopened::Issued,
            };
            let (change, given_up) = (left(before, amount), self.status == InvoiceStatus::WrittenOff);
            return Ok(vec![E::PaymentReversed {
                client_id,
                settlement,
                amount,
                change,
                paid,
                outstanding,
                returns_to,
                given_up,
            }]);
        }
        if !self.status.is_open() {
            return Err(R::NotOpen);
        }
        let paid = others.plus(amount).ok().filter(|paid| paid.minor() <= total.minor()).ok_or(R::Overpaid)?;
        let (outstanding, change) = (left(total, paid), left(amount, before));
        Ok(vec![if outstanding.is_zero() {
            E::Paid { client_id, settlement, amount, change, paid }
        } else {
            E::PartiallyPaid { client_id, settlement, amount, change, paid, outstanding }
        }])
    }

    /// What follows when a credit note takes so much of it back.
    pub(super) fn credit(&self, credit_note_id: CreditNoteId, amount: Money) -> Result<Vec<E>, R> {
        let Some(creditable) = self.creditable() else { return Err(R::NotCreditable) };
        let known = self.issued.iter().flat_map(|issued| &issued.credited).any(|(id, _)| *id == credit_note_id);
        if known {
            return Ok(vec![]);
        }
        if amount.currency() != creditable.currency() {
            return Err(R::CurrencyMismatch);
        }
        if amount.is_negative() || amount.is_zero() {
            return Err(R::NotPositive);
        }
        if amount.minor() > creditable.minor() {
            return Err(R::Overcredited);
        }
        Ok(vec![E::Credited { credit_note_id, amount }])
    }

    pub(super) fn settled_by(&mut self, settlement: Settlement, amount: Money) {
        let Some(issued) = &mut self.issued else { return };
        issued.settled.retain(|(by, _)| *by != settlement);
        if !amount.is_zero() {
            issued.settled.push((settlement, amount));
        }
    }
}
