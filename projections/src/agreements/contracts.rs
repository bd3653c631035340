//! Contracts as lists and papers show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::agreements_events::{ContractEvent as E, ContractStatus, OfferedLine, Party, Sha256};
use chrono::{DateTime, Utc};
use kernel::{
    ClientId, ConnectionId, ContractId, Currency, Date, DealId, EngagementId, FileId, Machine, Markdown, Name,
    Personal, ProposalId, Slug, Text, Timestamp, read_model,
};

/// What is agreed with clients. A client sees a contract from the moment on at which it is to be signed.
#[read_model(
    "agreements.contracts",
    id = ContractId,
    read = "agreements.contract.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(shown_to_client_id), shown_engagement(engagement_id))
)]
pub struct ContractRow {
    /// With whom.
    #[column(filter)]
    pub client_id: ClientId,
    /// The client who sees it; nobody does while it is a draft.
    pub shown_to_client_id: Option<ClientId>,
    /// The accepted proposal that it comes from.
    #[column(filter)]
    pub proposal_id: Option<ProposalId>,
    /// The deal that it comes from.
    #[column(filter)]
    pub deal_id: Option<DealId>,
    /// The engagement that it is about.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
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
    /// Who is bound by it.
    pub parties: Vec<Party>,
    /// Where it stands.
    #[column(filter)]
    pub status: ContractStatus,
    /// What was agreed line by line, if it comes from a proposal.
    pub lines: Vec<OfferedLine>,
    /// The currency of the lines, if there are any.
    pub currency: Option<Currency>,
    /// What the lines come to, with tax.
    pub total_minor: Option<i64>,
    /// The last day on which it can be signed.
    pub sign_by: Option<Date>,
    /// When that day is over for the firm; known when it was sent.
    pub expires_at: Option<Timestamp>,
    /// When it was sent to be signed.
    pub sent_at: Option<DateTime<Utc>>,
    /// Through which connection it is signed.
    pub connection_id: Option<ConnectionId>,
    /// What the provider calls it.
    #[column(filter)]
    pub envelope_id: Option<Name>,
    /// When those whose signatures are missing were reminded last.
    pub reminded_on: Option<Date>,
    /// When the last one signed.
    pub signed_at: Option<Timestamp>,
    /// The signed document among the files.
    pub document_file_id: Option<FileId>,
    /// What its bytes hash to.
    pub document_sha256: Option<Sha256>,
    /// When it came into force.
    pub activated_at: Option<DateTime<Utc>>,
    /// When it was declined, voided or ended, or its time was over.
    pub closed_at: Option<DateTime<Utc>>,
    /// Why it was declined, voided or ended.
    pub reason: Option<Personal<Text>>,
}

impl Fold for ContractRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created {
            client_id,
            proposal_id,
            deal_id,
            engagement_id,
            template,
            title,
            body,
            parties,
            recipients: _,
            lines,
            totals,
            sign_by,
        } = change
        else {
            return None;
        };
        Some(Self {
            client_id: *client_id,
            shown_to_client_id: None,
            proposal_id: *proposal_id,
            deal_id: *deal_id,
            engagement_id: *engagement_id,
            title: title.clone(),
            template: template.as_ref().map(|template| template.key.clone()),
            template_version: template.as_ref().map(|template| template.version),
            body: body.clone(),
            parties: parties.clone(),
            status: ContractStatus::default().after(change),
            lines: lines.clone(),
            currency: totals.as_ref().map(|totals| totals.total.currency()),
            total_minor: totals.as_ref().map(|totals| totals.total.minor()),
            sign_by: *sign_by,
            expires_at: None,
            sent_at: None,
            connection_id: None,
            envelope_id: None,
            reminded_on: None,
            signed_at: None,
            document_file_id: None,
            document_sha256: None,
            activated_at: None,
            closed_at: None,
            reason: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Changed { title, body, parties, recipients: _, dropped: _, sign_by } => {
                (self.title, self.body) = (title.clone(), body.clone());
                (self.parties, self.sign_by) = (parties.clone(), *sign_by);
            }
            E::SentForSignature { client_id, expires_at, .. } => {
                self.shown_to_client_id = Some(*client_id);
                (self.sent_at, self.expires_at) = (Some(event.recorded_at), *expires_at);
            }
            E::EnvelopeSent { connection_id, envelope_id } => {
                (self.connection_id, self.envelope_id) = (Some(*connection_id), Some(envelope_id.clone()));
            }
            // The version and the time of the contract move on with those who get it.
            E::RecipientSent { .. }
            | E::RecipientDelivered { .. }
            | E::RecipientSigned { .. }
            | E::RecipientDeclined { .. }
            | E::RecipientBounced { .. } => {}
            E::Reminded { on, .. } => self.reminded_on = Some(*on),
            E::Signed { signed_at, .. } => self.signed_at = Some(*signed_at),
            E::DocumentStored { file_id, sha256 } => {
                (self.document_file_id, self.document_sha256) = (Some(*file_id), Some(sha256.clone()));
            }
            E::Declined { reason, .. } => self.close(reason.clone(), event),
            E::Voided { reason } | E::Terminated { reason } => self.close(Some(Personal::new(reason.clone())), event),
            E::Expired {} => self.close(None, event),
            E::Activated {} => self.activated_at = Some(event.recorded_at),
        }
        Ok(())
    }
}

impl ContractRow {
    fn close(&mut self, reason: Option<Personal<Text>>, event: Envelope<'_>) {
        (self.closed_at, self.reason) = (Some(event.recorded_at), reason);
    }
}
