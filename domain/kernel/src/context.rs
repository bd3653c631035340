//! Everything a decision may know besides its own state: who, when, for whom, and what it asked to look at.

use crate::{
    Aggregate, ApiKeyId, Date, Issuer, Parts, Permissions, PortalUserId, SecretHash, ServiceAccountId, TenantId,
    Timestamp, UserId,
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use uuid::Uuid;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A member of staff, by the token's subject.
    User {
        /// The token's subject.
        id: UserId,
    },
    /// A program, by one of its keys.
    ServiceAccount {
        /// Which one.
        id: ServiceAccountId,
        /// With which key.
        api_key_id: ApiKeyId,
    },
    /// A person at a client, in the portal.
    PortalUser {
        /// Who.
        id: PortalUserId,
    },
    /// A run of a workflow.
    Workflow {
        /// The run.
        run_id: Uuid,
        /// Name of its definition.
        definition: String,
    },
    /// An operator at the command line, or the system itself.
    System {
        /// Which part.
        name: String,
    },
}

impl Actor {
    /// Is it UBOS itself or an operator, rather than anybody of the firm?
    pub fn is_system(&self) -> bool {
        matches!(self, Self::System { .. })
    }

    /// Whom a key or a session would speak for; none for UBOS itself.
    pub fn principal(&self) -> Option<Principal> {
        match *self {
            Self::User { id } => Some(Principal::User { id }),
            Self::ServiceAccount { id, .. } => Some(Principal::ServiceAccount { id }),
            Self::PortalUser { id } => Some(Principal::PortalUser { id }),
            Self::Workflow { .. } | Self::System { .. } => None,
        }
    }
}

/// Whom a key or a session speaks for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, crate::Input,
)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// A member of staff.
    User {
        /// Who.
        id: UserId,
    },
    /// A program.
    ServiceAccount {
        /// Which one.
        id: ServiceAccountId,
    },
    /// A person at a client, in the portal.
    PortalUser {
        /// Who.
        id: PortalUserId,
    },
}

impl From<UserId> for Principal {
    fn from(id: UserId) -> Self {
        Self::User { id }
    }
}

impl From<PortalUserId> for Principal {
    fn from(id: PortalUserId) -> Self {
        Self::PortalUser { id }
    }
}

/// Handed to every decision. Deterministic: the same context gives the same ids, so a retried decision is the same.
#[derive(Debug)]
pub struct Context {
    /// The firm.
    pub tenant: TenantId,
    /// Who asks.
    pub actor: Actor,
    /// When the command arrived, UTC, microseconds.
    pub now: Timestamp,
    /// Where the firm's clocks hang.
    pub time_zone: Tz,
    /// Id of the aggregate that decides.
    pub id: Uuid,
    /// What whoever asks may do: a role can only be given by who holds what it grants.
    pub permissions: Arc<Permissions>,
    /// What the secret hashes to that was made for a command that mints one.
    pub secret: Option<SecretHash>,
    /// The command that brought this one along ([`Aggregate::companions`]), and the aggregate that it goes to; none if somebody asked
    /// for this one itself. What makes no sense alone, as a number without the invoice that has it, is refused then.
    pub brought_by: Option<(&'static str, Uuid)>,
    /// The providers at which people log in to this installation, by their `iss`; none where that is not known.
    pub providers: Option<Arc<[Issuer]>>,
    seed: Uuid,
    drawn: AtomicU32,
    parts: Mutex<Parts>,
    references: HashMap<ReferenceKey, Option<FoundReference>>,
}

/// So that a context costs no list of patterns of its own.
static ALL: LazyLock<Arc<Permissions>> = LazyLock::new(|| Arc::new(Permissions::all()));

/// What a reference was asked by: the kind of stream and either an id or a claimed value.
pub(crate) type ReferenceKey = (&'static str, String);
/// The aggregate that a reference found: its id and its state.
pub type FoundReference = (Uuid, Arc<dyn Any + Send + Sync>);

impl Context {
    /// A context without references, for somebody who may do everything, in UTC. `seed` is unique to the command (its id), fresh
    /// ids derive from it.
    pub fn new(tenant: TenantId, actor: Actor, now: impl Into<DateTime<Utc>>, id: Uuid, seed: Uuid) -> Self {
        let (permissions, references) = (ALL.clone(), HashMap::new());
        let now = Timestamp::of_clock(now.into());
        let (drawn, parts) = (AtomicU32::new(0), Mutex::default());
        let (time_zone, secret, brought_by, providers) = (Tz::UTC, None, None, None);
        Self {
            tenant,
            actor,
            now,
            time_zone,
            id,
            permissions,
            secret,
            brought_by,
            providers,
            seed,
            drawn,
            parts,
            references,
        }
    }

    /// A fresh UUIDv7: its time is `now`, its random part is derived from the command's id.
    pub fn fresh<T: From<Uuid>>(&self) -> T {
        let index = self.drawn.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::new().chain_update(self.seed).chain_update(index.to_be_bytes()).finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(self.now.timestamp_millis()).unwrap_or(0);
        T::from(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The day it is for the firm.
    pub fn today(&self) -> Date {
        self.now.date_in(self.time_zone)
    }

    /// The id of the part that the command makes, or made when it came before: what the caller chose, or a fresh one. The
    /// answer tells it under this name, which the command declares with `#[makes]`.
    pub fn part<T: From<Uuid> + Into<Uuid> + Copy>(&self, name: &str, chosen: Option<T>) -> T {
        let id = chosen.unwrap_or_else(|| self.fresh());
        self.with_parts(|parts| parts.set(name, id.into()));
        id
    }

    /// Says that the answer tells of any number of parts under this name, also if there will be none.
    pub fn begin_parts(&self, name: &str) {
        self.with_parts(|parts| parts.begin(name));
    }

    /// A fresh id for one of many parts that the command makes; the answer tells all of them under this name.
    pub fn part_of<T: From<Uuid> + Into<Uuid> + Copy>(&self, name: &str) -> T {
        let id: T = self.fresh();
        self.with_parts(|parts| parts.push(name, id.into()));
        id
    }

    /// The parts that the decision has made.
    pub fn parts(&self) -> Parts {
        self.with_parts(|parts| parts.clone())
    }

    fn with_parts<R>(&self, work: impl FnOnce(&mut Parts) -> R) -> R {
        work(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts over with ids, for a decision that is taken again after a conflict.
    pub fn restart(&self) {
        self.drawn.store(0, Ordering::Relaxed);
        self.with_parts(Parts::clear);
    }

    /// The aggregate that [`Aggregate::references`] asked for by id; none if it does not exist.
    pub fn referenced<A: Aggregate>(&self, id: impl Into<Uuid>) -> Option<&A> {
        self.look_up::<A>(&id.into().to_string()).map(|(_, found)| found)
    }

    /// The aggregate that holds the claim asked for, with its id; none if nobody holds it. Its state is a moment younger than the
    /// claim, so whoever brings along a command to it looks whether it still is as the claim says.
    pub fn holder<A: Aggregate>(&self, scope: &str, value: &str) -> Option<(Uuid, &A)> {
        self.look_up::<A>(&format!("{scope}={value}"))
    }

    /// Puts a loaded reference in; called by whoever executes the command (and by specs).
    pub fn insert_reference(&mut self, stream: &'static str, key: String, found: Option<FoundReference>) {
        self.references.insert((stream, key), found);
    }

    fn look_up<A: Aggregate>(&self, key: &str) -> Option<(Uuid, &A)> {
        let stream = <A::Event as crate::Event>::STREAM;
        let (id, any) = self.references.get(&(stream, key.to_owned()))?.as_ref()?;
        any.downcast_ref::<A>().map(|found| (*id, found))
    }
}
