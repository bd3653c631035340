//! What happens to a deal.

use crate::Probability;
use kernel::{ClientId, ContactId, Date, Machine, Money, Name, Slug, UserId, event, status};

use DealEvent as E;

/// How a deal stands. Whether it was archived is said beside it, and its stage is one of its pipeline's.
#[status]
pub enum DealStatus {
    /// May be won.
    #[default]
    Open,
    /// The client said yes.
    Won,
    /// It came to nothing.
    Lost,
}

impl Machine<E> for DealStatus {
    const BEGINS: &'static [&'static str] = &["deal.created"];

    fn after(self, event: &E) -> Self {
        match (self, event) {
            (Self::Open, E::Won { .. }) => Self::Won,
            (Self::Open, E::Lost { .. }) => Self::Lost,
            (Self::Won | Self::Lost, E::Reopened {}) => Self::Open,
            _ => self,
        }
    }
}

/// Everything that happens to a deal: what a client may engage the firm for.
#[event("crm.deal")]
pub enum DealEvent {
    /// A client may engage the firm.
    Created {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// Whom the firm talks to about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
        /// The pipeline through which it goes.
        pipeline: Slug,
        /// The stage where it begins.
        stage: Slug,
        /// What it is worth.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
        /// How likely it is won.
        probability: Probability,
        /// Was that said of this deal? The stage's holds otherwise.
        estimated: bool,
        /// When it may be won.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_close_on: Option<Date>,
        /// Who of the firm is responsible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner_id: Option<UserId>,
    },
    /// The deal is called differently now.
    Renamed {
        /// The new name.
        name: Name,
    },
    /// The deal stands at another stage.
    StageMoved {
        /// The pipeline of the stage where it stood.
        from_pipeline: Slug,
        /// The stage where it stood.
        from_stage: Slug,
        /// The pipeline of the stage where it stands.
        pipeline: Slug,
        /// The stage where it stands.
        stage: Slug,
        /// How likely it is won from now on.
        probability: Probability,
    },
    /// The deal is worth something else.
    ValueChanged {
        /// What it is worth now; what is left out is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
    },
    /// The deal is more or less likely won.
    ProbabilityChanged {
        /// How likely now.
        probability: Probability,
        /// Was that said of this deal? The stage's holds otherwise.
        estimated: bool,
    },
    /// The deal may be won at another time.
    ExpectedCloseChanged {
        /// When; what is left out is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_close_on: Option<Date>,
    },
    /// The firm talks to somebody else about the deal.
    ContactChanged {
        /// To whom; what is left out is nobody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
    },
    /// Somebody of the firm became responsible for the deal.
    OwnerAssigned {
        /// Who.
        owner_id: UserId,
    },
    /// The client said yes.
    Won {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// Whom the firm talked to about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
        /// What it is worth.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
        /// Who of the firm is responsible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner_id: Option<UserId>,
    },
    /// The deal came to nothing.
    Lost {
        /// Why.
        reason: Name,
        /// The stage where it stood.
        stage: Slug,
    },
    /// The deal may be won again.
    Reopened {},
    /// The deal was taken out of every list; its history stays.
    Archived {},
    /// The deal is back in the lists, won or lost as it was.
    Restored {},
}

kernel::archivable!(DealEvent begins "deal.created");
