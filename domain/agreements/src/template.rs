//! A template of proposals or contracts: Markdown with typed fields, in versions.

use agreements_events::{MergeValue, TemplateContent, TemplateEvent as E, TemplateKind};
use kernel::{
    Aggregate, ClaimChange, Context, Decision, Keyed, Machine, Markdown, Name, Retirable, Slug, command, rejection,
};
use serde::{Deserialize, Serialize};

use TemplateCommand as C;
use TemplateRejection as R;

/// What may be asked of a template.
#[command("agreements.template", !member)]
pub enum TemplateCommand {
    /// Defines a template, and with it its first version.
    #[creates]
    #[refused("key.taken")]
    Define {
        /// What definitions call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: Name,
        /// What is made from it: proposals, unless given.
        #[serde(default)]
        kind: TemplateKind,
        /// What it says.
        content: TemplateContent,
    },
    /// Publishes another version. What was made from earlier ones stays as it is, and they can be read.
    #[refused(Retired)]
    Publish {
        /// What people call it.
        name: Name,
        /// What it says.
        content: TemplateContent,
    },
    /// Ends that something new is made from it.
    Retire {},
    /// Allows that something new is made from it again.
    Reinstate {},
}

/// Why a template's command may be refused.
#[rejection("agreements.template")]
pub enum TemplateRejection {
    /// The template is retired; reinstate it first.
    Retired,
}

/// What is remembered of a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Template {
    name: String,
    kind: TemplateKind,
    version: u32,
    content: Option<TemplateContent>,
    retired: Retirable,
}

impl Template {
    /// What is made from it.
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// Its latest version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// May nothing new be made from it?
    pub fn is_retired(&self) -> bool {
        self.retired.is_retired()
    }

    /// What its latest version says with these values; none if they do not fit.
    pub fn filled(&self, values: &[MergeValue]) -> Option<Markdown> {
        self.content.as_ref()?.filled(values).ok()
    }
}

impl Keyed for Template {
    const KEY: &'static str = "agreements.template.key";
}

impl Aggregate for Template {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "agreements/templates";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, name, kind, content } => vec![E::Defined { key, name, kind, content }],
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            C::Publish { .. } if self.is_retired() => return Err(R::Retired),
            C::Publish { name, content } if name.as_str() == self.name && Some(&content) == self.content.as_ref() => {
                vec![]
            }
            C::Publish { name, content } => vec![E::Published { version: self.version + 1, name, content }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key: _, name, kind, content } => {
                (self.name, self.kind, self.version) = (name.as_str().to_owned(), *kind, 1);
                self.content = Some(content.clone());
            }
            E::Published { version, name, content } => {
                (self.name, self.version) = (name.as_str().to_owned(), *version);
                self.content = Some(content.clone());
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::spec::given;
    use kernel::{Claim, Command as _};

    pub(crate) fn content(body: &str) -> TemplateContent {
        let fields = r#"[{"key":"client.name","kind":"text","label":"Client","required":true}]"#;
        kernel::read_input(&format!(r#"{{"body":"{body}","fields":{fields}}}"#)).unwrap()
    }

    pub(crate) fn defined(kind: TemplateKind) -> E {
        let (key, name) = ("letter".parse().unwrap(), "Letter".parse().unwrap());
        E::Defined { key, name, kind, content: content("Dear {{client.name}}") }
    }

    /// A template with this history.
    pub(crate) fn template(events: &[E]) -> Template {
        let mut template = Template::default();
        events.iter().for_each(|event| template.apply(event));
        template
    }

    fn publish(body: &str) -> C {
        C::Publish { name: "Letter".parse().unwrap(), content: content(body) }
    }

    #[test]
    fn a_template_claims_its_key() {
        let E::Defined { key, name, kind, content } = defined(TemplateKind::Contract) else { panic!("a definition") };
        let when = given::<Template>([]).when(C::Define { key, name, kind, content });
        let claims = when.then([defined(TemplateKind::Contract)]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("agreements.template.key", "letter"))]);
    }

    #[test]
    fn a_further_version_is_numbered_and_the_same_again_is_none() {
        let second =
            E::Published { version: 2, name: "Letter".parse().unwrap(), content: content("Hello {{client.name}}") };
        let first = || defined(TemplateKind::Proposal);
        given::<Template>([first()]).when(publish("Hello {{client.name}}")).then([second.clone()]);
        given::<Template>([first()]).when(publish("Dear {{client.name}}")).then_nothing();
        let when = given::<Template>([first(), second]).when(publish("Dear {{client.name}}"));
        assert_eq!(when.state().version(), 3);
    }

    #[test]
    fn a_retired_template_has_no_further_version() {
        let retired = || [defined(TemplateKind::Proposal), E::Retired {}];
        given::<Template>(retired()).when(publish("Hello {{client.name}}")).rejected("agreements.template.retired");
        given::<Template>(retired()).when(C::Reinstate {}).then([E::Reinstated {}]);
        given::<Template>(retired()).when(C::Retire {}).then_nothing();
    }

    #[test]
    fn a_field_that_nobody_declared_is_told_with_its_place() {
        let body = r#"{"key":"a","name":"A","content":{"body":"Dear\n{{name}}"}}"#;
        let errors = C::parse("define", body).unwrap_err().into_vec();
        assert_eq!((errors[0].pointer.as_str(), errors[0].code.as_str()), ("/content", "not_one_of"));
        assert!(errors[0].message.starts_with("body, line 2, column 1"), "{}", errors[0].message);
    }
}
