//! Logs, traces and metrics of one process.

use crate::settings::{LogFormat, TelemetrySettings};
use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Ends the export of traces when dropped.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    /// Renders the metrics for `/metrics`.
    pub metrics: PrometheusHandle,
}

/// Sets up logs, traces (if an endpoint is set) and metrics. Once per process.
pub fn init(settings: &TelemetrySettings, service: &'static str) -> Result<Telemetry> {
    let filter = EnvFilter::try_new(&settings.log_filter).context("settings: telemetry.log_filter")?;
    // An exporter that cannot reach its collector would log an error per batch for ever.
    let filter =
        filter.add_directive("opentelemetry_sdk=off".parse()?).add_directive("opentelemetry_otlp=off".parse()?);
    let traces = match &settings.otlp_endpoint {
        None => None,
        Some(endpoint) => {
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
                .build()
                .context("settings: telemetry.otlp_endpoint")?;
            let resource = opentelemetry_sdk::Resource::builder().with_service_name(service).build();
            Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
        }
    };
    let spans = traces.as_ref().map(|t| tracing_opentelemetry::layer().with_tracer(t.tracer(service)));
    let lines = match settings.log_format {
        LogFormat::Json => tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().compact().boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(spans)
        .with(lines)
        .try_init()
        .context("telemetry is set up twice")?;
    opentelemetry::global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
    let metrics = recorder()?.install_recorder().context("metrics are set up twice")?;
    Ok(Telemetry { traces, metrics })
}

fn recorder() -> Result<PrometheusBuilder> {
    let seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let counts = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?
        .set_buckets(&counts)?)
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            // The process is ending; there is nobody left to tell.
            drop(traces.shutdown());
        }
    }
}
