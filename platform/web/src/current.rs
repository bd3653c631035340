//! The request that a task serves, for whoever is deep below its handler.

use credentials::may_say;
use std::net::IpAddr;
use uuid::Uuid;

tokio::task_local! {
    static REQUEST: (Uuid, IpAddr);
}

/// Serves a request of this id, from this address, with `work`.
pub(crate) async fn serving<T>(id: Uuid, client: IpAddr, work: impl Future<Output = T>) -> T {
    REQUEST.scope((id, client), work).await
}

/// The id of the request that this task serves.
pub(crate) fn current_request_id() -> Option<Uuid> {
    REQUEST.try_with(|(id, _)| *id).ok()
}

/// May one more line be written about what the request in hand does?
pub fn may_say_of_this() -> bool {
    REQUEST.try_with(|(_, client)| *client).map_or(true, may_say)
}
