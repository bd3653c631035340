//! `/health`, `/ready` and `/metrics`, the same for every role.
//!
//! Liveness says only that the process answers, so that a database outage never restarts anything. Readiness says
//! whether the role can do its work now, and goes off first when the process is asked to stop. It does not follow every
//! hiccup: traffic that moves away and back costs more than a check that failed once.

use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, guard};
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// From the end of one round of checks to the next one.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// The same before the first good one: a process that starts is waited for.
const FIRST_CHECK_EVERY: Duration = Duration::from_millis(50);
/// So many bad rounds in a row end readiness.
const BAD_ROUNDS: u32 = 3;
/// So many good rounds in a row bring it back.
const GOOD_ROUNDS: u32 = 2;

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What readiness looks at. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
    stopping: CancellationToken,
    metrics: PrometheusHandle,
    seen: watch::Sender<Seen>,
}

/// What the rounds of checks came to.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// None before the first good round.
    ready: Option<bool>,
    /// Rounds in a row that contradict `ready`.
    against: u32,
    /// What the last round found wrong.
    failed: serde_json::Map<String, serde_json::Value>,
}

impl Seen {
    /// The first good round is enough for a process that starts, because nobody relies on it yet.
    fn add(&mut self, failed: serde_json::Map<String, serde_json::Value>) {
        let good = failed.is_empty();
        self.failed = failed;
        match self.ready {
            None if good => self.ready = Some(true),
            Some(ready) if ready != good => {
                self.against += 1;
                if self.against >= if good { GOOD_ROUNDS } else { BAD_ROUNDS } {
                    (self.ready, self.against) = (Some(good), 0);
                }
            }
            _ => self.against = 0,
        }
    }
}

impl Health {
    /// Nothing to look at yet; not ready once `stopping` is cancelled.
    pub fn new(stopping: CancellationToken, metrics: PrometheusHandle) -> Self {
        Self { checks: vec![], stopping, metrics, seen: watch::Sender::default() }
    }

    /// Runs the checks from now on, until the process is asked to stop; without it `/ready` never says yes.
    pub fn watch(&self) {
        let health = self.clone();
        tokio::spawn(self.stopping.clone().run_until_cancelled_owned(async move {
            loop {
                let mut failed = serde_json::Map::new();
                for (name, check) in &health.checks {
                    if let Err(reason) = check().await {
                        failed.insert((*name).to_owned(), reason.into());
                    }
                }
                health.seen.send_modify(|seen| seen.add(failed));
                let has_started = health.seen.borrow().ready.is_some();
                tokio::time::sleep(if has_started { CHECK_EVERY } else { FIRST_CHECK_EVERY }).await;
            }
        }));
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
        // HEAD too: whoever balances load may ask by it.
        let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        config.route("/health", get().to(health));
        config.route("/ready", get().to(ready));
        config.route("/metrics", get().to(metrics_text));
    }

    /// Serves only the three paths, for roles that serve nothing else; returns when `stopped` is cancelled.
    pub async fn serve(self, bind: SocketAddr, stopped: CancellationToken) -> std::io::Result<()> {
        self.watch();
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
    let seen = health.seen.borrow();
    if seen.ready == Some(true) {
        HttpResponse::Ok().json(json!({ "status": "ready" }))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({ "status": "not_ready", "failed": &seen.failed }))
    }
}

async fn metrics_text(health: web::Data<Health>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(health.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rounds: &str) -> Option<bool> {
        let mut seen = Seen::default();
        for round in rounds.chars() {
            let failed = if round == '-' { vec![("database".to_owned(), json!("no answer"))] } else { vec![] };
            seen.add(failed.into_iter().collect());
        }
        seen.ready
    }

    #[test]
    fn readiness_follows_three_bad_or_two_good_rounds_and_no_hiccup() {
        assert_eq!(after("---"), None, "a start that never succeeded");
        assert_eq!(after("--+"), Some(true), "the first good round of a start");
        assert_eq!(after("+--"), Some(true));
        assert_eq!(after("+--+--"), Some(true), "flapping");
        assert_eq!(after("+---"), Some(false));
        assert_eq!(after("+---+"), Some(false));
        assert_eq!(after("+---+-+"), Some(false), "flapping");
        assert_eq!(after("+---++"), Some(true));
    }
}
