//! What happens to an email template.

use kernel::{Name, Slug, Text, event};

kernel::ids! {
    /// A template of emails.
    EmailTemplateId,
}

/// Everything that happens to an email template.
#[event("communications.email_template")]
pub enum EmailTemplateEvent {
    /// A template was defined.
    Defined {
        /// What definitions call it.
        key: Slug,
        /// What people call it.
        name: Name,
        /// The subject, with `{{ fields }}` to be filled in.
        subject: Name,
        /// The text in Markdown, with `{{ fields }}` to be filled in.
        body: Text,
    },
    /// The template says something else; emails of before stay as they are.
    Revised {
        /// What people call it.
        name: Name,
        /// The subject.
        subject: Name,
        /// The text in Markdown.
        body: Text,
    },
    /// No new emails are made from it.
    Retired {},
    /// New emails may be made from it again.
    Reinstated {},
}

kernel::retirable!(EmailTemplateEvent begins "email_template.defined");
