//! The HTTP server of both services: `actix_web::HttpServer`'s own parts, on connections that do not wait for ever.

mod connection;
mod lines;
mod peers;

use crate::front::Front;
use crate::observe::observe;
use crate::problem::not_found_handler;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::middleware::{Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data, ServiceConfig};
use anyhow::{Context, Result};
use connection::{Connection, Patience};
use peers::Peers;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a server's clients may take up.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Threads that serve connections; 0 is one per core.
    pub workers: usize,
    /// Connections open at the same time at most; further ones wait to be accepted.
    pub connections_max: usize,
    /// Connections open at the same time from one address, or one network of 64 bits in IPv6; further ones end at once. 0
    /// is no bound. Proxies that are trusted have none.
    pub connections_per_address_max: usize,
    /// From the connection, or the first byte of a further request, to the end of the headers.
    pub header_timeout: Duration,
    /// How long a connection stays open without a request; zero ends it with each answer.
    pub keep_alive: Duration,
    /// How long a client may take no byte of an answer.
    pub answer_timeout: Duration,
    /// How long requests in flight may take when the server is stopped.
    pub drain_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            workers: 0,
            connections_max: 10_000,
            connections_per_address_max: 2_000,
            header_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// Stops a server.
#[derive(Debug, Clone)]
pub struct Stopper {
    handle: ServerHandle,
    closing: CancellationToken,
}

impl Stopper {
    /// Accepts nothing more, ends connections without a request, waits for the requests in flight.
    pub async fn stop(&self) {
        self.closing.cancel();
        self.handle.stop(true).await;
    }
}

/// Listens, and serves what `routes` adds behind `front`. The server is to be awaited.
///
/// # Errors
/// If the address is taken or not ours.
pub fn listen(
    bind: SocketAddr,
    settings: &ServerSettings,
    front: Data<Front>,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> Result<(Server, Stopper)> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = if settings.workers == 0 { cores } else { settings.workers };
    let closing = CancellationToken::new();
    let (ended, settings_of_threads, peers) = (closing.clone(), settings.clone(), Peers::default());
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(settings.connections_max.div_ceil(workers))
        .disable_signals()
        .shutdown_timeout(settings.drain_timeout.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
        .bind("http", bind, move || {
            let ServerSettings { keep_alive, header_timeout, answer_timeout, .. } = settings_of_threads;
            let per_address_max = settings_of_threads.connections_per_address_max;
            let (front, routes, ended, peers) = (front.clone(), routes.clone(), ended.clone(), peers.clone());
            let proxies = front.proxies.clone();
            let app = App::new()
                // Without pages of others nothing is said about them.
                .wrap(Condition::new(!front.origins.is_empty(), front.cors()))
                .wrap(from_fn(observe))
                .app_data(front)
                .configure(move |config| routes(config))
                .default_service(web::to(not_found_handler));
            let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
            let http = HttpService::build()
                .keep_alive(if keep_alive.is_zero() { KeepAlive::Disabled } else { KeepAlive::Timeout(keep_alive) })
                .client_request_timeout(header_timeout)
                .client_disconnect_timeout(Duration::from_secs(1))
                // A client that hangs up wants no answer, and what was done for it alone stops.
                .h1_allow_half_closed(false)
                .local_addr(bind)
                .on_connect_ext(|connection: &Connection, extensions| {
                    extensions.insert(connection.work());
                })
                .h1(map_config(app, |()| AppConfig::default()));
            let patience = Patience { request: keep_alive + header_timeout, answer: answer_timeout };
            let accept = move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                // Before a byte is read. Whoever has as many as they may is not told so, which would be work.
                let address = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
                let Some(place) = peers.one_more(address, per_address_max, &proxies) else {
                    return ready(Err(DispatchError::DisconnectTimeout));
                };
                // Without it small answers wait for each other; a connection that is gone already does not care.
                drop(stream.set_nodelay(true));
                ready(Ok((Connection::new(stream, place, patience, &ended), peer)))
            };
            fn_service(accept).and_then(http)
        });
    let server = server.with_context(|| format!("listening on {bind}"))?.run();
    let handle = server.handle();
    Ok((server, Stopper { handle, closing }))
}
