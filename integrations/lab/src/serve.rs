//! The lab as a server.

use crate::data::Xero;
use crate::describe::Descriptions;
use crate::quickbooks::Quickbooks;
use crate::state::{Inner, Lab};
use crate::{control, docusign, dropbox_sign, oauth, quickbooks, xero};
use actix_web::dev::Server;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;

impl Lab {
    /// A lab on a port of its own, with the providers' descriptions if they are there. Lives as long as the test's runtime.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start() -> Self {
        let (descriptions, said) = Descriptions::find();
        if !descriptions.are_there() {
            eprintln!("{said}");
        }
        let bound = Self::serve(SocketAddr::from(([127, 0, 0, 1], 0)), descriptions);
        let (lab, server) = bound.unwrap_or_else(|error| panic!("the lab cannot be started: {error:#}"));
        actix_web::rt::spawn(server);
        lab
    }

    /// A lab at this address; whoever polls the server runs it.
    ///
    /// # Errors
    /// If nobody can listen there.
    pub fn serve(listen: SocketAddr, descriptions: Descriptions) -> Result<(Self, Server)> {
        let listener = std::net::TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Inner {
            url,
            descriptions,
            http: reqwest::Client::new(),
            faults: Mutex::default(),
            said: Mutex::default(),
            violations: Mutex::default(),
            tokens: Mutex::default(),
            outbox: Mutex::default(),
            xero: Mutex::new(Xero::new()),
            quickbooks: Mutex::new(Quickbooks::new()),
            docusign: Mutex::default(),
            dropbox_sign: Mutex::default(),
        };
        let lab = Self(Arc::new(inner));
        let state = Data::new(lab.clone());
        let routes = move |config: &mut ServiceConfig| {
            config.app_data(state.clone());
            // An envelope brings its papers along.
            config.app_data(web::PayloadConfig::new(64 << 20));
            // It takes codes in a way of its own.
            dropbox_sign::configure(config);
            oauth::configure(config);
            control::configure(config);
            xero::configure(config);
            quickbooks::configure(config);
            docusign::configure(config);
        };
        let server = HttpServer::new(move || App::new().configure(routes.clone()));
        let server = server.workers(1).disable_signals().listen(listener)?;
        Ok((lab, server.run()))
    }
}
