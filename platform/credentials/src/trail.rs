//! Who was refused what, and which API keys are in use: noted in memory while requests are answered, for whoever writes it
//! down in batches. Nothing here waits, and nothing grows with the number of requests.

use crate::by_firm::{ByFirm, Place};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{ApiKeyId, Principal, TenantId};
use metrics::counter;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Kinds of refusals, and keys, that are remembered at the same time, of all firms.
const REMEMBERED_MAX: usize = 10_000;
/// Records that a note names; the others are counted.
const TARGETS_MAX: usize = 10;
/// After a note the same refusals are counted for so long before the next one.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// The window doubles while they go on, up to this.
const WINDOW_MAX: TimeDelta = TimeDelta::minutes(16);
/// How much later than noted a key may have been used.
const USE_PRECISION: TimeDelta = TimeDelta::minutes(1);
/// A key that was not used for so long is no longer remembered.
const USE_FORGOTTEN_AFTER: TimeDelta = TimeDelta::minutes(10);

/// Whom a request has shown itself to be, whether that one comes in or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Who {
    /// The firm.
    pub tenant: TenantId,
    /// The user or the program.
    pub principal: Principal,
    /// The key that was shown, if one was.
    pub api_key: Option<ApiKeyId>,
}

/// A change that somebody asked for and may not ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who asked.
    pub who: Who,
    /// The permission, which is the command's name: `crm.client.rename`.
    pub permission: &'static str,
    /// `crm.client`.
    pub aggregate_type: &'static str,
    /// The record, if the path names one.
    pub aggregate_id: Option<Uuid>,
    /// The problem's code: `forbidden`.
    pub reason: String,
    /// The problem's sentence.
    pub detail: String,
    /// The request.
    pub correlation_id: Uuid,
    /// Where it came from.
    pub client_address: Option<IpAddr>,
}

/// Refusals of one kind that are written down together; one, unless somebody goes on asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The first of them.
    pub first: Refusal,
    /// How many.
    pub count: u64,
    /// Records that were asked for, each once, at most ten.
    pub targets: Vec<Uuid>,
    /// When the first was.
    pub first_at: DateTime<Utc>,
    /// When the last was.
    pub last_at: DateTime<Utc>,
}

/// The same one of a firm refused the same for the same reason.
type Kind = (Principal, Option<ApiKeyId>, &'static str, String, String);

struct Window {
    /// What has not been handed out.
    noted: Option<Noted>,
    /// When it will be, or, if there is nothing, when it will be forgotten.
    due: DateTime<Utc>,
    next: TimeDelta,
}

/// Refusals that wait to be written down. Cheap to clone.
///
/// The first of a kind is due at once. While the same goes on it is counted, and a note is due after one minute, then two, up to
/// sixteen: so nobody hides a refusal behind others, and nobody fills a disk. A firm with more kinds of them than there is room
/// for drops its own.
#[derive(Clone)]
pub struct Refusals(Arc<Mutex<ByFirm<Kind, Window>>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(ByFirm::new(REMEMBERED_MAX))))
    }
}

impl Refusals {
    /// Notes a refusal, unless there are more kinds of them than can be remembered; then it is counted as dropped.
    pub fn note(&self, refusal: Refusal) {
        self.note_at(refusal, Utc::now());
    }

    fn note_at(&self, refusal: Refusal, now: DateTime<Utc>) {
        counter!("audit_refusals_total").increment(1);
        let Who { tenant, principal, api_key } = refusal.who;
        let kind = (principal, api_key, refusal.permission, refusal.reason.clone(), refusal.detail.clone());
        let mut windows = self.0.lock();
        let new = || Window { noted: None, due: now, next: WINDOW };
        let Place::There(window, left) = windows.entry(tenant, kind, new, |window| window.noted.is_none()) else {
            counter!("audit_refusals_dropped_total").increment(1);
            return;
        };
        if let Some(Window { noted: Some(lost), .. }) = left {
            counter!("audit_refusals_dropped_total").increment(lost.count);
        }
        let target = refusal.aggregate_id;
        let noted = window.noted.get_or_insert_with(|| Noted {
            first: refusal,
            count: 0,
            targets: vec![],
            first_at: now,
            last_at: now,
        });
        noted.count += 1;
        noted.last_at = now;
        if let Some(target) = target
            && noted.targets.len() < TARGETS_MAX
            && !noted.targets.contains(&target)
        {
            noted.targets.push(target);
        }
    }

    /// Hands out what is due.
    pub fn due(&self, now: DateTime<Utc>) -> Vec<Noted> {
        let mut due = vec![];
        self.0.lock().retain(|_, _, window| {
            if window.due > now {
                return true;
            }
            let Some(noted) = window.noted.take() else { return false };
            due.push(noted);
            window.due = now + window.next;
            window.next = (window.next * 2).min(WINDOW_MAX);
            true
        });
        due
    }

    /// Hands out everything, because the process ends.
    pub fn rest(&self) -> Vec<Noted> {
        self.0.lock().drain().filter_map(|window| window.noted).collect()
    }
}

struct Use {
    last: DateTime<Utc>,
    handed_out: Option<DateTime<Utc>>,
}

/// When API keys were used last. Cheap to clone.
#[derive(Clone)]
pub struct KeysInUse(Arc<Mutex<ByFirm<ApiKeyId, Use>>>);

impl Default for KeysInUse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(ByFirm::new(REMEMBERED_MAX))))
    }
}

impl KeysInUse {
    /// Notes that a key has let somebody in just now.
    pub fn note(&self, tenant: TenantId, key: ApiKeyId) {
        self.note_at(tenant, key, Utc::now());
    }

    fn note_at(&self, tenant: TenantId, key: ApiKeyId, now: DateTime<Utc>) {
        let mut uses = self.0.lock();
        let is_handed_out = |used: &Use| used.handed_out == Some(used.last);
        let new = || Use { last: now, handed_out: None };
        let Place::There(used, left) = uses.entry(tenant, key, new, is_handed_out) else {
            counter!("audit_key_uses_dropped_total").increment(1);
            return;
        };
        used.last = now;
        if left.is_some_and(|left| !is_handed_out(&left)) {
            counter!("audit_key_uses_dropped_total").increment(1);
        }
    }

    /// Hands out the keys that were used since they were last handed out, each once a minute at most.
    pub fn due(&self, now: DateTime<Utc>) -> Vec<(TenantId, ApiKeyId, DateTime<Utc>)> {
        self.take(now, USE_PRECISION)
    }

    /// Hands out everything, because the process ends.
    pub fn rest(&self) -> Vec<(TenantId, ApiKeyId, DateTime<Utc>)> {
        self.take(Utc::now(), TimeDelta::zero())
    }

    fn take(&self, now: DateTime<Utc>, pause: TimeDelta) -> Vec<(TenantId, ApiKeyId, DateTime<Utc>)> {
        let mut due = vec![];
        self.0.lock().retain(|tenant, key, used| {
            if used.handed_out.is_none_or(|before| used.last > before && now - before >= pause) {
                due.push((tenant, *key, used.last));
                used.handed_out = Some(used.last);
            }
            now - used.last < USE_FORGOTTEN_AFTER
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::UserId;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn refusal(user: u128, permission: &'static str, target: u128) -> Refusal {
        let principal = Principal::User { id: UserId(Uuid::from_u128(user)) };
        Refusal {
            who: Who { tenant: TenantId(Uuid::from_u128(1)), principal, api_key: None },
            permission,
            aggregate_type: "crm.client",
            aggregate_id: Some(Uuid::from_u128(target)),
            reason: "forbidden".into(),
            detail: "this needs the permission".into(),
            correlation_id: Uuid::from_u128(target),
            client_address: None,
        }
    }

    #[test]
    fn the_first_refusal_is_due_at_once_and_whoever_goes_on_is_counted() {
        let refusals = Refusals::default();
        refusals.note_at(refusal(1, "crm.client.rename", 1), at(0));
        let first = refusals.due(at(1));
        assert_eq!((first.len(), first[0].count, first[0].first_at), (1, 1, at(0)));
        for n in 0..1_000_u128 {
            refusals.note_at(refusal(1, "crm.client.rename", n % 50), at(2));
        }
        refusals.note_at(refusal(1, "crm.client.block", 7), at(3));
        let other = refusals.due(at(4));
        assert_eq!(
            (other.len(), other[0].first.permission),
            (1, "crm.client.block"),
            "another kind hides behind nothing"
        );
        assert_eq!(refusals.due(at(60)), [], "the same is counted for a minute");
        let flood = refusals.due(at(61));
        assert_eq!((flood.len(), flood[0].count, flood[0].targets.len()), (1, 1_000, TARGETS_MAX));
        assert_eq!((flood[0].first_at, flood[0].last_at), (at(2), at(2)));
    }

    #[test]
    fn d_11_whoever_is_refused_all_day_makes_a_hundred_notes() {
        let refusals = Refusals::default();
        let (mut notes, mut counted) = (0, 0);
        for second in 0..86_400 {
            refusals.note_at(refusal(1, "crm.client.rename", 1), at(second));
            for noted in refusals.due(at(second)) {
                notes += 1;
                counted += noted.count;
            }
        }
        counted += refusals.rest().iter().map(|noted| noted.count).sum::<u64>();
        assert_eq!(counted, 86_400, "each is counted");
        assert!(notes < 100, "{notes}");
    }

    #[test]
    fn kinds_that_ended_are_forgotten_and_there_is_never_room_for_more_than_so_many() {
        let refusals = Refusals::default();
        for user in 0..20_000 {
            refusals.note_at(refusal(user, "crm.client.rename", 1), at(0));
        }
        assert_eq!(refusals.due(at(0)).len(), REMEMBERED_MAX);
        assert_eq!(refusals.due(at(61)), []);
        assert!(refusals.0.lock().is_empty());
    }

    #[test]
    fn d_05_a_firm_that_is_refused_in_every_way_hides_no_refusal_of_another() {
        let refusals = Refusals::default();
        let keys = KeysInUse::default();
        let (noisy, quiet) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        for number in 0..20_000 {
            refusals.note_at(refusal(number, "crm.client.rename", 1), at(0));
            keys.note_at(noisy, ApiKeyId(Uuid::from_u128(number)), at(0));
        }
        let mut theirs = refusal(1, "crm.client.block", 1);
        theirs.who.tenant = quiet;
        refusals.note_at(theirs, at(0));
        keys.note_at(quiet, ApiKeyId(Uuid::from_u128(1)), at(0));
        let due = refusals.due(at(0));
        assert_eq!(due.len(), REMEMBERED_MAX);
        assert!(due.iter().any(|noted| noted.first.who.tenant == quiet));
        assert!(keys.due(at(0)).iter().any(|(tenant, ..)| *tenant == quiet));
    }

    #[test]
    fn a_key_is_handed_out_once_a_minute_and_the_last_use_is_never_lost() {
        let keys = KeysInUse::default();
        let (tenant, key) = (TenantId(Uuid::from_u128(1)), ApiKeyId(Uuid::from_u128(2)));
        keys.note_at(tenant, key, at(0));
        assert_eq!(keys.due(at(1)), [(tenant, key, at(0))]);
        keys.note_at(tenant, key, at(30));
        assert_eq!(keys.due(at(31)), []);
        assert_eq!(keys.due(at(60)), [(tenant, key, at(30))]);
        assert_eq!(keys.due(at(600)), [], "nothing new");
        assert_eq!(keys.due(at(700)), []);
        assert!(keys.0.lock().is_empty(), "it is not remembered for ever");
    }
}
