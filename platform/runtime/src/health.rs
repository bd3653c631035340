//! `/health`, `/ready` and `/metrics`, the same for every role.
//!
//! Liveness says only that the process answers, so that a database outage never restarts anything. Readiness says
//! whether the role can do its work now, and goes off first when the process is asked to stop.

use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer};
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What readiness looks at. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
    stopping: CancellationToken,
    metrics: PrometheusHandle,
}

impl Health {
    /// Nothing to look at yet; not ready once `stopping` is cancelled.
    pub fn new(stopping: CancellationToken, metrics: PrometheusHandle) -> Self {
        Self { checks: vec![], stopping, metrics }
    }

    /// The database answers within a quarter of a second.
    pub fn database(self, pool: PgPool) -> Self {
        self.check("database", move || {
            let pool = pool.clone();
            Box::pin(async move {
                let answer = sqlx::query("select 1").execute(&pool);
                match tokio::time::timeout(Duration::from_millis(250), answer).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => {
                        tracing::warn!(error = %error, "not ready: database");
                        Err("no answer".to_owned())
                    }
                    Err(_) => Err("no answer within 250 ms".to_owned()),
                }
            })
        })
    }

    /// Another dependency; the error is shown, so it must not carry secrets.
    pub fn check(
        mut self,
        name: &'static str,
        check: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Arc::new(check)));
        self
    }

    /// Adds the three paths to a service.
    pub fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::new(self.clone()));
        config.route("/health", web::get().to(health));
        config.route("/ready", web::get().to(ready));
        config.route("/metrics", web::get().to(metrics_text));
    }

    /// Serves only the three paths, for roles that serve nothing else; returns when `stopped` is cancelled.
    pub async fn serve(self, bind: SocketAddr, stopped: CancellationToken) -> std::io::Result<()> {
        let server = HttpServer::new(move || {
            let health = self.clone();
            App::new().configure(move |config| health.configure(config))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(1).bind(bind)?.run();
        let handle = server.handle();
        tokio::spawn(async move {
            stopped.cancelled().await;
            handle.stop(true).await;
        });
        server.await
    }
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn ready(health: web::Data<Health>) -> HttpResponse {
    if health.stopping.is_cancelled() {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "stopping" }));
    }
    let mut failed = serde_json::Map::new();
    for (name, check) in &health.checks {
        if let Err(reason) = check().await {
            failed.insert((*name).to_owned(), reason.into());
        }
    }
    if failed.is_empty() {
        HttpResponse::Ok().json(json!({ "status": "ready" }))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({ "status": "not_ready", "failed": failed }))
    }
}

async fn metrics_text(health: web::Data<Health>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(health.metrics.render())
}
