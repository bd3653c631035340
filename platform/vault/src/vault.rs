//! The keys of every tenant and subject, as this process knows them.

use crate::cipher::{self, KeyBytes};
use crate::kek::{KeyService, Wrapped};
use crate::{Subject, TenantKeys, VaultError, WrappedSubjectKey, follow};
use coalesce::{Coalescer, Limits};
use futures::{StreamExt, TryStreamExt, stream};
use quick_cache::sync::Cache;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

/// Tenants whose keys are kept in memory.
const TENANTS_MAX: usize = 20_000;
/// Questions in flight for keys to seal with, and tenants in each.
pub(crate) const LIMITS: Limits = Limits { in_flight: 4, keys: 256 };
/// Locks that tenants share, of which whoever asks for keys to seal with holds one.
const LOCKS: usize = 1_024;
/// Data keys that the key service wraps or opens at the same time.
const KEYS_IN_SERVICE: usize = 16;
/// Subjects whose keys are kept in memory.
const SUBJECTS_MAX: usize = 50_000;
/// How many texts a process may seal before it asks for more.
pub(crate) const BLOCK: i64 = 1 << 16;
/// Texts that one generation seals; random nonces are safe for a thousand times as many (NIST SP 800-38D, section 8.3).
pub(crate) const SEALS_MAX: i64 = (1 << 32) / 1_000;

/// Opens and seals. Cheap to clone; its keys are forgotten when they are destroyed, in this process or another.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub pool: PgPool,
    pub service: Arc<dyn KeyService>,
    pub tenants: Cache<Uuid, Arc<TenantKeys>>,
    pub subjects: Cache<(Uuid, Uuid), Arc<Subject>>,
    /// Counts what was destroyed since this process began.
    pub destroyed: watch::Sender<u64>,
    /// Keys to seal with, for whoever finds none in memory.
    sealing: Coalescer<Uuid, Sealing>,
    /// One asks for a tenant at a time: no block is reserved twice, and a tenant whose keys take long is in one question.
    asking: Vec<Mutex<()>>,
}

type Sealing = Result<Arc<TenantKeys>, Arc<VaultError>>;
/// A data key as it is kept: whose it is, its generation, itself, wrapped, and by which key.
type Kept = (Uuid, i32, Vec<u8>, String);
/// The keys of tenants, or why they do not open.
type Opened = HashMap<Uuid, Result<Arc<TenantKeys>, VaultError>>;

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("service", &self.0.service).finish_non_exhaustive()
    }
}

impl Vault {
    /// Starts to follow what is destroyed. `pool` connects as any of the services; only command-api and workers may seal.
    pub fn start(pool: PgPool, service: Arc<dyn KeyService>) -> Self {
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let asked = shared.clone();
            Shared {
                pool,
                service,
                tenants: Cache::new(TENANTS_MAX),
                subjects: Cache::new(SUBJECTS_MAX),
                destroyed: watch::Sender::new(0),
                sealing: Coalescer::start(LIMITS, move |tenants: Vec<Uuid>| {
                    let vault = asked.upgrade().map(Self);
                    async move {
                        match vault {
                            Some(vault) => vault.prepare(tenants).await,
                            None => vec![],
                        }
                    }
                }),
                asking: (0..LOCKS).map(|_| Mutex::default()).collect(),
            }
        });
        tokio::spawn(follow::run(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// Where its keys are kept.
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// Changes whenever keys were destroyed: whoever keeps what they had opened forgets it then.
    pub fn destroyed(&self) -> watch::Receiver<u64> {
        self.0.destroyed.subscribe()
    }

    /// Can every data key be opened? One of each key-encryption key is tried.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] names the key that is missing.
    pub async fn check(&self) -> Result<(), VaultError> {
        let sql = "select tenant_id, generation, wrapped, wrapped_by from vault.samples()";
        let samples: Vec<(Uuid, i32, Vec<u8>, String)> = sqlx::query_as(sql).fetch_all(&self.0.pool).await?;
        for (tenant, generation, bytes, by) in samples {
            self.0.service.unwrap(tenant, number(generation), &Wrapped { by, bytes }).await?;
        }
        Ok(())
    }

    /// A tenant's keys, to open with.
    ///
    /// # Errors
    /// When keys cannot be read or opened.
    pub async fn tenant(&self, tenant: Uuid) -> Result<Arc<TenantKeys>, VaultError> {
        match self.0.tenants.get(&tenant) {
            Some(keys) => Ok(keys),
            None => self.read_one(tenant).await,
        }
    }

    /// Brings the keys of tenants into memory that are not there, in one question. A key that does not open is no error
    /// here, but when somebody asks for it.
    ///
    /// # Errors
    /// When keys cannot be read.
    pub async fn warm(&self, tenants: impl IntoIterator<Item = Uuid>) -> Result<(), VaultError> {
        let missing = tenants.into_iter().filter(|tenant| self.0.tenants.peek(tenant).is_none());
        let missing: HashSet<Uuid> = missing.collect();
        if !missing.is_empty() {
            self.read(missing).await?;
        }
        Ok(())
    }

    /// A tenant's keys, to seal with; made if there are none. Asks the database once a minute, or once in tens of thousands
    /// of times, and for all tenants together for which somebody waits.
    ///
    /// # Errors
    /// When keys cannot be read, made or opened.
    pub async fn sealing(&self, tenant: Uuid) -> Result<Arc<TenantKeys>, Arc<VaultError>> {
        let ready = || self.0.tenants.get(&tenant).filter(|keys| keys.budget() > 0 && keys.is_fresh());
        if let Some(keys) = ready() {
            return Ok(keys);
        }
        let _one_at_a_time = self.0.asking[tenant.as_u128() as usize % LOCKS].lock().await;
        if let Some(keys) = ready() {
            return Ok(keys);
        }
        let gone = || Err(Arc::new(sqlx::Error::WorkerCrashed.into()));
        self.0.sealing.get(tenant).await.unwrap_or_else(gone)
    }

    /// Keys to seal with, for each of these tenants.
    async fn prepare(&self, tenants: Vec<Uuid>) -> Vec<Sealing> {
        match self.look_and_reserve(&tenants).await {
            Ok(mut opened) => {
                let keys = tenants.iter().map(|tenant| opened.remove(tenant).unwrap_or(Err(VaultError::Broken)));
                keys.map(|keys| keys.map_err(Arc::new)).collect()
            }
            Err(error) => vec![Err(Arc::new(error)); tenants.len()],
        }
    }

    /// Looks which generation is the newest, and reserves a block for those tenants whose keys open and may seal no more.
    async fn look_and_reserve(&self, tenants: &[Uuid]) -> Result<Opened, VaultError> {
        let mut opened = Opened::with_capacity(tenants.len());
        let mut unread = vec![];
        for tenant in tenants {
            match self.0.tenants.get(tenant).filter(|keys| keys.is_fresh()) {
                Some(keys) => drop(opened.insert(*tenant, Ok(keys))),
                None => unread.push(*tenant),
            }
        }
        loop {
            if !unread.is_empty() {
                opened.extend(self.read(unread).await?);
            }
            let spent = opened.iter().filter(|(_, keys)| keys.as_ref().is_ok_and(|keys| keys.budget() == 0));
            let mut spent: Vec<Uuid> = spent.map(|(tenant, _)| *tenant).collect();
            if spent.is_empty() {
                return Ok(opened);
            }
            // The order in which rows are locked.
            spent.sort_unstable();
            let reserved = self.reserve(&spent).await?;
            for tenant in &reserved {
                // Until the next look with the generation that is known, though another process may have made a newer one,
                // of which the block is then; that is little beside the margin too.
                if let Some(Ok(keys)) = opened.get(tenant) {
                    keys.grant(BLOCK);
                }
            }
            spent.retain(|tenant| !reserved.contains(tenant));
            if !spent.is_empty() {
                self.add_generations(&spent).await?;
            }
            unread = spent;
        }
    }

    /// Reserves a block for each of these tenants, and answers those that have a generation that may seal so many.
    async fn reserve(&self, tenants: &[Uuid]) -> Result<HashSet<Uuid>, VaultError> {
        // Nobody waits for the disk: what is sealed is committed later, and with it this. A block that a crash takes while
        // a process goes on sealing with it is little beside the margin of [`SEALS_MAX`].
        let sql =
            "select reserved from set_config('synchronous_commit', 'off', true), vault.reserve($1, $2, $3) reserved";
        let reserved = sqlx::query_scalar(sql).bind(tenants).bind(BLOCK).bind(SEALS_MAX);
        Ok(reserved.fetch_all(&self.0.pool).await?.into_iter().collect())
    }

    /// Makes the next generation of each tenant's data key, unless somebody else just did.
    pub(crate) async fn add_generations(&self, tenants: &[Uuid]) -> Result<(), VaultError> {
        let sql = "select a.tenant_id, coalesce(max(k.generation), 0) + 1
                   from unnest($1) a(tenant_id) left join vault.data_keys_of($1) k using (tenant_id) group by 1";
        let next: Vec<(Uuid, i32)> = sqlx::query_as(sql).bind(tenants).fetch_all(&self.0.pool).await?;
        let wrapping = next.clone().into_iter().map(|(tenant, generation)| async move {
            let bytes = cipher::random_key();
            self.0.service.wrap(tenant, number(generation), bytes.expose_secret()).await
        });
        let wrapped: Vec<Wrapped> = stream::iter(wrapping).buffered(KEYS_IN_SERVICE).try_collect().await?;
        let (tenants, generations): (Vec<Uuid>, Vec<i32>) = next.into_iter().unzip();
        let (bytes, by): (Vec<Vec<u8>>, Vec<String>) = wrapped.into_iter().map(|key| (key.bytes, key.by)).unzip();
        sqlx::query("select vault.add_data_keys($1, $2, $3, $4)")
            .bind(&tenants)
            .bind(generations)
            .bind(bytes)
            .bind(by)
            .execute(&self.0.pool)
            .await?;
        for tenant in &tenants {
            self.0.tenants.remove(tenant);
        }
        Ok(())
    }

    async fn read_one(&self, tenant: Uuid) -> Result<Arc<TenantKeys>, VaultError> {
        self.read([tenant]).await?.remove(&tenant).unwrap_or(Err(VaultError::Broken))
    }

    /// Reads and opens all keys of these tenants, and remembers them; one that has none has none to open or seal with.
    async fn read(&self, tenants: impl IntoIterator<Item = Uuid>) -> Result<Opened, VaultError> {
        let mut of: HashMap<Uuid, Vec<Kept>> = tenants.into_iter().map(|tenant| (tenant, vec![])).collect();
        let sql = "select tenant_id, generation, wrapped, wrapped_by from vault.data_keys_of($1)";
        let asked: Vec<Uuid> = of.keys().copied().collect();
        let kept: Vec<Kept> = sqlx::query_as(sql).bind(asked).fetch_all(&self.0.pool).await?;
        for key in kept {
            of.entry(key.0).or_default().push(key);
        }
        let opening = of.into_iter().map(|(tenant, kept)| async move { (tenant, self.open(tenant, kept).await) });
        Ok(stream::iter(opening).buffer_unordered(KEYS_IN_SERVICE).collect().await)
    }

    async fn open(&self, tenant: Uuid, kept: Vec<Kept>) -> Result<Arc<TenantKeys>, VaultError> {
        let mut keys: BTreeMap<u32, KeyBytes> = BTreeMap::new();
        for (_, generation, bytes, by) in kept {
            let opened = self.0.service.unwrap(tenant, number(generation), &Wrapped { by, bytes }).await?;
            keys.insert(number(generation), cipher::into_key(opened)?);
        }
        // What is left of a block goes on with a newer generation; that is little beside the margin too.
        let left = self.0.tenants.peek(&tenant).map_or(0, |known| known.budget());
        let keys = Arc::new(TenantKeys::new(tenant, &keys, left));
        self.0.tenants.insert(tenant, keys.clone());
        Ok(keys)
    }

    /// The keys of a subject that the caller has read together with something else.
    ///
    /// # Errors
    /// When a key does not open.
    pub async fn admit(
        &self,
        tenant: Uuid,
        subject: Uuid,
        keys: Vec<WrappedSubjectKey>,
    ) -> Result<Arc<Subject>, VaultError> {
        if keys.is_empty() {
            return Ok(Arc::default());
        }
        let last = keys.iter().map(|key| key.generation).max().unwrap_or(0);
        let destroyed = keys.iter().any(|key| key.wrapped.is_none());
        if let Some(known) = self.0.subjects.get(&(tenant, subject))
            && known.next_generation() == last + 1
            && !destroyed
        {
            return Ok(known);
        }
        let before = *self.0.destroyed.borrow();
        let mut subjects = Subject::default();
        let mut of_tenant = self.tenant(tenant).await?;
        for WrappedSubjectKey { generation, wrapped } in keys {
            let key = match wrapped {
                Some(wrapped) => {
                    if !of_tenant.knows(&wrapped) {
                        // Another process has made a generation since.
                        of_tenant = self.read_one(tenant).await?;
                    }
                    Some(of_tenant.subject_key(subject, generation, &wrapped)?)
                }
                None => None,
            };
            subjects.note(generation, key);
        }
        let subjects = Arc::new(subjects);
        // What was read before something was destroyed is used once and not kept.
        if *self.0.destroyed.borrow() == before {
            self.0.subjects.insert((tenant, subject), subjects.clone());
        }
        Ok(subjects)
    }

    /// Remembers a fresh key that is written down now.
    pub fn keep(&self, tenant: Uuid, subject: Uuid, keys: Arc<Subject>) {
        self.0.subjects.insert((tenant, subject), keys);
    }

    /// The keys of these subjects, by tenant and id, each with the newest generation that is needed. One question to the
    /// database at most, none if all are in memory.
    ///
    /// # Errors
    /// When keys cannot be read or opened.
    pub async fn subjects(
        &self,
        wanted: &HashMap<(Uuid, Uuid), u32>,
    ) -> Result<HashMap<(Uuid, Uuid), Arc<Subject>>, VaultError> {
        let mut found = HashMap::with_capacity(wanted.len());
        let mut missing = vec![];
        for (key, generation) in wanted {
            match self.0.subjects.get(key).filter(|known| known.covers(*generation)) {
                Some(known) => drop(found.insert(*key, known)),
                None => missing.push(*key),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let (tenants, subjects): (Vec<Uuid>, Vec<Uuid>) = missing.iter().copied().unzip();
        let sql = "select tenant_id, subject_id, generation, wrapped from vault.subject_keys_of($1, $2)";
        let rows: Vec<(Uuid, Uuid, i32, Option<Vec<u8>>)> =
            sqlx::query_as(sql).bind(tenants).bind(subjects).fetch_all(&self.0.pool).await?;
        let mut read: HashMap<(Uuid, Uuid), Vec<WrappedSubjectKey>> = HashMap::new();
        for (tenant, subject, generation, wrapped) in rows {
            let key = WrappedSubjectKey { generation: number(generation), wrapped };
            read.entry((tenant, subject)).or_default().push(key);
        }
        self.warm(read.keys().map(|(tenant, _)| *tenant)).await?;
        for key in missing {
            let keys = read.remove(&key).unwrap_or_default();
            found.insert(key, self.admit(key.0, key.1, keys).await?);
        }
        Ok(found)
    }
}

/// Generations count from 1 in the database too.
pub(crate) fn number(generation: i32) -> u32 {
    u32::try_from(generation).unwrap_or(0)
}
