//! Whom emails are for and from which firm, as the log says.

use anyhow::Result;
use catalogue::AnyEvent;
use catalogue::crm_events::ContactEvent;
use event_store::Log;
use identity_events::{UserEvent, UserStatus};
use kernel::{ContactId, Email, Machine, Name, PortalUserId, TenantId, UserId};
use portal_events::PortalUserEvent;

/// Somebody with a place in a portal, as the log says.
#[derive(Debug)]
pub struct Person {
    /// The firm.
    pub tenant: TenantId,
    /// Who.
    pub id: PortalUserId,
    /// What the person is called.
    pub name: Name,
    /// Where emails go.
    pub email: Email,
    /// Does the person come in, or would with the open invitation?
    pub comes_in: bool,
    /// Could the newest email to the person not be sent?
    pub email_failed: bool,
}

/// Asks the log.
#[derive(Debug, Clone)]
pub struct People(pub Log);

impl People {
    /// What the firm is called.
    pub async fn firm(&self, tenant: TenantId) -> Result<Option<String>> {
        let sql = "select payload::json ->> 'name' from eventstore.identity_events($1)
                   where event_type in ('tenant.registered', 'tenant.renamed')";
        let names: Vec<Option<String>> = sqlx::query_scalar(sql).bind(tenant.0).fetch_all(self.0.pool()).await?;
        Ok(names.into_iter().flatten().last())
    }

    /// A portal user.
    pub async fn portal_user(&self, tenant: TenantId, id: PortalUserId) -> Result<Option<Person>> {
        let mut found = None;
        for event in self.0.read_stream(tenant, id.0, 0, i64::MAX).await? {
            let AnyEvent::PortalUser(event) = catalogue::decode(event)?.payload else { continue };
            match (event, &mut found) {
                (PortalUserEvent::Created { name, email, .. }, _) => {
                    // Nobody writes to whoever was erased.
                    let Some((name, email)) = name.expose().cloned().zip(email.expose().cloned()) else {
                        return Ok(None);
                    };
                    found = Some(Person { tenant, id, name, email, comes_in: false, email_failed: false });
                }
                (PortalUserEvent::Invited { .. }, Some(person)) => {
                    (person.comes_in, person.email_failed) = (true, false);
                }
                (PortalUserEvent::Activated { .. } | PortalUserEvent::Unlocked {}, Some(person)) => {
                    person.comes_in = true;
                }
                (
                    PortalUserEvent::InvitationRevoked { .. }
                    | PortalUserEvent::Locked { .. }
                    | PortalUserEvent::Disabled {},
                    Some(person),
                ) => person.comes_in = false,
                (PortalUserEvent::EmailFailed { .. }, Some(person)) => person.email_failed = true,
                (PortalUserEvent::EmailSent {}, Some(person)) => person.email_failed = false,
                _ => {}
            }
        }
        Ok(found)
    }

    /// What a member of staff is called and where emails go; nobody who has left or was erased.
    pub async fn user(&self, tenant: TenantId, id: UserId) -> Result<Option<(Name, Email)>> {
        let (mut found, mut status) = (None, UserStatus::default());
        for event in self.0.read_stream(tenant, id.0, 0, i64::MAX).await? {
            let AnyEvent::User(event) = catalogue::decode(event)?.payload else { continue };
            status = status.after(&event);
            match event {
                UserEvent::Invited { name, email, .. } => {
                    let Some(known) = name.expose().cloned().zip(email.expose().cloned()) else { return Ok(None) };
                    // Whoever is invited once more keeps the address of the first time.
                    found = Some(match found {
                        Some((_, email)) => (known.0, email),
                        None => known,
                    });
                }
                UserEvent::Renamed { name } => {
                    if let (Some(known), Some(name)) = (&mut found, name.expose()) {
                        known.0 = name.clone();
                    }
                }
                _ => {}
            }
        }
        Ok(found.filter(|_| status != UserStatus::Deactivated))
    }

    /// What a contact is called and where emails go; nobody who has no address, was archived or erased.
    pub async fn contact(&self, tenant: TenantId, id: ContactId) -> Result<Option<(Name, Email)>> {
        let (mut called, mut address, mut archived) = (None, None, false);
        for event in self.0.read_stream(tenant, id.0, 0, i64::MAX).await? {
            let AnyEvent::Contact(event) = catalogue::decode(event)?.payload else { continue };
            match event {
                ContactEvent::Created { name, details, .. } => {
                    called = name.expose().cloned();
                    address = details.email.and_then(|email| email.expose().cloned());
                }
                ContactEvent::Renamed { name } => called = name.expose().cloned(),
                ContactEvent::ContactDetailsChanged { details } => {
                    address = details.email.and_then(|email| email.expose().cloned());
                }
                ContactEvent::Archived {} => archived = true,
                ContactEvent::Restored {} => archived = false,
                _ => {}
            }
        }
        Ok(called.zip(address).filter(|_| !archived))
    }
}
