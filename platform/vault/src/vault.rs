//! The keys of every tenant and subject, as this process knows them.

use crate::cipher::{self, KeyBytes};
use crate::kek::{KeyService, Wrapped};
use crate::{Subject, TenantKeys, VaultError, WrappedSubjectKey, follow};
use quick_cache::sync::Cache;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

/// Tenants whose keys are kept in memory.
const TENANTS_MAX: usize = 20_000;
/// Tenants at most whose keys a process reserves or makes at the same time: half the connections that a pool has.
const MAKING_MAX: usize = 8;
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
    /// Whoever reserves or makes keys of a tenant holds the tenant's one of these, which tenants share.
    making: [Mutex<()>; MAKING_MAX],
}

/// A data key as it is kept: its generation, itself, wrapped, and by which key.
type Kept = (i32, Vec<u8>, String);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("service", &self.0.service).finish_non_exhaustive()
    }
}

impl Vault {
    /// Starts to follow what is destroyed. `pool` connects as any of the services; only command-api and workers may seal.
    pub fn start(pool: PgPool, service: Arc<dyn KeyService>) -> Self {
        let shared = Shared {
            pool,
            service,
            tenants: Cache::new(TENANTS_MAX),
            subjects: Cache::new(SUBJECTS_MAX),
            destroyed: watch::Sender::new(0),
            making: std::array::from_fn(|_| Mutex::default()),
        };
        let vault = Self(Arc::new(shared));
        tokio::spawn(follow::run(Arc::downgrade(&vault.0)));
        vault
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
            None => self.read(tenant, 0).await,
        }
    }

    /// A tenant's keys, to seal with; made if there are none. Asks the database once in tens of thousands of times.
    ///
    /// # Errors
    /// When keys cannot be read, made or opened.
    pub async fn sealing(&self, tenant: Uuid) -> Result<Arc<TenantKeys>, VaultError> {
        let ready = || self.0.tenants.get(&tenant).filter(|keys| keys.budget() > 0 && keys.is_fresh());
        if let Some(keys) = ready() {
            return Ok(keys);
        }
        let _one_at_a_time = self.0.making[tenant.as_u128() as usize % MAKING_MAX].lock().await;
        if let Some(keys) = ready() {
            return Ok(keys);
        }
        if let Some(known) = self.0.tenants.get(&tenant).filter(|keys| keys.budget() > 0) {
            let read = self.read(tenant, known.budget()).await?;
            if read.newest() == known.newest() {
                return Ok(read);
            }
        }
        loop {
            if let Some(keys) = self.reserve(tenant).await? {
                return Ok(keys);
            }
            self.add_generation(tenant).await?;
        }
    }

    /// Reserves a block and reads the keys together with it; none if no generation may seal so many.
    async fn reserve(&self, tenant: Uuid) -> Result<Option<Arc<TenantKeys>>, VaultError> {
        // Nobody waits for the disk: what is sealed is committed later, and with it this. A block that a crash takes while
        // a process goes on sealing with it is little beside the margin of [`SEALS_MAX`].
        let sql = "with reserved as materialized (
                       select vault.reserve($1, $2, $3) as generation, set_config('synchronous_commit', 'off', true))
                   select r.generation, k.generation, k.wrapped, k.wrapped_by
                   from reserved r join vault.data_keys_of($1) k on r.generation is not null";
        let rows: Vec<(i32, i32, Vec<u8>, String)> =
            sqlx::query_as(sql).bind(tenant).bind(BLOCK).bind(SEALS_MAX).fetch_all(&self.0.pool).await?;
        let Some(reserved) = rows.first().map(|row| row.0) else { return Ok(None) };
        let kept: Vec<Kept> = rows.into_iter().map(|(_, generation, wrapped, by)| (generation, wrapped, by)).collect();
        let keys = self.open(tenant, BLOCK, kept).await?;
        if keys.newest() == Some(number(reserved)) {
            return Ok(Some(keys));
        }
        // Made by another process while this asked, too late to be read together with it.
        self.read(tenant, BLOCK).await.map(Some)
    }

    /// Makes the next generation of a tenant's data key, unless somebody else just did.
    pub(crate) async fn add_generation(&self, tenant: Uuid) -> Result<u32, VaultError> {
        let newest: i32 = sqlx::query_scalar("select coalesce(max(generation), 0) from vault.data_keys_of($1)")
            .bind(tenant)
            .fetch_one(&self.0.pool)
            .await?;
        let generation = number(newest) + 1;
        let bytes = cipher::random_key();
        let wrapped = self.0.service.wrap(tenant, generation, bytes.expose_secret()).await?;
        sqlx::query("select vault.add_data_key($1, $2, $3, $4)")
            .bind(tenant)
            .bind(newest + 1)
            .bind(wrapped.bytes)
            .bind(wrapped.by)
            .execute(&self.0.pool)
            .await?;
        self.0.tenants.remove(&tenant);
        Ok(generation)
    }

    async fn read(&self, tenant: Uuid, budget: i64) -> Result<Arc<TenantKeys>, VaultError> {
        let sql = "select generation, wrapped, wrapped_by from vault.data_keys_of($1)";
        let kept: Vec<Kept> = sqlx::query_as(sql).bind(tenant).fetch_all(&self.0.pool).await?;
        self.open(tenant, budget, kept).await
    }

    async fn open(&self, tenant: Uuid, budget: i64, kept: Vec<Kept>) -> Result<Arc<TenantKeys>, VaultError> {
        let mut keys: BTreeMap<u32, KeyBytes> = BTreeMap::new();
        for (generation, bytes, by) in kept {
            let opened = self.0.service.unwrap(tenant, number(generation), &Wrapped { by, bytes }).await?;
            keys.insert(number(generation), cipher::into_key(opened)?);
        }
        let keys = Arc::new(TenantKeys::new(tenant, &keys, budget));
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
                        of_tenant = self.read(tenant, 0).await?;
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
