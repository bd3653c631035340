//! Entries of the journal, one for each event that moves money or what is owed.

use crate::model::{Envelope, Event, Fold, FoldError};
use crate::revenue::journal::{Entry, JournalKind, STREAMS};
use catalogue::AnyEvent;
use catalogue::revenue_events::VendorId;
use kernel::{ClientId, Currency, Date, read_model};
use uuid::Uuid;

/// The journal of receivables and payables in double entry.
#[read_model("revenue.journal_entries", read = "revenue.journal_entry.read", created_at(filter), append_only)]
pub struct JournalEntryRow {
    /// What it is about.
    #[column(filter)]
    pub kind: JournalKind,
    /// The day that it counts for.
    #[column(filter, sort)]
    pub booked_on: Date,
    /// The currency.
    pub currency: Currency,
    /// All of its debits, which are all of its credits, in minor units.
    pub amount_minor: i64,
    /// What kind of record made it: `revenue.bill`.
    pub aggregate_type: String,
    /// Which one.
    #[column(filter)]
    pub aggregate_id: Uuid,
    /// Which client it is about, where the event says so.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// Which vendor it is about.
    #[column(filter)]
    pub vendor_id: Option<VendorId>,
}

impl Fold for JournalEntryRow {
    type Event = AnyEvent;

    const STREAMS: &'static [&'static str] = STREAMS;

    fn keys(change: &AnyEvent, event: &Event) -> Vec<Uuid> {
        Entry::of(change, event).map(|_| event.event_id).into_iter().collect()
    }

    fn begin(change: &AnyEvent, event: Envelope<'_>) -> Option<Self> {
        let entry = Entry::of(change, &event)?;
        Some(Self {
            kind: entry.kind,
            booked_on: entry.booked_on,
            currency: entry.currency,
            amount_minor: entry.minor(),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id,
            client_id: entry.client_id,
            vendor_id: entry.vendor_id,
        })
    }

    fn apply(&mut self, _: &AnyEvent, _: Envelope<'_>) -> Result<(), FoldError> {
        // An event happens once.
        Ok(())
    }
}
