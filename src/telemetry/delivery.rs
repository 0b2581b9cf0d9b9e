//! Exports finished spans to the collector: the SDK's queue and thread, and log lines about an unreachable collector.
//!
//! gRPC has its own runtime, so that spans are still sent after the server's runtime has ended, and a slow collector does not
//! delay requests. Spans that do not fit into the queue are dropped.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter as Exporter, WithExportConfig, WithTonicConfig,
    tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::runtime::{Builder, Runtime};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use super::traces::TARGET;

/// Capacity of the queue in spans; some 2 MB.
const QUEUE: usize = 4096;
/// Largest number of spans in one request to the collector.
const BATCH: usize = 512;
/// Delay from the end of a span to its export, unless a batch is full.
const DELAY: Duration = Duration::from_secs(1);
/// Timeout of one request to the collector.
const ANSWER: Duration = Duration::from_secs(5);
/// Timeout for the remaining spans at shutdown.
const FLUSH: Duration = Duration::from_secs(2);

/// The exporter; sends the remaining spans when dropped, within a short time.
#[derive(Debug)]
pub struct Delivery {
    provider: SdkTracerProvider,
    runtime: Option<Runtime>,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The URL or the variables `OTEL_EXPORTER_OTLP_*` are invalid.
    #[error("the configuration of the trace collector is invalid")]
    Exporter(#[from] ExporterBuildError),
    /// The thread cannot be started.
    #[error("cannot start the thread that sends traces")]
    Thread(#[from] std::io::Error),
}

impl Delivery {
    /// Starts the threads; the collector need not be reachable.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn start(endpoint: &str, resource: Resource) -> Result<Self, DeliveryError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("traces").enable_all().build()?;
        // gRPC runs in the runtime in which it is built.
        let entered = runtime.enter();
        let builder = Exporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(ANSWER);
        let exporter = if endpoint.starts_with("https:") {
            builder.with_tls_config(ClientTlsConfig::new().with_native_roots()).build()
        } else {
            builder.build()
        }?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let exporter = Told { exporter, is_reachable: AtomicBool::new(true), dropped: AtomicU64::new(0) };
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let provider = SdkTracerProvider::builder()
            // Ignores OpenTelemetry's variables: every existing span is sampled, see `Traces::request`.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .with_span_processor(processor)
            .build();
        drop(entered);
        Ok(Self { provider, runtime: Some(runtime) })
    }

    /// The layer that exports our spans.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        layer(&self.provider)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Does not wait for a collector that does not respond.
        let _ = self.provider.shutdown_with_timeout(FLUSH);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Exports spans with our target, and no events: spans of libraries may contain addresses, and events any text.
pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S> {
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("nutritionfacts"))
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
}

/// Logs once that the collector is unreachable, and once that it is back.
#[derive(Debug)]
struct Told {
    exporter: Exporter,
    is_reachable: AtomicBool,
    dropped: AtomicU64,
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        if let Err(problem) = &result {
            self.dropped.fetch_add(count, Ordering::Relaxed);
            if self.is_reachable.swap(false, Ordering::Relaxed) {
                tracing::warn!(%problem, "cannot deliver traces: they are dropped until the collector accepts them");
            }
        } else if !self.is_reachable.swap(true, Ordering::Relaxed) {
            let spans_dropped = self.dropped.swap(0, Ordering::Relaxed);
            tracing::info!(spans_dropped, "traces are delivered again");
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
