//! What emails say.

use crate::people::{People, Person};
use anyhow::{Context, Result, anyhow};
use catalogue::AnyEvent;
use credentials::magic_link::MagicLink;
use event_store::RawEvent;
use identity_events::UserEvent;
use kernel::{Email, InvalidValue, PortalUserId, Timestamp};
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message, MessageBuilder};
use portal_events::PortalUserEvent;
use url::Url;
use uuid::Uuid;

/// How long a link is good.
pub const LINK_MINUTES: u32 = 15;

/// Where the links of emails lead.
#[derive(Debug, Clone)]
pub struct Links {
    /// Where browsers find command-api.
    pub public_url: String,
    /// The provider that people log in at; without one the link leads to the app.
    pub provider: Option<String>,
    /// Where the app is.
    pub app_url: String,
    /// Where the portal is.
    pub portal_url: String,
}

/// Why an email is not written.
#[derive(Debug)]
pub enum NotWritten {
    /// It cannot be, however often it is tried.
    Never(String),
    /// The log cannot be asked now.
    Later(String),
}

/// What is wrong with the event or with us.
impl From<anyhow::Error> for NotWritten {
    fn from(error: anyhow::Error) -> Self {
        Self::Never(format!("{error:#}"))
    }
}

/// Writes the email that an event asks for; nothing to somebody who was erased.
pub async fn write(
    people: &People,
    event: RawEvent,
    from: &Mailbox,
    links: &Links,
) -> Result<Option<Message>, NotWritten> {
    let later = |error: anyhow::Error| NotWritten::Later(format!("{error:#}"));
    let (tenant, event_id) = (event.tenant_id, event.event_id);
    let event = catalogue::decode(event).map_err(anyhow::Error::from)?;
    let firm = people.firm(tenant).await.map_err(later)?.unwrap_or_else(|| "A firm".to_owned());
    let (email, name, expires_at) = match &event.payload {
        AnyEvent::User(UserEvent::Invited { email, name, expires_at, .. }) => (email, name, expires_at),
        AnyEvent::PortalUser(PortalUserEvent::Invited { expires_at, .. }) => {
            let person = people.portal_user(tenant, PortalUserId(event.aggregate_id)).await.map_err(later)?;
            let Some(person) = person else { return Ok(None) };
            return Ok(Some(invitation_to_the_portal(&person, *expires_at, &firm, from, links, event_id)?));
        }
        _ => return Err(NotWritten::Never(format!("{} asks for no email", event.event_type))),
    };
    let Some((email, name)) = email.expose().zip(name.expose()) else { return Ok(None) };
    let (email, name) = (email.as_str(), name.as_str());
    let link = match &links.provider {
        Some(provider) => {
            let pairs = [("tenant", tenant.to_string()), ("provider", provider.clone())];
            let start = Url::parse_with_params(&format!("{}/v1/login/start", links.public_url), pairs);
            start.context("settings: login.public_url")?.to_string()
        }
        None => links.app_url.clone(),
    };
    let text = format!(
        "Hello {name},\n\n{firm} invites you to work with them in UBOS. Come in as {email}:\n\n  {link}\n\n\
         The invitation is open until {}. If you do not know {firm}, do nothing: without you logging in nothing happens.\n",
        expires_at.format("%-d %B %Y, %H:%M UTC"),
    );
    // The same id for every try, so that a mailbox recognises a repeat.
    Ok(Some(compose(from, (email, name), format!("{firm} invites you"), event_id, text)?))
}

fn invitation_to_the_portal(
    person: &Person,
    expires_at: Timestamp,
    firm: &str,
    from: &Mailbox,
    links: &Links,
    event_id: Uuid,
) -> Result<Message> {
    let (email, name) = (person.email.as_str(), person.name.as_str());
    let text = format!(
        "Hello {name},\n\n{firm} invites you to their client portal:\n\n  {}\n\nGive your address there, {email}, and you get a \
         email with a link that lets you in. The invitation is open until {}.\n",
        links.portal_url,
        expires_at.format("%-d %B %Y, %H:%M UTC"),
    );
    compose(from, (email, name), format!("{firm} invites you to their client portal"), event_id, text)
}

/// Writes the email that lets somebody in to the portal. Every link is an email of its own.
pub fn magic_link(person: &Person, firm: &str, link: &MagicLink, from: &Mailbox, links: &Links) -> Result<Message> {
    let (email, name) = (person.email.as_str(), person.name.as_str());
    let url = Url::parse_with_params(&format!("{}/v1/login/portal", links.public_url), [("link", link.text())])?;
    let text = format!(
        "Hello {name},\n\nthis link lets you in to the client portal of {firm}, once, for the next {LINK_MINUTES} minutes:\n\n  {url}\n\n\
         If you have not asked for it, do nothing: without you opening it nothing happens.\n"
    );
    compose(from, (email, name), format!("Your link to the client portal of {firm}"), Uuid::now_v7(), text)
}

/// The address as the library that sends emails has it. Its own check takes the bytes of a character's number for its UTF-8, and so
/// refuses most letters beyond ASCII; [`Email`] has checked more.
fn address(email: &Email) -> Result<Address> {
    let (user, domain) = email.as_str().rsplit_once('@').context("an address without @")?;
    Ok(Address::new_dangerous(user, domain))
}

/// An email from and to somebody, whose name may be unknown, still without a subject and a text.
///
/// # Errors
/// None that an [`Email`] leads to.
pub fn addressed(from: &Mailbox, name: &str, email: &Email) -> Result<MessageBuilder> {
    let to = address(email)?;
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()])?;
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    Ok(Message::builder().from(from.clone()).to(Mailbox::new(name, to)).envelope(envelope))
}

/// A plain email; `id` names it, the same at every try.
pub(crate) fn compose(from: &Mailbox, to: (&str, &str), subject: String, id: Uuid, text: String) -> Result<Message> {
    let (email, name) = to;
    let email: Email = email.parse().map_err(|wrong: InvalidValue| anyhow!("the address: {}", wrong.message))?;
    let message = addressed(from, name, &email)?
        .subject(subject)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .header(ContentType::TEXT_PLAIN)
        .body(text)?;
    Ok(message)
}
