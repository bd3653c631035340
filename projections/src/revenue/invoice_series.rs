//! Series of numbers.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{InvoiceSeriesEvent as E, InvoiceSeriesId, NumberPrefix};
use kernel::{Machine, Name, Retirable, Slug, read_model};

/// Series of numbers without gaps.
#[read_model(
    "revenue.invoice_series",
    id = InvoiceSeriesId,
    read = "revenue.invoice_series.read",
    created_at(filter),
    away(retired)
)]
pub struct InvoiceSeriesRow {
    /// What invoices call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// What stands before each number.
    pub prefix: NumberPrefix,
    /// With how many digits it is written at least.
    pub digits: u16,
    /// The next number.
    pub next: u32,
    /// The last number that was given, as its paper has it.
    pub last_number: Option<Name>,
    /// No paper has a number of it any more.
    pub retired: Retirable,
}

impl Fold for InvoiceSeriesRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key, name, prefix, digits, first } = change else { return None };
        Some(Self {
            key: key.clone(),
            name: name.clone(),
            prefix: prefix.clone(),
            digits: *digits,
            next: *first,
            last_number: None,
            retired: Retirable::default(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Renamed { name } => self.name = name.clone(),
            E::NumberTaken { number, text, .. } => {
                self.next = number.saturating_add(1);
                self.last_number = Some(text.clone());
            }
            E::Defined { .. } | E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}
