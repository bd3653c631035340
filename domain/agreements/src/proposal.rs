//! A proposal: an offer to a client, which accepts it or does not.

use crate::paper::{NoPaper, end_of, made, wanted};
use agreements_events::{
    MergeValue, Offer, OfferedLine, ProposalEvent as E, ProposalStatus as Status, Signer, TemplateKind, Totals,
};
use kernel::{
    Aggregate, Amounts, AmountsFault, Claim, ClaimChange, ClientId, Companions, ContactId, Context, Currency, Date,
    DealId, Decision, Email, EngagementId, Flag, Machine, Markdown, Measure, Money, MoneyFault, Name, PortalUserId,
    Priced, ProposalId, Quantity, Reference, Resource, Rounding, Scope, Slug, Tax, Text, Timestamp, command, rejection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use ProposalCommand as C;
use ProposalRejection as R;

/// Lines of one proposal.
const LINES_MAX: usize = 200;
/// Which proposal takes the place of another: one at a time.
const SUCCESSOR_CLAIM: &str = "agreements.proposal.supersedes";

/// What a proposal says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// It is written here.
    Written {
        /// In Markdown.
        markdown: Markdown,
    },
    /// It is what a template says.
    FromTemplate {
        /// The template's key.
        template: Slug,
        /// What its fields are filled in with.
        #[serde(default)]
        fields: Vec<MergeValue>,
    },
}

/// A line as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewProposalLine {
    /// What is offered.
    pub description: Name,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Text>,
    /// How much of it.
    pub quantity: Quantity,
    /// Counted in what; one of it unless given.
    #[serde(default)]
    pub unit: Measure,
    /// What one costs, without tax.
    pub unit_price: Money,
    /// How it is taxed.
    pub tax: Tax,
    /// The client may choose it or leave it.
    #[serde(default)]
    pub optional: bool,
}

/// An offer as somebody writes it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewOffer {
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
    /// What it says.
    pub body: Body,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// Where taxes are rounded; once for each tax unless given.
    #[serde(default)]
    pub rounding: Rounding,
    /// Its lines.
    #[serde(default)]
    pub lines: Vec<NewProposalLine>,
    /// The last day on which it can be accepted.
    pub valid_until: Date,
}

/// What may be asked of a proposal.
#[command("agreements.proposal", member)]
pub enum ProposalCommand {
    /// Begins a proposal as a draft, which the client does not see.
    #[creates]
    #[refused(
        TooManyLines,
        NegativeLine,
        CurrencyMismatch,
        AmountTooLarge,
        UnknownTemplate,
        TemplateRetired,
        TemplateOfOtherKind,
        FieldsDoNotFit,
        UnknownPredecessor,
        PredecessorOfOtherClient,
        PredecessorNotReplaceable,
        "supersedes.taken",
        "crm.client.blocked"
    )]
    Create {
        /// For whom.
        client_id: ClientId,
        /// The proposal whose place it takes when it is sent.
        #[serde(default)]
        supersedes_proposal_id: Option<ProposalId>,
        /// What is offered.
        offer: NewOffer,
    },
    /// Offers something else; only a draft can be changed.
    #[refused(
        NotDraft,
        TooManyLines,
        NegativeLine,
        CurrencyMismatch,
        AmountTooLarge,
        UnknownTemplate,
        TemplateRetired,
        TemplateOfOtherKind,
        FieldsDoNotFit
    )]
    Change {
        /// What is offered now, as a whole.
        offer: NewOffer,
    },
    /// Gives the proposal to the client. The one that it supersedes can be accepted no more.
    #[refused(NotDraft, Empty, ValidityPassed, PredecessorNotReplaceable, "crm.client.blocked")]
    Send {},
    /// Notes that the client looked at the proposal.
    #[refused(NotOpen)]
    RecordViewed {},
    /// Accepts the proposal for the client.
    #[refused(NotOpen, ValidityPassed, UnknownOption, NothingChosen, "crm.client.blocked")]
    Accept {
        /// What whoever accepts is called.
        signer_name: Name,
        /// That person's address.
        signer_email: Email,
        /// The numbers of the optional lines that are chosen.
        #[serde(default)]
        options: Vec<u32>,
    },
    /// Declines the proposal for the client.
    #[refused(NotOpen)]
    Decline {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Takes the proposal back.
    #[refused(NotOpen)]
    Withdraw {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Notes that the proposal's last day is over; of one that was answered before it says nothing.
    #[refused(StillValid)]
    Expire {},
    /// Lets another proposal take the place of this one; sending that does.
    #[refused(NotReplaceable, SupersededByOther)]
    Supersede {
        /// Which one.
        by_proposal_id: ProposalId,
    },
}

/// Why a proposal's command may be refused.
#[rejection("agreements.proposal")]
pub enum ProposalRejection {
    /// The proposal is no draft any more; make another one that supersedes it.
    NotDraft,
    /// The proposal cannot be answered: it was not sent, or is closed.
    NotOpen,
    /// The proposal says nothing and has no lines.
    Empty,
    /// The last day on which the proposal can be accepted is over.
    ValidityPassed,
    /// The proposal can still be accepted.
    StillValid,
    /// A proposal has at most 200 lines.
    #[invalid("/offer/lines")]
    TooManyLines,
    /// A line that is offered has a quantity above zero and a price that is not below it.
    #[invalid("/offer/lines")]
    NegativeLine,
    /// All amounts of a proposal are of its currency.
    #[invalid("/offer/lines")]
    CurrencyMismatch,
    /// The proposal comes to more than an amount can be.
    #[invalid("/offer/lines")]
    AmountTooLarge,
    /// There is no template with this key.
    #[invalid("/offer/body/template")]
    UnknownTemplate,
    /// The template is retired.
    #[invalid("/offer/body/template")]
    TemplateRetired,
    /// The template is one of contracts.
    #[invalid("/offer/body/template")]
    TemplateOfOtherKind,
    /// A field of the template is missing, unknown, there twice, of another kind, or too long.
    #[invalid("/offer/body/fields")]
    FieldsDoNotFit,
    /// There is no such proposal to take the place of.
    #[invalid("/supersedes_proposal_id")]
    UnknownPredecessor,
    /// The proposal whose place it is to take is another client's.
    #[invalid("/supersedes_proposal_id")]
    PredecessorOfOtherClient,
    /// The proposal whose place it is to take is a draft, was accepted, or has been replaced.
    PredecessorNotReplaceable,
    /// A draft or an accepted proposal is replaced by none.
    NotReplaceable,
    /// Another proposal took the place of this one.
    SupersededByOther,
    /// The proposal has no such optional line.
    #[invalid("/options")]
    UnknownOption,
    /// Every line is optional and none was chosen.
    #[invalid("/options")]
    NothingChosen,
}

/// What is remembered of a proposal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    client_id: ClientId,
    supersedes: Option<ProposalId>,
    superseded_by: Option<ProposalId>,
    version: u32,
    status: Status,
    offer: Option<Offer>,
    expires_at: Option<Timestamp>,
    accepted: Option<Accepted>,
}

/// What became of a proposal that was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) signer: Signer,
    pub(crate) lines: Vec<OfferedLine>,
    pub(crate) totals: Totals,
}

impl Aggregate for Proposal {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "agreements/proposals";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        [self.client_id.into()].into_iter().chain(self.engagement_id().map(Resource::from)).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, offer, .. } => {
                let engagement = offer.engagement_id.map(Resource::from);
                Scope::begins_in([(*client_id).into()].into_iter().chain(engagement))
            }
            C::Change { offer } => {
                let another = offer.engagement_id.filter(|id| Some(*id) != self.engagement_id());
                Scope::of(self.belongs_to(id)).naming(another.map(Resource::from))
            }
            // What the client has not got is not the client's to answer, nor to find.
            C::RecordViewed {} | C::Accept { .. } | C::Decline { .. } if self.status == Status::Draft => {
                Scope::default()
            }
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        let of = |offer: &NewOffer| match &offer.body {
            Body::FromTemplate { template, .. } => Some(wanted(template)),
            Body::Written { .. } => None,
        };
        match command {
            C::Create { supersedes_proposal_id, offer, .. } => {
                let before = supersedes_proposal_id.map(Reference::id::<Self>);
                of(offer).into_iter().chain(before).collect()
            }
            C::Change { offer } => of(offer).into_iter().collect(),
            C::Send {} => self.supersedes.map(Reference::id::<Self>).into_iter().collect(),
            _ => vec![],
        }
    }

    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        if let C::Send {} = command
            && self.status == Status::Draft
            && let Some((id, _)) = self.replaceable(ctx)
        {
            companions.add::<Self>(id, C::Supersede { by_proposal_id: ProposalId(ctx.id) });
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { client_id, supersedes_proposal_id, offer } => {
                let version = match supersedes_proposal_id {
                    Some(id) => 1 + predecessor(id, client_id, ctx)?.version,
                    None => 1,
                };
                let offer = offered(offer, ctx)?;
                vec![E::Created { client_id, supersedes_proposal_id, version, offer }]
            }
            C::Change { .. } | C::Send {} if self.status != Status::Draft => match command {
                C::Send {} if self.expires_at.is_some() => vec![],
                _ => return Err(R::NotDraft),
            },
            C::Change { offer } => {
                let offer = offered(offer, ctx)?;
                if self.offer.as_ref() == Some(&offer) {
                    return Ok(vec![]);
                }
                let kept = u32::try_from(offer.lines.len()).unwrap_or(u32::MAX);
                let dropped = self.lines().iter().map(|line| line.number).filter(|number| *number > kept).collect();
                vec![E::Changed { offer, dropped }]
            }
            C::Send {} => return self.send(ctx),
            C::RecordViewed {} => match self.status {
                Status::Sent => vec![E::Viewed { portal_user_id: portal_user(ctx) }],
                Status::Draft | Status::Withdrawn => return Err(R::NotOpen),
                _ => vec![],
            },
            C::Accept { signer_name, signer_email, options } => {
                return self.accept(signer_name, signer_email, &options, ctx);
            }
            C::Decline { .. } if self.status == Status::Declined => vec![],
            C::Decline { .. } if !self.status.is_open() => return Err(R::NotOpen),
            C::Decline { reason } => {
                vec![E::Declined { reason: reason.map(Into::into), portal_user_id: portal_user(ctx) }]
            }
            C::Withdraw { .. } if self.status == Status::Withdrawn => vec![],
            C::Withdraw { .. } if !self.status.is_open() && self.status != Status::Draft => return Err(R::NotOpen),
            C::Withdraw { reason } => vec![E::Withdrawn { reason }],
            C::Expire {} if self.status == Status::Draft => return Err(R::StillValid),
            C::Expire {} if !self.status.is_open() => vec![],
            C::Expire {} if self.is_over(ctx) => vec![E::Expired {}],
            C::Expire {} => return Err(R::StillValid),
            C::Supersede { by_proposal_id } => match self.superseded_by {
                Some(by) if by == by_proposal_id => vec![],
                Some(_) => return Err(R::SupersededByOther),
                None if !self.is_replaceable() => return Err(R::NotReplaceable),
                None => vec![E::Superseded { by_proposal_id }],
            },
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { client_id, supersedes_proposal_id, version, offer } => {
                (self.client_id, self.supersedes, self.version) = (*client_id, *supersedes_proposal_id, *version);
                self.offer = Some(offer.clone());
            }
            E::Changed { offer, .. } => self.offer = Some(offer.clone()),
            E::Sent { expires_at, .. } => self.expires_at = Some(*expires_at),
            E::Accepted { signer, lines, totals, .. } => {
                let (signer, lines, totals) = (signer.clone(), lines.clone(), totals.clone());
                self.accepted = Some(Accepted { signer, lines, totals });
            }
            E::Superseded { by_proposal_id } => self.superseded_by = Some(*by_proposal_id),
            E::Viewed { .. } | E::Declined { .. } | E::Expired {} | E::Withdrawn { .. } => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let successor = |id: &ProposalId| Claim::new(SUCCESSOR_CLAIM, id.to_string());
        match event {
            E::Created { supersedes_proposal_id: Some(id), .. } => vec![ClaimChange::Take(successor(id))],
            // A draft that nobody saw leaves its place to another.
            E::Withdrawn { .. } if self.status == Status::Draft => {
                self.supersedes.iter().map(|id| ClaimChange::Release(successor(id))).collect()
            }
            _ => vec![],
        }
    }

    /// For a blocked client nothing is begun; what was begun may be declined or taken back.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Created { client_id, .. } | E::Sent { client_id, .. } | E::Accepted { client_id, .. } => {
                vec![(Flag::CLIENT_BLOCKED, client_id.0)]
            }
            _ => vec![],
        }
    }
}

impl Proposal {
    /// The engagement that it is about.
    fn engagement_id(&self) -> Option<EngagementId> {
        self.offer.as_ref().and_then(|offer| offer.engagement_id)
    }

    /// Whose it is.
    pub(crate) fn client_id(&self) -> ClientId {
        self.client_id
    }

    /// What is offered, and what became of it, if it was accepted.
    pub(crate) fn agreed(&self) -> Option<(&Offer, &Accepted)> {
        Some((self.offer.as_ref()?, self.accepted.as_ref()?))
    }

    fn lines(&self) -> &[OfferedLine] {
        self.offer.as_ref().map_or(&[], |offer| &offer.lines)
    }

    /// Can another take its place?
    fn is_replaceable(&self) -> bool {
        use Status::{Declined, Expired, Sent, Viewed, Withdrawn};
        // What was taken back before anybody saw it was offered to nobody.
        matches!(self.status, Sent | Viewed | Declined | Expired | Withdrawn) && self.expires_at.is_some()
    }

    /// The one whose place this takes, if it still can.
    fn replaceable<'c>(&self, ctx: &'c Context) -> Option<(ProposalId, &'c Self)> {
        let id = self.supersedes?;
        let before = ctx.referenced::<Self>(id)?;
        before.is_replaceable().then_some((id, before))
    }

    fn is_over(&self, ctx: &Context) -> bool {
        self.expires_at.is_some_and(|at| ctx.now >= at)
    }

    fn send(&self, ctx: &Context) -> Decision<Self> {
        let Some(offer) = &self.offer else { return Err(R::NotDraft) };
        if offer.lines.is_empty() && offer.body.expose().is_none_or(|body| body.as_str().trim().is_empty()) {
            return Err(R::Empty);
        }
        let expires_at = end_of(offer.valid_until, ctx);
        if ctx.now >= expires_at {
            return Err(R::ValidityPassed);
        }
        if self.supersedes.is_some() && self.replaceable(ctx).is_none() {
            return Err(R::PredecessorNotReplaceable);
        }
        Ok(vec![E::Sent {
            client_id: self.client_id,
            contact_id: offer.contact_id,
            title: offer.title.clone(),
            total: offer.totals.total,
            lines: u32::try_from(offer.lines.len()).unwrap_or(u32::MAX),
            valid_until: offer.valid_until,
            expires_at,
        }])
    }

    fn accept(&self, name: Name, email: Email, options: &[u32], ctx: &Context) -> Decision<Self> {
        let chosen: BTreeSet<u32> = options.iter().copied().collect();
        if let Some(accepted) = &self.accepted {
            let before = accepted.lines.iter().filter(|line| line.optional).map(|line| line.number);
            let same = before.collect::<BTreeSet<_>>() == chosen && accepted.signer.email.expose() == Some(&email);
            return if same { Ok(vec![]) } else { Err(R::NotOpen) };
        }
        let Some(offer) = self.offer.as_ref().filter(|_| self.status.is_open()) else { return Err(R::NotOpen) };
        if self.is_over(ctx) {
            return Err(R::ValidityPassed);
        }
        let is_option = |number: &u32| offer.lines.iter().any(|line| line.optional && line.number == *number);
        if !chosen.iter().all(is_option) {
            return Err(R::UnknownOption);
        }
        let counts = |line: &&OfferedLine| !line.optional || chosen.contains(&line.number);
        let lines: Vec<OfferedLine> = offer.lines.iter().filter(counts).cloned().collect();
        if lines.is_empty() && !offer.lines.is_empty() {
            return Err(R::NothingChosen);
        }
        let totals = totals(offer.currency, offer.totals.rounding, &lines)?;
        Ok(vec![E::Accepted {
            client_id: self.client_id,
            deal_id: offer.deal_id,
            engagement_id: offer.engagement_id,
            title: offer.title.clone(),
            signer: Signer { name: name.into(), email: email.into(), portal_user_id: portal_user(ctx) },
            lines,
            totals,
        }])
    }
}

/// The portal user who asks, if one does.
fn portal_user(ctx: &Context) -> Option<PortalUserId> {
    match ctx.actor {
        kernel::Actor::PortalUser { id } => Some(id),
        _ => None,
    }
}

/// The proposal whose place another is to take.
fn predecessor(id: ProposalId, client_id: ClientId, ctx: &Context) -> Result<&Proposal, R> {
    let before = ctx.referenced::<Proposal>(id).ok_or(R::UnknownPredecessor)?;
    if before.client_id != client_id {
        return Err(R::PredecessorOfOtherClient);
    }
    if before.is_replaceable() { Ok(before) } else { Err(R::PredecessorNotReplaceable) }
}

/// The offer, with what its lines come to.
fn offered(new: NewOffer, ctx: &Context) -> Result<Offer, R> {
    if new.lines.len() > LINES_MAX {
        return Err(R::TooManyLines);
    }
    if new.lines.iter().any(|line| !line.quantity.is_positive() || line.unit_price.is_negative()) {
        return Err(R::NegativeLine);
    }
    let priced: Vec<Priced> = new
        .lines
        .iter()
        .map(|line| Priced { quantity: line.quantity, unit_price: line.unit_price, tax: line.tax })
        .collect();
    // With everything that is optional, so that whatever the client chooses is an amount.
    let all = Amounts::of(new.currency, new.rounding, &priced)?;
    let lines: Vec<OfferedLine> = (1..)
        .zip(new.lines)
        .zip(all.lines)
        .map(|((number, line), amounts)| OfferedLine {
            number,
            description: line.description,
            details: line.details,
            quantity: line.quantity,
            unit: line.unit,
            unit_price: line.unit_price,
            tax: line.tax,
            optional: line.optional,
            net: amounts.net,
        })
        .collect();
    let required: Vec<OfferedLine> = lines.iter().filter(|line| !line.optional).cloned().collect();
    let totals = totals(new.currency, new.rounding, &required)?;
    let (body, template) = match new.body {
        Body::Written { markdown } => (markdown, None),
        Body::FromTemplate { template, fields } => {
            let (body, version) = made(template, &fields, TemplateKind::Proposal, ctx)?;
            (body, Some(version))
        }
    };
    Ok(Offer {
        title: new.title,
        contact_id: new.contact_id,
        deal_id: new.deal_id,
        engagement_id: new.engagement_id,
        template,
        body: body.into(),
        currency: new.currency,
        lines,
        totals,
        valid_until: new.valid_until,
    })
}

/// What these lines come to.
fn totals(currency: Currency, rounding: Rounding, lines: &[OfferedLine]) -> Result<Totals, R> {
    let priced = |line: &OfferedLine| Priced { quantity: line.quantity, unit_price: line.unit_price, tax: line.tax };
    let priced: Vec<Priced> = lines.iter().map(priced).collect();
    let Amounts { rounding, taxes, net, tax, total, lines: _ } = Amounts::of(currency, rounding, &priced)?;
    Ok(Totals { rounding, taxes, net, tax, total })
}

impl From<AmountsFault> for R {
    fn from(wrong: AmountsFault) -> Self {
        match wrong.fault {
            MoneyFault::TwoCurrencies => R::CurrencyMismatch,
            MoneyFault::TooLarge | MoneyFault::ByNothing => R::AmountTooLarge,
        }
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
pub(crate) mod tests;
