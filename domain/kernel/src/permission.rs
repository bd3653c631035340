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
        match name {
            "owner" => Ok(Role::Owner),
            "admin" => Ok(Role::Admin),
            "member" => Ok(Role::Member),
            "viewer" => Ok(Role::Viewer),
            other => Err(UnknownRole(other.to_owned())),
        }
    }
}

impl Role {
    /// The patterns this role holds. A leading `!` takes away what the others grant.
    pub fn patterns(self) -> &'static [&'static str] {
        match self {
            Role::Owner => &["*"],
            Role::Admin => &["*", "!identity.tenant.close"],
            Role::Member => &[
                "*.read",
                "crm.*",
                "scheduling.appointment.*",
                "scheduling.availability.*",
                "portal.*",
                "files.folder.*",
                "projects.project.*",
            ],
            Role::Viewer => &["*.read"],
        }
    }
}

/// What one caller may do: the union of its roles' patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(Vec<String>);

impl Permissions {
    /// The union of these roles.
    pub fn of(roles: &[Role]) -> Self {
        Self::patterns(roles.iter().flat_map(|role| role.patterns()).copied())
    }

    /// From patterns: `crm.contact.rename`, `crm.*`, `*.read`, `!crm.client.block`, or the short form `clients:read`.
    pub fn patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(patterns.into_iter().map(dotted).collect())
    }

    /// May the caller do this? `permission` is a full dotted name.
    pub fn allow(&self, permission: &str) -> bool {
        let mut allowed = false;
        for pattern in &self.0 {
            match pattern.strip_prefix('!') {
                Some(denied) if matches(denied, permission) => return false,
                Some(_) => {}
                None => allowed = allowed || matches(pattern, permission),
            }
        }
        allowed
    }
}

/// `clients:read` is the founding document's spelling of `*.client.read`; `clients:write` grants all its commands.
fn dotted(pattern: &str) -> String {
    let Some((resource, verb)) = pattern.split_once(':') else { return pattern.to_owned() };
    let singular = match resource.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => resource.strip_suffix('s').unwrap_or(resource).to_owned(),
    };
    let verb = if verb == "write" { "*" } else { verb };
    format!("*.{}.{verb}", singular.replace('-', "_"))
}

/// `*` stands for one or more whole segments at either end, for exactly one in the middle.
fn matches(pattern: &str, permission: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let permission: Vec<&str> = permission.split('.').collect();
    match pattern.as_slice() {
        ["*"] => true,
        ["*", rest @ ..] if rest.len() < permission.len() && !rest.contains(&"*") => permission.ends_with(rest),
        [rest @ .., "*"] if rest.len() < permission.len() && !rest.contains(&"*") => permission.starts_with(rest),
        _ => pattern.len() == permission.len() && pattern.iter().zip(&permission).all(|(a, b)| *a == "*" || a == b),
    }
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
    fn no_roles_allow_nothing() {
        assert!(!Permissions::of(&[]).allow("crm.client.read"));
    }
}
