//! The query API over HTTP, on a real PostgreSQL and with real tokens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod dashboard;
mod lists;
mod profile;
mod slots;

use crm_events::{ClientEvent, ClientKind, ClientStatus};
use harness::{History, client, crm, tenant};
use uuid::Uuid;

/// Clients of two firms, some alike.
async fn world() -> History {
    let mut world = History::new().await;
    for n in 0..23u128 {
        let id = Uuid::from_u128(1_000 + n);
        let name = format!("Client {:02}", n / 2);
        let kind = if n % 3 == 0 { ClientKind::Individual } else { ClientKind::Organisation };
        let email = Some(format!("c{n}@example.com").parse::<kernel::Email>().unwrap().into());
        let name = name.parse::<kernel::Name>().unwrap().into();
        world.event(
            tenant(1),
            id,
            ClientEvent::Created { name, kind, details: kernel::ContactDetails { email, phone: None } },
        );
        if n % 2 == 0 {
            world.event(
                tenant(1),
                id,
                ClientEvent::StatusChanged { from: ClientStatus::Prospect, to: ClientStatus::Active },
            );
        }
    }
    world.event(tenant(2), Uuid::from_u128(2_000), client("Foreign"));
    world.write().await;
    world.catch_up(crm(), 1_000).await;
    world
}
