//! A deal: what a client may engage the firm for.

use crate::{Client, Contact, Pipeline};
use crm_events::{DealEvent as E, DealStatus, Probability, Stage};
use kernel::{
    Aggregate, Archivable, ClientId, ContactId, Context, Date, Decision, Flag, Keyed, Machine, Money, Name, Patch,
    Reference, Resource, Scope, Slug, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use DealCommand as C;
use DealRejection as R;

/// What may be asked of a deal.
#[command("crm.deal", member)]
pub enum DealCommand {
    /// Notes that a client may engage the firm.
    #[creates]
    #[refused(
        UnknownClient,
        UnknownContact,
        UnknownPipeline,
        PipelineRetired,
        UnknownStage,
        NegativeValue,
        "crm.client.blocked"
    )]
    Create {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// Whom the firm talks to about it.
        #[serde(default)]
        contact_id: Option<ContactId>,
        /// The key of the pipeline through which it goes.
        pipeline: Slug,
        /// The key of the stage where it begins; the first one unless given.
        #[serde(default)]
        stage: Option<Slug>,
        /// What it is worth.
        #[serde(default)]
        value: Option<Money>,
        /// How likely it is won, in per cent; what its stage says unless given.
        #[serde(default)]
        probability: Option<Probability>,
        /// When it may be won.
        #[serde(default)]
        expected_close_on: Option<Date>,
        /// Who of the firm is responsible.
        #[serde(default)]
        owner_id: Option<UserId>,
    },
    /// Gives the deal another name.
    #[refused(Closed)]
    Rename {
        /// The new name.
        name: Name,
    },
    /// Moves the deal to another stage, of its pipeline or of another one. A probability that was given to it stays.
    #[refused(Closed, UnknownPipeline, PipelineRetired, UnknownStage, "crm.client.blocked")]
    MoveStage {
        /// The key of the stage.
        stage: Slug,
        /// The key of another pipeline; its own unless given.
        #[serde(default)]
        pipeline: Option<Slug>,
    },
    /// Changes what the deal is worth. What is left out stays, `null` removes it.
    #[refused(Closed, NegativeValue)]
    ChangeValue {
        /// What it is worth.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        value: Patch<Money>,
    },
    /// Changes how likely the deal is won. What is left out stays, `null` makes it what its stage says.
    #[refused(Closed)]
    ChangeProbability {
        /// How likely, in per cent.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        probability: Patch<Probability>,
    },
    /// Changes when the deal may be won. What is left out stays, `null` removes it.
    #[refused(Closed)]
    ChangeExpectedClose {
        /// When.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        expected_close_on: Patch<Date>,
    },
    /// Changes whom the firm talks to about the deal. What is left out stays, `null` removes it.
    #[refused(Closed, UnknownContact)]
    ChangeContact {
        /// To whom.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        contact_id: Patch<ContactId>,
    },
    /// Makes somebody of the firm responsible for the deal.
    #[refused(Closed)]
    AssignOwner {
        /// Who.
        owner_id: UserId,
    },
    /// Notes that the client said yes.
    #[refused(Closed, "crm.client.blocked")]
    Win {},
    /// Notes that the deal came to nothing.
    #[refused(Closed)]
    Lose {
        /// Why.
        reason: Name,
    },
    /// Notes that the deal may be won again, at the stage where it was.
    #[refused(Archived, "crm.client.blocked")]
    Reopen {},
    /// Takes a deal that was won or lost out of every list; its history stays.
    #[refused(NotClosed)]
    Archive {},
    /// Puts an archived deal back into the lists, won or lost as it was.
    Restore {},
}

/// Why a deal's command may be refused.
#[rejection("crm.deal")]
pub enum DealRejection {
    /// There is no such client.
    #[invalid("/client_id")]
    UnknownClient,
    /// There is no such contact.
    #[invalid("/contact_id")]
    UnknownContact,
    /// There is no pipeline with this key.
    #[invalid("/pipeline")]
    UnknownPipeline,
    /// The pipeline is retired.
    PipelineRetired,
    /// The pipeline has no stage with this key.
    #[invalid("/stage")]
    UnknownStage,
    /// A deal is not worth less than nothing.
    #[invalid("/value")]
    NegativeValue,
    /// The deal is won or lost; reopen it first.
    Closed,
    /// Only a deal that is won or lost can be archived.
    NotClosed,
    /// The deal is archived; restore it first.
    Archived,
}

/// What is remembered of a deal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Deal {
    name: Option<Name>,
    client_id: ClientId,
    contact_id: Option<ContactId>,
    pipeline: Option<Slug>,
    stage: Option<Slug>,
    value: Option<Money>,
    probability: Probability,
    /// Was the probability said of this deal?
    estimated: bool,
    expected_close_on: Option<Date>,
    owner_id: Option<UserId>,
    status: DealStatus,
    archived: Archivable,
}

impl Deal {
    /// Did the client say yes?
    pub fn is_won(&self) -> bool {
        self.status == DealStatus::Won
    }

    /// Whose deal it is.
    pub fn client_id(&self) -> ClientId {
        self.client_id
    }
}

impl Aggregate for Deal {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "crm/deals";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        vec![self.client_id.into()]
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, .. } => Scope::begins_in([(*client_id).into()]),
            _ => Scope::of(self.belongs_to(id)).owned_by(self.owner_id),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        let contact = |id: &ContactId| Reference::id::<Contact>(*id);
        match command {
            C::Create { client_id, contact_id, pipeline, .. } => {
                let known = [Reference::id::<Client>(*client_id), Pipeline::by_key(pipeline)];
                known.into_iter().chain(contact_id.as_ref().map(contact)).collect()
            }
            C::ChangeContact { contact_id: Patch::Set(id) } => vec![contact(id)],
            C::MoveStage { pipeline, .. } => {
                pipeline.as_ref().or(self.pipeline.as_ref()).map(Pipeline::by_key).into_iter().collect()
            }
            C::ChangeProbability { probability: Patch::Removed } => {
                self.pipeline.as_ref().map(Pipeline::by_key).into_iter().collect()
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { value: Some(value), .. } if value.is_negative() => return Err(R::NegativeValue),
            C::Create { client_id, .. } if ctx.referenced::<Client>(client_id).is_none() => {
                return Err(R::UnknownClient);
            }
            C::Create { contact_id: Some(id), .. } if ctx.referenced::<Contact>(id).is_none() => {
                return Err(R::UnknownContact);
            }
            C::Create {
                name,
                client_id,
                contact_id,
                pipeline,
                stage,
                value,
                probability,
                expected_close_on,
                owner_id,
            } => {
                let Stage { key: stage, probability: usual, .. } = stage_of(&pipeline, stage.as_ref(), true, ctx)?;
                let estimated = probability.is_some();
                let probability = probability.unwrap_or(usual);
                vec![E::Created {
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
                }]
            }
            C::Archive {} if self.status == DealStatus::Open => return Err(R::NotClosed),
            C::Archive {} => self.archived.archive(),
            C::Restore {} => self.archived.restore(),
            C::Reopen {} if self.status == DealStatus::Open => vec![],
            C::Reopen {} if self.archived.is_archived() => return Err(R::Archived),
            C::Reopen {} => vec![E::Reopened {}],
            C::Win {} if self.status == DealStatus::Won => vec![],
            // The first reason stays.
            C::Lose { .. } if self.status == DealStatus::Lost => vec![],
            _ if self.status != DealStatus::Open => return Err(R::Closed),
            C::Rename { name } if self.name.as_ref() == Some(&name) => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::MoveStage { stage, pipeline } => return self.move_to(stage, pipeline, ctx),
            C::ChangeValue { value } => {
                let value = value.over(&self.value);
                if value.is_some_and(Money::is_negative) {
                    return Err(R::NegativeValue);
                }
                changed(self.value, value, |value| E::ValueChanged { value })
            }
            C::ChangeProbability { probability } => {
                let after = match probability {
                    Patch::Unchanged => (self.probability, self.estimated),
                    Patch::Set(probability) => (probability, true),
                    // Where the stage is no longer one of the pipeline, nothing better is known than what held there.
                    Patch::Removed => (self.usual(ctx).unwrap_or(self.probability), false),
                };
                changed((self.probability, self.estimated), after, |(probability, estimated)| E::ProbabilityChanged {
                    probability,
                    estimated,
                })
            }
            C::ChangeExpectedClose { expected_close_on } => {
                let after = expected_close_on.over(&self.expected_close_on);
                changed(self.expected_close_on, after, |expected_close_on| E::ExpectedCloseChanged {
                    expected_close_on,
                })
            }
            C::ChangeContact { contact_id: Patch::Set(id) } if ctx.referenced::<Contact>(id).is_none() => {
                return Err(R::UnknownContact);
            }
            C::ChangeContact { contact_id } => {
                let after = contact_id.over(&self.contact_id);
                changed(self.contact_id, after, |contact_id| E::ContactChanged { contact_id })
            }
            C::AssignOwner { owner_id } if self.owner_id == Some(owner_id) => vec![],
            C::AssignOwner { owner_id } => vec![E::OwnerAssigned { owner_id }],
            C::Win {} => self.won().into_iter().collect(),
            C::Lose { reason } => self.stage.clone().map(|stage| E::Lost { reason, stage }).into_iter().collect(),
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        self.archived = self.archived.after(event);
        match event {
            E::Created {
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
            } => {
                self.name = Some(name.clone());
                (self.client_id, self.contact_id) = (*client_id, *contact_id);
                (self.pipeline, self.stage) = (Some(pipeline.clone()), Some(stage.clone()));
                (self.value, self.expected_close_on, self.owner_id) = (*value, *expected_close_on, *owner_id);
                (self.probability, self.estimated) = (*probability, *estimated);
            }
            E::Renamed { name } => self.name = Some(name.clone()),
            E::StageMoved { pipeline, stage, probability, .. } => {
                (self.pipeline, self.stage) = (Some(pipeline.clone()), Some(stage.clone()));
                self.probability = *probability;
            }
            E::ValueChanged { value } => self.value = *value,
            E::ProbabilityChanged { probability, estimated } => {
                (self.probability, self.estimated) = (*probability, *estimated);
            }
            E::ExpectedCloseChanged { expected_close_on } => self.expected_close_on = *expected_close_on,
            E::ContactChanged { contact_id } => self.contact_id = *contact_id,
            E::OwnerAssigned { owner_id } => self.owner_id = Some(*owner_id),
            E::Won { .. } | E::Lost { .. } | E::Reopened {} | E::Archived {} | E::Restored {} => {}
        }
    }

    /// For a blocked client nothing is begun, brought forward or won; what is known of a deal may be put right, and it may be lost.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => Some(*client_id),
            E::StageMoved { .. } | E::Won { .. } | E::Reopened {} => Some(self.client_id),
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

impl Deal {
    fn move_to(&self, stage: Slug, pipeline: Option<Slug>, ctx: &Context) -> Decision<Self> {
        let (Some(from_pipeline), Some(from_stage)) = (self.pipeline.clone(), self.stage.clone()) else {
            return Err(R::UnknownPipeline);
        };
        let pipeline = pipeline.unwrap_or_else(|| from_pipeline.clone());
        if (&pipeline, &stage) == (&from_pipeline, &from_stage) {
            return Ok(vec![]);
        }
        // A deal goes on through the pipeline that it is in, though no new one begins there.
        let comes_in = pipeline != from_pipeline;
        let usual = stage_of(&pipeline, Some(&stage), comes_in, ctx)?.probability;
        let probability = if self.estimated { self.probability } else { usual };
        Ok(vec![E::StageMoved { from_pipeline, from_stage, pipeline, stage, probability }])
    }

    /// How likely a deal is won that stands where this one does.
    fn usual(&self, ctx: &Context) -> Option<Probability> {
        let (_, pipeline) = Pipeline::with_key(self.pipeline.as_ref()?, ctx)?;
        pipeline.probability_at(self.stage.as_ref()?)
    }

    fn won(&self) -> Option<E> {
        Some(E::Won {
            name: self.name.clone()?,
            client_id: self.client_id,
            contact_id: self.contact_id,
            value: self.value,
            owner_id: self.owner_id,
        })
    }
}

/// The stage of a pipeline, the first one unless one is named. Into a retired pipeline no deal comes.
fn stage_of(pipeline: &Slug, stage: Option<&Slug>, comes_in: bool, ctx: &Context) -> Result<Stage, R> {
    let (_, found) = Pipeline::with_key(pipeline, ctx).ok_or(R::UnknownPipeline)?;
    if comes_in && found.is_retired() {
        return Err(R::PipelineRetired);
    }
    let stage = match stage {
        Some(key) => found.stage(key),
        None => found.first_stage(),
    };
    stage.cloned().ok_or(R::UnknownStage)
}

/// The event, if there is anything to tell.
fn changed<T: PartialEq>(before: T, after: T, event: impl FnOnce(T) -> E) -> Vec<E> {
    if before == after { vec![] } else { vec![event(after)] }
}

#[cfg(test)]
mod tests;
