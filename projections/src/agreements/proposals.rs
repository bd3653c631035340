//! Proposals as lists and papers show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::agreements_events::{Offer, ProposalEvent as E, ProposalStatus, Totals};
use chrono::{DateTime, Utc};
use kernel::{
    ClientId, ContactId, Currency, Date, DealId, Email, EngagementId, Machine, Markdown, Name, Personal, PortalUserId,
    ProposalId, Rounding, Slug, TaxAmounts, Text, Timestamp, read_model,
};

/// Offers to clients. A client sees one from the moment on at which it is sent.
#[read_model(
    "agreements.proposals",
    id = ProposalId,
    read = "agreements.proposal.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(shown_to_client_id), shown_engagement(engagement_id))
)]
pub struct ProposalRow {
    /// For whom.
    #[column(filter)]
    pub client_id: ClientId,
    /// The client who sees it; nobody does while it is a draft.
    pub shown_to_client_id: Option<ClientId>,
    /// Who at the client it is for.
    #[column(filter)]
    pub contact_id: Option<ContactId>,
    /// The deal that it may win.
    #[column(filter)]
    pub deal_id: Option<DealId>,
    /// The engagement that it is about.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// The one whose place it takes.
    #[column(filter)]
    pub supersedes_proposal_id: Option<ProposalId>,
    /// The one that took its place.
    pub superseded_by_proposal_id: Option<ProposalId>,
    /// Which version of the same proposal it is, from 1.
    pub revision: u32,
    /// What it is called.
    #[column(filter, sort)]
    pub title: Name,
    /// The template it was made from.
    #[column(filter)]
    pub template: Option<Slug>,
    /// Which version of that.
    pub template_version: Option<u32>,
    /// What it says, in Markdown.
    pub body: Personal<Markdown>,
    /// Where it stands.
    #[column(filter)]
    pub status: ProposalStatus,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// Where taxes are rounded.
    pub rounding: Rounding,
    /// What the lines that count come to, without tax.
    pub net_minor: i64,
    /// All taxes.
    pub tax_minor: i64,
    /// What is to be paid.
    #[column(sort)]
    pub total_minor: i64,
    /// Each tax once.
    pub taxes: Vec<TaxAmounts>,
    /// The last day on which it can be accepted.
    #[column(filter, sort)]
    pub valid_until: Date,
    /// When that day is over for the firm; known when it was sent.
    pub expires_at: Option<Timestamp>,
    /// When the client got it.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the client looked at it first.
    pub viewed_at: Option<DateTime<Utc>>,
    /// When it was accepted, declined, withdrawn, or its time was over.
    pub closed_at: Option<DateTime<Utc>>,
    /// Who accepted.
    pub signer_name: Option<Personal<Name>>,
    /// That person's address.
    pub signer_email: Option<Personal<Email>>,
    /// The portal user who accepted or declined, if it was one.
    pub portal_user_id: Option<PortalUserId>,
    /// Why it was declined or withdrawn.
    pub reason: Option<Personal<Text>>,
}

impl Fold for ProposalRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { client_id, supersedes_proposal_id, version, offer } = change else { return None };
        Some(Self {
            client_id: *client_id,
            shown_to_client_id: None,
            contact_id: offer.contact_id,
            deal_id: offer.deal_id,
            engagement_id: offer.engagement_id,
            supersedes_proposal_id: *supersedes_proposal_id,
            superseded_by_proposal_id: None,
            revision: *version,
            title: offer.title.clone(),
            template: offer.template.as_ref().map(|template| template.key.clone()),
            template_version: offer.template.as_ref().map(|template| template.version),
            body: offer.body.clone(),
            status: ProposalStatus::default().after(change),
            currency: offer.currency,
            rounding: offer.totals.rounding,
            net_minor: offer.totals.net.minor(),
            tax_minor: offer.totals.tax.minor(),
            total_minor: offer.totals.total.minor(),
            taxes: offer.totals.taxes.clone(),
            valid_until: offer.valid_until,
            expires_at: None,
            sent_at: None,
            viewed_at: None,
            closed_at: None,
            signer_name: None,
            signer_email: None,
            portal_user_id: None,
            reason: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Changed { offer, .. } => self.offer(offer),
            E::Sent { client_id, expires_at, .. } => {
                self.shown_to_client_id = Some(*client_id);
                (self.sent_at, self.expires_at) = (Some(event.recorded_at), Some(*expires_at));
            }
            E::Viewed { .. } => self.viewed_at = Some(event.recorded_at),
            E::Accepted { signer, totals, .. } => {
                self.totals(totals);
                (self.signer_name, self.signer_email) = (Some(signer.name.clone()), Some(signer.email.clone()));
                (self.portal_user_id, self.closed_at) = (signer.portal_user_id, Some(event.recorded_at));
            }
            E::Declined { reason, portal_user_id } => {
                self.reason.clone_from(reason);
                (self.portal_user_id, self.closed_at) = (*portal_user_id, Some(event.recorded_at));
            }
            E::Expired {} => self.closed_at = Some(event.recorded_at),
            E::Withdrawn { reason } => {
                self.reason = reason.clone().map(Personal::new);
                self.closed_at = Some(event.recorded_at);
            }
            E::Superseded { by_proposal_id } => {
                self.superseded_by_proposal_id = Some(*by_proposal_id);
                self.closed_at = self.closed_at.or(Some(event.recorded_at));
            }
        }
        Ok(())
    }
}

impl ProposalRow {
    fn offer(&mut self, offer: &Offer) {
        (self.contact_id, self.deal_id, self.engagement_id) = (offer.contact_id, offer.deal_id, offer.engagement_id);
        (self.title, self.body) = (offer.title.clone(), offer.body.clone());
        self.template = offer.template.as_ref().map(|template| template.key.clone());
        self.template_version = offer.template.as_ref().map(|template| template.version);
        (self.currency, self.valid_until) = (offer.currency, offer.valid_until);
        self.totals(&offer.totals);
    }

    fn totals(&mut self, totals: &Totals) {
        (self.rounding, self.taxes) = (totals.rounding, totals.taxes.clone());
        (self.net_minor, self.tax_minor) = (totals.net.minor(), totals.tax.minor());
        self.total_minor = totals.total.minor();
    }
}
