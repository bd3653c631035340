//! What of projects is for the firm alone.

use super::Within;

const BEGUN: &str =
    "r.project_id in (select p.id from projects.projects p where p.tenant_id = t.tenant::uuid and p.status <> 'draft')";

/// Work that has not begun is not shown, and why it rests neither.
pub(super) const WITHIN: &[Within] = &[
    Within { table: "projects.projects", columns: &["reason"], rows: "r.status <> 'draft'" },
    Within { table: "projects.milestones", columns: &[], rows: BEGUN },
    Within { table: "projects.tasks", columns: &["blocked_reason"], rows: BEGUN },
];
