//! Roles and the permission patterns they hold. A permission is a command's dotted name, or `context.aggregate.read`.

use crate::grant::{Grant, Limits, Reach, Resource};
use crate::member::MEMBER;
use crate::{Slug, TeamId, Timestamp};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The built-in roles; custom roles are lists of patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, the firm itself included.
    Owner,
    /// Everything but what only an owner may do.
    Admin,
    /// The daily work.
    Member,
    /// Looks, changes nothing.
    Viewer,
}

/// A role name that no role has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {0:?}: expected owner, admin, member or viewer")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let known = [Role::Owner, Role::Admin, Role::Member, Role::Viewer].into_iter().find(|role| role.name() == name);
        known.ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

impl Role {
    /// What it is called where it is assigned.
    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Member => "member",
            Role::Viewer => "viewer",
        }
    }

    /// The patterns this role holds. A leading `!` takes away what the others grant.
    pub fn patterns(self) -> &'static [&'static str] {
        match self {
            Role::Owner => &["*"],
            Role::Admin => &[
                "*",
                "!identity.tenant.close",
                "!identity.tenant.reopen",
                "!identity.tenant.add_owner",
                "!identity.tenant.remove_owner",
                "!identity.tenant.transfer_ownership",
            ],
            // As the commands themselves say.
            Role::Member => MEMBER,
            Role::Viewer => &["*.read"],
        }
    }
}

/// What every user of a firm may do, whatever their roles: see who they are, see and end their own sessions, leave, and look
/// after what they are told and how.
pub const OF_EVERY_USER: [&str; 11] = [
    "identity.user.read:own",
    "identity.user.leave:own",
    "identity.session.audit:own",
    "identity.session.end:own",
    "communications.notification.inspect:own",
    "communications.notification.mark_read:own",
    "communications.notification.mark_all_read:own",
    "communications.notification.dismiss:own",
    "communications.notification_preferences.read:own",
    "communications.notification_preferences.set:own",
    "communications.notification_preferences.change:own",
];

/// What one caller may do. Cheap to ask, because patterns are taken apart once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    pub(crate) rules: Vec<Rule>,
    /// Rights for single resources.
    pub(crate) grants: Vec<(Resource, Rule)>,
    /// Further lists that must allow it too: an API key's scopes.
    pub(crate) within: Vec<Vec<Rule>>,
    /// When what was shown to come in with ends, if it does: an API key's expiry.
    pub(crate) ends_at: Option<Timestamp>,
    /// The roles that the caller has, by name, for whatever is somebody's because of a role and not of a right.
    roles: Vec<Slug>,
    /// The teams that the caller is a member of.
    teams: Vec<TeamId>,
}

impl Permissions {
    /// Everything: an operator's.
    pub fn all() -> Self {
        Self::patterns(["*"])
    }

    /// The union of these roles.
    pub fn of(roles: &[Role]) -> Self {
        let names = roles.iter().filter_map(|role| role.name().parse().ok());
        Self::patterns(roles.iter().flat_map(|role| role.patterns()).copied()).known_as(names, [])
    }

    /// From patterns; see [`crate::Pattern`]. What is none grants nothing.
    pub fn patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rules: patterns.into_iter().filter_map(Rule::parse).collect(), ..Self::default() }
    }

    /// The same, and these rights for single resources besides.
    pub fn granted<'g>(mut self, grants: impl IntoIterator<Item = &'g Grant>) -> Self {
        let rule = |grant: &Grant| Rule::parse(grant.pattern.as_str()).filter(Rule::only_gives);
        self.grants.extend(grants.into_iter().filter_map(|grant| Some((grant.resource, rule(grant)?))));
        self
    }

    /// The same, but no more than these patterns grant.
    pub fn within<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.within.push(Self::patterns(patterns).rules);
        self
    }

    /// The same, but what was shown to come in with ends then, so that nothing is given that lasts longer.
    pub fn until(mut self, end: Option<Timestamp>) -> Self {
        self.ends_at = [self.ends_at, end].into_iter().flatten().min();
        self
    }

    /// The same, for somebody who has these roles and is a member of these teams.
    pub fn known_as(mut self, roles: impl IntoIterator<Item = Slug>, teams: impl IntoIterator<Item = TeamId>) -> Self {
        self.roles.extend(roles);
        self.teams.extend(teams);
        self
    }

    /// Has the caller the role of this name?
    pub fn has_role(&self, role: &Slug) -> bool {
        self.roles.contains(role)
    }

    /// Is the caller a member of the team?
    pub fn is_in_team(&self, team: TeamId) -> bool {
        self.teams.contains(&team)
    }

    /// May the caller do this, to whatever it is? `permission` is a full dotted name.
    pub fn allow(&self, permission: &str) -> bool {
        let parts = parts_of(permission);
        let allows = |rules: &[Rule]| extent(rules, parts) == Extent::Everything;
        allows(&self.rules) && self.within.iter().all(|rules| allows(rules))
    }

    /// To what may the caller do this? Where a key's scopes say `:own`, grants for single resources count for nothing: it
    /// errs on the side of no.
    pub fn reach(&self, permission: &str) -> Reach {
        let parts = parts_of(permission);
        let held = extent(&self.rules, parts);
        if held == Extent::Denied {
            return Reach::Nothing;
        }
        let limit = self.within.iter().map(|rules| extent(rules, parts)).min().unwrap_or(Extent::Everything);
        let resources = match limit {
            Extent::Everything if held == Extent::Everything => return Reach::Everything,
            Extent::Everything => {
                self.grants.iter().filter(|(_, rule)| rule.matches(parts)).map(|(resource, _)| *resource).collect()
            }
            Extent::Own => vec![],
            Extent::Nothing | Extent::Denied => return Reach::Nothing,
        };
        let own = held >= Extent::Own;
        if own || !resources.is_empty() { Reach::Only(Limits { resources, own }) } else { Reach::Nothing }
    }
}

fn parts_of(permission: &str) -> [&str; 3] {
    let mut parts = permission.splitn(3, '.');
    [(); 3].map(|()| parts.next().unwrap_or_default())
}

/// How far a list of rules lets somebody go, from nowhere on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    Denied,
    Nothing,
    Own,
    Everything,
}

fn extent(rules: &[Rule], parts: [&str; 3]) -> Extent {
    let mut extent = Extent::Nothing;
    for rule in rules.iter().filter(|rule| rule.matches(parts)) {
        if rule.denies {
            return Extent::Denied;
        }
        extent = extent.max(if rule.own { Extent::Own } else { Extent::Everything });
    }
    extent
}

/// Do `rules` grant everything that `given` grants? Errs on the side of no.
pub(crate) fn covers(rules: &[Rule], given: &[Rule]) -> bool {
    given.iter().filter(|rule| !rule.denies).all(|rule| {
        rules.iter().any(|own| !own.denies && own.contains(rule))
            && rules
                .iter()
                .filter(|own| own.denies && own.overlaps(rule))
                .all(|denial| given.iter().any(|other| other.denies && other.contains(denial)))
    })
}

/// A pattern taken apart: context, aggregate and verb; none stands for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) denies: bool,
    /// Only for what is the caller's own.
    own: bool,
    parts: [Option<String>; 3],
}

impl Rule {
    /// `*` at either end stands for all the parts that are missing there, `clients:read` for `*.client.read`, the founding
    /// document's spelling; `clients:write` grants all commands of a client. `:own` at the end limits it to what is the
    /// caller's own.
    pub fn parse(pattern: &str) -> Option<Self> {
        let (denies, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        let (own, pattern) = pattern.strip_suffix(":own").map_or((false, pattern), |rest| (true, rest));
        if denies && own {
            return None;
        }
        let word = |text: &str| match text {
            "*" => Some(None),
            text if is_word(text) => Some(Some(text.to_owned())),
            _ => None,
        };
        if let Some((resource, verb)) = pattern.split_once(':') {
            let singular = match resource.strip_suffix("ies") {
                Some(stem) => format!("{stem}y"),
                None => resource.strip_suffix('s')?.to_owned(),
            };
            let verb = if verb == "write" { None } else { word(verb)? };
            return Some(Self { denies, own, parts: [None, word(&singular.replace('-', "_"))?, verb] });
        }
        let mut parts = pattern.split('.').map(word).collect::<Option<Vec<_>>>()?;
        match parts.as_slice() {
            [.., None] => parts.resize(3.max(parts.len()), None),
            [None, ..] => parts.splice(..1, vec![None; 4_usize.saturating_sub(parts.len())]).for_each(drop),
            _ => {}
        }
        Some(Self { denies, own, parts: parts.try_into().ok()? })
    }

    fn matches(&self, parts: [&str; 3]) -> bool {
        self.parts.iter().zip(parts).all(|(own, part)| own.as_deref().is_none_or(|own| own == part))
    }

    /// Does it give, without limits of its own?
    pub fn only_gives(&self) -> bool {
        !self.denies && !self.own
    }

    /// The same, to be granted and not denied.
    pub fn lifted(&self) -> Self {
        Self { denies: false, ..self.clone() }
    }

    /// What both match; limited to one's own if this one is.
    pub fn both(&self, other: &Self) -> Option<Self> {
        let both = |(one, two): (&Option<String>, &Option<String>)| one.clone().or_else(|| two.clone());
        let parts = self.parts.iter().zip(&other.parts).map(both).collect::<Vec<_>>();
        let parts = parts.try_into().ok().filter(|_| self.overlaps(other))?;
        Some(Self { denies: false, own: self.own, parts })
    }

    /// Everything that the other matches is matched by this one too.
    pub fn contains(&self, other: &Self) -> bool {
        (other.own || !self.own) && self.parts.iter().zip(&other.parts).all(|(own, part)| own.is_none() || own == part)
    }

    /// Something is matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.parts.iter().zip(&other.parts).all(|(own, part)| own.is_none() || part.is_none() || own == part)
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_reads_everything_and_changes_nothing() {
        let viewer = Permissions::of(&[Role::Viewer]);
        assert!(viewer.allow("crm.client.read"));
        assert!(!viewer.allow("crm.client.rename"));
    }

    #[test]
    fn a_member_works_with_clients_but_does_not_define_templates() {
        let member = Permissions::of(&[Role::Member]);
        assert!(member.allow("crm.client.create"));
        assert!(!member.allow("files.folder_template.define"));
        assert!(!member.allow("workflow.definition.publish"));
    }

    #[test]
    fn a_denial_wins_over_every_grant() {
        let admin = Permissions::of(&[Role::Admin, Role::Viewer]);
        assert!(admin.allow("workflow.run.retry"));
        assert!(!admin.allow("identity.tenant.close"));
    }

    #[test]
    fn the_founding_documents_short_form_means_the_dotted_one() {
        let short = Permissions::patterns(["clients:read", "folder-templates:write"]);
        assert!(short.allow("crm.client.read"));
        assert!(!short.allow("crm.client.rename"));
        assert!(short.allow("files.folder_template.define"));
    }

    #[test]
    fn a_star_stands_for_what_is_missing_at_its_end() {
        for (pattern, grants) in [
            ("*", true),
            ("crm.*", true),
            ("crm.client.*", true),
            ("*.read", true),
            ("*.client.read", true),
            ("crm.*.read", true),
            ("crm.client.read", true),
            ("scheduling.*", false),
            ("*.rename", false),
            ("crm.client.read.*", false),
            ("crm.client", false),
            ("crm.Client.read", false),
            ("", false),
            ("crm.client.read:own", false),
        ] {
            assert_eq!(Permissions::patterns([pattern]).allow("crm.client.read"), grants, "{pattern:?}");
        }
    }

    #[test]
    fn a_scope_takes_away_and_never_adds() {
        let scoped = Permissions::of(&[Role::Viewer]).within(["crm.*"]);
        assert!(scoped.allow("crm.client.read"));
        assert!(!scoped.allow("files.folder.read"));
        assert!(!scoped.allow("crm.client.rename"));
    }

    #[test]
    fn nobody_covers_what_they_do_not_hold() {
        let admin = Permissions::of(&[Role::Admin]);
        assert!(admin.cover(Role::Admin.patterns().iter().copied()));
        assert!(admin.cover(Role::Member.patterns().iter().copied()));
        assert!(!admin.cover(["*"]), "the firm's end is an owner's");
        assert!(!admin.cover(["identity.*"]));
        assert!(admin.cover(["identity.user.*"]));
        assert!(Permissions::all().cover(["*"]));
        let member = Permissions::of(&[Role::Member]);
        assert!(member.cover(["crm.client.*", "clients:read"]) && !member.cover(["workflow.*"]));
        assert!(!member.clone().within(["crm.*"]).cover(["files.folder.read"]));
    }

    #[test]
    fn roles_and_teams_are_known_whatever_a_key_is_limited_to() {
        let (lead, team) = ("lead".parse::<Slug>().unwrap(), TeamId(uuid::Uuid::from_u128(1)));
        let held = Permissions::of(&[Role::Member]).known_as([lead.clone()], [team]).within(["crm.*"]);
        assert!(held.has_role(&lead) && held.has_role(&"member".parse().unwrap()) && held.is_in_team(team));
        assert!(!held.has_role(&"owner".parse().unwrap()) && !held.is_in_team(TeamId(uuid::Uuid::from_u128(2))));
    }

    #[test]
    fn no_roles_allow_nothing() {
        assert!(!Permissions::of(&[]).allow("crm.client.read"));
    }
}
