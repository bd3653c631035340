//! An outgoing email: queued here, handed to the mail server by the mailer, which says what became of it.

use crate::email_template::NotFilled;
use crate::{EmailTemplate, is_of_a_client};
use communications_events::{EmailEvent as E, EmailStatus as Status};
use kernel::{
    Aggregate, ClientId, ContactId, Context, Decision, Email as Address, FileId, Keyed, Machine, Name, Personal,
    PortalUserId, Reference, Resource, Scope, Slug, Text, ThreadId, UserId, command, rejection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use EmailCommand as C;
use EmailRejection as R;

/// Fields that one email fills in.
const FIELDS_MAX: usize = 100;
/// Files that come with one email.
const ATTACHMENTS_MAX: usize = 10;

/// Whom an email is for. Of somebody who is known the address is looked up when the email goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Recipient {
    /// A contact.
    Contact {
        /// Which one.
        id: ContactId,
    },
    /// A member of staff.
    User {
        /// Which one.
        id: UserId,
    },
    /// A person with a place in the portal.
    PortalUser {
        /// Which one.
        id: PortalUserId,
    },
    /// Whoever reads what is sent there.
    Address {
        /// The address.
        email: Address,
    },
}

/// What a field of a template is filled in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct EmailMergeField {
    /// What the template calls it.
    pub name: Slug,
    /// What stands there, as plain text.
    pub value: Text,
}

/// What may be asked of an outgoing email.
#[command("communications.email", member)]
pub enum EmailCommand {
    /// Sends an email, made from a template or with subject and text of its own.
    #[creates]
    #[refused(
        StaffOnly,
        TemplateOrText,
        UnknownTemplate,
        TemplateRetired,
        FieldMissing,
        UnknownField,
        DuplicateField,
        TooManyFields,
        TooLong,
        Empty,
        AttachmentsNeedClient,
        TooManyAttachments
    )]
    Send {
        /// Whom it is for.
        to: Recipient,
        /// The key of the template that it is made from, instead of subject and text.
        #[serde(default)]
        template: Option<Slug>,
        /// What the template's fields are filled in with.
        #[serde(default)]
        fields: Vec<EmailMergeField>,
        /// What is its subject.
        #[serde(default)]
        subject: Option<Name>,
        /// What it says, in Markdown.
        #[serde(default)]
        body: Option<Text>,
        /// The client that it is about.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// The thread that it belongs to.
        #[serde(default)]
        thread_id: Option<ThreadId>,
        /// Files of the client that come with it, each once: the newest version of each goes out.
        #[serde(default)]
        attachments: Vec<FileId>,
    },
    /// Sends the email once more that could not be sent, came back, or of which nobody knows. It is the same email: whoever has it
    /// already sees it once, as far as their mailbox looks at its id.
    #[refused(StaffOnly, AlreadySent)]
    Resend {},
    /// Notes that the mail server took it; only the mailer does.
    #[refused(MailerOnly)]
    MarkSent {
        /// Which attempt, from 1.
        attempt: u32,
        /// Where it went.
        address: Address,
    },
    /// Notes that it cannot be sent; only the mailer does.
    #[refused(MailerOnly)]
    MarkFailed {
        /// Which attempt, from 1.
        attempt: u32,
        /// Why, as a stable code: `refused`, `no_address`, `exhausted`.
        code: Slug,
        /// Why.
        reason: Text,
    },
    /// Notes that nobody knows whether it was sent; only the mailer does.
    #[refused(MailerOnly)]
    MarkUnknown {
        /// Which attempt, from 1.
        attempt: u32,
        /// What was seen.
        reason: Text,
    },
    /// Notes that it came back; only the mailer does.
    #[refused(MailerOnly)]
    MarkBounced {
        /// Which attempt, from 1.
        attempt: u32,
        /// Why.
        reason: Text,
    },
}

/// Why an outgoing email's command may be refused.
#[rejection("communications.email")]
pub enum EmailRejection {
    /// Only the firm's own people send emails.
    #[audited]
    StaffOnly,
    /// An email has either a template or a subject and a text of its own.
    #[invalid("/template")]
    TemplateOrText,
    /// There is no email template with this key.
    #[invalid("/template")]
    UnknownTemplate,
    /// The email template is retired.
    TemplateRetired,
    /// A field of the template is not filled in.
    #[invalid("/fields")]
    FieldMissing,
    /// The template has no such field.
    #[invalid("/fields")]
    UnknownField,
    /// A field is filled in twice.
    #[invalid("/fields")]
    DuplicateField,
    /// An email fills in at most 100 fields.
    #[invalid("/fields")]
    TooManyFields,
    /// Filled in, the subject has more than 200 characters or the text more than 5,000.
    #[invalid("/fields")]
    TooLong,
    /// An email says something.
    #[invalid("/body")]
    Empty,
    /// Only files of the client that an email is about come with it, so it has to say which client.
    #[invalid("/attachments")]
    AttachmentsNeedClient,
    /// An email comes with at most 10 files, each once.
    #[invalid("/attachments")]
    TooManyAttachments,
    /// The email was sent, or is about to be.
    AlreadySent,
    /// Only the mailer does this, for it has tried to send the email.
    #[audited]
    MailerOnly,
}

/// What is remembered of an outgoing email.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Email {
    client_id: Option<ClientId>,
    status: Status,
    /// How often it was queued.
    attempt: u32,
}

impl Aggregate for Email {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "communications/emails";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.client_id.map(Resource::from).into_iter().collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Send { client_id, .. } => Scope::begins_in(client_id.map(Resource::from)),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Send { template: Some(template), .. } => vec![EmailTemplate::by_key(template)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let by_mailer = ctx.actor.is_system();
        Ok(match command {
            C::Send { .. } | C::Resend {} if is_of_a_client(ctx) => return Err(R::StaffOnly),
            C::Send { attachments, client_id: None, .. } if !attachments.is_empty() => {
                return Err(R::AttachmentsNeedClient);
            }
            C::Send { attachments, .. } if !are_few(&attachments) => return Err(R::TooManyAttachments),
            C::Send { to, template, fields, subject, body, client_id, thread_id, attachments } => {
                let (subject, body) = written(template.as_ref(), fields, subject, body, ctx)?;
                let (mut contact_id, mut user_id, mut portal_user_id, mut address) = (None, None, None, None);
                match to {
                    Recipient::Contact { id } => contact_id = Some(id),
                    Recipient::User { id } => user_id = Some(id),
                    Recipient::PortalUser { id } => portal_user_id = Some(id),
                    Recipient::Address { email } => address = Some(Personal::new(email)),
                }
                let (subject, body) = (subject.into(), body.into());
                vec![E::Queued {
                    contact_id,
                    user_id,
                    portal_user_id,
                    address,
                    subject,
                    body,
                    template,
                    client_id,
                    thread_id,
                    attachments,
                }]
            }
            // It waits already: asked twice, it goes out once.
            C::Resend {} if self.status == Status::Queued && self.attempt > 1 => vec![],
            C::Resend {} if matches!(self.status, Status::Queued | Status::Sent) => return Err(R::AlreadySent),
            C::Resend {} => vec![E::QueuedAgain { attempt: self.attempt + 1 }],
            _ if !by_mailer => return Err(R::MailerOnly),
            // What became of an attempt that nobody asks for any more.
            C::MarkSent { attempt, .. }
            | C::MarkFailed { attempt, .. }
            | C::MarkUnknown { attempt, .. }
            | C::MarkBounced { attempt, .. }
                if attempt != self.attempt =>
            {
                vec![]
            }
            C::MarkSent { attempt, address } => self.moved(E::Sent { attempt, address: address.into() }),
            C::MarkFailed { attempt, code, reason } => self.moved(E::Failed { attempt, code, reason: reason.into() }),
            C::MarkUnknown { attempt, reason } => self.moved(E::OutcomeUnknown { attempt, reason: reason.into() }),
            C::MarkBounced { attempt, reason } => self.moved(E::Bounced { attempt, reason: reason.into() }),
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Queued { client_id, .. } => (self.client_id, self.attempt) = (*client_id, 1),
            E::QueuedAgain { attempt } => self.attempt = *attempt,
            E::Sent { .. } | E::Failed { .. } | E::OutcomeUnknown { .. } | E::Bounced { .. } => {}
        }
    }
}

impl Email {
    /// The event, if it leads anywhere from here: what is known already, or contradicts it, is not said again.
    fn moved(&self, event: E) -> Vec<E> {
        if self.status.after(&event) == self.status { vec![] } else { vec![event] }
    }
}

/// No more than an email takes, and none twice.
fn are_few(attachments: &[FileId]) -> bool {
    attachments.len() <= ATTACHMENTS_MAX && attachments.iter().collect::<BTreeSet<_>>().len() == attachments.len()
}

/// Subject and text.
fn written(
    template: Option<&Slug>,
    fields: Vec<EmailMergeField>,
    subject: Option<Name>,
    body: Option<Text>,
    ctx: &Context,
) -> Result<(Name, Text), R> {
    let key = match (template, subject, body) {
        (None, Some(subject), Some(body)) if fields.is_empty() => {
            return if body.as_str().trim().is_empty() { Err(R::Empty) } else { Ok((subject, body)) };
        }
        (Some(key), None, None) => key,
        _ => return Err(R::TemplateOrText),
    };
    if fields.len() > FIELDS_MAX {
        return Err(R::TooManyFields);
    }
    let (_, found) = EmailTemplate::with_key(key, ctx).ok_or(R::UnknownTemplate)?;
    if found.is_retired() {
        return Err(R::TemplateRetired);
    }
    let count = fields.len();
    let values: BTreeMap<Slug, String> =
        fields.into_iter().map(|field| (field.name, field.value.to_string())).collect();
    if values.len() < count {
        return Err(R::DuplicateField);
    }
    let (subject, body) = found.filled(&values).map_err(|why| match why {
        NotFilled::Missing => R::FieldMissing,
        NotFilled::Unknown => R::UnknownField,
    })?;
    Ok((subject.parse().map_err(|_| R::TooLong)?, body.parse().map_err(|_| R::TooLong)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email_template::tests::defined;
    use communications_events::EmailTemplateEvent;
    use kernel::spec::given;
    use kernel::{Actor, PortalUserId};

    fn to() -> Recipient {
        Recipient::Address { email: "ada@example.com".parse().unwrap() }
    }

    fn plain() -> C {
        C::Send {
            to: to(),
            template: None,
            fields: vec![],
            subject: Some("Hello".parse().unwrap()),
            body: Some("Hello, *Ada*".parse().unwrap()),
            client_id: None,
            thread_id: None,
            attachments: vec![],
        }
    }

    fn from_template(fields: &[(&str, &str)]) -> C {
        let field = |(name, value): &(&str, &str)| EmailMergeField {
            name: name.parse().unwrap(),
            value: value.parse().unwrap(),
        };
        let template = Some("welcome".parse().unwrap());
        let fields = fields.iter().map(field).collect();
        C::Send {
            to: to(),
            template,
            fields,
            subject: None,
            body: None,
            client_id: None,
            thread_id: None,
            attachments: vec![],
        }
    }

    fn queued() -> E {
        E::Queued {
            contact_id: None,
            user_id: None,
            portal_user_id: None,
            address: Some(Personal::new("ada@example.com".parse().unwrap())),
            subject: Personal::new("Hello".parse().unwrap()),
            body: Personal::new("Hello, *Ada*".parse().unwrap()),
            template: None,
            client_id: None,
            thread_id: None,
            attachments: vec![],
        }
    }

    fn failed(attempt: u32) -> E {
        let reason = Personal::new("550 no such mailbox".parse().unwrap());
        E::Failed { attempt, code: "refused".parse().unwrap(), reason }
    }

    fn sent(attempt: u32) -> E {
        E::Sent { attempt, address: Personal::new("ada@example.com".parse().unwrap()) }
    }

    fn mark_sent(attempt: u32) -> C {
        C::MarkSent { attempt, address: "ada@example.com".parse().unwrap() }
    }

    fn mark_unknown(attempt: u32) -> C {
        C::MarkUnknown { attempt, reason: "no answer after DATA".parse().unwrap() }
    }

    fn unknown(attempt: u32) -> E {
        E::OutcomeUnknown { attempt, reason: Personal::new("no answer after DATA".parse().unwrap()) }
    }

    #[test]
    fn an_email_has_a_template_or_a_text() {
        given::<Email>([]).when(plain()).then([queued()]);
        let C::Send { to, fields, subject, client_id, thread_id, .. } = plain() else { panic!() };
        let half =
            C::Send { to, template: None, fields, subject, body: None, client_id, thread_id, attachments: vec![] };
        given::<Email>([]).when(half).rejected("communications.email.template_or_text");
        given::<Email>([]).when(from_template(&[])).rejected("communications.email.unknown_template");
    }

    #[test]
    fn a_template_is_filled_in_with_text_that_stays_text() {
        let by = EmailTemplate::by_key(&"welcome".parse().unwrap());
        let mut template = EmailTemplate::default();
        template.apply(&defined("Welcome, {{ name }}", "Dear {{ name }}, {{ firm }} greets you."));
        let known = |template: &EmailTemplate| given::<Email>([]).knowing(by.clone(), Uuid::nil(), template.clone());
        let when = known(&template).when(from_template(&[("name", "Ada\n[x](y)"), ("firm", "Engines")]));
        let [E::Queued { subject, body, .. }] = when.events() else { panic!() };
        assert_eq!(subject.text(), "Welcome, Ada [x](y)");
        assert_eq!(body.text(), "Dear Ada\n\\[x\\]\\(y\\), Engines greets you.");
        let refused = |fields: &[(&str, &str)], code: &str| {
            known(&template).when(from_template(fields)).rejected(&format!("communications.email.{code}"));
        };
        refused(&[("name", "Ada")], "field_missing");
        refused(&[("name", "Ada"), ("firm", "E"), ("nmae", "x")], "unknown_field");
        refused(&[("name", "Ada"), ("name", "Eve"), ("firm", "E")], "duplicate_field");
        refused(&[("name", &"x".repeat(300)), ("firm", "E")], "too_long");
        template.apply(&EmailTemplateEvent::Retired {});
        let retired = known(&template).when(from_template(&[]));
        retired.rejected("communications.email.template_retired");
    }

    #[test]
    fn what_became_of_an_email_is_noted_by_the_mailer_and_once() {
        given::<Email>([queued()]).when(mark_sent(1)).rejected("communications.email.mailer_only");
        let has = |events: &[E]| given::<Email>([&[queued()], events].concat()).by_system();
        has(&[]).when(mark_sent(1)).then([sent(1)]);
        has(&[sent(1)]).when(mark_sent(1)).then_nothing();
        has(&[sent(1)]).when(mark_unknown(1)).then_nothing();
        has(&[]).when(mark_unknown(1)).then([unknown(1)]);
        has(&[unknown(1)]).when(mark_sent(1)).then([sent(1)]);
        has(&[failed(1)]).when(mark_sent(1)).then([sent(1)]);
        has(&[failed(1), E::QueuedAgain { attempt: 2 }]).when(mark_sent(1)).then_nothing();
        let bounced = E::Bounced { attempt: 1, reason: Personal::new("over quota".parse().unwrap()) };
        let bounce = C::MarkBounced { attempt: 1, reason: "over quota".parse().unwrap() };
        has(&[sent(1)]).when(bounce.clone()).then([bounced]);
        has(&[failed(1)]).when(bounce).then_nothing();
    }

    #[test]
    fn an_email_that_did_not_go_out_for_sure_is_sent_once_more() {
        let has = |events: &[E]| given::<Email>([&[queued()], events].concat());
        has(&[]).when(C::Resend {}).rejected("communications.email.already_sent");
        has(&[sent(1)]).when(C::Resend {}).rejected("communications.email.already_sent");
        let again = E::QueuedAgain { attempt: 2 };
        has(&[failed(1)]).when(C::Resend {}).then([again.clone()]);
        has(&[unknown(1)]).when(C::Resend {}).then([again.clone()]);
        has(&[failed(1), again]).when(C::Resend {}).then_nothing();
    }

    #[test]
    fn an_email_comes_with_files_of_the_client_that_it_is_about() {
        let file = |n| FileId(Uuid::from_u128(n));
        let with = |client: Option<ClientId>, files: Vec<FileId>| match plain() {
            C::Send { to, template, fields, subject, body, thread_id, .. } => {
                C::Send { to, template, fields, subject, body, client_id: client, thread_id, attachments: files }
            }
            other => other,
        };
        let client = Some(ClientId(Uuid::from_u128(5)));
        given::<Email>([]).when(with(None, vec![file(1)])).rejected("communications.email.attachments_need_client");
        for wrong in [vec![file(1), file(1)], (0..11).map(file).collect()] {
            given::<Email>([]).when(with(client, wrong)).rejected("communications.email.too_many_attachments");
        }
        let when = given::<Email>([]).when(with(client, vec![file(1), file(2)]));
        let [E::Queued { attachments, .. }] = when.events() else { panic!() };
        assert_eq!(attachments, &[file(1), file(2)]);
    }

    #[test]
    fn nobody_of_a_client_writes_in_the_firms_name() {
        let visitor = Actor::PortalUser { id: PortalUserId(Uuid::from_u128(9)) };
        given::<Email>([]).by(visitor).when(plain()).rejected("communications.email.staff_only");
    }
}
