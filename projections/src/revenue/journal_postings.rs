//! Postings of the journal: each account that an entry touches, on one of its sides.

use crate::model::{Envelope, Event, Fold, FoldError};
use crate::revenue::journal::{Entry, JournalAccount, STREAMS, posting_number, posting_row_id};
use catalogue::AnyEvent;
use catalogue::revenue_events::{LedgerCode, VendorId};
use kernel::{ClientId, Currency, Date, ProjectId, read_model};
use uuid::Uuid;

/// Debits and credits of the journal.
#[read_model("revenue.journal_postings", read = "revenue.journal_posting.read", created_at(filter), append_only)]
pub struct JournalPostingRow {
    /// The entry.
    #[column(filter)]
    pub entry_id: Uuid,
    /// Its place in the entry, from 0.
    pub place: u32,
    /// The day that it counts for.
    #[column(filter, sort)]
    pub booked_on: Date,
    /// The account.
    #[column(filter)]
    pub account: JournalAccount,
    /// More exactly: the account of an expense in the chart, the kind of a tax.
    pub account_code: Option<LedgerCode>,
    /// The currency.
    pub currency: Currency,
    /// On the left, in minor units.
    pub debit_minor: i64,
    /// On the right, in minor units.
    pub credit_minor: i64,
    /// Which client it is about, where the event says so.
    pub client_id: Option<ClientId>,
    /// Which vendor it is about.
    pub vendor_id: Option<VendorId>,
    /// Which project it is for.
    pub project_id: Option<ProjectId>,
}

impl Fold for JournalPostingRow {
    type Event = AnyEvent;

    const STREAMS: &'static [&'static str] = STREAMS;

    fn keys(change: &AnyEvent, event: &Event) -> Vec<Uuid> {
        let count = Entry::of(change, event).map_or(0, |entry| entry.postings.len());
        (0..count).map(|number| posting_row_id(event.event_id, number)).collect()
    }

    fn begin(change: &AnyEvent, event: Envelope<'_>) -> Option<Self> {
        let entry = Entry::of(change, &event)?;
        let number = posting_number(event.event_id, event.row);
        let posting = entry.postings.get(number)?;
        Some(Self {
            entry_id: event.event_id,
            place: u32::try_from(number).unwrap_or(u32::MAX),
            booked_on: entry.booked_on,
            account: posting.account,
            account_code: posting.code.clone(),
            currency: entry.currency,
            debit_minor: posting.minor.max(0),
            credit_minor: (-posting.minor).max(0),
            client_id: entry.client_id,
            vendor_id: entry.vendor_id,
            project_id: posting.project_id,
        })
    }

    fn apply(&mut self, _: &AnyEvent, _: Envelope<'_>) -> Result<(), FoldError> {
        // An event happens once.
        Ok(())
    }
}
