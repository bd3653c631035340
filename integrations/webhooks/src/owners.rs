//! What whoever answers for an endpoint may read now, whatever they could when it was added.

use anyhow::Result;
use event_store::RawEvent;
use futures::future::BoxFuture;
use kernel::{Permissions, Principal, Scope, TenantId};
use std::sync::Arc;

/// Knows what people and programs of firms may do.
pub trait Owners: Send + Sync + 'static {
    /// All of that; none if that one comes in no more.
    fn permissions(&self, tenant: TenantId, owner: Principal) -> BoxFuture<'_, Result<Option<Arc<Permissions>>>>;
}

/// May read everything, for tests and for tools without firms.
#[derive(Debug, Clone, Copy)]
pub struct Everybody;

impl Owners for Everybody {
    fn permissions(&self, _: TenantId, _: Principal) -> BoxFuture<'_, Result<Option<Arc<Permissions>>>> {
        Box::pin(std::future::ready(Ok(Some(Arc::new(Permissions::all())))))
    }
}

/// May somebody who has these rights read the event?
pub fn may_read(permissions: &Permissions, owner: Principal, event: &RawEvent) -> bool {
    let concerns = Scope::of(event.metadata.concerns.iter().copied());
    permissions.reach(&format!("{}.read", event.aggregate_type)).covers(&concerns, Some(owner))
}
