//! What a contract begins with: its parties, those who get it, and what comes from a proposal.

use super::{Contract, ContractRejection as R, RECIPIENT_IDS};
use crate::proposal::Proposal;
use agreements_events::{ContractEvent as E, ContractRecipient, ContractStatus, Party, PartyRole, RecipientRole};
use kernel::{ClientId, Context, Date, Decision, Email, Markdown, Name, Patch, Personal, PostalAddress, ProposalId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Parties of one contract.
const PARTIES_MAX: usize = 20;
/// Those who get one contract.
const RECIPIENTS_MAX: usize = 50;
/// The last one's turn.
const ORDER_MAX: u16 = 50;

/// Somebody who is bound by a contract, as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewParty {
    /// On which side.
    pub role: PartyRole,
    /// What it is called.
    pub name: Name,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<PostalAddress>,
}

/// Somebody who gets a contract, as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewRecipient {
    /// What the person is called.
    pub name: Name,
    /// Where it is sent.
    pub email: Email,
    /// What the person does with it.
    pub role: RecipientRole,
    /// Whose turn it is, from 1: everybody with 1 first, then everybody with 2. All at once unless given.
    #[serde(default = "first")]
    pub order: u16,
}

fn first() -> u16 {
    1
}

pub(super) fn parties(new: Vec<NewParty>) -> Result<Vec<Party>, R> {
    if new.len() > PARTIES_MAX {
        return Err(R::TooManyParties);
    }
    let party = |NewParty { role, name, address }| Party {
        role,
        name: Personal::new(name),
        address: address.map(Personal::new),
    };
    Ok(new.into_iter().map(party).collect())
}

pub(super) fn recipients(new: Vec<NewRecipient>, ctx: &Context) -> Result<Vec<ContractRecipient>, R> {
    if new.len() > RECIPIENTS_MAX {
        return Err(R::TooManyRecipients);
    }
    if new.iter().any(|one| !(1..=ORDER_MAX).contains(&one.order)) {
        return Err(R::OrderOutOfRange);
    }
    let mut seen = BTreeSet::new();
    if !new.iter().all(|one| seen.insert((one.email.as_str(), one.role as u8))) {
        return Err(R::DuplicateRecipient);
    }
    ctx.begin_parts(RECIPIENT_IDS);
    let recipient = |NewRecipient { name, email, role, order }| ContractRecipient {
        id: ctx.part_of(RECIPIENT_IDS),
        name: name.into(),
        email: email.into(),
        role,
        order,
    };
    Ok(new.into_iter().map(recipient).collect())
}

pub(super) fn from_proposal(
    proposal_id: ProposalId,
    client_id: Option<ClientId>,
    title: Option<Name>,
    new_parties: Vec<NewParty>,
    mut new_recipients: Vec<NewRecipient>,
    sign_by: Option<Date>,
    ctx: &Context,
) -> Decision<Contract> {
    let proposal = ctx.referenced::<Proposal>(proposal_id);
    let proposal = proposal.filter(|found| client_id.is_none_or(|id| id == found.client_id()));
    let proposal = proposal.ok_or(R::UnknownProposal)?;
    let (offer, accepted) = proposal.agreed().ok_or(R::ProposalNotAccepted)?;
    if new_recipients.is_empty()
        && let (Some(name), Some(email)) = (accepted.signer.name.expose(), accepted.signer.email.expose())
    {
        let (name, email) = (name.clone(), email.clone());
        new_recipients.push(NewRecipient { name, email, role: RecipientRole::Signer, order: first() });
    }
    Ok(vec![E::Created {
        client_id: proposal.client_id(),
        proposal_id: Some(proposal_id),
        deal_id: offer.deal_id,
        engagement_id: offer.engagement_id,
        template: offer.template.clone(),
        title: title.unwrap_or_else(|| offer.title.clone()),
        body: offer.body.clone(),
        parties: parties(new_parties)?,
        recipients: recipients(new_recipients, ctx)?,
        lines: accepted.lines.clone(),
        totals: Some(accepted.totals.clone()),
        sign_by,
    }])
}

impl Contract {
    pub(super) fn change(
        &self,
        title: Option<Name>,
        body: Option<Markdown>,
        new_parties: Patch<Vec<NewParty>>,
        new_recipients: Patch<Vec<NewRecipient>>,
        sign_by: Patch<Date>,
        ctx: &Context,
    ) -> Decision<Self> {
        debug_assert_eq!(self.status, ContractStatus::Draft);
        let Some(title) = title.or_else(|| self.title.clone()) else { return Err(R::NotDraft) };
        let body = body.map_or_else(|| self.body.clone(), Personal::new);
        let parties = match new_parties {
            Patch::Unchanged => self.parties.clone(),
            Patch::Removed => vec![],
            Patch::Set(new) => parties(new)?,
        };
        let known = || self.recipients.iter().map(|known| known.who.clone()).collect::<Vec<_>>();
        let recipients = match new_recipients {
            Patch::Unchanged => known(),
            Patch::Removed => vec![],
            Patch::Set(new) if self.is_same(&new) => known(),
            Patch::Set(new) => recipients(new, ctx)?,
        };
        let sign_by = match sign_by {
            Patch::Unchanged => self.sign_by,
            Patch::Removed => None,
            Patch::Set(day) => Some(day),
        };
        let stays = self.title.as_ref() == Some(&title) && body == self.body && parties == self.parties;
        if stays && recipients == known() && sign_by == self.sign_by {
            return Ok(vec![]);
        }
        let is_gone = |id: &agreements_events::RecipientId| recipients.iter().all(|kept| kept.id != *id);
        let dropped = self.recipients.iter().map(|known| known.who.id).filter(is_gone).collect();
        Ok(vec![E::Changed { title, body, parties, recipients, dropped, sign_by }])
    }

    /// Are these those who get it already?
    fn is_same(&self, new: &[NewRecipient]) -> bool {
        let known = |(one, two): (&super::Recipient, &NewRecipient)| {
            let who = &one.who;
            (who.name.expose(), who.email.expose()) == (Some(&two.name), Some(&two.email))
                && (who.role, who.order) == (two.role, two.order)
        };
        self.recipients.len() == new.len() && self.recipients.iter().zip(new).all(known)
    }
}
