//! Deals as boards, lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::crm_events::{DealEvent as E, DealStatus, Probability};
use chrono::{DateTime, Utc};
use kernel::{Archivable, ClientId, ContactId, Currency, Date, DealId, Machine, Money, Name, Slug, UserId, read_model};

/// What clients may engage the firm for.
#[read_model(
    "crm.deals",
    id = DealId,
    read = "crm.deal.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), user(owner_id)),
    away(archived)
)]
pub struct DealRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// Whom the firm talks to about it.
    #[column(filter)]
    pub contact_id: Option<ContactId>,
    /// Who of the firm is responsible.
    #[column(filter)]
    pub owner_id: Option<UserId>,
    /// How it stands.
    #[column(filter)]
    pub status: DealStatus,
    /// The key of the pipeline through which it goes.
    #[column(filter)]
    pub pipeline: Slug,
    /// The key of the stage where it stands, or stood when it was won or lost.
    #[column(filter)]
    pub stage: Slug,
    /// What it is worth, in minor units of `currency`.
    pub value_minor: Option<i64>,
    /// The currency of `value_minor`.
    #[column(filter)]
    pub currency: Option<Currency>,
    /// How likely it is won, in per cent.
    #[column(sort)]
    pub probability: Probability,
    /// Was that said of this deal? The stage's holds otherwise.
    pub estimated: bool,
    /// When it may be won.
    #[column(filter)]
    pub expected_close_on: Option<Date>,
    /// When it was won or lost.
    #[column(filter)]
    pub closed_at: Option<DateTime<Utc>>,
    /// Why it was lost.
    pub lost_reason: Option<Name>,
    /// Taken out of the lists.
    pub archived: Archivable,
}

impl Fold for DealRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created {
            name,
            client_id,
            contact_id,
            pipeline,
            stage,
            value,
            probability,
            estimated,
            expected_close_on,
            owner_id,
        } = change
        else {
            return None;
        };
        Some(Self {
            name: name.clone(),
            client_id: *client_id,
            contact_id: *contact_id,
            owner_id: *owner_id,
            status: DealStatus::default().after(change),
            pipeline: pipeline.clone(),
            stage: stage.clone(),
            value_minor: value.map(Money::minor),
            currency: value.map(Money::currency),
            probability: *probability,
            estimated: *estimated,
            expected_close_on: *expected_close_on,
            closed_at: None,
            lost_reason: None,
            archived: Archivable::default(),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        self.archived = self.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::StageMoved { pipeline, stage, probability, .. } => {
                (self.pipeline, self.stage) = (pipeline.clone(), stage.clone());
                self.probability = *probability;
            }
            E::ValueChanged { value } => {
                (self.value_minor, self.currency) = (value.map(Money::minor), value.map(Money::currency));
            }
            E::ProbabilityChanged { probability, estimated } => {
                (self.probability, self.estimated) = (*probability, *estimated);
            }
            E::ExpectedCloseChanged { expected_close_on } => self.expected_close_on = *expected_close_on,
            E::ContactChanged { contact_id } => self.contact_id = *contact_id,
            E::OwnerAssigned { owner_id } => self.owner_id = Some(*owner_id),
            E::Won { .. } => self.closed_at = Some(event.recorded_at),
            E::Lost { reason, .. } => {
                (self.closed_at, self.lost_reason) = (Some(event.recorded_at), Some(reason.clone()));
            }
            E::Reopened {} => (self.closed_at, self.lost_reason) = (None, None),
            E::Archived {} | E::Restored {} => {}
        }
        Ok(())
    }
}
