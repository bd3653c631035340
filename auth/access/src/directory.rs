//! Firms as this process knows them, and the task that forgets those that changed.

use crate::firm::Firm;
use crate::portal::Person;
use crate::stored::Stored;
use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use chrono_tz::Tz;
use credentials::{Credential, Directory, Standing};
use event_store::TimeZones;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use kernel::{Permissions, PortalUserId, Principal, SessionId, TenantId, UserId};
use metrics::{counter, gauge};
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

/// Firms kept in memory.
const FIRMS_MAX: usize = 20_000;
/// Portal users and their sessions kept in memory.
const PORTAL_MAX: usize = 100_000;
/// How often the log is asked whether anything changed.
const FOLLOW_EVERY: Duration = Duration::from_millis(150);
/// For how long what is in memory is good when the log does not answer; with the pause and the question itself it stays
/// within a second.
const STALE_AFTER: Duration = Duration::from_millis(750);
/// How old a session may be that what is read does not know yet.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);
/// Why a session opens nothing that only Redis knows.
const NEVER_BEGUN: &str = "no such session was ever begun";
/// How long the follower waits for its connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reads at the same time. Requests come to this before anything has counted them, and a pool that thousands wait for never
/// recovers: whoever's turn it is has no time left to connect in, lets go half-way, and the next has none either.
const READS_MAX: usize = 4;

/// Firms, folded from the log when they are first asked for. Cheap to clone.
#[derive(Clone)]
pub struct LogDirectory(Arc<Known>);

/// A firm, as the log had it at a moment.
#[derive(Clone)]
struct FirmAt {
    firm: Arc<Firm>,
    at: Instant,
}

/// A read that is under way, for whoever waits for it.
type Reading = Shared<BoxFuture<'static, Result<FirmAt, Arc<anyhow::Error>>>>;

/// Ends with its value, also when that is dropped by a panic.
struct UnderWay {
    known: Arc<Known>,
    tenant: TenantId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.known.reading.lock().remove(&self.tenant);
    }
}

struct Known {
    pool: PgPool,
    /// The follower's own connection: whoever waits for rights must not stand in its way.
    follower: PgPool,
    firms: Cache<TenantId, FirmAt>,
    /// Every firm that the log knows, as far as it was looked at: what somebody made up is not asked for.
    there: RwLock<HashSet<TenantId>>,
    /// What is so for a firm of which the log knows nothing.
    nobody: Arc<Firm>,
    reading: Mutex<HashMap<TenantId, Reading>>,
    turns: Semaphore,
    /// Portal users, and everybody's sessions, by their stream, with their firm.
    portal: Cache<Uuid, (TenantId, Arc<Person>)>,
    /// Goes up whenever something is forgotten; what was read before that is not kept.
    forgotten: Mutex<u64>,
    /// When the log was last asked what had changed, and answered.
    looked: watch::Sender<Option<Instant>>,
}

impl std::fmt::Debug for LogDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDirectory").field("firms", &self.0.firms.len()).finish_non_exhaustive()
    }
}

impl LogDirectory {
    /// Starts following the log. `pool` connects as any of the services.
    pub fn start(pool: PgPool) -> Self {
        let follower = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).test_before_acquire(false);
        let directory = Self(Arc::new(Known {
            follower: follower.connect_lazy_with(pool.connect_options().as_ref().clone()),
            pool,
            firms: Cache::new(FIRMS_MAX),
            there: RwLock::default(),
            nobody: Arc::default(),
            reading: Mutex::default(),
            turns: Semaphore::new(READS_MAX),
            portal: Cache::new(PORTAL_MAX),
            forgotten: Mutex::new(0),
            // Nothing in memory is good before the log was looked at.
            looked: watch::Sender::new(None),
        }));
        let known = Arc::downgrade(&directory.0);
        tokio::spawn(async move {
            let mut at = None;
            while let Some(known) = known.upgrade() {
                let asked = Instant::now();
                match known.follow(at).await {
                    Ok(position) => {
                        at = Some(position);
                        known.looked.send_replace(Some(asked));
                    }
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "changes of rights cannot be read"),
                }
                drop(known);
                tokio::time::sleep(FOLLOW_EVERY).await;
            }
        });
        directory
    }
}

impl LogDirectory {
    /// A firm as the log has it now.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn firm(&self, tenant: TenantId) -> Result<Arc<Firm>> {
        Ok(self.0.read(tenant).await?.firm)
    }

    /// What somebody of a firm may do, as the log had it a moment ago; none if that one comes in no more.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn permissions(&self, tenant: TenantId, of: Principal) -> Result<Option<Arc<Permissions>>> {
        let known = self.0.firms.get(&tenant).filter(|found| self.0.is_fresh() || found.at.elapsed() < STALE_AFTER);
        let firm = match known {
            Some(found) => found.firm,
            None => self.0.read(tenant).await?.firm,
        };
        Ok(firm.permissions(of))
    }
}

impl Known {
    /// Forgets what changed after `at`, and everything the first time. Answers how far the log was looked at.
    async fn follow(&self, at: Option<i64>) -> Result<i64> {
        let sql = "select head, tenants, streams from eventstore.access_changes($1)";
        let (head, tenants, streams): (i64, Vec<Uuid>, Vec<Uuid>) =
            sqlx::query_as(sql).bind(at).fetch_one(&self.follower).await?;
        // After the head was read, so that nothing is missing up to there.
        let begins = at.is_none_or(|at| head < at);
        let there: Vec<Uuid> = match begins {
            true => sqlx::query_scalar("select eventstore.access_tenants()").fetch_all(&self.follower).await?,
            false => vec![],
        };
        let mut forgotten = self.forgotten.lock();
        // A log that ends earlier than it did is another one, restored from a backup.
        if begins {
            *forgotten += 1;
            *self.there.write() = there.into_iter().map(TenantId).collect();
            self.firms.clear();
            self.portal.clear();
        } else if !tenants.is_empty() || !streams.is_empty() {
            *forgotten += 1;
            self.there.write().extend(tenants.iter().copied().map(TenantId));
            for stream in &streams {
                self.portal.remove(stream);
            }
            for tenant in &tenants {
                self.firms.remove(&TenantId(*tenant));
            }
            counter!("access_firms_changed_total").increment(tenants.len() as u64);
        }
        gauge!("access_firms").set(self.firms.len() as f64);
        Ok(head)
    }

    fn is_fresh(&self) -> bool {
        self.looked.borrow().is_some_and(|at| at.elapsed() < STALE_AFTER)
    }

    /// A firm that is in memory and counts: because nothing has changed as far as the log was looked at, or because it was
    /// read a moment ago, which is what counts while the log cannot be followed.
    ///
    /// A key or a session names a firm before anybody knows that it is good, so one that the log did not know when it was last
    /// looked at is nobody's. Whoever issues tokens vouches for theirs: that may have been registered a moment ago, and is read.
    fn firm(&self, tenant: TenantId, credential: &Credential) -> Option<Arc<Firm>> {
        let Some(found) = self.firms.get(&tenant) else {
            let vouched = matches!(credential, Credential::User(_));
            let made_up = !vouched && self.is_fresh() && !self.there.read().contains(&tenant);
            return made_up.then(|| self.nobody.clone());
        };
        (self.is_fresh() || found.at.elapsed() < STALE_AFTER).then_some(found.firm)
    }

    /// What is so for a credential, as far as it is in memory and memory counts.
    fn recall(&self, tenant: TenantId, credential: &Credential) -> Option<Standing> {
        let (firm, now) = (self.firm(tenant, credential)?, Utc::now());
        let standing = firm.standing(credential, now);
        let find = |stream| self.portal.get(&stream).filter(|(of, _)| *of == tenant).map(|(_, found)| found);
        match (credential, standing) {
            (Credential::Portal { user, id }, None) if self.is_fresh() => {
                Some(Person::standing(&*find(user.0)?, &*find(id.0)?, now))
            }
            // How it began does not change, and that it was ended the firm knows.
            (Credential::Session { user, id }, Some(standing @ Standing::In(..))) => {
                Some(in_session(&firm, standing, *user, Some(&*find(id.0)?)))
            }
            (_, standing) => standing,
        }
    }

    /// What is so for a credential, as far as it has to be with the log.
    async fn find_out(self: &Arc<Self>, tenant: TenantId, credential: &Credential) -> Result<Standing> {
        let firm = match self.firm(tenant, credential) {
            Some(firm) => firm,
            None => self.read(tenant).await?.firm,
        };
        match (firm.standing(credential, Utc::now()), credential) {
            (Some(standing @ Standing::In(..)), Credential::Session { user, id }) => {
                let mut begun = self.read_session(tenant, *id).await?;
                while begun.is_none() && self.may_arrive(*id).await {
                    begun = self.read_session(tenant, *id).await?;
                }
                Ok(in_session(&firm, standing, *user, begun.as_deref()))
            }
            (Some(standing), _) => Ok(standing),
            (None, Credential::Portal { user, id }) => {
                let mut standing = self.read_portal(tenant, *user, *id).await?;
                while standing.is_none() && self.may_arrive(*id).await {
                    standing = self.read_portal(tenant, *user, *id).await?;
                }
                Ok(standing.unwrap_or(Standing::Out(NEVER_BEGUN, None)))
            }
            (None, _) => Ok(Standing::Out("nothing is known", None)),
        }
    }

    /// How a session began; none if the log never began it, which is not remembered.
    async fn read_session(&self, tenant: TenantId, session: SessionId) -> Result<Option<Arc<Person>>> {
        let _turn = self.turns.acquire().await?;
        let before = *self.forgotten.lock();
        let events = self.entrances(tenant, vec![session.0]).await?;
        let Some(begun) = Person::session(&events).context("folding a session")?.map(Arc::new) else { return Ok(None) };
        let forgotten = self.forgotten.lock();
        if *forgotten == before {
            self.portal.insert(session.0, (tenant, begun.clone()));
        }
        Ok(Some(begun))
    }

    /// Whether a session that is not in the log may be there in a moment, which is waited for: what is read may be a replica,
    /// and a session says in its id when it began.
    async fn may_arrive(&self, session: SessionId) -> bool {
        let began = session.0.get_timestamp().map(|at| at.to_unix());
        let began = began.map(|(seconds, nanos)| UNIX_EPOCH + Duration::new(seconds, nanos));
        let is_young = began.is_some_and(|began| began.elapsed().is_ok_and(|age| age < ARRIVES_WITHIN));
        if is_young {
            let mut looked = self.looked.subscribe();
            drop(tokio::time::timeout(STALE_AFTER, looked.changed()).await);
        }
        is_young
    }

    async fn entrances(&self, tenant: TenantId, streams: Vec<Uuid>) -> Result<Vec<Stored>> {
        let sql =
            "select aggregate_type, aggregate_id, event_type, event_version, payload from eventstore.entrances($1, $2)";
        let read = sqlx::query_as(sql).bind(tenant.0).bind(streams).fetch_all(&self.pool);
        read.await.context("reading who comes in")
    }

    /// What is so for a portal user; none if the log never began the session.
    async fn read_portal(&self, tenant: TenantId, user: PortalUserId, session: SessionId) -> Result<Option<Standing>> {
        let _turn = self.turns.acquire().await?;
        let before = *self.forgotten.lock();
        let events = self.entrances(tenant, vec![user.0, session.0]).await?;
        let of = |stream: Uuid| events.iter().filter(move |event| event.aggregate_id == stream);
        let person = Arc::new(Person::user(user, of(user.0)).context("folding a portal user's rights")?);
        let begun = Person::session(of(session.0)).context("folding a portal session")?.map(Arc::new);
        let Some(begun) = begun else { return Ok(None) };
        let standing = Person::standing(&person, &begun, Utc::now());
        let forgotten = self.forgotten.lock();
        if *forgotten == before {
            self.portal.insert(user.0, (tenant, person));
            self.portal.insert(session.0, (tenant, begun));
        }
        Ok(Some(standing))
    }

    /// Reads a firm, once for all who ask for it meanwhile: when the log could not be followed for a while, everybody does.
    async fn read(self: &Arc<Self>, tenant: TenantId) -> Result<FirmAt> {
        let asked = Instant::now();
        loop {
            let reading = self.reading.lock().entry(tenant).or_insert_with(|| self.begin(tenant)).clone();
            let found = reading.await.map_err(|error| anyhow!("{error:#}"))?;
            // Whoever came to a slow one late may not have something old; what began after the question is not.
            if found.at >= asked || found.at.elapsed() < STALE_AFTER {
                return Ok(found);
            }
        }
    }

    /// In a task of its own, so that it ends also when nobody waits for it any more.
    fn begin(self: &Arc<Self>, tenant: TenantId) -> Reading {
        let known = self.clone();
        let task = tokio::spawn(async move {
            let reading = UnderWay { known, tenant };
            let found = reading.known.read_now(tenant).await;
            found.inspect_err(
                |error| tracing::error!(error = format!("{error:#}"), %tenant, "who may come in cannot be found out"),
            )
        });
        async move { task.await.map_err(Into::into).flatten().map_err(Arc::new) }.boxed().shared()
    }

    async fn read_now(&self, tenant: TenantId) -> Result<FirmAt> {
        let _turn = self.turns.acquire().await?;
        let mut connection = self.pool.acquire().await.context("reading the firm's rights")?;
        let (before, at) = (*self.forgotten.lock(), Instant::now());
        let sql = "select aggregate_type, aggregate_id, event_type, event_version, payload from eventstore.identity_events($1)";
        let read = sqlx::query_as(sql).bind(tenant.0).fetch_all(&mut *connection);
        let events: Vec<Stored> = read.await.context("reading the firm's rights")?;
        let firm = Arc::new(Firm::fold(&events).context("folding the firm's rights")?);
        counter!("access_firms_read_total").increment(1);
        let found = FirmAt { firm, at };
        // What was read may be older than a change that has been followed since.
        let forgotten = self.forgotten.lock();
        if *forgotten == before {
            self.firms.insert(tenant, found.clone());
        }
        Ok(found)
    }
}

/// As the log had it a moment ago, like rights.
impl TimeZones for LogDirectory {
    fn time_zone(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tz>> {
        let known = self.0.firms.get(&tenant).filter(|found| self.0.is_fresh() || found.at.elapsed() < STALE_AFTER);
        match known {
            Some(found) => std::future::ready(Ok(found.firm.time_zone())).boxed(),
            None => Box::pin(async move { Ok(self.0.read(tenant).await?.firm.time_zone()) }),
        }
    }
}

/// What is so in a session for a user who comes in: it opens what the log began, for that user, in that time in the firm.
fn in_session(firm: &Firm, standing: Standing, user: UserId, session: Option<&Person>) -> Standing {
    let why = match session {
        Some(Person::Session(begun)) => firm.keeps_out(user, begun, Utc::now()),
        _ => Some(NEVER_BEGUN),
    };
    why.map_or(standing, |why| Standing::Out(why, None))
}

impl Directory for LogDirectory {
    fn recall(&self, tenant: TenantId, credential: &Credential) -> Option<Standing> {
        let standing = self.0.recall(tenant, credential)?;
        // Whoever was let in a moment ago is not refused because this process has not heard of it yet.
        (!standing.refuses(credential)).then_some(standing)
    }

    fn look_up<'d>(&'d self, tenant: TenantId, credential: &'d Credential) -> BoxFuture<'d, Result<Standing>> {
        let asked = Instant::now();
        Box::pin(async move {
            if self.0.recall(tenant, credential).is_some() {
                // It refuses, which is believed once the log was looked at after the question. Whoever is refused waits for
                // that instead of making us read, so that trying keys costs the one who tries. If the log does not answer
                // the firm is not recalled below.
                let mut looked = self.0.looked.subscribe();
                let seen = looked.wait_for(|at| at.is_some_and(|at| at > asked));
                drop(tokio::time::timeout(STALE_AFTER, seen).await);
            }
            match self.0.recall(tenant, credential) {
                Some(standing) => Ok(standing),
                None => self.0.find_out(tenant, credential).await,
            }
        })
    }
}
