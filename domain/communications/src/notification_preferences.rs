//! How a user wants to be told things.

use communications_events::{NotificationPreferencesEvent as E, Preference};
use kernel::{Aggregate, Claim, ClaimChange, Context, Decision, Reference, Scope, Slug, UserId, command, rejection};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use NotificationPreferencesCommand as C;
use NotificationPreferencesRejection as R;

/// Whose preferences they are.
const USER_CLAIM: &str = "communications.notification_preferences.user";
/// Kinds that one user says something about.
const KINDS_MAX: usize = 100;
/// What stands for every kind that is not named.
const DEFAULT: &str = "default";

/// What may be asked of a user's preferences.
#[command("communications.notification_preferences", !member)]
pub enum NotificationPreferencesCommand {
    /// Says for the first time how notifications come to a user. Without it they are shown in the product.
    #[creates]
    #[refused(TooManyKinds, DuplicateKind, "user.taken")]
    Set {
        /// Who.
        user_id: UserId,
        /// By kind, at most 100; `default` is for every kind that is not named.
        #[serde(default)]
        preferences: Vec<Preference>,
    },
    /// Says otherwise how a kind of notification comes.
    #[refused(TooManyKinds)]
    Change {
        /// Which kind; `default` is for every kind that is not named.
        kind: Slug,
        /// Is it shown in the product?
        in_product: bool,
        /// Is it sent by email?
        by_email: bool,
    },
}

/// Why the command may be refused.
#[rejection("communications.notification_preferences")]
pub enum NotificationPreferencesRejection {
    /// A user says something about at most 100 kinds.
    #[invalid("/preferences")]
    TooManyKinds,
    /// A kind occurs twice.
    #[invalid("/preferences")]
    DuplicateKind,
}

/// What is remembered of a user's preferences.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NotificationPreferences {
    user_id: Option<UserId>,
    /// By kind: in the product, by email.
    kinds: BTreeMap<Slug, (bool, bool)>,
}

impl Aggregate for NotificationPreferences {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "communications/notification-preferences";

    fn scope(&self, _id: Uuid, command: &C) -> Scope {
        match command {
            C::Set { user_id, .. } => Scope::default().owned_by([*user_id]),
            C::Change { .. } => Scope::default().owned_by(self.user_id),
        }
    }

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Set { preferences, .. } if preferences.len() > KINDS_MAX => return Err(R::TooManyKinds),
            C::Set { user_id, preferences } => {
                let kinds: BTreeMap<&Slug, ()> = preferences.iter().map(|one| (&one.kind, ())).collect();
                if kinds.len() < preferences.len() {
                    return Err(R::DuplicateKind);
                }
                vec![E::Set { user_id, preferences }]
            }
            C::Change { kind, in_product, by_email } => match self.kinds.get(&kind) {
                Some(ways) if *ways == (in_product, by_email) => vec![],
                None if self.kinds.len() >= KINDS_MAX => return Err(R::TooManyKinds),
                _ => vec![E::Changed { preference: Preference { kind, in_product, by_email } }],
            },
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Set { user_id, preferences } => {
                self.user_id = Some(*user_id);
                preferences.iter().for_each(|one| self.prefer(one));
            }
            E::Changed { preference } => self.prefer(preference),
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Set { user_id, .. } => vec![ClaimChange::Take(user_claim(*user_id))],
            E::Changed { .. } => vec![],
        }
    }
}

impl NotificationPreferences {
    /// Those of a user, to be looked at by a decision.
    pub fn of(user: UserId) -> Reference {
        Reference::claim::<Self>(user_claim(user))
    }

    /// How a kind of notification comes to a user: in the product, by email.
    pub(crate) fn ways(user: UserId, kind: &Slug, ctx: &Context) -> (bool, bool) {
        let found = ctx.holder::<Self>(USER_CLAIM, &user.to_string()).map(|(_, found)| found);
        let default = DEFAULT.parse::<Slug>().ok();
        let kinds = [Some(kind), default.as_ref()];
        kinds.into_iter().flatten().find_map(|kind| found?.kinds.get(kind)).copied().unwrap_or((true, false))
    }

    fn prefer(&mut self, Preference { kind, in_product, by_email }: &Preference) {
        self.kinds.insert(kind.clone(), (*in_product, *by_email));
    }
}

fn user_claim(user: UserId) -> Claim {
    Claim::new(USER_CLAIM, user.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    fn prefer(kind: &str) -> Preference {
        Preference { kind: kind.parse().unwrap(), in_product: true, by_email: true }
    }

    fn set(preferences: Vec<Preference>) -> C {
        C::Set { user_id: UserId(Uuid::from_u128(2)), preferences }
    }

    #[test]
    fn a_user_has_one_set_of_preferences() {
        let when = given::<NotificationPreferences>([]).when(set(vec![prefer("default")]));
        let value = Uuid::from_u128(2).to_string();
        let claim = Claim::new("communications.notification_preferences.user", value);
        assert_eq!(when.claims(), [ClaimChange::Take(claim)]);
        let twice = given::<NotificationPreferences>([]).when(set(vec![prefer("a"), prefer("a")]));
        twice.rejected("communications.notification_preferences.duplicate_kind");
    }

    #[test]
    fn what_is_wanted_so_already_is_not_said_again() {
        let has = E::Set { user_id: UserId(Uuid::from_u128(2)), preferences: vec![prefer("default")] };
        let change = |by_email| C::Change { kind: "default".parse().unwrap(), in_product: true, by_email };
        given::<NotificationPreferences>([has.clone()]).when(change(true)).then_nothing();
        let preference = Preference { by_email: false, ..prefer("default") };
        given::<NotificationPreferences>([has]).when(change(false)).then([E::Changed { preference }]);
    }
}
