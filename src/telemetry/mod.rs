//! Logs, metrics and traces.

pub mod delivery;
pub mod metrics;
pub mod request;
pub mod storm;
pub mod traces;

use std::io::IsTerminal;

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use self::{
    delivery::{Delivery, DeliveryError},
    traces::Traces,
};
use crate::config::sections;

/// Logs and traces of the process; sends the last spans when dropped.
pub struct Telemetry {
    /// Changes settings at run time.
    pub controls: Controls,
    /// Whether each line is a JSON object.
    pub is_json: bool,
    // Dropped before the log, because it may log.
    _delivery: Option<Delivery>,
    _lines: WorkerGuard,
}

/// Capacity of the queue of log lines, some hundred bytes each.
const MOST_LINES: usize = 10_000;

/// Changes the filter of log lines.
type LogFilter = reload::Handle<EnvFilter, tracing_subscriber::Registry>;

/// Changes logs and traces at run time; cheap to clone.
#[derive(Clone)]
pub struct Controls {
    filter: LogFilter,
    dropped: ErrorCounter,
    /// Begins traces.
    pub traces: Traces,
}

impl Controls {
    /// Applies live keys; the loader has validated them.
    pub fn set(&self, telemetry: &sections::Telemetry) {
        let _ = self.filter.reload(filter(&telemetry.log));
        self.traces.set_sample_ratio(telemetry.tracing.sample_ratio);
    }

    /// Number of log lines dropped since the start, because earlier lines were not read in time.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }
}

/// The running log; waits a moment for the last lines when dropped.
pub struct Log {
    /// Whether each line is a JSON object.
    pub is_json: bool,
    filter: LogFilter,
    dropped: ErrorCounter,
    lines: WorkerGuard,
}

/// Starts the process's logs, on stderr, and its traces, if a collector is configured.
///
/// Logs are coloured text on a terminal, and one JSON object per line otherwise.
///
/// # Errors
/// The configuration of traces is invalid. An unreachable collector is not an error.
pub fn start(telemetry: &sections::Telemetry) -> Result<Telemetry, DeliveryError> {
    let sections::Tracing { endpoint, sample_ratio } = &telemetry.tracing;
    let delivery = endpoint.as_ref().map(|endpoint| Delivery::start(endpoint, resource())).transpose()?;
    let Log { is_json, filter, dropped, lines } = begin(&telemetry.log, delivery.as_ref());
    let traces = endpoint.as_ref().map_or_else(Traces::default, |endpoint| {
        tracing::info!(endpoint, sample_ratio, "traces are sent to a collector");
        Traces::new(*sample_ratio)
    });
    Ok(Telemetry { controls: Controls { filter, dropped, traces }, is_json, _lines: lines, _delivery: delivery })
}

/// The filter. Always excludes notices of PostgreSQL, which quote rows (docs/privacy.md), and the Kubernetes client, which
/// logs every failed attempt, and bodies that it cannot parse.
fn filter(log: &sections::Log) -> EnvFilter {
    EnvFilter::new(format!("{},sqlx::postgres::notice=off,kube_client=off", log.filter))
}

/// Starts the process's logs. A separate thread writes them: a pipe that nobody reads blocks nothing, and lines that do not
/// fit into the queue are counted instead.
#[must_use]
pub fn start_log(log: &sections::Log) -> Log {
    begin(log, None)
}

fn begin(log: &sections::Log, delivery: Option<&Delivery>) -> Log {
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MOST_LINES).thread_name("log");
    let (writer, guard) = lines.finish(std::io::stderr());
    let dropped = writer.error_counter();
    let terminal = std::io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(filter(log));
    let is_json = match log.format {
        sections::LogFormat::Auto => !terminal,
        sections::LogFormat::Text => false,
        sections::LogFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(writer);
    let lines = if is_json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.with_ansi(terminal).boxed()
    };
    // Spans are only for the collector. Checks of whether a line would be written are neither spans nor events. Without the
    // hint, all spans of all libraries would be created.
    let no_spans = filter_fn(|metadata: &Metadata<'_>| !metadata.is_span());
    let lines = lines.with_filter(filter.and(no_spans.with_max_level_hint(LevelFilter::TRACE)));
    let registry = tracing_subscriber::registry().with(lines);
    // A second start in one process (tests) keeps the first one. No layer instead of `None`: with a layer without a filter
    // beside it, lines are lost if a caller checks first whether they are enabled.
    let _ = match delivery {
        Some(delivery) => registry.with(delivery.layer()).try_init(),
        None => registry.try_init(),
    };
    Log { is_json, filter: handle, dropped, lines: guard }
}

/// The resource of the traces. OpenTelemetry itself reads `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
fn resource() -> Resource {
    let found = || Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource = found().build();
    match resource.get(&Key::new("service.name")) {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => found().with_service_name("nutritionfacts").build(),
    }
}
