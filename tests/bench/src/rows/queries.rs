//! Queries over HTTP, beside the least that could answer them.

use crate::family::Family;
use crate::goal::Goal;
use crate::limits::reads::Minimal;
use crate::peers::Express;
use crate::plan::Plan;
use crate::product::Product;
use crate::record::{Records, Series};
use crate::seed::{SMALL, scattered, tenant};
use crate::wire;
use anyhow::{Result, ensure};
use local_servers::free_port;
use std::net::SocketAddr;
use testing::{TestDatabase, TestNats};

const BY_ID: Series = Series::of("GET by id", "UBOS");
const BY_ID_MINIMAL: Series = Series::of("GET by id", "actix + sqlx");
const BY_ID_EXPRESS: Series = Series::of("GET by id", "Express + pg");
const LIST: Series = Series::of("GET a list of 50", "UBOS");
const LIST_MINIMAL: Series = Series::of("GET a list of 50", "actix + sqlx");
const LIST_EXPRESS: Series = Series::of("GET a list of 50", "Express + pg");

/// The family.
pub const FAMILY: Family = Family {
    word: "queries",
    title: "Queries over HTTP",
    about: "`ubos query-api`: EdDSA token, permission, row-level security, the row as JSON. Beside it a handler of a \
            dozen lines in a process of its own: actix, the same token, issuer and audience checked by jsonwebtoken, one \
            prepared statement without row-level security. Both have 16 connections. UBOS remembers tokens that it has \
            verified; the handler verifies each time. Express with pg has the same routes, a key object that is made once, and \
            16 connections.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[
        Goal::at_least(0.8, BY_ID.at(16), BY_ID_MINIMAL.at(16)),
        Goal::at_least(0.8, BY_ID.at(64), BY_ID_MINIMAL.at(64)),
        Goal::at_least(0.7, LIST.at(64), LIST_MINIMAL.at(64)),
        Goal::at_least(2.0, BY_ID.at(64), BY_ID_EXPRESS.at(64)),
        Goal::at_least(2.0, LIST.at(64), LIST_EXPRESS.at(64)),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let superuser = log.superuser().await;
    SMALL.log(&superuser).await?;
    SMALL.rows(&superuser).await?;
    let product = Product::on(&log, &TestNats::new().url)?;
    let token = product.token(tenant(0))?;
    let api = product.start("query-api").await?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let _minimal = Minimal::start(address, &log.superuser_url(), &product.jwks()).await?;
    let mut client_cores = 0.0_f64;
    let mut questions: Vec<(Series, SocketAddr, &str, usize)> = vec![
        (BY_ID, api.address, "/v1/crm/clients/", 16),
        (BY_ID_MINIMAL, address, "/clients/", 16),
        (BY_ID, api.address, "/v1/crm/clients/", 64),
        (BY_ID_MINIMAL, address, "/clients/", 64),
        (LIST, api.address, "/v1/crm/clients?limit=50", 64),
        (LIST_MINIMAL, address, "/clients?limit=50", 64),
    ];
    let mut _express = None;
    if plan.peers {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        _express = Some(Express::start(address, &log.superuser_url(), &product.jwks()).await?);
        questions.push((BY_ID_EXPRESS, address, "/clients/", 64));
        questions.push((LIST_EXPRESS, address, "/clients?limit=50", 64));
    }
    for pass in 0..=plan.passes {
        let seconds = if pass == 0 { 1 } else { plan.seconds };
        for (series, server, path, at_once) in questions.iter().copied() {
            let token = token.clone();
            let request = move |turn| match path.strip_suffix('/') {
                Some(collection) => {
                    let (_, client) = SMALL.client(scattered(turn));
                    wire::get(&format!("{collection}/{client}"), &token, "")
                }
                None => wire::get(path, &token, ""),
            };
            let driven = wire::closed(&[server], at_once, seconds, request).await?;
            ensure!(driven.sample.value > 0.0, "{series}: nothing was answered");
            if pass > 0 {
                client_cores = client_cores.max(driven.client_cores);
                records.add(series.at(at_once), driven.sample);
            }
        }
    }
    let cores = crate::report::cores();
    records.note(FAMILY.word, format!("The clients were busy on {client_cores:.1} of {cores} cores at most."));
    Ok(())
}
