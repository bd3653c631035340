//! Lines of invoices.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::revenue_events::{InvoiceEvent as E, InvoiceLineId, Line, LineTax, Source};
use kernel::{ClientId, Currency, InvoiceId, Measure, Name, Quantity, read_model};
use uuid::Uuid;

/// Lines of invoices. They are seen by whoever sees the invoice.
#[read_model(
    "revenue.invoice_lines",
    id = InvoiceLineId,
    read = "revenue.invoice_line.read",
    created_at(filter),
    ties(client(shown_to_client_id), shown_engagement_of(invoice_id, "revenue.invoices")),
    away(removed),
    part_of(invoice_id, "revenue.invoices")
)]
pub struct InvoiceLineRow {
    /// The invoice.
    #[column(filter)]
    pub invoice_id: InvoiceId,
    /// The client, once the invoice is issued.
    pub shown_to_client_id: Option<ClientId>,
    /// Its place on the issued invoice, from 1; on a draft lines stand in the order in which they were added.
    pub place: Option<u32>,
    /// What for.
    pub description: Name,
    /// How much of it.
    pub quantity: Quantity,
    /// What it is counted in.
    pub measure: Measure,
    /// What one costs, without tax, in minor units.
    pub unit_price_minor: i64,
    /// In which currency.
    pub currency: Currency,
    /// Its tax.
    pub tax: LineTax,
    /// What it comes to without tax, in minor units, once the invoice is issued.
    pub net_minor: Option<i64>,
    /// Its part of the tax, in minor units, once the invoice is issued.
    pub tax_minor: Option<i64>,
    /// What it is for.
    pub source: Option<Source>,
    /// It was taken out of the draft.
    pub removed: bool,
}

impl InvoiceLineRow {
    fn says(&mut self, line: &Line) {
        self.description = line.description.clone();
        (self.quantity, self.measure) = (line.quantity, line.measure);
        (self.unit_price_minor, self.currency) = (line.unit_price.minor(), line.unit_price.currency());
        (self.tax, self.source) = (line.tax.clone(), line.source.clone());
    }
}

impl Fold for InvoiceLineRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::Drafted { lines, .. } | E::Issued { lines, .. } => lines.iter().map(|line| line.id.0).collect(),
            E::LineAdded { line } | E::LineChanged { line } => vec![line.id.0],
            E::LineRemoved { line_id } => vec![line_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let line = match change {
            E::Drafted { lines, .. } => lines.iter().find(|line| line.id.0 == event.row)?,
            E::LineAdded { line } => line,
            _ => return None,
        };
        Some(Self {
            invoice_id: InvoiceId(event.aggregate_id),
            shown_to_client_id: None,
            place: None,
            description: line.description.clone(),
            quantity: line.quantity,
            measure: line.measure,
            unit_price_minor: line.unit_price.minor(),
            currency: line.unit_price.currency(),
            tax: line.tax.clone(),
            net_minor: None,
            tax_minor: None,
            source: line.source.clone(),
            removed: false,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::LineChanged { line } => self.says(line),
            E::LineRemoved { .. } => self.removed = true,
            E::Issued { client_id, lines, amounts, .. } => {
                self.shown_to_client_id = Some(*client_id);
                let place = lines.iter().position(|line| line.id.0 == event.row);
                let of = place.and_then(|place| amounts.lines.get(place));
                self.place = place.and_then(|place| u32::try_from(place + 1).ok());
                self.net_minor = of.map(|line| line.net.minor());
                self.tax_minor = of.map(|line| line.tax.minor());
            }
            // Everything else is about the invoice, see `keys`.
            _ => {}
        }
        Ok(())
    }
}
