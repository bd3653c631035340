//! By which addresses people are found, as they hash: portal users who ask for a link, users who name no firm when they log in.

use anyhow::Result;
use catalogue::AnyEvent;
use credentials::magic_link::{address_hash, login_hash};
use event_store::{Log, RawEvent};
use futures::future::BoxFuture;
use identity_events::UserEvent;
use kernel::{Recorded, TenantId};
use portal_events::PortalUserEvent;
use reactions::{Intake, StartAt};
use sqlx::{PgConnection, PgPool};
use std::sync::Arc;
use uuid::Uuid;

/// Reads them from the log.
pub struct Addresses(pub Log);

impl Intake for Addresses {
    fn name(&self) -> &'static str {
        "login.addresses"
    }

    fn start(&self) -> StartAt {
        StartAt::Beginning
    }

    fn wants(&self, event: &RawEvent) -> bool {
        matches!(event.event_type.as_str(), "portal_user.created" | "user.invited")
    }

    fn take_in<'a>(&'a self, tx: &'a mut PgConnection, events: &'a [Arc<RawEvent>]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for event in events {
                // As it is now: whoever was erased is found by no address.
                let Some(event) = self.0.find(event.position).await? else { continue };
                let position = event.position;
                match catalogue::decode(event) {
                    Ok(event) => add(tx, &event).await?,
                    Err(error) => tracing::error!(position, error = %error, "an event's address cannot be read"),
                }
            }
            Ok(())
        })
    }
}

async fn add(tx: &mut PgConnection, event: &Recorded<AnyEvent>) -> Result<()> {
    let (sql, hash) = match &event.payload {
        AnyEvent::PortalUser(PortalUserEvent::Created { email, .. }) => (
            "insert into login.portal_addresses (tenant_id, address_hash, portal_user_id) values ($1, $2, $3)
             on conflict do nothing",
            email.expose().map(|email| address_hash(event.tenant_id, email)),
        ),
        AnyEvent::User(UserEvent::Invited { email, .. }) => (
            "insert into login.addresses (tenant_id, address_hash, user_id) values ($1, $2, $3)
             on conflict do nothing",
            email.expose().map(login_hash),
        ),
        _ => return Ok(()),
    };
    let Some(hash) = hash else { return Ok(()) };
    sqlx::query(sql).bind(event.tenant_id.0).bind(hash).bind(event.aggregate_id).execute(tx).await?;
    Ok(())
}

/// Forgets by which addresses the people of these streams were found.
///
/// # Errors
/// When the database cannot be reached.
pub async fn forget(pool: &PgPool, tenant: TenantId, streams: &[Uuid]) -> Result<()> {
    for sql in [
        "delete from login.portal_addresses where tenant_id = $1 and portal_user_id = any($2)",
        "delete from login.addresses where tenant_id = $1 and user_id = any($2)",
    ] {
        sqlx::query(sql).bind(tenant.0).bind(streams).execute(pool).await?;
    }
    Ok(())
}
