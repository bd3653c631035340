//! What letters say.

use crate::queue::{Due, Queue};
use anyhow::{Context, Result, bail};
use catalogue::AnyEvent;
use identity_events::UserEvent;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use url::Url;

/// Where the links of letters lead.
#[derive(Debug, Clone)]
pub struct Links {
    /// Where browsers find command-api.
    pub public_url: String,
    /// The provider that people log in at; without one the link leads to the app.
    pub provider: Option<String>,
    /// Where the app is.
    pub app_url: String,
}

/// Writes the letter that an event asks for.
pub async fn write(queue: &Queue, due: &Due, from: &Mailbox, links: &Links) -> Result<Message> {
    let event = queue.event(due.position).await?;
    let (tenant, event_id) = (event.tenant_id, event.event_id);
    let event = catalogue::decode(event)?;
    let AnyEvent::User(UserEvent::Invited { email, name, expires_at, .. }) = &event.payload else {
        bail!("{} asks for no letter", event.event_type)
    };
    let firm = queue.firm(tenant).await?.unwrap_or_else(|| "A firm".to_owned());
    let Some((email, name)) = email.expose().zip(name.expose()) else { bail!("the person was erased") };
    let (email, name) = (email.as_str(), name.as_str());
    let link = match &links.provider {
        Some(provider) => {
            let pairs = [("tenant", tenant.to_string()), ("provider", provider.clone())];
            Url::parse_with_params(&format!("{}/v1/login/start", links.public_url), pairs)?.to_string()
        }
        None => links.app_url.clone(),
    };
    let text = format!(
        "Hello {name},\n\n{firm} invites you to work with them in UBOS. Come in as {email}:\n\n  {link}\n\n\
         The invitation is open until {}. If you do not know {firm}, do nothing: without you logging in nothing happens.\n",
        expires_at.format("%-d %B %Y, %H:%M UTC"),
    );
    let letter = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(Some(name.to_owned()), email.parse().context("the address")?))
        .subject(format!("{firm} invites you"))
        // The same for every try, so that a mailbox recognises a repeat.
        .message_id(Some(format!("<{event_id}@{}>", from.email.domain())))
        .header(ContentType::TEXT_PLAIN)
        .body(text)?;
    Ok(letter)
}
