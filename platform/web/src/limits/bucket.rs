//! One quota as one process sees it, without clocks and channels.

use super::gcra::{Meter, Quota, seconds};
use super::subject::Policy;
use actix_web::http::header::HeaderValue;
use std::time::{Duration, Instant};

/// One quota as this process sees it.
pub(super) struct Bucket {
    /// What was used here. Counted always, so that a process that must count alone does not begin anew.
    pub here: Meter,
    /// What Redis has granted and was not used yet, and until when it is good.
    pub granted: u32,
    good_until: Instant,
    /// What Redis said was left besides.
    pub left: u32,
    /// When Redis said that all of it would be there again.
    pub whole: Meter,
    /// Redis grants nothing before.
    refused_until: Instant,
    /// Somebody has asked for more.
    pub is_asked: bool,
}

impl Bucket {
    pub fn new(now: Instant) -> Self {
        let here = Meter::at(now);
        Self { here, granted: 0, good_until: now, left: 0, whole: here, refused_until: now, is_asked: false }
    }

    /// Is there anything left of what Redis has granted?
    pub fn has_some(&self, now: Instant) -> bool {
        self.granted > 0 && self.good_until > now
    }

    /// Is nothing left, here or, if it is shared, altogether?
    pub fn used_up(&self, policy: Policy, quota: Quota, now: Instant, together: bool) -> Option<UsedUp> {
        let (mut whole_in, mut wait) = (self.here.whole_in(now), quota.wait(self.here.whole_in(now)));
        if together && !self.has_some(now) {
            whole_in = whole_in.max(self.whole.whole_in(now));
            wait = wait.max(self.refused_until.saturating_duration_since(now));
        }
        let left = Left { policy, quota, requests: 0, whole_in };
        (!wait.is_zero()).then_some(UsedUp { left, wait })
    }

    /// What Redis answered.
    pub fn add(&mut self, granted: u32, good_until: Instant, quota: Quota, whole_in: Duration, now: Instant) {
        if self.good_until <= now {
            self.granted = 0;
        }
        if granted == 0 {
            self.refused_until = now + quota.wait(whole_in);
        } else {
            (self.granted, self.good_until) = (self.granted + granted, good_until);
        }
        (self.left, self.whole) = (quota.left(whole_in), Meter::at(now + whole_in));
    }
}

/// How much of the quota that is nearest to its end is left; what the header `RateLimit` says.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    pub(super) policy: Policy,
    pub(super) quota: Quota,
    pub(super) requests: u32,
    pub(super) whole_in: Duration,
}

impl Left {
    /// The one of two that is nearer to its end.
    pub fn nearer(self, other: Option<Self>) -> Self {
        let share = |left: &Self| f64::from(left.requests) / f64::from(left.quota.requests);
        other.filter(|other| share(other) < share(&self)).unwrap_or(self)
    }

    /// The value of `RateLimit`: `"tenant";r=98;t=1`.
    pub fn header(&self) -> Option<HeaderValue> {
        let Self { policy, requests, whole_in, .. } = self;
        HeaderValue::from_str(&format!(r#""{}";r={requests};t={}"#, policy.name(), seconds(*whole_in))).ok()
    }
}

/// A quota is used up: what is left of it, which is nothing, and how long until a request fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsedUp {
    pub left: Left,
    pub wait: Duration,
}
