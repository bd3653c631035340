//! What happens to a project template.

use kernel::{Name, Slug, Text, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// A project skeleton to copy from.
    ProjectTemplateId,
}

/// A milestone that a template makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct TemplateMilestone {
    /// What it is called; tasks name it by this.
    pub name: Name,
    /// Due so many days after the project's first day.
    pub due_after_days: u32,
}

/// A task that a template makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct TemplateTask {
    /// What is to be done.
    pub title: Name,
    /// How it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// The milestone it leads to, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Name>,
    /// Due so many days after the project's first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_after_days: Option<u32>,
    /// Which role does it, for whoever assigns tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Slug>,
}

/// Everything that happens to a project template.
#[event("projects.project_template")]
pub enum ProjectTemplateEvent {
    /// A project skeleton to copy from was defined.
    Defined {
        /// What definitions call it.
        key: Slug,
        /// What people call it.
        name: Name,
        /// Its milestones.
        milestones: Vec<TemplateMilestone>,
        /// Its tasks.
        tasks: Vec<TemplateTask>,
    },
    /// The skeleton changed; projects made earlier stay as they are.
    Revised {
        /// What people call it.
        name: Name,
        /// Its milestones.
        milestones: Vec<TemplateMilestone>,
        /// Its tasks.
        tasks: Vec<TemplateTask>,
    },
    /// No new projects are made from it.
    Retired {},
    /// New projects may be made from it again.
    Reinstated {},
}

kernel::retirable!(ProjectTemplateEvent begins "project_template.defined");
