//! What happens to a template.

use crate::merge::{TemplateContent, TemplateKind};
use kernel::{Name, Slug, TemplateId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A template as it was when a paper was made from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateVersion {
    /// Which template.
    pub id: TemplateId,
    /// Its key.
    pub key: Slug,
    /// Which of its versions.
    pub version: u32,
}

/// Everything that happens to a template of proposals or contracts.
#[event("agreements.template")]
pub enum TemplateEvent {
    /// A template was defined; this is its first version.
    Defined {
        /// What definitions call it.
        key: Slug,
        /// What people call it.
        name: Name,
        /// What is made from it.
        kind: TemplateKind,
        /// What it says.
        content: TemplateContent,
    },
    /// The template has a further version; what was made from earlier ones stays as it is.
    Published {
        /// Which version it is.
        version: u32,
        /// What people call it.
        name: Name,
        /// What it says.
        content: TemplateContent,
    },
    /// Nothing new is made from it.
    Retired {},
    /// Something new may be made from it again.
    Reinstated {},
}

kernel::retirable!(TemplateEvent begins "template.defined");
