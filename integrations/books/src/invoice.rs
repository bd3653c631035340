//! Invoices that are issued go to the ledger, and leave it when they are voided.

use crate::book::{checked, line};
use crate::entries::Kind;
use crate::known::{self, Invoice};
use crate::tell::{Told, reason};
use crate::{Books, Chart, Ledgers};
use anyhow::{Context, Result};
use event_store::RawEvent;
use kernel::{InvoiceId, Name};
use ports::{Book, Booked, Entry, Fault, Line, Party, Place, TaxMode};
use reactions::{Found, Job, Lane, Outcome, Reaction, Retry};
use revenue::invoice::InvoiceCommand as C;
use uuid::Uuid;

/// The lane of all of a firm.
pub(crate) const LANE: &str = "ledger";

/// See above.
pub struct Invoices(pub Ledgers);

/// Why there is nothing more to do, or not now.
pub(crate) enum End {
    Done,
    Fault(Fault),
    Broken(anyhow::Error),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<anyhow::Error> for End {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<sqlx::Error> for End {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Done => Self::Done,
            End::Fault(fault) => fault.into(),
            End::Broken(error) => Self::Later(None, format!("{error:#}")),
        }
    }
}

impl From<End> for Found {
    fn from(end: End) -> Self {
        match end {
            End::Done => Self::Done,
            End::Fault(fault) => fault.into(),
            End::Broken(error) => Self::Unclear(format!("{error:#}")),
        }
    }
}

impl Reaction for Invoices {
    const NAME: &'static str = "books.invoices";
    const ON: &'static [&'static str] = &["invoice.issued", "invoice.voided"];
    const RETRY: Retry = Retry::TWO_DAYS;

    fn lanes(&self, _: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(LANE)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        match self.push(job).await {
            Ok(()) => Outcome::Done,
            Err(end) => end.into(),
        }
    }

    /// By the invoice's number, which no other one has.
    async fn look_up(&self, job: &Job) -> Found {
        match self.find(job).await {
            Ok(true) => Found::Done,
            Ok(false) => Found::Nothing,
            Err(end) => end.into(),
        }
    }

    async fn given_up(&self, job: &Job, code: &str, why: &str) -> Result<()> {
        let Some(event) = &job.event else { return Ok(()) };
        // Who has no ledger any more has nothing that it did not take.
        let Some((books, _)) = self.0.of(job.tenant).await? else { return Ok(()) };
        let command = C::RecordLedgerRejection { reason: reason(code, why) };
        let request = books.request(job.tenant, Some(job));
        books.tell::<revenue::Invoice>(event.aggregate_id, command, &request).await.map(drop)
    }
}

impl Invoices {
    /// The invoice, the ledger and where that is, if there is something to do.
    async fn wanted(&self, job: &Job) -> Result<(&Books, Uuid, Invoice, Place), End> {
        let id = job.event.as_ref().map(|event| event.aggregate_id).ok_or(End::Done)?;
        let (books, at) = self.0.of(job.tenant).await?.ok_or(End::Done)?;
        let invoice = known::invoice(&books.log, job.tenant, id).await?.ok_or(End::Done)?;
        Ok((books, id, invoice, at))
    }

    async fn push(&self, job: &Job) -> Result<(), End> {
        let (books, id, invoice, at) = self.wanted(job).await?;
        let there = books.entries().named(at, id).await?;
        if invoice.is_voided {
            // What never came there does not leave it.
            let Some(entry_id) = there else { return Ok(()) };
            return Ok(books.ledger.void(at, &job.key, &entry_id).await?);
        }
        if invoice.pushed.is_some() {
            return Ok(());
        }
        if let Some(entry_id) = there {
            return Ok(note(books, job, at, id, &entry_id).await?);
        }
        let party = books.party(at, &job.key, &party(&invoice)?).await?;
        let entry = entry(&invoice, id, &party.party_id, &books.chart(at.tenant).await?)?;
        let booked = books.entry(at, &job.key, &entry, invoice.amounts.total).await?;
        Ok(booked_as(books, job, at, id, &booked).await?)
    }

    async fn find(&self, job: &Job) -> Result<bool, End> {
        let (books, id, invoice, at) = self.wanted(job).await?;
        if invoice.pushed.is_some() {
            return Ok(!invoice.is_voided);
        }
        // Also if it was voided since: what came there has to leave it.
        let entry = entry(&invoice, id, "", &books.chart)?;
        let Some(booked) = books.known(at, &entry, invoice.amounts.total).await? else { return Ok(false) };
        booked_as(books, job, at, id, &booked).await?;
        Ok(!invoice.is_voided)
    }
}

/// The ledger has it: that is known here and on the record.
async fn booked_as(books: &Books, job: &Job, at: Place, id: Uuid, booked: &Booked) -> Result<()> {
    books.entries().note(at, &booked.entry_id, Kind::Invoice, id).await?;
    note(books, job, at, id, &booked.entry_id).await
}

async fn note(books: &Books, job: &Job, at: Place, id: Uuid, entry_id: &str) -> Result<()> {
    books.recall(at, entry_id).await?;
    let external_id: Name = entry_id.parse().ok().context("the ledger's id is no name")?;
    let command = C::RecordPushedToLedger { external_id };
    let request = books.request(at.tenant, Some(job));
    match books.tell::<revenue::Invoice>(id, command, &request).await? {
        Told::Noted => {}
        Told::Refused(code) => tracing::info!(invoice = %id, code, "an invoice does not say that the ledger has it"),
    }
    Ok(())
}

/// Whoever owes it.
fn party(invoice: &Invoice) -> Result<Party, Fault> {
    let buyer = &invoice.buyer;
    let erased = || Fault::Never("erased", "whoever owes it was erased".to_owned());
    Ok(Party {
        book: Book::Sales,
        known: None,
        reference: invoice.client_id.to_string(),
        name: buyer.legal_name.expose().ok_or_else(erased)?.to_string(),
        email: buyer.email.as_ref().and_then(|email| email.expose()).map(ToString::to_string),
        tax_number: buyer.vat_id.as_ref().and_then(|vat_id| vat_id.expose()).map(ToString::to_string),
    })
}

/// The invoice as the ledger books it: to the cent what stands on the paper.
fn entry(invoice: &Invoice, id: Uuid, party_id: &str, chart: &Chart) -> Result<Entry, Fault> {
    let amounts = &invoice.amounts;
    let lines = invoice.lines.iter().zip(&amounts.lines).map(|(of, amounts)| {
        let plain = line(of.description.as_str(), of.quantity.millionths(), of.unit_price, amounts.net, &chart.sales);
        let tax_kind = chart.untaxed.clone().filter(|_| of.tax.tax.rate().is_none());
        Line { tax: Some(amounts.tax), tax_kind, ..plain }
    });
    let entry = Entry {
        book: Book::Sales,
        party_id: party_id.to_owned(),
        number: invoice.number.to_string(),
        reference: Some(InvoiceId(id).to_string()),
        dated: *invoice.issued_on,
        due: *invoice.due_on,
        tax: TaxMode::Exclusive,
        lines: lines.collect(),
    };
    checked(entry, amounts.total)
}
