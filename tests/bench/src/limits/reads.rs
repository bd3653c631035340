//! A minimal service that answers the same questions: actix, a token check, one prepared statement, nothing else.
//!
//! It runs as a process of its own: the bench starts itself with [`VERB`].

use crate::product::{AUDIENCE, ISSUER};
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Data, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::{Context, Result};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The bench's hidden verb: address, database, key set.
pub const VERB: &str = "serve-minimal-reads";
/// As many as query-api has.
const CONNECTIONS: u32 = 16;

struct State {
    pool: PgPool,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    tenant: Uuid,
}

#[derive(Deserialize)]
struct Page {
    limit: i64,
}

/// Serves until killed.
pub async fn serve(arguments: &[String]) -> Result<()> {
    let [address, database, jwks] = arguments else { anyhow::bail!("{VERB}: address, database, key set") };
    let keys: JwkSet = serde_json::from_slice(&std::fs::read(jwks)?)?;
    let key = DecodingKey::from_jwk(keys.keys.first().context("a key")?)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).min_connections(CONNECTIONS).connect(database).await?;
    let state = Data::new(State { pool, key, validation });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/clients/{id}", web::get().to(by_id))
            .route("/clients", web::get().to(list))
            .route("/ready", web::get().to(HttpResponse::Ok))
    });
    Ok(server.bind(address.parse::<SocketAddr>()?)?.run().await?)
}

fn tenant(request: &HttpRequest, state: &State) -> Option<Uuid> {
    let token = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    Some(jsonwebtoken::decode::<Claims>(token, &state.key, &state.validation).ok()?.claims.tenant)
}

async fn by_id(request: HttpRequest, id: Path<Uuid>, state: Data<State>) -> HttpResponse {
    let Some(tenant) = tenant(&request, &state) else { return HttpResponse::Unauthorized().finish() };
    let sql = "select row_to_json(c)::text from crm.clients c where tenant_id = $1 and id = $2";
    let row = sqlx::query_scalar::<_, String>(sql).bind(tenant).bind(*id).fetch_optional(&state.pool).await;
    match row {
        Ok(Some(row)) => HttpResponse::Ok().content_type("application/json").body(row),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn list(request: HttpRequest, page: Query<Page>, state: Data<State>) -> HttpResponse {
    let Some(tenant) = tenant(&request, &state) else { return HttpResponse::Unauthorized().finish() };
    let sql = "select row_to_json(c)::text from crm.clients c where tenant_id = $1 order by created_at, id limit $2";
    let rows = sqlx::query_scalar::<_, String>(sql).bind(tenant).bind(page.limit + 1).fetch_all(&state.pool).await;
    let Ok(mut rows) = rows else { return HttpResponse::InternalServerError().finish() };
    let has_more = rows.len() as i64 > page.limit;
    rows.truncate(usize::try_from(page.limit).unwrap_or(0));
    let body = format!(r#"{{"data":[{}],"has_more":{has_more}}}"#, rows.join(","));
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// The service as a process; killed when dropped.
#[derive(Debug)]
pub struct Minimal(Child);

impl Minimal {
    /// Starts it and waits until it answers.
    pub async fn start(address: SocketAddr, database: &str, jwks: &std::path::Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([VERB, &address.to_string(), database]).arg(jwks).stdin(Stdio::null());
        let started = Self(command.spawn()?);
        let (http, begun) = (reqwest::Client::new(), Instant::now());
        while !http.get(format!("http://{address}/ready")).send().await.is_ok_and(|answer| answer.status() == 200) {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "the minimal service does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(started)
    }
}

impl Drop for Minimal {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
