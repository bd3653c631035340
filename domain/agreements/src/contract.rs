//! A contract: what is agreed with a client, who signs it, and where it stands.
//!
//! Whoever has it signed reports what happened there. A report may come twice, late, or before what it follows from: somebody may have
//! signed before it is on record that the contract was sent to them. So a report says what became of somebody, whatever was known
//! before, and nothing when that is known.

mod draft;

use crate::paper::{NoPaper, end_of, made, wanted};
use crate::proposal::Proposal;
use agreements_events::{
    ContractEvent as E, ContractRecipient, ContractStatus as Status, MergeValue, Party, RecipientId, RecipientRole,
    RecipientStatus, Sha256, TemplateKind, Totals,
};
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, ConnectionId, Context, Date, DealId, Decision, EngagementId, FileId, Flag,
    Machine, Markdown, Name, Patch, Personal, ProposalId, Reference, Resource, Scope, Slug, Text, Timestamp, command,
    rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use draft::{NewParty, NewRecipient};

use ContractCommand as C;
use ContractRejection as R;

/// Which contract comes from a proposal: one at a time.
const PROPOSAL_CLAIM: &str = "agreements.contract.proposal";
/// What answers call those who get it.
const RECIPIENT_IDS: &str = "recipient_ids";

/// What may be asked of a contract.
#[command("agreements.contract", member)]
pub enum ContractCommand {
    /// Begins a contract that somebody writes freely.
    #[creates]
    #[makes("recipient_ids")]
    #[refused(TooManyParties, TooManyRecipients, OrderOutOfRange, DuplicateRecipient, "crm.client.blocked")]
    Create {
        /// With whom.
        client_id: ClientId,
        /// The deal that it comes from.
        #[serde(default)]
        deal_id: Option<DealId>,
        /// The engagement that it is about.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// What it is called.
        title: Name,
        /// What it says, in Markdown.
        body: Markdown,
        /// Who is bound by it.
        #[serde(default)]
        parties: Vec<NewParty>,
        /// Who gets it.
        #[serde(default)]
        recipients: Vec<NewRecipient>,
        /// The last day on which it can be signed; any unless given.
        #[serde(default)]
        sign_by: Option<Date>,
    },
    /// Begins a contract from a template.
    #[creates]
    #[makes("recipient_ids")]
    #[refused(
        UnknownTemplate,
        TemplateRetired,
        TemplateOfOtherKind,
        FieldsDoNotFit,
        TooManyParties,
        TooManyRecipients,
        OrderOutOfRange,
        DuplicateRecipient,
        "crm.client.blocked"
    )]
    CreateFromTemplate {
        /// The template's key.
        template: Slug,
        /// What its fields are filled in with.
        #[serde(default)]
        fields: Vec<MergeValue>,
        /// With whom.
        client_id: ClientId,
        /// The deal that it comes from.
        #[serde(default)]
        deal_id: Option<DealId>,
        /// The engagement that it is about.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// What it is called.
        title: Name,
        /// Who is bound by it.
        #[serde(default)]
        parties: Vec<NewParty>,
        /// Who gets it.
        #[serde(default)]
        recipients: Vec<NewRecipient>,
        /// The last day on which it can be signed; any unless given.
        #[serde(default)]
        sign_by: Option<Date>,
    },
    /// Begins a contract from an accepted proposal, with all that was agreed. One contract comes from a proposal at a time.
    #[creates]
    #[makes("recipient_ids")]
    #[refused(
        UnknownProposal,
        ProposalNotAccepted,
        TooManyParties,
        TooManyRecipients,
        OrderOutOfRange,
        DuplicateRecipient,
        "proposal.taken",
        "crm.client.blocked"
    )]
    CreateFromProposal {
        /// Which one.
        proposal_id: ProposalId,
        /// Whose it is; what is left out is looked up, and another client than the proposal's is refused.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// What it is called; as the proposal unless given.
        #[serde(default)]
        title: Option<Name>,
        /// Who is bound by it.
        #[serde(default)]
        parties: Vec<NewParty>,
        /// Who gets it; whoever accepted the proposal signs, if nobody is named.
        #[serde(default)]
        recipients: Vec<NewRecipient>,
        /// The last day on which it can be signed; any unless given.
        #[serde(default)]
        sign_by: Option<Date>,
    },
    /// Changes a draft. What is left out stays.
    #[makes("recipient_ids?")]
    #[refused(NotDraft, TooManyParties, TooManyRecipients, OrderOutOfRange, DuplicateRecipient)]
    Change {
        /// What it is called.
        #[serde(default)]
        title: Option<Name>,
        /// What it says, in Markdown.
        #[serde(default)]
        body: Option<Markdown>,
        /// Who is bound by it.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        parties: Patch<Vec<NewParty>>,
        /// Who gets it.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        recipients: Patch<Vec<NewRecipient>>,
        /// The last day on which it can be signed.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        sign_by: Patch<Date>,
    },
    /// Has the contract signed.
    #[refused(NotDraft, NoSigner, Empty, SignByPassed, "crm.client.blocked")]
    SendForSignature {},
    /// Notes under which name a provider has the contract.
    #[refused(NotSent, OtherEnvelope)]
    RecordEnvelope {
        /// Through which connection.
        connection_id: ConnectionId,
        /// What the provider calls it.
        envelope_id: Name,
    },
    /// Notes that the contract is on its way to somebody.
    #[refused(NotSent, UnknownRecipient)]
    RecordDelivery {
        /// To whom.
        recipient_id: RecipientId,
    },
    /// Notes that somebody looked at the contract.
    #[refused(NotSent, UnknownRecipient)]
    RecordViewed {
        /// Who.
        recipient_id: RecipientId,
    },
    /// Notes that somebody signed the contract.
    #[refused(NotSent, NotOut, UnknownRecipient, NotASigner, RecipientDeclined)]
    RecordSignature {
        /// Who.
        recipient_id: RecipientId,
        /// When; now unless given.
        #[serde(default)]
        signed_at: Option<Timestamp>,
    },
    /// Notes that the contract did not reach somebody.
    #[refused(NotSent, UnknownRecipient)]
    RecordBounce {
        /// Whom.
        recipient_id: RecipientId,
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Notes that everybody signed. Signatures that were not reported are noted with it.
    #[refused(NotSent, NotOut, OtherDocument)]
    Complete {
        /// When the last one signed; now unless given.
        #[serde(default)]
        signed_at: Option<Timestamp>,
        /// The signed document, if it is among the files already.
        #[serde(default)]
        document: Option<SignedDocument>,
    },
    /// Notes that the signed document is among the files.
    #[refused(NotSigned, OtherDocument)]
    StoreDocument {
        /// Which file.
        document: SignedDocument,
    },
    /// Notes that somebody who was to sign does not want to.
    #[refused(NotSent, NotOut, UnknownRecipient, NotASigner, AlreadySigned)]
    Decline {
        /// Who; somebody unless given.
        #[serde(default)]
        recipient_id: Option<RecipientId>,
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Takes the contract back before everybody has signed.
    #[refused(NotOut)]
    Void {
        /// Why.
        reason: Text,
    },
    /// Notes that the contract was not signed in time.
    #[refused(NotSent, NotOut, StillOpen)]
    Expire {},
    /// Puts the signed contract into force.
    #[refused(NotSigned, "crm.client.blocked")]
    Activate {},
    /// Ends the contract.
    #[refused(NotActive)]
    Terminate {
        /// Why.
        reason: Text,
    },
    /// Reminds those whose signatures are missing, once a day at most.
    #[refused(NotSent, NotOut)]
    Remind {},
}

/// A signed document among the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct SignedDocument {
    /// The file.
    pub file_id: FileId,
    /// What its bytes hash to.
    pub sha256: Sha256,
}

/// Why a contract's command may be refused.
#[rejection("agreements.contract")]
pub enum ContractRejection {
    /// The contract is no draft any more.
    NotDraft,
    /// The contract was not sent for signature.
    NotSent,
    /// No signatures are awaited: the contract is signed or closed.
    NotOut,
    /// The contract is not signed.
    NotSigned,
    /// The contract is not in force.
    NotActive,
    /// Nobody is to sign the contract.
    NoSigner,
    /// The contract says nothing.
    Empty,
    /// The last day on which the contract can be signed is over.
    SignByPassed,
    /// The contract can still be signed.
    StillOpen,
    /// A provider has the contract under another name.
    OtherEnvelope,
    /// Another document is the signed one.
    OtherDocument,
    /// The contract has no such recipient.
    #[invalid("/recipient_id")]
    UnknownRecipient,
    /// This recipient does not sign.
    #[invalid("/recipient_id")]
    NotASigner,
    /// This recipient declined.
    RecipientDeclined,
    /// This recipient signed.
    AlreadySigned,
    /// A contract has at most 20 parties.
    #[invalid("/parties")]
    TooManyParties,
    /// A contract has at most 50 recipients.
    #[invalid("/recipients")]
    TooManyRecipients,
    /// The order of recipients goes from 1 to 50.
    #[invalid("/recipients")]
    OrderOutOfRange,
    /// Nobody gets a contract twice in the same role.
    #[invalid("/recipients")]
    DuplicateRecipient,
    /// There is no template with this key.
    #[invalid("/template")]
    UnknownTemplate,
    /// The template is retired.
    #[invalid("/template")]
    TemplateRetired,
    /// The template is one of proposals.
    #[invalid("/template")]
    TemplateOfOtherKind,
    /// A field of the template is missing, unknown, there twice, of another kind, or too long.
    #[invalid("/fields")]
    FieldsDoNotFit,
    /// The client has no such proposal.
    #[invalid("/proposal_id")]
    UnknownProposal,
    /// The proposal is not accepted.
    #[invalid("/proposal_id")]
    ProposalNotAccepted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recipient {
    who: ContractRecipient,
    status: RecipientStatus,
}

/// What is remembered of a contract.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    client_id: ClientId,
    proposal_id: Option<ProposalId>,
    deal_id: Option<DealId>,
    engagement_id: Option<EngagementId>,
    status: Status,
    title: Option<Name>,
    body: Personal<Markdown>,
    parties: Vec<Party>,
    recipients: Vec<Recipient>,
    totals: Option<Totals>,
    sign_by: Option<Date>,
    expires_at: Option<Timestamp>,
    was_sent: bool,
    envelope: Option<(ConnectionId, Name)>,
    document: Option<SignedDocument>,
    reminded_on: Option<Date>,
}

impl Aggregate for Contract {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "agreements/contracts";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        [self.client_id.into()].into_iter().chain(self.engagement_id.map(Resource::from)).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, engagement_id, .. } | C::CreateFromTemplate { client_id, engagement_id, .. } => {
                let engagement = engagement_id.map(Resource::from);
                Scope::begins_in([(*client_id).into()].into_iter().chain(engagement))
            }
            C::CreateFromProposal { client_id, .. } => Scope::begins_in(client_id.map(Resource::from)),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::CreateFromTemplate { template, .. } => vec![wanted(template)],
            C::CreateFromProposal { proposal_id, .. } => vec![Reference::id::<Proposal>(*proposal_id)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { client_id, deal_id, engagement_id, title, body, parties, recipients, sign_by } => {
                vec![E::Created {
                    client_id,
                    proposal_id: None,
                    deal_id,
                    engagement_id,
                    template: None,
                    title,
                    body: body.into(),
                    parties: draft::parties(parties)?,
                    recipients: draft::recipients(recipients, ctx)?,
                    lines: vec![],
                    totals: None,
                    sign_by,
                }]
            }
            C::CreateFromTemplate {
                template,
                fields,
                client_id,
                deal_id,
                engagement_id,
                title,
                parties,
                recipients,
                sign_by,
            } => {
                let (body, template) = made(template, &fields, TemplateKind::Contract, ctx)?;
                vec![E::Created {
                    client_id,
                    proposal_id: None,
                    deal_id,
                    engagement_id,
                    template: Some(template),
                    title,
                    body: body.into(),
                    parties: draft::parties(parties)?,
                    recipients: draft::recipients(recipients, ctx)?,
                    lines: vec![],
                    totals: None,
                    sign_by,
                }]
            }
            C::CreateFromProposal { proposal_id, client_id, title, parties, recipients, sign_by } => {
                return draft::from_proposal(proposal_id, client_id, title, parties, recipients, sign_by, ctx);
            }
            C::Change { .. } if self.status != Status::Draft => return Err(R::NotDraft),
            C::Change { title, body, parties, recipients, sign_by } => {
                return self.change(title, body, parties, recipients, sign_by, ctx);
            }
            C::SendForSignature {} if self.was_sent => vec![],
            C::SendForSignature {} => return self.send(ctx),
            C::Void { .. } if self.status == Status::Voided => vec![],
            C::Void { .. } if !self.status.is_out() && self.status != Status::Draft => return Err(R::NotOut),
            C::Void { reason } => vec![E::Voided { reason }],
            C::Activate {} if matches!(self.status, Status::Active | Status::Terminated) => vec![],
            C::Activate {} if self.status != Status::Signed => return Err(R::NotSigned),
            C::Activate {} => vec![E::Activated {}],
            C::Terminate { .. } if self.status == Status::Terminated => vec![],
            C::Terminate { .. } if self.status != Status::Active => return Err(R::NotActive),
            C::Terminate { reason } => vec![E::Terminated { reason }],
            C::StoreDocument { document } => {
                if !self.is_signed() {
                    return Err(R::NotSigned);
                }
                self.stored(document)?
            }
            _ if !self.was_sent => return Err(R::NotSent),
            // What is reported from here on may come late, and again.
            C::RecordEnvelope { connection_id, envelope_id } => match &self.envelope {
                Some(known) if *known == (connection_id, envelope_id.clone()) => vec![],
                Some(_) => return Err(R::OtherEnvelope),
                None => vec![E::EnvelopeSent { connection_id, envelope_id }],
            },
            C::RecordDelivery { recipient_id } => self.moved(recipient_id, E::RecipientSent { recipient_id })?,
            C::RecordViewed { recipient_id } => self.moved(recipient_id, E::RecipientDelivered { recipient_id })?,
            C::RecordBounce { recipient_id, reason } => {
                self.moved(recipient_id, E::RecipientBounced { recipient_id, reason: reason.map(Into::into) })?
            }
            C::RecordSignature { recipient_id, signed_at } => {
                let status = self.signer(recipient_id)?.status;
                if status == RecipientStatus::Signed {
                    return Ok(vec![]);
                }
                if status == RecipientStatus::Declined {
                    return Err(R::RecipientDeclined);
                }
                if !self.status.is_out() {
                    return Err(R::NotOut);
                }
                vec![E::RecipientSigned { recipient_id, signed_at: signed_at.unwrap_or(ctx.now) }]
            }
            C::Complete { document, .. } if self.is_signed() => match document {
                Some(document) => self.stored(document)?,
                None => vec![],
            },
            C::Decline { .. } if self.status == Status::Declined => vec![],
            C::Expire {} if self.status == Status::Expired => vec![],
            _ if !self.status.is_out() => return Err(R::NotOut),
            C::Complete { signed_at, document } => return self.complete(signed_at.unwrap_or(ctx.now), document),
            C::Decline { recipient_id, reason } => return self.decline(recipient_id, reason),
            // Everybody has signed in time; what they signed is on its way to the files.
            C::Expire {} if self.missing().next().is_none() => return Err(R::NotOut),
            C::Expire {} if self.expires_at.is_some_and(|at| ctx.now < at) => return Err(R::StillOpen),
            C::Expire {} => vec![E::Expired {}],
            C::Remind {} if self.reminded_on == Some(ctx.today()) => vec![],
            C::Remind {} => {
                let missing: Vec<RecipientId> = self.missing().collect();
                if missing.is_empty() { vec![] } else { vec![E::Reminded { missing, on: ctx.today() }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { client_id, proposal_id, deal_id, engagement_id, totals, .. } => {
                (self.client_id, self.proposal_id) = (*client_id, *proposal_id);
                (self.deal_id, self.engagement_id) = (*deal_id, *engagement_id);
                self.totals = totals.clone();
                self.write(event);
            }
            E::Changed { .. } => self.write(event),
            E::SentForSignature { expires_at, .. } => (self.was_sent, self.expires_at) = (true, *expires_at),
            E::EnvelopeSent { connection_id, envelope_id } => {
                self.envelope = Some((*connection_id, envelope_id.clone()));
            }
            E::RecipientSent { recipient_id }
            | E::RecipientDelivered { recipient_id }
            | E::RecipientSigned { recipient_id, .. }
            | E::RecipientDeclined { recipient_id }
            | E::RecipientBounced { recipient_id, .. } => {
                if let Some(found) = self.recipients.iter_mut().find(|known| known.who.id == *recipient_id) {
                    found.status = found.status.after(event);
                }
            }
            E::Reminded { on, .. } => self.reminded_on = Some(*on),
            E::DocumentStored { file_id, sha256 } => {
                self.document = Some(SignedDocument { file_id: *file_id, sha256: sha256.clone() });
            }
            E::Signed { .. }
            | E::Declined { .. }
            | E::Voided { .. }
            | E::Expired {}
            | E::Activated {}
            | E::Terminated { .. } => {}
        }
    }

    /// A proposal leads to one contract; when nothing came of that it may lead to another.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let proposal = |id: &ProposalId| Claim::new(PROPOSAL_CLAIM, id.to_string());
        match event {
            E::Created { proposal_id: Some(id), .. } => vec![ClaimChange::Take(proposal(id))],
            E::Declined { .. } | E::Voided { .. } | E::Expired {} => {
                self.proposal_id.iter().map(|id| ClaimChange::Release(proposal(id))).collect()
            }
            _ => vec![],
        }
    }

    /// For a blocked client nothing is begun and nothing comes into force; what was begun may be signed, given up or ended.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } | E::SentForSignature { client_id, .. } => *client_id,
            E::Activated {} => self.client_id,
            _ => return vec![],
        };
        vec![(Flag::CLIENT_BLOCKED, client.0)]
    }
}

/// A contract as whoever has it signed sees it.
impl Contract {
    /// With whom it is.
    pub fn client_id(&self) -> ClientId {
        self.client_id
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What it is called.
    pub fn title(&self) -> Option<&Name> {
        self.title.as_ref()
    }

    /// Who is bound by it.
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// Who gets it, in the order in which they were written down.
    pub fn recipients(&self) -> impl Iterator<Item = &ContractRecipient> {
        self.recipients.iter().map(|known| &known.who)
    }

    /// Through which connection a provider has it, and under which name.
    pub fn envelope(&self) -> Option<(ConnectionId, &Name)> {
        self.envelope.as_ref().map(|(connection, name)| (*connection, name))
    }

    /// The signed document, if it is among the files.
    pub fn document(&self) -> Option<&SignedDocument> {
        self.document.as_ref()
    }
}

impl Contract {
    /// Takes over what a draft says.
    fn write(&mut self, event: &E) {
        if let E::Created { title, body, parties, recipients, sign_by, .. }
        | E::Changed { title, body, parties, recipients, sign_by, .. } = event
        {
            (self.title, self.body, self.sign_by) = (Some(title.clone()), body.clone(), *sign_by);
            self.parties = parties.clone();
            let new = |who: &ContractRecipient| Recipient { who: who.clone(), status: RecipientStatus::default() };
            self.recipients = recipients.iter().map(new).collect();
        }
    }

    fn is_signed(&self) -> bool {
        matches!(self.status, Status::Signed | Status::Active | Status::Terminated)
    }

    fn recipient(&self, id: RecipientId) -> Result<&Recipient, R> {
        self.recipients.iter().find(|known| known.who.id == id).ok_or(R::UnknownRecipient)
    }

    fn signer(&self, id: RecipientId) -> Result<&Recipient, R> {
        let found = self.recipient(id)?;
        if found.who.role == RecipientRole::Signer { Ok(found) } else { Err(R::NotASigner) }
    }

    /// Whose signatures are missing.
    fn missing(&self) -> impl Iterator<Item = RecipientId> {
        let is_missing =
            |known: &&Recipient| known.who.role == RecipientRole::Signer && known.status != RecipientStatus::Signed;
        self.recipients.iter().filter(is_missing).map(|known| known.who.id)
    }

    /// The event, if it moves somebody; what comes too late says nothing new.
    fn moved(&self, id: RecipientId, event: E) -> Result<Vec<E>, R> {
        let status = self.recipient(id)?.status;
        Ok(if status.after(&event) == status { vec![] } else { vec![event] })
    }

    fn stored(&self, document: SignedDocument) -> Result<Vec<E>, R> {
        match &self.document {
            Some(known) if *known == document => Ok(vec![]),
            Some(_) => Err(R::OtherDocument),
            None => Ok(vec![E::DocumentStored { file_id: document.file_id, sha256: document.sha256 }]),
        }
    }

    fn send(&self, ctx: &Context) -> Decision<Self> {
        let Some(title) = self.title.clone().filter(|_| self.status == Status::Draft) else {
            return Err(R::NotDraft);
        };
        if self.missing().next().is_none() {
            return Err(R::NoSigner);
        }
        if self.body.text().trim().is_empty() {
            return Err(R::Empty);
        }
        let expires_at = self.sign_by.map(|day| end_of(day, ctx));
        if expires_at.is_some_and(|at| ctx.now >= at) {
            return Err(R::SignByPassed);
        }
        let recipients = self.recipients.iter().map(|known| known.who.clone()).collect();
        Ok(vec![E::SentForSignature {
            client_id: self.client_id,
            title,
            body: self.body.clone(),
            recipients,
            expires_at,
        }])
    }

    fn complete(&self, signed_at: Timestamp, document: Option<SignedDocument>) -> Decision<Self> {
        let Some(title) = self.title.clone() else { return Err(R::NotSent) };
        let mut events: Vec<E> =
            self.missing().map(|recipient_id| E::RecipientSigned { recipient_id, signed_at }).collect();
        events.push(E::Signed {
            client_id: self.client_id,
            proposal_id: self.proposal_id,
            deal_id: self.deal_id,
            engagement_id: self.engagement_id,
            title,
            totals: self.totals.clone(),
            signed_at,
        });
        if let Some(document) = document {
            events.extend(self.stored(document)?);
        }
        Ok(events)
    }

    fn decline(&self, recipient_id: Option<RecipientId>, reason: Option<Text>) -> Decision<Self> {
        let mut events = vec![];
        if let Some(recipient_id) = recipient_id {
            if self.signer(recipient_id)?.status == RecipientStatus::Signed {
                return Err(R::AlreadySigned);
            }
            events.push(E::RecipientDeclined { recipient_id });
        }
        events.push(E::Declined { by: recipient_id, reason: reason.map(Into::into) });
        Ok(events)
    }
}

impl From<NoPaper> for R {
    fn from(why: NoPaper) -> Self {
        match why {
            NoPaper::Unknown => R::UnknownTemplate,
            NoPaper::Retired => R::TemplateRetired,
            NoPaper::OtherKind => R::TemplateOfOtherKind,
            NoPaper::Fields => R::FieldsDoNotFit,
        }
    }
}

#[cfg(test)]
mod tests;
