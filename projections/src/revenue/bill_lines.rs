//! Lines of bills.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::revenue_events::{BillEvent as E, BillId, BillLine, LedgerCode};
use kernel::{Currency, Name, ProjectId, read_model};
use uuid::Uuid;

/// What bills are for, line by line.
#[read_model(
    "revenue.bill_lines",
    read = "revenue.bill_line.read",
    created_at(filter),
    updated_at(sort),
    ties(project(project_id)),
    away(superseded),
    part_of(bill_id, "revenue.bills")
)]
pub struct BillLineRow {
    /// The bill.
    #[column(filter)]
    pub bill_id: BillId,
    /// Its place on the bill, from 0.
    #[column(sort)]
    pub place: u32,
    /// What was bought.
    pub description: Name,
    /// The currency.
    pub currency: Currency,
    /// What it costs without tax, in minor units.
    pub net_minor: i64,
    /// The tax on it, in minor units.
    pub tax_minor: i64,
    /// The account that it is an expense of.
    #[column(filter)]
    pub account_code: Option<LedgerCode>,
    /// The tax that it bears, as the ledger calls it.
    pub tax_code: Option<LedgerCode>,
    /// The project that it is for.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// The bill has fewer lines by now.
    pub superseded: bool,
}

/// The row of a bill's line.
pub fn bill_line_row_id(bill: BillId, place: usize) -> Uuid {
    Uuid::new_v5(&bill.0, place.to_string().as_bytes())
}

/// The lines that the bill has after the event, and how many it had before, if it says.
fn told(change: &E) -> Option<(&[BillLine], u32)> {
    match change {
        E::Received { content, .. } => Some((&content.lines, 0)),
        E::Corrected { content, replaced, .. } => Some((&content.lines, *replaced)),
        E::Coded { lines, replaced, .. } => Some((lines, *replaced)),
        _ => None,
    }
}

/// The place of a row, and its line if it has one.
fn found<'e>(change: &'e E, event: Envelope<'_>) -> Option<(usize, Option<&'e BillLine>)> {
    let (lines, replaced) = told(change)?;
    let count = lines.len().max(usize::try_from(replaced).unwrap_or(0));
    let place = (0..count).find(|place| bill_line_row_id(BillId(event.aggregate_id), *place) == event.row)?;
    Some((place, lines.get(place)))
}

impl Fold for BillLineRow {
    type Event = E;

    fn keys(change: &E, event: &Event) -> Vec<Uuid> {
        let Some((lines, replaced)) = told(change) else { return vec![] };
        let count = lines.len().max(usize::try_from(replaced).unwrap_or(0));
        (0..count).map(|place| bill_line_row_id(BillId(event.aggregate_id), place)).collect()
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let (place, line) = found(change, event)?;
        Some(Self::new(BillId(event.aggregate_id), place, line?))
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        match found(change, event) {
            Some((place, Some(line))) => *self = Self::new(self.bill_id, place, line),
            Some((_, None)) => self.superseded = true,
            None => {}
        }
        Ok(())
    }
}

impl BillLineRow {
    fn new(bill_id: BillId, place: usize, line: &BillLine) -> Self {
        Self {
            bill_id,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            description: line.description.clone(),
            currency: line.net.currency(),
            net_minor: line.net.minor(),
            tax_minor: line.tax.map_or(0, |tax| tax.minor()),
            account_code: line.account_code.clone(),
            tax_code: line.tax_code.clone(),
            project_id: line.project_id,
            superseded: false,
        }
    }
}
