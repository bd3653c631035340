//! What is known of the request in hand, kept in its extensions.

use crate::limits::{Left, Who};
use actix_web::{HttpMessage, HttpRequest};
use std::cell::Cell;
use std::net::IpAddr;
use uuid::Uuid;

/// What is known of the request in hand.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// UUIDv7, answered as `Request-Id`.
    pub id: Uuid,
    /// The caller's W3C trace context, if it is well-formed.
    pub traceparent: Option<String>,
    /// Where it comes from, as far as that can be believed.
    pub client: IpAddr,
    /// Is it HEAD? Routes see it as GET.
    pub is_head: bool,
    pub(crate) route: Cell<Option<&'static str>>,
    /// What is left of the quota that is nearest to its end.
    pub(crate) left: Cell<Option<Left>>,
    /// Whose it is, once that is known.
    pub(crate) who: Cell<Option<Who>>,
}

impl RequestInfo {
    /// Says which route serves the request, for log and metrics. It is the template and not the path: paths would make
    /// one time series per record. Without it the template is looked up, at the price of matching the path again.
    pub fn set_route(request: &HttpRequest, route: &'static str) {
        if let Some(info) = request.extensions().get::<Self>() {
            info.route.set(Some(route));
        }
    }
}
