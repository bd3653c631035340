//! Bills that are approved go to the ledger, and leave it when they are voided. A vendor that the ledger does not know is made there.

use crate::book::checked;
use crate::entries::Kind;
use crate::invoice::{End, LANE};
use crate::known::{self, Bill, Vendor};
use crate::tell::{Told, reason};
use crate::{Books, Ledgers};
use anyhow::{Context, Result};
use event_store::RawEvent;
use kernel::{Money, Name};
use ports::{Book, Booked, Entry, Fault, Line, Party, Place, TaxMode};
use reactions::{Found, Job, Lane, Outcome, Reaction, Retry};
use revenue::bill::BillCommand as C;
use revenue::vendor::VendorCommand;
use uuid::Uuid;

/// See above.
pub struct Bills(pub Ledgers);

impl Reaction for Bills {
    const NAME: &'static str = "books.bills";
    const ON: &'static [&'static str] = &["bill.approved", "bill.voided"];
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

    /// By the vendor's number, among what the ledger has of that vendor.
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
        let Some((books, at)) = self.0.of(job.tenant).await? else { return Ok(()) };
        let command = C::NoteLedgerRejection { connection_id: Some(at.connection), reason: reason(code, why) };
        let request = books.request(job.tenant, Some(job));
        books.tell::<revenue::Bill>(event.aggregate_id, command, &request).await.map(drop)
    }
}

impl Bills {
    /// The bill, the ledger and where that is, if there is something to do.
    async fn wanted(&self, job: &Job) -> Result<(&Books, Uuid, Bill, Place), End> {
        let id = job.event.as_ref().map(|event| event.aggregate_id).ok_or(End::Done)?;
        let (books, at) = self.0.of(job.tenant).await?.ok_or(End::Done)?;
        let bill = known::bill(&books.log, job.tenant, id).await?.ok_or(End::Done)?;
        Ok((books, id, bill, at))
    }

    async fn push(&self, job: &Job) -> Result<(), End> {
        let (books, id, bill, at) = self.wanted(job).await?;
        let there = books.entries().named(at, id).await?;
        if bill.is_voided {
            let Some(entry_id) = there else { return Ok(()) };
            return Ok(books.ledger.void(at, &job.key, &entry_id).await?);
        }
        if bill.pushed.is_some() {
            return Ok(());
        }
        if let Some(entry_id) = there {
            return Ok(note(books, job, at, id, &entry_id).await?);
        }
        let vendor = vendor_of(books, at, &bill).await?;
        let party_id = books.party(at, &job.key, &party(&bill, &vendor)?).await?.party_id;
        link(books, job, at, &bill, &vendor, &party_id).await?;
        let entry = entry(&bill, &party_id, books.chart(at.tenant).await?.untaxed.as_deref())?;
        let booked = books.entry(at, &job.key, &entry, bill.owed.total).await?;
        Ok(booked_as(books, job, at, id, &booked).await?)
    }

    async fn find(&self, job: &Job) -> Result<bool, End> {
        let (books, id, bill, at) = self.wanted(job).await?;
        if bill.pushed.is_some() {
            return Ok(!bill.is_voided);
        }
        // Also if it was voided since: what came there has to leave it.
        // A vendor whom the ledger does not know has no bill there.
        let vendor = vendor_of(books, at, &bill).await?;
        let Some(party_id) = vendor.ledgers.get(&at.connection) else { return Ok(false) };
        let entry = entry(&bill, party_id.as_str(), None)?;
        let Some(booked) = books.known(at, &entry, bill.owed.total).await? else { return Ok(false) };
        booked_as(books, job, at, id, &booked).await?;
        Ok(!bill.is_voided)
    }
}

async fn vendor_of(books: &Books, at: Place, bill: &Bill) -> Result<Vendor, End> {
    let found = known::vendor(&books.log, at.tenant, bill.owed.vendor_id).await?;
    found.ok_or_else(|| Fault::Never("no_vendor", "the bill is of a vendor that is not there".to_owned()).into())
}

/// The vendor says what the ledger calls it.
async fn link(books: &Books, job: &Job, at: Place, bill: &Bill, vendor: &Vendor, party_id: &str) -> Result<()> {
    if vendor.ledgers.get(&at.connection).is_some_and(|known| known.as_str() == party_id) {
        return Ok(());
    }
    let external_id: Name = party_id.parse().ok().context("the ledger's id is no name")?;
    let command = VendorCommand::LinkToLedger { connection_id: at.connection, external_id };
    let request = books.request(at.tenant, Some(job));
    books.tell::<revenue::Vendor>(bill.owed.vendor_id.0, command, &request).await.map(drop)
}

/// The ledger has it: that is known here and on the record.
async fn booked_as(books: &Books, job: &Job, at: Place, id: Uuid, booked: &Booked) -> Result<()> {
    books.entries().note(at, &booked.entry_id, Kind::Bill, id).await?;
    note(books, job, at, id, &booked.entry_id).await
}

async fn note(books: &Books, job: &Job, at: Place, id: Uuid, entry_id: &str) -> Result<()> {
    books.recall(at, entry_id).await?;
    let external_id: Name = entry_id.parse().ok().context("the ledger's id is no name")?;
    let command = C::MarkPushed { connection_id: Some(at.connection), external_id };
    let request = books.request(at.tenant, Some(job));
    match books.tell::<revenue::Bill>(id, command, &request).await? {
        Told::Noted => {}
        Told::Refused(code) => tracing::info!(bill = %id, code, "a bill does not say that the ledger has it"),
    }
    Ok(())
}

/// Whoever is owed.
fn party(bill: &Bill, vendor: &Vendor) -> Result<Party, Fault> {
    let erased = || Fault::Never("erased", "whoever is owed was erased".to_owned());
    let details = &vendor.details;
    Ok(Party {
        book: Book::Purchases,
        known: None,
        reference: bill.owed.vendor_id.to_string(),
        name: vendor.name.as_ref().ok_or_else(erased)?.to_string(),
        email: details.email.as_ref().and_then(|email| email.expose()).map(ToString::to_string),
        tax_number: details.vat_id.as_ref().and_then(|vat_id| vat_id.expose()).map(ToString::to_string),
    })
}

/// The bill as the ledger books it: with the vendor's own taxes.
fn entry(bill: &Bill, party_id: &str, untaxed: Option<&str>) -> Result<Entry, Fault> {
    let owed = &bill.owed;
    let no_account = || Fault::Never("no_account", "a line of the bill has no account".to_owned());
    let line = |of: &revenue_events::BillLine| {
        let tax = of.tax.unwrap_or(Money::zero(of.net.currency()));
        let usual = untaxed.filter(|_| tax.is_zero()).map(str::to_owned);
        Ok(Line {
            text: of.description.to_string(),
            quantity_thousandths: 1_000,
            unit: of.net,
            tax: Some(tax),
            account: of.account_code.as_ref().ok_or_else(no_account)?.to_string(),
            tax_kind: of.tax_code.as_ref().map(ToString::to_string).or(usual),
        })
    };
    let lines = owed.lines.iter().map(line).collect::<Result<Vec<Line>, Fault>>()?;
    let entry = Entry {
        book: Book::Purchases,
        party_id: party_id.to_owned(),
        number: owed.reference.to_string(),
        reference: None,
        dated: *owed.booked_on,
        due: *owed.due_on.unwrap_or(owed.booked_on),
        tax: TaxMode::Exclusive,
        lines,
    };
    checked(entry, owed.total)
}
