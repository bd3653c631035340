//! What was paid at the ledger comes back: once, whoever says so how often, and not what was noted here already.

use crate::Books;
use crate::entries::Kind;
use crate::invoice::End;
use crate::known::{self, Receipt};
use crate::tell::Told;
use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use kernel::{Date, InvoiceId, Money, Name, Text};
use ports::{EntryStatus, Fault, GONE, Payment, Place};
use providers::Hears;
use reactions::Outcome;
use revenue::bill::BillCommand;
use revenue::invoice::InvoiceCommand;
use revenue::payment::{NewAllocation, PaymentCommand};
use revenue_events::{BillPaymentId, BillPaymentMethod, PaymentId, PaymentMethod};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Hears that an entry may have changed.
pub struct Paid {
    books: Books,
}

impl Paid {
    /// For this ledger.
    pub fn new(books: Books) -> Self {
        Self { books }
    }
}

impl Hears for Paid {
    fn of(&self) -> (&'static str, &'static str) {
        (self.books.provider, self.books.kind)
    }

    fn changed<'a>(&'a self, at: Place, id: &'a str) -> BoxFuture<'a, Outcome> {
        async move {
            match self.look(at, id).await {
                Ok(()) => Outcome::Done,
                Err(end) => end.into(),
            }
        }
        .boxed()
    }
}

/// One payment at the ledger always has the same id here.
fn id_of(at: Place, payment: &Payment) -> Uuid {
    Uuid::new_v5(&at.connection.0, format!("payment:{}", payment.payment_id).as_bytes())
}

/// Takes one of these amounts away, if it is there.
fn take(amounts: &mut Vec<Money>, amount: Money) -> bool {
    let found = amounts.iter().position(|one| *one == amount);
    found.is_some_and(|index| {
        amounts.swap_remove(index);
        true
    })
}

/// An entry as the ledger has it now.
struct There {
    /// It was taken out of the books.
    is_out: bool,
    payments: Vec<Payment>,
}

impl Paid {
    async fn look(&self, at: Place, entry_id: &str) -> Result<(), End> {
        // Most of what a ledger tells of is the firm's own work there. What is ours and not known yet is recalled when it is.
        let Some((kind, record)) = self.books.entries().of(at, entry_id).await? else { return Ok(()) };
        let there = match self.books.ledger.look(at, entry_id).await {
            Ok(booked) => There { is_out: booked.status == EntryStatus::Voided, payments: booked.payments },
            // What somebody deletes there is out of the books, too, and what paid for it pays for it no more.
            Err(Fault::Never(GONE, _)) => There { is_out: true, payments: vec![] },
            Err(fault) => return Err(fault.into()),
        };
        match kind {
            Kind::Invoice => self.of_invoice(at, record, &there).await?,
            Kind::Bill => self.of_bill(at, record, &there).await?,
        }
        Ok(())
    }

    /// What the ledger's payments are called here.
    fn external(&self, payment: &Payment) -> Result<Name> {
        format!("{}:{}", self.books.provider, payment.payment_id).parse().ok().context("the ledger's id is no name")
    }

    fn is_of_ledger(&self, name: Option<&Name>) -> bool {
        let prefix = format!("{}:", self.books.provider);
        name.is_some_and(|name| name.as_str().starts_with(&prefix))
    }

    fn gone(&self) -> Text {
        let gone = format!("taken back at {}", self.books.provider);
        gone.parse().unwrap_or_else(|_| unreachable!("it is a text"))
    }

    async fn of_invoice(&self, at: Place, id: Uuid, booked: &There) -> Result<()> {
        let (log, invoice_id) = (&self.books.log, InvoiceId(id));
        let Some(invoice) = known::invoice(log, at.tenant, id).await? else { return Ok(()) };
        let request = self.books.request(at.tenant, None);
        if booked.is_out && !invoice.is_voided {
            let reason = format!("taken out of the books at {}", self.books.provider).parse();
            if let Ok(reason) = reason {
                let command = InvoiceCommand::RecordLedgerRejection { reason };
                self.books.tell::<revenue::Invoice>(id, command, &request).await?;
            }
        }
        let there: BTreeSet<Uuid> = booked.payments.iter().map(|payment| id_of(at, payment)).collect();
        // What was noted here by hand, and the ledger knows under an id of its own.
        let mut ours = vec![];
        for payment_id in &invoice.payments {
            let receipt = known::receipt(log, at.tenant, *payment_id, invoice_id).await?;
            let Some(Receipt { external_id, allocated, is_reversed: false }) = receipt else { continue };
            if !self.is_of_ledger(external_id.as_ref()) {
                ours.extend(allocated);
            } else if !there.contains(&payment_id.0) {
                let command = PaymentCommand::Reverse { reason: self.gone() };
                self.books.tell::<revenue::Payment>(payment_id.0, command, &request).await?;
            }
        }
        for payment in &booked.payments {
            let payment_id = id_of(at, payment);
            let known = known::receipt(log, at.tenant, PaymentId(payment_id), invoice_id).await?;
            if known.is_some() || take(&mut ours, payment.amount) {
                continue;
            }
            let receive = |allocations| -> Result<PaymentCommand> {
                Ok(PaymentCommand::Receive {
                    client_id: invoice.client_id,
                    amount: payment.amount,
                    received_on: Date::try_from(payment.dated).ok(),
                    method: PaymentMethod::default(),
                    reference: None,
                    external_id: Some(self.external(payment)?),
                    allocations,
                })
            };
            let all = receive(vec![NewAllocation { invoice_id, amount: None }])?;
            let told = self.books.tell::<revenue::Payment>(payment_id, all, &request).await?;
            if let Told::Refused(code) = told {
                // Nothing of the invoice is open any more: the money is there all the same, and is the client's credit.
                tracing::info!(invoice = %id, code, "a payment at the ledger pays for nothing here");
                self.books.tell::<revenue::Payment>(payment_id, receive(vec![])?, &request).await?;
            }
        }
        Ok(())
    }

    async fn of_bill(&self, at: Place, id: Uuid, booked: &There) -> Result<()> {
        let Some(bill) = known::bill(&self.books.log, at.tenant, id).await? else { return Ok(()) };
        let request = self.books.request(at.tenant, None);
        let there: BTreeSet<Uuid> = booked.payments.iter().map(|payment| id_of(at, payment)).collect();
        let mut ours = vec![];
        for (payment_id, (amount, reference, is_reversed)) in &bill.payments {
            if *is_reversed {
                continue;
            }
            if !self.is_of_ledger(reference.as_ref()) {
                ours.push(*amount);
            } else if !there.contains(&payment_id.0) {
                let command =
                    BillCommand::ReversePayment { payment_id: *payment_id, reversed_on: None, reason: self.gone() };
                self.books.tell::<revenue::Bill>(id, command, &request).await?;
            }
        }
        for payment in &booked.payments {
            let payment_id = BillPaymentId(id_of(at, payment));
            if bill.payments.contains_key(&payment_id) || take(&mut ours, payment.amount) {
                continue;
            }
            let command = BillCommand::RecordPayment {
                payment_id: Some(payment_id),
                amount: Some(payment.amount),
                paid_on: Date::try_from(payment.dated).ok(),
                method: BillPaymentMethod::default(),
                reference: Some(self.external(payment)?),
            };
            if let Told::Refused(code) = self.books.tell::<revenue::Bill>(id, command, &request).await? {
                tracing::warn!(bill = %id, code, "a payment at the ledger is not noted on its bill");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_was_noted_by_hand_is_taken_for_one_payment_only() {
        let euro = |minor| Money::new(minor, "EUR".parse().unwrap()).unwrap();
        let mut ours = vec![euro(500), euro(700)];
        assert!(take(&mut ours, euro(500)));
        assert!(!take(&mut ours, euro(500)), "the second is another payment");
        assert!(take(&mut ours, euro(700)));
    }
}
