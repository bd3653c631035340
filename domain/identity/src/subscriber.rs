//! A subscriber: a program that reads the firm's events from NATS, and can do nothing else. It shows a secret, of which only
//! the hash is known here; the secret itself is shown once, to whoever asked for it.

use crate::rotation;
use identity_events::{SubscriberEvent as E, SubscriberStatus};
use kernel::{Aggregate, Context, Decision, EventScope, Machine, Name, Timestamp, command, rejection};
use serde::{Deserialize, Serialize};

use SubscriberCommand as C;
use SubscriberRejection as R;

/// What a subscriber comes to see: everything of the firm.
const READS: &str = "*.read";

/// Kinds of events that one may be limited to.
const SCOPES_MAX: usize = 20;

/// What may be asked of a subscriber.
#[command("identity.subscriber", !member)]
pub enum SubscriberCommand {
    /// Lets a program read the firm's events, all or some; whoever does that may read all records themselves, and for as long.
    #[creates]
    #[mints("ubi")]
    #[refused(ExpiresInThePast, ExceedsYourPermissions, TooManyScopes, SecretUnreadable)]
    Add {
        /// What it is called.
        name: Name,
        /// Until when it may, if not for ever.
        #[serde(default)]
        expires_at: Option<Timestamp>,
        /// Which events, such as `projects.>`; all of the firm's unless given.
        #[serde(default)]
        scopes: Vec<EventScope>,
    },
    /// Gives the program another secret; whoever may add one may do that.
    #[mints("ubi")]
    #[refused(ExceedsYourPermissions, OverlapTooLong, Revoked, SecretUnreadable)]
    Rotate {
        /// Hours for which the secret before it stays good, 24 unless given, at most 168.
        #[serde(default)]
        overlap_hours: Option<u32>,
    },
    /// Lets the program read nothing any more, and ends its connections.
    Revoke {
        /// Why.
        reason: Name,
    },
}

/// Why a subscriber's command may be refused.
#[rejection("identity.subscriber")]
pub enum SubscriberRejection {
    /// A subscriber that has expired already reads nothing.
    #[invalid("/expires_at")]
    ExpiresInThePast,
    /// A subscriber reads all the firm's events, and you may not read everything, or not for as long.
    #[audited]
    ExceedsYourPermissions,
    /// A subscriber has 20 scopes at most; leave them out for all events.
    #[invalid("/scopes")]
    TooManyScopes,
    /// The secret before a rotation stays good for 168 hours at most.
    #[invalid("/overlap_hours")]
    OverlapTooLong,
    /// The subscriber was revoked; add another.
    Revoked,
    /// A secret is shown once, to whoever asks for it; nobody would see this one.
    SecretUnreadable,
}

/// What is remembered of a subscriber.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscriber {
    expires_at: Option<Timestamp>,
    status: SubscriberStatus,
}

impl Aggregate for Subscriber {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/subscribers";
    const STATE_VERSION: i32 = 3;

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        // Whoever learns a secret sees what it opens.
        let until = match &command {
            C::Add { expires_at, .. } => Some(*expires_at),
            C::Rotate { .. } => Some(self.expires_at),
            C::Revoke { .. } => None,
        };
        if until.is_some_and(|until| !ctx.permissions.cover_until([READS], until)) {
            return Err(R::ExceedsYourPermissions);
        }
        Ok(match command {
            C::Add { expires_at: Some(end), .. } if end <= ctx.now => return Err(R::ExpiresInThePast),
            C::Add { scopes, .. } if scopes.len() > SCOPES_MAX => return Err(R::TooManyScopes),
            C::Add { name, expires_at, scopes } => {
                let secret_hash = ctx.secret.clone().ok_or(R::SecretUnreadable)?;
                vec![E::Added { name, secret_hash, expires_at, scopes: without_covered(scopes) }]
            }
            C::Rotate { .. } if self.status == SubscriberStatus::Revoked => return Err(R::Revoked),
            C::Rotate { overlap_hours } => {
                let previous_until = rotation::previous_until(overlap_hours, ctx.now).ok_or(R::OverlapTooLong)?;
                let secret_hash = ctx.secret.clone().ok_or(R::SecretUnreadable)?;
                vec![E::Rotated { secret_hash, previous_until }]
            }
            C::Revoke { .. } if self.status == SubscriberStatus::Revoked => vec![],
            C::Revoke { reason } => vec![E::Revoked { reason }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Added { expires_at, .. } => self.expires_at = *expires_at,
            E::Rotated { .. } | E::Revoked { .. } => {}
        }
    }
}

/// Each event once: NATS takes no two filters of which one covers the other.
fn without_covered(mut scopes: Vec<EventScope>) -> Vec<EventScope> {
    scopes.sort();
    scopes.dedup();
    let all = scopes.clone();
    scopes.retain(|scope| !all.iter().any(|other| other != scope && other.covers(scope)));
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use kernel::spec::{given, spec_time};
    use kernel::{Role, SecretHash};

    fn add(expires_at: Option<Timestamp>) -> C {
        C::Add { name: "Ledger".parse().unwrap(), expires_at, scopes: vec![] }
    }

    fn added() -> E {
        E::Added {
            name: "Ledger".parse().unwrap(),
            secret_hash: SecretHash::of("secret"),
            expires_at: None,
            scopes: vec![],
        }
    }

    #[test]
    fn a_key_that_ends_lets_no_program_read_for_longer() {
        let soon = spec_time() + TimeDelta::hours(1);
        let key = |events: Vec<E>| given::<Subscriber>(events).minted("secret").asked_by_key([], Some(soon));
        key(vec![]).when(add(None)).rejected("identity.subscriber.exceeds_your_permissions");
        assert_eq!(key(vec![]).when(add(Some(soon))).events().len(), 1);
        key(vec![added()])
            .when(C::Rotate { overlap_hours: None })
            .rejected("identity.subscriber.exceeds_your_permissions");
        let scoped = given::<Subscriber>([]).minted("secret").asked_by_key(["identity.subscriber.*"], None);
        scoped.when(add(None)).rejected("identity.subscriber.exceeds_your_permissions");
    }

    #[test]
    fn only_who_reads_everything_lets_a_program_do_that() {
        let asked_by = |role: Role| {
            given::<Subscriber>([]).minted("secret").asked_with(role.patterns().iter().copied()).when(add(None))
        };
        asked_by(Role::Admin).then([added()]);
        asked_by(Role::Viewer).then([added()]);
        let few = given::<Subscriber>([]).minted("secret").asked_with(["crm.*", "identity.subscriber.add"]);
        few.when(add(None)).rejected("identity.subscriber.exceeds_your_permissions");
        let rotate = C::Rotate { overlap_hours: None };
        let few = given::<Subscriber>([added()]).minted("next").asked_with(["identity.subscriber.*"]);
        few.when(rotate).rejected("identity.subscriber.exceeds_your_permissions");
        let revoke = C::Revoke { reason: "leaked".parse().unwrap() };
        let few = given::<Subscriber>([added()]).asked_with(["identity.subscriber.*"]);
        few.when(revoke).then([E::Revoked { reason: "leaked".parse().unwrap() }]);
    }

    #[test]
    fn a_rotated_secret_is_good_for_a_day_more() {
        let rotate = |overlap_hours| given::<Subscriber>([added()]).minted("next").when(C::Rotate { overlap_hours });
        let rotated = |hours| E::Rotated {
            secret_hash: SecretHash::of("next"),
            previous_until: spec_time() + TimeDelta::hours(hours),
        };
        rotate(None).then([rotated(24)]);
        rotate(Some(0)).then([rotated(0)]);
        rotate(Some(169)).rejected("identity.subscriber.overlap_too_long");
    }

    #[test]
    fn a_subscriber_expires_in_the_future_and_a_revoked_one_is_over() {
        let late = given::<Subscriber>([]).minted("secret").when(add(Some(spec_time())));
        late.rejected("identity.subscriber.expires_in_the_past");
        let revoked = || given::<Subscriber>([added(), E::Revoked { reason: "leaked".parse().unwrap() }]);
        revoked().minted("next").when(C::Rotate { overlap_hours: None }).rejected("identity.subscriber.revoked");
        revoked().when(C::Revoke { reason: "again".parse().unwrap() }).then([]);
    }

    #[test]
    fn a_subscriber_may_be_limited_to_some_events() {
        let scopes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<EventScope>>();
        let add = |texts: &[&str]| {
            let command = C::Add { name: "Ledger".parse().unwrap(), expires_at: None, scopes: scopes(texts) };
            given::<Subscriber>([]).minted("secret").when(command)
        };
        let E::Added { name, secret_hash, .. } = added() else { panic!("another event") };
        let expected = scopes(&["crm.client.>", "projects.>"]);
        add(&["projects.>", "crm.client.created", "crm.client.>", "projects.project.created", "projects.>"])
            .then([E::Added { name, secret_hash, expires_at: None, scopes: expected }]);
        add(&["crm.>"; 21]).rejected("identity.subscriber.too_many_scopes");
    }

    #[test]
    fn a_secret_that_nobody_would_see_is_not_made() {
        given::<Subscriber>([]).when(add(None)).rejected("identity.subscriber.secret_unreadable");
    }
}
