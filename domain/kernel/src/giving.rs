//! What a request may give: never more than it has itself, in what may be done, to what, and for how long.
//!
//! Every decision that gives somebody something asks here and nowhere else: a role, a right for a resource, a key, a
//! membership, the end of a denial. What counts is what the request may do, a key's scopes and its end included, and never
//! what its person might with another. Every answer errs on the side of no.

use crate::permission::{Rule, covers};
use crate::{Grant, Pattern, Permissions, Timestamp};

/// What somebody's roles and grants come to, before or after a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    rules: Vec<Rule>,
    grants: Vec<Grant>,
}

impl Rights {
    /// What these patterns and rights for single resources come to.
    pub fn of<'r>(patterns: impl IntoIterator<Item = &'r str>, grants: impl IntoIterator<Item = &'r Grant>) -> Self {
        Self {
            rules: patterns.into_iter().filter_map(Rule::parse).collect(),
            grants: grants.into_iter().cloned().collect(),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.grants.extend(other.grants);
        self
    }

    fn denials(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.denies)
    }

    /// What holds after a change and did not before. Where a denial ends, what it kept from whatever else grants it comes
    /// back; of somebody whose other rights are not known, that is all that was denied.
    fn gained(&self, before: &Self, others_known: bool) -> Self {
        let gives = |rule: &&Rule| !rule.denies;
        let had = |rule: &&Rule| before.rules.iter().any(|held| !held.denies && held.contains(rule));
        let mut gained = Self {
            rules: self.rules.iter().filter(gives).filter(|rule| !had(rule)).cloned().collect(),
            grants: self.grants.iter().filter(|grant| !before.grants.contains(grant)).cloned().collect(),
        };
        for lifted in before.denials().filter(|denial| !self.denials().any(|still| still.contains(denial))) {
            if others_known {
                gained.rules.extend(self.rules.iter().filter(gives).filter_map(|rule| rule.both(lifted)));
                let kept = |grant: &&Grant| Rule::parse(grant.pattern.as_str()).is_some_and(|g| g.overlaps(lifted));
                gained.grants.extend(self.grants.iter().filter(kept).cloned());
            } else {
                gained.rules.push(lifted.lifted());
            }
        }
        gained.rules.extend(self.denials().cloned());
        gained
    }

    fn gives_nothing(&self) -> bool {
        self.grants.is_empty() && self.rules.iter().all(|rule| rule.denies)
    }
}

impl Permissions {
    /// May whoever has these give, for good, everything that `patterns` grant?
    pub fn cover<'a>(&self, patterns: impl IntoIterator<Item = &'a str>) -> bool {
        self.cover_rights(&Rights::of(patterns, []))
    }

    /// The same for a right for one resource.
    pub fn cover_grant(&self, grant: &Grant) -> bool {
        self.ends_at.is_none() && self.holds_grant(grant)
    }

    /// The same for all of somebody's rights.
    pub fn cover_rights(&self, rights: &Rights) -> bool {
        rights.gives_nothing() || self.ends_at.is_none() && self.holds(rights)
    }

    /// The same for what a change of somebody's rights gives: what comes with it, and what no denial keeps back any more.
    pub fn cover_change(&self, before: &Rights, after: &Rights) -> bool {
        self.cover_rights(&after.gained(before, true))
    }

    /// The same for a change of a role: whoever has it has other roles too, of which nothing is known here.
    pub fn cover_role_change(&self, before: &Rights, after: &Rights) -> bool {
        self.cover_rights(&after.gained(before, false))
    }

    /// May whoever has these let something see or do this until then, or for good?
    pub fn cover_until<'a>(&self, patterns: impl IntoIterator<Item = &'a str>, ends_at: Option<Timestamp>) -> bool {
        self.cover_end(ends_at) && self.holds(&Rights::of(patterns, []))
    }

    /// Does what ends then, if ever, end no later than what was shown to come in with?
    pub fn cover_end(&self, ends_at: Option<Timestamp>) -> bool {
        self.ends_at.is_none_or(|own| ends_at.is_some_and(|end| end <= own))
    }

    /// May whoever has these hand out a key with these scopes? `principal` is what the one may do for whom it speaks; none
    /// for oneself, whose rights are one's own however they change. A limit of one's own key is never left by another.
    pub fn cover_scopes(&self, principal: Option<&Rights>, scopes: &[Pattern]) -> bool {
        let scopes: Vec<Rule> = scopes.iter().filter_map(|scope| Rule::parse(scope.as_str())).collect();
        let within = |list: &[Rule]| !scopes.is_empty() && covers(list, &scopes);
        let held = principal.is_none_or(|rights| within(&self.rules) || self.holds(rights));
        held && self.within.iter().all(|list| within(list))
    }

    fn holds(&self, rights: &Rights) -> bool {
        covers(&self.rules, &rights.rules)
            && self.within.iter().all(|rules| covers(rules, &rights.rules))
            && rights.grants.iter().all(|grant| self.holds_grant(grant))
    }

    fn holds_grant(&self, grant: &Grant) -> bool {
        let Some(given) = Rule::parse(grant.pattern.as_str()) else { return false };
        if !given.only_gives() || self.rules.iter().any(|own| own.denies && own.overlaps(&given)) {
            return false;
        }
        let for_it = self.grants.iter().filter(|(resource, _)| *resource == grant.resource);
        let for_it = for_it.map(|(_, rule)| rule).any(|rule| rule.contains(&given));
        let given = [given];
        (for_it || covers(&self.rules, &given)) && self.within.iter().all(|rules| covers(rules, &given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Role};
    use chrono::TimeDelta;
    use uuid::Uuid;

    fn rights(patterns: &[&str]) -> Rights {
        Rights::of(patterns.iter().copied(), [])
    }

    fn scopes(patterns: &[&str]) -> Vec<Pattern> {
        patterns.iter().map(|pattern| pattern.parse().unwrap()).collect()
    }

    fn soon() -> Timestamp {
        crate::spec::spec_time()
    }

    #[test]
    fn a_key_hands_out_no_wider_scopes_than_its_own() {
        let key = Permissions::all().within(["identity.api_key.*", "crm.*", "!crm.client.block"]);
        for (wanted, may) in [
            (&[][..], false),
            (&["*"], false),
            (&["crm.*"], false),
            (&["crm.*", "!crm.client.block"], true),
            (&["crm.*", "!crm.client.*"], true),
            (&["crm.client.rename"], true),
            (&["crm.client.rename:own"], true),
            (&["crm.client.rename", "files.folder.read"], false),
            (&["identity.api_key.issue"], true),
        ] {
            assert_eq!(key.cover_scopes(None, &scopes(wanted)), may, "{wanted:?}");
        }
        assert!(Permissions::all().cover_scopes(None, &[]), "no key, no limit");
        assert!(!Permissions::all().within(["crm.*:own"]).cover_scopes(None, &scopes(&["crm.*"])));
    }

    #[test]
    fn a_key_for_another_is_within_what_one_holds() {
        let member = Permissions::of(&[Role::Member]);
        let admin = rights(Role::Admin.patterns());
        assert!(!member.cover_scopes(Some(&admin), &[]));
        assert!(member.cover_scopes(Some(&admin), &scopes(&["crm.*"])), "the scopes are what it comes to");
        assert!(member.cover_scopes(Some(&rights(&["*.read"])), &[]));
        let key = member.within(["*.read", "identity.api_key.*"]);
        assert!(!key.cover_scopes(Some(&rights(&["*.read"])), &[]), "it may come to have more tomorrow");
        assert!(key.cover_scopes(Some(&rights(&["*.read"])), &scopes(&["crm.*.read"])));
    }

    #[test]
    fn what_ends_gives_nothing_that_lasts() {
        let key = Permissions::all().until(Some(soon()));
        let grant = Grant { pattern: "crm.*".parse().unwrap(), resource: ClientId(Uuid::from_u128(1)).into() };
        assert!(!key.cover(["crm.*"]) && !key.cover_grant(&grant));
        assert!(key.cover([]) && key.cover(["!crm.*"]), "that gives nothing");
        assert!(key.cover_end(Some(soon())) && !key.cover_end(None));
        assert!(!key.cover_end(Some(soon() + TimeDelta::microseconds(1))));
        assert!(key.cover_until(["*.read"], Some(soon())) && !key.cover_until(["*.read"], None));
        let twice = Permissions::all().until(Some(soon())).until(None).until(Some(soon() + TimeDelta::days(1)));
        assert!(!twice.cover_end(Some(soon() + TimeDelta::days(1))), "the first end counts");
    }

    #[test]
    fn the_end_of_a_denial_gives_what_it_kept_back() {
        let admin = Permissions::of(&[Role::Admin]);
        let denied = Permissions::patterns(["*", "!identity.tenant.*"]);
        let before = rights(&["*.read", "crm.*", "!crm.client.block", "!identity.tenant.*"]);
        for (after, by_admin, by_denied) in [
            (&["*.read", "crm.*", "!crm.client.block", "!identity.tenant.*"][..], true, true),
            (&["crm.*", "!crm.client.block", "!identity.tenant.*"], true, true),
            (&["*.read", "crm.*", "!identity.tenant.*"], true, true),
            (&["*.read", "crm.*", "!crm.client.*"], true, false),
            (&["crm.*"], true, true),
            (&[], true, true),
            (&["*.read", "crm.*", "!crm.*", "!identity.*"], true, true),
            (&["*.read", "workflow.*", "!crm.client.block", "!identity.tenant.*"], true, true),
        ] {
            let after_rights = rights(after);
            assert_eq!(admin.cover_change(&before, &after_rights), by_admin, "{after:?}");
            assert_eq!(denied.cover_change(&before, &after_rights), by_denied, "{after:?}");
        }
        assert!(!Permissions::patterns(["crm.client.rename"]).cover_change(&before, &rights(&["*.read", "crm.*"])));
    }

    #[test]
    fn whoever_has_a_role_may_have_others_that_its_denials_hold_back() {
        let (role, none) = (rights(&["!identity.tenant.*"]), Rights::default());
        assert!(Permissions::all().cover_role_change(&role, &none));
        assert!(!Permissions::of(&[Role::Admin]).cover_role_change(&role, &none));
        assert!(!Permissions::all().within(["identity.role.*"]).cover_role_change(&role, &none));
        assert!(Permissions::patterns(["identity.role.*"]).cover_role_change(&none, &role), "to deny gives nothing");
        let crm = rights(&["crm.*", "workflow.*"]);
        assert!(Permissions::patterns(["identity.role.*"]).cover_role_change(&crm, &rights(&["workflow.*"])));
    }

    #[test]
    fn a_right_for_a_resource_comes_back_with_the_end_of_a_denial_too() {
        let grant = Grant { pattern: "crm.*".parse().unwrap(), resource: ClientId(Uuid::from_u128(1)).into() };
        let before = Rights::of(["!crm.client.block"], [&grant]);
        let after = Rights::of([], [&grant]);
        assert!(!Permissions::patterns(["files.*"]).cover_change(&before, &after));
        assert!(Permissions::patterns(["crm.*"]).cover_change(&before, &after));
        assert!(Permissions::patterns(["files.*"]).cover_change(&after, &before));
    }
}
