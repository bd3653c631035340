//! An email template: subject and text with fields that are filled in.

use crate::merge;
use communications_events::EmailTemplateEvent as E;
use kernel::{
    Aggregate, ClaimChange, Context, Decision, Imprint, Keyed, Machine, Name, Retirable, Slug, Text, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use EmailTemplateCommand as C;
use EmailTemplateRejection as R;

/// What may be asked of an email template.
#[command("communications.email_template", !member)]
pub enum EmailTemplateCommand {
    /// Defines a template of emails.
    #[creates]
    #[refused(BadSubject, BadBody, "key.taken")]
    Define {
        /// What definitions call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: Name,
        /// The subject, with `{{ fields }}` to be filled in.
        subject: Name,
        /// The text in Markdown, with `{{ fields }}` to be filled in.
        body: Text,
    },
    /// Changes what the template says; emails of before stay as they are.
    #[refused(Retired, BadSubject, BadBody)]
    Revise {
        /// What people call it.
        name: Name,
        /// The subject, with `{{ fields }}` to be filled in.
        subject: Name,
        /// The text in Markdown, with `{{ fields }}` to be filled in.
        body: Text,
    },
    /// Ends that new emails are made from it.
    Retire {},
    /// Allows new emails to be made from it again.
    Reinstate {},
}

/// Why an email template's command may be refused.
#[rejection("communications.email_template")]
pub enum EmailTemplateRejection {
    /// The template is retired; reinstate it first.
    Retired,
    /// A field is written `{{ client_name }}`, and closed.
    #[invalid("/subject")]
    BadSubject,
    /// The text says something, and its fields are written `{{ client_name }}` and closed.
    #[invalid("/body")]
    BadBody,
}

/// What is remembered of an email template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EmailTemplate {
    subject: String,
    body: String,
    made_with: Option<Imprint>,
    retired: Retirable,
}

/// Why a template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotFilled {
    /// A field has no value.
    Missing,
    /// A value is given for what is no field.
    Unknown,
}

impl EmailTemplate {
    /// May no new emails be made from it?
    pub fn is_retired(&self) -> bool {
        self.retired.is_retired()
    }

    /// Subject and text with all fields filled in.
    pub(crate) fn filled(&self, values: &BTreeMap<Slug, String>) -> Result<(String, String), NotFilled> {
        let fields = |text| merge::fields(text).unwrap_or_default();
        let known: BTreeSet<Slug> = fields(&self.subject).into_iter().chain(fields(&self.body)).collect();
        if values.keys().any(|name| !known.contains(name)) {
            return Err(NotFilled::Unknown);
        }
        // A subject is one line, whatever the value is.
        let line = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        let subject = merge::fill(&self.subject, values, line).map_err(|_| NotFilled::Missing)?;
        let body = merge::fill(&self.body, values, merge::escaped).map_err(|_| NotFilled::Missing)?;
        Ok((subject, body))
    }
}

impl Keyed for EmailTemplate {
    const KEY: &'static str = "communications.email_template.key";
}

impl Aggregate for EmailTemplate {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "communications/email-templates";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, name, subject, body } => {
                check(&subject, &body)?;
                vec![E::Defined { key, name, subject, body }]
            }
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            _ if self.is_retired() => return Err(R::Retired),
            C::Revise { name, subject, body } => {
                check(&subject, &body)?;
                let is_same = self.made_with == Some(Imprint::of(&(&name, &subject, &body)));
                if is_same { vec![] } else { vec![E::Revised { name, subject, body }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key: _, name, subject, body } | E::Revised { name, subject, body } => {
                (self.subject, self.body) = (subject.to_string(), body.to_string());
                self.made_with = Some(Imprint::of(&(name, subject, body)));
            }
            E::Retired {} | E::Reinstated {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Defined { key, .. } => vec![ClaimChange::Take(Self::key_claim(key))],
            _ => vec![],
        }
    }
}

fn check(subject: &Name, body: &Text) -> Result<(), R> {
    merge::fields(subject.as_str()).map_err(|_| R::BadSubject)?;
    merge::fields(body.as_str()).map_err(|_| R::BadBody)?;
    if body.as_str().trim().is_empty() { Err(R::BadBody) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::Claim;
    use kernel::spec::given;

    pub(crate) fn defined(subject: &str, body: &str) -> E {
        E::Defined {
            key: "welcome".parse().unwrap(),
            name: "Welcome".parse().unwrap(),
            subject: subject.parse().unwrap(),
            body: body.parse().unwrap(),
        }
    }

    fn define(subject: &str, body: &str) -> C {
        C::Define {
            key: "welcome".parse().unwrap(),
            name: "Welcome".parse().unwrap(),
            subject: subject.parse().unwrap(),
            body: body.parse().unwrap(),
        }
    }

    fn revise(subject: &str, body: &str) -> C {
        C::Revise { name: "Welcome".parse().unwrap(), subject: subject.parse().unwrap(), body: body.parse().unwrap() }
    }

    #[test]
    fn a_template_claims_its_key() {
        let when = given::<EmailTemplate>([]).when(define("Welcome, {{ name }}", "Hello"));
        let claims = when.then([defined("Welcome, {{ name }}", "Hello")]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("communications.email_template.key", "welcome"))]);
    }

    #[test]
    fn a_field_that_is_not_closed_is_refused_where_it_stands() {
        let said = |subject, body| given::<EmailTemplate>([]).when(define(subject, body));
        said("{{ name", "Hello").rejected("communications.email_template.bad_subject");
        said("Hello", "{{ Full Name }}").rejected("communications.email_template.bad_body");
        said("Hello", " ").rejected("communications.email_template.bad_body");
    }

    #[test]
    fn a_retired_template_is_not_revised() {
        let has = |events: &[E]| given::<EmailTemplate>([&[defined("A", "B")], events].concat());
        has(&[E::Retired {}]).when(revise("A", "C")).rejected("communications.email_template.retired");
        has(&[]).when(revise("A", "B")).then_nothing();
        assert_eq!(has(&[]).when(revise("A", "C")).events().len(), 1);
    }
}
