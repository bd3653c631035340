//! How many requests one may send: per address, per caller, per API key and per firm.
//!
//! A quota refills evenly and may be used up at once (GCRA). With Redis all copies share each quota. A copy is granted
//! requests in blocks, of what a quota wins back in 50 ms, and serves most requests from what it was granted: it asks Redis
//! a few times a second for each busy caller, and not once for each request. More than a quota is never granted; what a copy
//! was granted and does not use within two seconds is lost. When Redis does not answer in time, each copy counts alone, with the
//! same quotas, until it does. Why it is so is in ADR 20.

mod bucket;
mod gcra;
mod shared;
mod subject;

use crate::problem::{Problem, code};
use actix_web::http::header::HeaderValue;
pub use bucket::Left;
use bucket::{Bucket, UsedUp};
use credentials::network;
pub use gcra::Quota;
use gcra::seconds;
use kernel::{ApiKeyId, Principal, TenantId};
use metrics::{Counter, counter};
use parking_lot::{Mutex, MutexGuard};
use quick_cache::sync::Cache;
use shared::{Ask, Shared};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subject::{Policy, Subject};
use tokio::sync::oneshot;

/// Quotas that a process remembers. One that is forgotten begins anew here, and is remembered by Redis.
const BUCKETS_MAX: usize = 100_000;

/// How many requests may come; a kind without a quota is not limited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quotas {
    /// From one address, whoever sends them.
    pub address: Option<Quota>,
    /// From one address, of those whose token, key or session is not good. When it is used up, they are told to come later;
    /// whoever shows what is good comes in all the same.
    pub failures: Option<Quota>,
    /// From one address, of those that begin a login or ask for a link: each is kept for a while.
    pub logins: Option<Quota>,
    /// From one user or service account.
    pub caller: Option<Quota>,
    /// With one API key.
    pub key: Option<Quota>,
    /// From one firm.
    pub tenant: Option<Quota>,
}

/// A request that comes too soon.
#[derive(Debug, Clone)]
pub struct TooSoon {
    /// What the header `RateLimit` says.
    pub left: Left,
    /// What is answered.
    pub problem: Problem,
}

/// What became of a request: what is left, if it is limited at all.
pub type Verdict = Result<Option<Left>, TooSoon>;

/// Whose request it is, for [`Limits::caller`].
#[derive(Debug, Clone, Copy)]
pub struct Who {
    /// The firm.
    pub tenant: TenantId,
    /// The user or service account.
    pub principal: Principal,
    /// The key, if one was shown.
    pub api_key: Option<ApiKeyId>,
}

/// Counts requests. Cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Inside>);

struct Inside {
    quotas: Quotas,
    buckets: Cache<Subject, Arc<Mutex<Bucket>>>,
    shared: Option<Shared>,
    refused: [Counter; 6],
    /// The values of `RateLimit-Policy`: before anybody is known, with a caller, and with an API key.
    policies: [Option<HeaderValue>; 3],
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("quotas", &self.0.quotas).finish_non_exhaustive()
    }
}

/// The quotas of one request, in the order in which they are locked.
type Wanted = [Option<(Subject, Quota)>; 3];
type Taken = Result<Option<Left>, UsedUp>;

impl Limits {
    /// Counts in this process alone.
    pub fn local(quotas: Quotas) -> Self {
        Self::new(quotas, None)
    }

    /// Counts together with every process that uses the same Redis; alone while it does not answer within `patience`, and
    /// it need not be there yet.
    ///
    /// # Errors
    /// If the client's address is none.
    pub fn shared(quotas: Quotas, redis: redis::Client, patience: Duration) -> anyhow::Result<Self> {
        Ok(Self::new(quotas, Some(Shared::start(redis, patience)?)))
    }

    fn new(quotas: Quotas, shared: Option<Shared>) -> Self {
        let refused = Policy::ALL.map(|policy| counter!("rate_limit_refused_total", "policy" => policy.name()));
        let shown = |policies: &[(Policy, Option<Quota>)]| {
            let items = policies.iter().filter_map(|(policy, quota)| {
                let Quota { requests, window } = (*quota)?;
                Some(format!(r#""{}";q={requests};w={}"#, policy.name(), seconds(window)))
            });
            let items = items.collect::<Vec<_>>().join(", ");
            HeaderValue::from_str(&items).ok().filter(|value| !value.is_empty())
        };
        let Quotas { address, caller, key, tenant, .. } = quotas;
        let all = [(Policy::Address, address), (Policy::Caller, caller), (Policy::Tenant, tenant), (Policy::Key, key)];
        let policies = [shown(&all[..1]), shown(&all[..3]), shown(&all)];
        Self(Arc::new(Inside { quotas, buckets: Cache::new(BUCKETS_MAX), shared, refused, policies }))
    }

    /// Does this process share its quotas with others at the moment?
    pub fn is_shared(&self) -> bool {
        self.0.shared.as_ref().is_some_and(Shared::is_up)
    }

    /// The value of `RateLimit-Policy` for whoever is known by now.
    pub fn policies(&self, who: Option<&Who>) -> Option<&HeaderValue> {
        let index = who.map_or(0, |who| 1 + usize::from(who.api_key.is_some()));
        self.0.policies[index].as_ref()
    }

    /// A request comes from an address.
    pub async fn address(&self, address: IpAddr) -> Verdict {
        let wanted = [self.0.quotas.address.map(|quota| (Subject::Address(network(address)), quota)), None, None];
        let taken = match self.0.take(&wanted, true) {
            Some(taken) => taken,
            None => self.0.ask(wanted).await,
        };
        self.0.verdict(taken)
    }

    /// Somebody at this address begins a login.
    pub async fn login(&self, address: IpAddr) -> Verdict {
        let wanted = [self.0.quotas.logins.map(|quota| (Subject::Logins(network(address)), quota)), None, None];
        let taken = match self.0.take(&wanted, true) {
            Some(taken) => taken,
            None => self.0.ask(wanted).await,
        };
        self.0.verdict(taken)
    }

    /// A request is `who`'s, if that can be told at once; else [`Limits::caller`] is to be asked.
    pub fn caller_at_once(&self, who: &Who) -> Option<Verdict> {
        let taken = self.0.take(&self.0.of(who), true)?;
        Some(self.0.verdict(taken))
    }

    /// A request is `who`'s.
    pub async fn caller(&self, who: &Who) -> Verdict {
        match self.caller_at_once(who) {
            Some(verdict) => verdict,
            None => self.0.verdict(self.0.ask(self.0.of(who)).await),
        }
    }

    /// Somebody at this address showed what is not good.
    pub async fn failed(&self, address: IpAddr) {
        let wanted = [self.0.quotas.failures.map(|quota| (Subject::Failures(network(address)), quota)), None, None];
        if self.0.take(&wanted, true).is_none() {
            // Whether it fits or not, this one was answered already.
            let _ = self.0.ask(wanted).await;
        }
    }

    /// May somebody at this address show once more what is not good?
    ///
    /// # Errors
    /// If too many there showed what is not good.
    pub fn may_try(&self, address: IpAddr) -> Verdict {
        let Some(quota) = self.0.quotas.failures else { return Ok(None) };
        let Some(bucket) = self.0.buckets.get(&Subject::Failures(network(address))) else { return Ok(None) };
        let used_up = bucket.lock().used_up(Policy::Failures, quota, Instant::now(), self.is_shared());
        used_up.map_or(Ok(None), |used_up| self.0.verdict(Err(used_up)))
    }
}

impl Inside {
    fn of(&self, who: &Who) -> Wanted {
        let Who { tenant, principal, api_key } = *who;
        [
            self.quotas.caller.map(|quota| (Subject::Caller(tenant, principal), quota)),
            api_key.and_then(|id| Some((Subject::ApiKey(tenant, id), self.quotas.key?))),
            self.quotas.tenant.map(|quota| (Subject::Tenant(tenant), quota)),
        ]
    }

    fn bucket(&self, key: Subject, now: Instant) -> Arc<Mutex<Bucket>> {
        let made =
            self.buckets.get_or_insert_with(&key, || Ok::<_, Infallible>(Arc::new(Mutex::new(Bucket::new(now)))));
        match made {
            Ok(bucket) => bucket,
            Err(never) => match never {},
        }
    }

    /// Takes one request out of all of these quotas or out of none. `None` if Redis must be asked first, which
    /// `together` rules out.
    fn take(&self, wanted: &Wanted, together: bool) -> Option<Taken> {
        let now = Instant::now();
        let together = self.shared.as_ref().filter(|shared| together && shared.is_up());
        let buckets = wanted.map(|wanted| wanted.map(|(key, _)| self.bucket(key, now)));
        // Always locked in the same order, so that nobody waits for each other.
        let mut held = [const { None::<MutexGuard<'_, Bucket>> }; 3];
        let mut must_ask = false;
        for ((held, bucket), wanted) in held.iter_mut().zip(&buckets).zip(wanted) {
            let (Some(bucket), Some((key, quota))) = (bucket, wanted) else { continue };
            let bucket = bucket.lock();
            if let Some(used_up) = bucket.used_up(key.policy(), *quota, now, together.is_some()) {
                return Some(Err(used_up));
            }
            must_ask |= together.is_some() && !bucket.has_some(now);
            *held = Some(bucket);
        }
        if must_ask {
            return None;
        }
        let mut nearest: Option<Left> = None;
        for ((held, bucket), wanted) in held.iter_mut().zip(&buckets).zip(wanted) {
            let (Some(held), Some(bucket), Some((key, quota))) = (held, bucket, wanted) else { continue };
            held.here.take(*quota, now);
            let (mut requests, mut whole_in) = (quota.left(held.here.whole_in(now)), held.here.whole_in(now));
            if let Some(shared) = together {
                held.granted -= 1;
                requests = requests.min(held.left.saturating_add(held.granted));
                whole_in = whole_in.max(held.whole.whole_in(now));
                // Asked for before it is needed, so that nobody waits.
                let block = shared::block(*quota);
                if held.granted <= block / 2 && block > 1 && !held.is_asked {
                    let ask = Ask { key: *key, quota: *quota, bucket: bucket.clone(), done: None };
                    held.is_asked = shared.ask(ask);
                }
            }
            nearest = Some(Left { policy: key.policy(), quota: *quota, requests, whole_in }.nearer(nearest));
        }
        Some(Ok(nearest))
    }

    /// Asks Redis for what is missing, and takes it; counts alone if there is no answer in time.
    async fn ask(&self, wanted: Wanted) -> Taken {
        let Some(shared) = &self.shared else { return Ok(None) };
        let asking = async {
            loop {
                for answer in self.ask_for_missing(shared, &wanted)? {
                    // It is dropped when the answer is there.
                    drop(answer.await);
                }
                // Others may have been quicker.
                if let Some(taken) = self.take(&wanted, true) {
                    return Some(taken);
                }
            }
        };
        match tokio::time::timeout(shared.patience(), asking).await {
            Ok(Some(taken)) => taken,
            Ok(None) | Err(_) => self.take(&wanted, false).unwrap_or(Ok(None)),
        }
    }

    /// Asks for all that is missing, to be answered together. `None` if too many wait already.
    fn ask_for_missing(&self, shared: &Shared, wanted: &Wanted) -> Option<Vec<oneshot::Receiver<()>>> {
        let now = Instant::now();
        let mut answers = vec![];
        for (key, quota) in wanted.iter().flatten() {
            let bucket = self.bucket(*key, now);
            let has_some = bucket.lock().has_some(now);
            if !has_some {
                let (done, answer) = oneshot::channel();
                shared.ask(Ask { key: *key, quota: *quota, bucket, done: Some(done) }).then_some(())?;
                answers.push(answer);
            }
        }
        Some(answers)
    }

    fn verdict(&self, taken: Taken) -> Verdict {
        taken.map_err(|used_up| TooSoon { left: used_up.left, problem: self.problem(&used_up) })
    }

    fn problem(&self, UsedUp { left: Left { policy, quota, .. }, wait }: &UsedUp) -> Problem {
        self.refused[*policy as usize].increment(1);
        let (name, Quota { requests, window }) = (policy.name(), *quota);
        let what = match policy {
            Policy::Address => "requests from one address",
            Policy::Failures => "requests from one address with a token, key or session that is not good",
            Policy::Logins => "logins that begin at one address",
            Policy::Caller => "requests of one user or service account",
            Policy::Key => "requests with one API key",
            Policy::Tenant => "requests of one firm",
        };
        let detail = format!("expected at most {requests} {what} in {} s", seconds(window));
        Problem::new(&code::RATE_LIMITED, detail).with("violated-policies", vec![name]).after(seconds(*wait))
    }
}

#[cfg(test)]
mod tests;
