//! How somebody is reached.

use crate::{Claim, ClaimChange, Email, Patch, Personal, Phone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The address and the telephone number of a client, a contact, or whoever else can be reached. In an event they stand among its
/// own fields: `#[serde(flatten)]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactDetails {
    /// The address; no two of their kind in a firm share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal<Email>>,
    /// The telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Personal<Phone>>,
}

impl ContactDetails {
    /// As somebody wrote them.
    pub fn new(email: Option<Email>, phone: Option<Phone>) -> Self {
        Self { email: email.map(Personal::new), phone: phone.map(Personal::new) }
    }

    /// What they are from now on, if that is anything else.
    pub fn changed(&self, email: Patch<Email>, phone: Patch<Phone>) -> Option<Self> {
        let after = Self { email: email.over(&self.email), phone: phone.over(&self.phone) };
        (after != *self).then_some(after)
    }

    /// The claim on the address within `scope`, if there is one; an erased address is nobody's.
    pub fn claim(&self, scope: &'static str) -> Option<Claim> {
        let email = self.email.as_ref().and_then(Personal::expose)?;
        Some(Claim::personal(scope, email.as_str()))
    }

    /// Which address is given up and which is taken, when these take the place of `before`.
    pub fn claims_over(&self, before: &Self, scope: &'static str) -> Vec<ClaimChange> {
        if self.email == before.email {
            return vec![];
        }
        let released = before.claim(scope).map(ClaimChange::Release);
        released.into_iter().chain(self.claim(scope).map(ClaimChange::Take)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SCOPE: &str = "office.visitor.email";

    fn emails() -> impl Strategy<Value = Option<Personal<Email>>> {
        let known = "[ab]@example\\.com".prop_map(|text| Some(Personal::new(text.parse().unwrap())));
        prop_oneof![3 => known, 1 => Just(None), 1 => Just(Some(Personal::erased()))]
    }

    fn patches() -> impl Strategy<Value = Patch<Email>> {
        let set = "[ab]@example\\.com".prop_map(|text| Patch::Set(text.parse().unwrap()));
        prop_oneof![set, Just(Patch::Unchanged), Just(Patch::Removed)]
    }

    proptest! {
        /// Whatever is changed: exactly the address that stands there is held, and the same change again is none.
        #[test]
        fn the_address_that_stands_there_is_held(first in emails(), changes in prop::collection::vec(patches(), 0..8)) {
            let mut details = ContactDetails { email: first, phone: None };
            let mut held: BTreeSet<Claim> = details.claim(SCOPE).into_iter().collect();
            for email in changes {
                let Some(after) = details.changed(email.clone(), Patch::Unchanged) else { continue };
                for change in after.claims_over(&details, SCOPE) {
                    match change {
                        ClaimChange::Take(claim) => prop_assert!(held.insert(claim)),
                        ClaimChange::Release(claim) => prop_assert!(held.remove(&claim)),
                    }
                }
                details = after;
                prop_assert_eq!(&held, &details.claim(SCOPE).into_iter().collect::<BTreeSet<_>>());
                prop_assert_eq!(details.changed(email, Patch::Unchanged), None);
            }
        }

        #[test]
        fn details_read_as_they_were_written(email in emails()) {
            // What was erased is nothing any more, whether there had been something or not.
            let details = ContactDetails { email: email.filter(|email| email.expose().is_some()), phone: None };
            let json = serde_json::to_string(&details).unwrap();
            prop_assert_eq!(serde_json::from_str::<ContactDetails>(&json).unwrap(), details);
        }
    }
}
