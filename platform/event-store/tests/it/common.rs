//! A small aggregate that exercises everything the store promises, and the checks of a sound log.

use event_store::Request;
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, Companions, Context, Decision, Reference, Resource, Scope, TenantId, UserId,
    command, event, rejection,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// What happens to a tally.
#[event("test.tally")]
pub enum TallyEvent {
    /// A tally was opened.
    Opened {
        /// A value that must be unique.
        label: Option<String>,
    },
    /// Something was added.
    Added {
        /// How much.
        amount: i64,
    },
    /// The label was given up.
    Unlabelled {},
    /// It got a label, in the place of the one that it had.
    Labelled {
        /// A value that must be unique.
        label: String,
    },
}

/// What may be asked of a tally.
#[command("test.tally", !member)]
pub enum TallyCommand {
    /// Opens a tally.
    #[creates]
    Open {
        /// A value that must be unique.
        #[serde(default)]
        label: Option<String>,
    },
    /// Adds to it.
    Add {
        /// How much; 0 is already so.
        amount: i64,
    },
    /// Adds one amount after the other.
    AddEach {
        /// How much each time.
        amounts: Vec<i64>,
    },
    /// Gives up the label.
    Unlabel {},
    /// Gives it a label.
    Label {
        /// A value that must be unique.
        label: String,
    },
    /// Gives it a label, which whoever has it gives up.
    TakeLabel {
        /// A value that must be unique.
        label: String,
    },
}

/// Why a tally may refuse.
#[rejection("test.tally")]
pub enum TallyRejection {
    /// Only positive amounts.
    #[invalid("/amount")]
    Negative,
}

/// A sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub sum: i64,
    pub additions: i64,
    pub label: Option<String>,
}

impl Aggregate for Tally {
    type Command = TallyCommand;
    type Event = TallyEvent;
    type Rejection = TallyRejection;
    const PATH: &'static str = "test/tallies";
    const SNAPSHOT_EVERY: i64 = 10;

    /// A tally belongs to the client whose id is its label.
    fn scope(&self, _id: Uuid, command: &TallyCommand) -> Scope {
        let client = |label: &Option<String>| label.as_ref()?.parse().ok().map(|id| Resource::Client { id });
        match command {
            TallyCommand::Open { label } => Scope::begins_in(client(label)),
            _ => Scope::of(client(&self.label)),
        }
    }

    fn decide(&self, command: TallyCommand, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            TallyCommand::Open { label } => vec![TallyEvent::Opened { label }],
            TallyCommand::Add { amount } if amount < 0 => return Err(TallyRejection::Negative),
            TallyCommand::Add { amount: 0 } => vec![],
            TallyCommand::Add { amount } => vec![TallyEvent::Added { amount }],
            TallyCommand::AddEach { amounts } => {
                amounts.into_iter().map(|amount| TallyEvent::Added { amount }).collect()
            }
            TallyCommand::Label { label } | TallyCommand::TakeLabel { label }
                if self.label.as_ref() == Some(&label) =>
            {
                vec![]
            }
            TallyCommand::Label { label } | TallyCommand::TakeLabel { label } => vec![TallyEvent::Labelled { label }],
            TallyCommand::Unlabel {} if self.label.is_none() => vec![],
            TallyCommand::Unlabel {} => vec![TallyEvent::Unlabelled {}],
        })
    }

    fn apply(&mut self, event: &TallyEvent) {
        match event {
            TallyEvent::Opened { label } => self.label = label.clone(),
            TallyEvent::Added { amount } => {
                self.sum += amount;
                self.additions += 1;
            }
            TallyEvent::Unlabelled {} => self.label = None,
            TallyEvent::Labelled { label } => self.label = Some(label.clone()),
        }
    }

    fn references(&self, command: &TallyCommand) -> Vec<Reference> {
        match command {
            TallyCommand::TakeLabel { label } => vec![Reference::claim::<Self>(claim(label))],
            _ => vec![],
        }
    }

    fn companions(&self, command: &TallyCommand, ctx: &Context, companions: &mut impl Companions) {
        if let TallyCommand::TakeLabel { label } = command
            && let Some((holder, state)) = ctx.holder::<Self>("test.tally.label", label)
            && holder != ctx.id
            && state.label.as_ref() == Some(label)
        {
            companions.add::<Self>(holder, TallyCommand::Unlabel {});
        }
    }

    fn claims(&self, event: &TallyEvent) -> Vec<ClaimChange> {
        match event {
            TallyEvent::Opened { label } => label.iter().map(|l| ClaimChange::Take(claim(l))).collect(),
            TallyEvent::Unlabelled {} => self.label.iter().map(|l| ClaimChange::Release(claim(l))).collect(),
            TallyEvent::Labelled { label } => {
                let released = self.label.iter().map(|l| ClaimChange::Release(claim(l)));
                released.chain([ClaimChange::Take(claim(label))]).collect()
            }
            TallyEvent::Added { .. } => vec![],
        }
    }
}

fn claim(label: &str) -> Claim {
    Claim::new("test.tally.label", label)
}

pub fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(0x7e4a47))
}

pub fn request() -> Request {
    Request::new(tenant(), Actor::User { id: UserId(Uuid::from_u128(1)) })
}

pub fn keyed(key: &str, fingerprint: u8) -> Request {
    let idempotency =
        event_store::IdempotencyKey { scope: "user".into(), key: key.into(), fingerprint: [fingerprint; 32] };
    Request { idempotency: Some(idempotency), ..request() }
}

/// Positions dense and equal to the head; every stream contiguous, in position order, as its version says; times in order.
pub async fn assert_sound(owner: &PgPool) {
    let (count, last, head): (i64, i64, i64) = sqlx::query_as(
        "select count(*), coalesce(max(position), 0), (select position from eventstore.head) from eventstore.events",
    )
    .fetch_one(owner)
    .await
    .unwrap();
    assert_eq!((count, last), (head, head), "positions are dense up to the head");
    let broken: i64 = sqlx::query_scalar(
        "select count(*) from (
             select sequence, row_number() over stream as nth, recorded_at < lag(recorded_at) over (order by position) as back
             from eventstore.events
             window stream as (partition by tenant_id, aggregate_type, aggregate_id order by position)) e
         where sequence <> nth or back",
    )
    .fetch_one(owner)
    .await
    .unwrap();
    assert_eq!(broken, 0, "sequences are contiguous in position order and times never run backwards");
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from eventstore.streams s
         where row (s.version, s.position) is distinct from
               (select row (count(*), max(e.position)) from eventstore.events e
                where e.tenant_id = s.tenant_id and e.aggregate_id = s.aggregate_id and e.aggregate_type = s.aggregate_type)",
    )
    .fetch_one(owner)
    .await
    .unwrap_or(-1);
    assert_eq!(wrong, 0, "stream versions agree with the events");
}
