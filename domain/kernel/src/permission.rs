//! Roles and the permission patterns they hold. A permission is a command's dotted name, or `context.aggregate.read`.

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
            Role::Member => &[
                "*.read",
                "crm.*",
                "scheduling.appointment.*",
                "scheduling.availability.*",
                "portal.*",
                "files.folder.*",
                "projects.project.*",
                "identity.user.leave",
                "identity.session.end",
            ],
            Role::Viewer => &["*.read", "identity.user.leave", "identity.session.end"],
        }
    }
}

/// What one caller may do. Cheap to ask, because patterns are taken apart once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    rules: Vec<Rule>,
    /// Further lists that must allow it too: an API key's scopes.
    within: Vec<Vec<Rule>>,
}

impl Permissions {
    /// Everything: an operator's.
    pub fn all() -> Self {
        Self::patterns(["*"])
    }

    /// The union of these roles.
    pub fn of(roles: &[Role]) -> Self {
        Self::patterns(roles.iter().flat_map(|role| role.patterns()).copied())
    }

    /// From patterns; see [`crate::Pattern`]. What is none grants nothing.
    pub fn patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rules: patterns.into_iter().filter_map(Rule::parse).collect(), within: vec![] }
    }

    /// The same, but no more than these patterns grant.
    pub fn within<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.within.push(Self::patterns(patterns).rules);
        self
    }

    /// May the caller do this? `permission` is a full dotted name.
    pub fn allow(&self, permission: &str) -> bool {
        let mut parts = permission.splitn(3, '.');
        let parts = [(); 3].map(|()| parts.next().unwrap_or_default());
        let allows = |rules: &[Rule]| {
            let touching = || rules.iter().filter(|rule| rule.matches(parts));
            touching().next().is_some() && touching().all(|rule| !rule.denies)
        };
        allows(&self.rules) && self.within.iter().all(|rules| allows(rules))
    }

    /// Does whoever has these hold everything that `patterns` grant? Errs on the side of no. Nobody can give what they
    /// do not have.
    pub fn cover<'a>(&self, patterns: impl IntoIterator<Item = &'a str>) -> bool {
        let given = Self::patterns(patterns).rules;
        let covers = |rules: &[Rule]| {
            given.iter().filter(|rule| !rule.denies).all(|rule| {
                rules.iter().any(|own| !own.denies && own.contains(rule))
                    && rules
                        .iter()
                        .filter(|own| own.denies && own.overlaps(rule))
                        .all(|denial| given.iter().any(|other| other.denies && other.contains(denial)))
            })
        };
        covers(&self.rules) && self.within.iter().all(|rules| covers(rules))
    }
}

/// A pattern taken apart: context, aggregate and verb; none stands for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    denies: bool,
    parts: [Option<String>; 3],
}

impl Rule {
    /// `*` at either end stands for all the parts that are missing there, `clients:read` for `*.client.read`, the founding
    /// document's spelling; `clients:write` grants all commands of a client.
    pub fn parse(pattern: &str) -> Option<Self> {
        let (denies, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
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
            return Some(Self { denies, parts: [None, word(&singular.replace('-', "_"))?, verb] });
        }
        let mut parts = pattern.split('.').map(word).collect::<Option<Vec<_>>>()?;
        match parts.as_slice() {
            [.., None] => parts.resize(3.max(parts.len()), None),
            [None, ..] => parts.splice(..1, vec![None; 4_usize.saturating_sub(parts.len())]).for_each(drop),
            _ => {}
        }
        Some(Self { denies, parts: parts.try_into().ok()? })
    }

    fn matches(&self, parts: [&str; 3]) -> bool {
        self.parts.iter().zip(parts).all(|(own, part)| own.as_deref().is_none_or(|own| own == part))
    }

    /// Everything that the other matches is matched by this one too.
    fn contains(&self, other: &Self) -> bool {
        self.parts.iter().zip(&other.parts).all(|(own, part)| own.is_none() || own == part)
    }

    /// Something is matched by both.
    fn overlaps(&self, other: &Self) -> bool {
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
    fn no_roles_allow_nothing() {
        assert!(!Permissions::of(&[]).allow("crm.client.read"));
    }
}
