//! The lines of proposals.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::agreements_events::{OfferedLine, ProposalEvent as E};
use kernel::{ClientId, Currency, Measure, Name, ProposalId, Quantity, Tax, Text, read_model};
use uuid::Uuid;

/// Lines of proposals. A client sees them from the moment on at which the proposal is sent.
#[read_model(
    "agreements.proposal_lines",
    read = "agreements.proposal_line.read",
    ties(client(shown_to_client_id), shown_engagement_of(proposal_id, "agreements.proposals")),
    away(dropped),
    part_of(proposal_id, "agreements.proposals")
)]
pub struct ProposalLineRow {
    /// Of which proposal.
    #[column(filter)]
    pub proposal_id: ProposalId,
    /// The client who sees it; nobody does while the proposal is a draft.
    pub shown_to_client_id: Option<ClientId>,
    /// Which line, from 1 in the order of the paper.
    #[column(sort)]
    pub number: u32,
    /// What is offered.
    pub description: Name,
    /// More about it.
    pub details: Option<Text>,
    /// How much of it.
    pub quantity: Quantity,
    /// Counted in what.
    pub unit: Measure,
    /// What one costs, without tax.
    pub unit_price_minor: i64,
    /// What the line comes to, without tax.
    pub net_minor: i64,
    /// The currency of both.
    pub currency: Currency,
    /// How it is taxed.
    pub tax: Tax,
    /// The client may choose it or leave it.
    pub optional: bool,
    /// The proposal was accepted with it.
    pub accepted: bool,
    /// It is no line of the proposal any more.
    pub dropped: bool,
}

fn row_id(proposal: Uuid, number: u32) -> Uuid {
    Uuid::new_v5(&proposal, number.to_string().as_bytes())
}

/// The lines that an event tells of.
fn lines(change: &E) -> &[OfferedLine] {
    match change {
        E::Created { offer, .. } | E::Changed { offer, .. } => &offer.lines,
        E::Accepted { lines, .. } => lines,
        _ => &[],
    }
}

fn line_of<'e>(change: &'e E, event: &Envelope<'_>) -> Option<&'e OfferedLine> {
    lines(change).iter().find(|line| row_id(event.aggregate_id, line.number) == event.row)
}

impl Fold for ProposalLineRow {
    type Event = E;

    fn keys(change: &E, event: &Event) -> Vec<Uuid> {
        let id = |number: u32| row_id(event.aggregate_id, number);
        match change {
            E::Created { .. } | E::Accepted { .. } => lines(change).iter().map(|line| id(line.number)).collect(),
            E::Changed { dropped, .. } => {
                lines(change).iter().map(|line| line.number).chain(dropped.iter().copied()).map(id).collect()
            }
            E::Sent { lines, .. } => (1..=*lines).map(id).collect(),
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let line = line_of(change, &event)?;
        Some(Self::new(ProposalId(event.aggregate_id), line))
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::Changed { .. } => match line_of(change, &event) {
                Some(line) => *self = Self::new(self.proposal_id, line),
                None => self.dropped = true,
            },
            E::Sent { client_id, .. } => self.shown_to_client_id = Some(*client_id),
            E::Accepted { .. } => self.accepted = true,
            // Everything else is about the proposal, see `keys`.
            _ => {}
        }
        Ok(())
    }
}

impl ProposalLineRow {
    fn new(proposal_id: ProposalId, line: &OfferedLine) -> Self {
        Self {
            proposal_id,
            shown_to_client_id: None,
            number: line.number,
            description: line.description.clone(),
            details: line.details.clone(),
            quantity: line.quantity,
            unit: line.unit,
            unit_price_minor: line.unit_price.minor(),
            net_minor: line.net.minor(),
            currency: line.net.currency(),
            tax: line.tax,
            optional: line.optional,
            accepted: false,
            dropped: false,
        }
    }
}
