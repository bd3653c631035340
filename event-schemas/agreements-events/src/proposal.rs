//! What happens to a proposal.

use crate::template::TemplateVersion;
use kernel::{
    ClientId, ContactId, Currency, Date, DealId, Email, EngagementId, Machine, Markdown, Measure, Money, Name,
    Personal, PortalUserId, ProposalId, Quantity, Rounding, Tax, TaxAmounts, Text, Timestamp, event, status,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use ProposalEvent as E;

/// Where a proposal stands.
#[status]
pub enum ProposalStatus {
    /// Being written; the client does not see it.
    #[default]
    Draft,
    /// The client has it.
    Sent,
    /// The client looked at it.
    Viewed,
    /// The client wants it.
    Accepted,
    /// The client does not want it.
    Declined,
    /// Its time is over.
    Expired,
    /// The firm took it back.
    Withdrawn,
    /// Another one takes its place.
    Superseded,
}

impl ProposalStatus {
    /// May the client answer it?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::Viewed)
    }
}

impl Machine<E> for ProposalStatus {
    const BEGINS: &'static [&'static str] = &["proposal.created"];

    fn after(self, event: &E) -> Self {
        use ProposalStatus::{Accepted, Declined, Draft, Expired, Sent, Superseded, Viewed, Withdrawn};
        match (self, event) {
            (Draft, E::Sent { .. }) => Sent,
            (Sent, E::Viewed { .. }) => Viewed,
            (Sent | Viewed, E::Accepted { .. }) => Accepted,
            (Sent | Viewed, E::Declined { .. }) => Declined,
            (Sent | Viewed, E::Expired {}) => Expired,
            (Draft | Sent | Viewed, E::Withdrawn { .. }) => Withdrawn,
            (Sent | Viewed | Declined | Expired | Withdrawn, E::Superseded { .. }) => Superseded,
            _ => self,
        }
    }
}

/// A line of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedLine {
    /// Which one, from 1 in the order of the paper.
    pub number: u32,
    /// What is offered.
    pub description: Name,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Text>,
    /// How much of it.
    pub quantity: Quantity,
    /// Counted in what.
    pub unit: Measure,
    /// What one costs, without tax.
    pub unit_price: Money,
    /// How it is taxed.
    pub tax: Tax,
    /// The client may choose it or leave it.
    pub optional: bool,
    /// What the line comes to, without tax.
    pub net: Money,
}

/// What the lines that count come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// The rule of rounding that was followed.
    pub rounding: Rounding,
    /// Each tax once.
    pub taxes: Vec<TaxAmounts>,
    /// Without tax.
    pub net: Money,
    /// All taxes.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
}

/// What is offered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// What the proposal is called.
    pub title: Name,
    /// Who at the client it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    /// The deal that it may win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_id: Option<DealId>,
    /// The engagement that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engagement_id: Option<EngagementId>,
    /// The template it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateVersion>,
    /// What it says, in Markdown.
    pub body: Personal<Markdown>,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// Its lines.
    pub lines: Vec<OfferedLine>,
    /// What the lines come to that are not optional.
    pub totals: Totals,
    /// The last day on which it can be accepted.
    pub valid_until: Date,
}

/// Who answers for the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Signer {
    /// What the person is called.
    pub name: Personal<Name>,
    /// The person's address.
    pub email: Personal<Email>,
    /// The portal user, if the person answered in the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_user_id: Option<PortalUserId>,
}

/// Everything that happens to a proposal.
#[event("agreements.proposal")]
pub enum ProposalEvent {
    /// A proposal was begun as a draft.
    Created {
        /// For whom.
        client_id: ClientId,
        /// The one whose place it takes when it is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supersedes_proposal_id: Option<ProposalId>,
        /// Which version of the same proposal it is: 1, and one more than the one that it supersedes.
        version: u32,
        /// What is offered.
        offer: Offer,
    },
    /// The draft offers something else.
    Changed {
        /// What is offered now.
        offer: Offer,
        /// The numbers of lines that are there no more.
        dropped: Vec<u32>,
    },
    /// The client has the proposal.
    Sent {
        /// For whom.
        client_id: ClientId,
        /// Who at the client it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
        /// What it is called.
        title: Name,
        /// What it comes to without what is optional.
        total: Money,
        /// How many lines it has.
        lines: u32,
        /// The last day on which it can be accepted.
        valid_until: Date,
        /// When that day is over for the firm.
        expires_at: Timestamp,
    },
    /// The client looked at the proposal for the first time.
    Viewed {
        /// Which portal user, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        portal_user_id: Option<PortalUserId>,
    },
    /// The client accepted the proposal.
    Accepted {
        /// For whom it is.
        client_id: ClientId,
        /// The deal that it wins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deal_id: Option<DealId>,
        /// The engagement that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// What it is called.
        title: Name,
        /// Who accepted.
        signer: Signer,
        /// The lines that count: all that are not optional, and what was chosen of the others.
        lines: Vec<OfferedLine>,
        /// What these come to.
        totals: Totals,
    },
    /// The client declined the proposal.
    Declined {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Personal<Text>>,
        /// Which portal user, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        portal_user_id: Option<PortalUserId>,
    },
    /// The time in which the proposal could be accepted is over.
    Expired {},
    /// The firm took the proposal back.
    Withdrawn {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// Another proposal takes the place of this one.
    Superseded {
        /// Which one.
        by_proposal_id: ProposalId,
    },
}
