//! How we are seen: logs, metrics and traces.

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

/// Logs and traces of the process; dropped, it sends the last spans.
pub struct Telemetry {
    /// Changes what is running.
    pub controls: Controls,
    /// Whether each line is a JSON object.
    pub is_json: bool,
    // Before the lines, as it may have something to say.
    _delivery: Option<Delivery>,
    _lines: WorkerGuard,
}

/// Lines that wait to be written, some hundred bytes each.
const MOST_LINES: usize = 10_000;

/// Changes which lines are logged.
type LogFilter = reload::Handle<EnvFilter, tracing_subscriber::Registry>;

/// Changes logs and traces of the running process; cheap to clone.
#[derive(Clone)]
pub struct Controls {
    filter: LogFilter,
    dropped: ErrorCounter,
    /// Begins traces.
    pub traces: Traces,
}

impl Controls {
    /// Takes the live keys over; the loader has checked that they can be read.
    pub fn set(&self, telemetry: &sections::Telemetry) {
        let _ = self.filter.reload(filter(&telemetry.log));
        self.traces.set_sample_ratio(telemetry.tracing.sample_ratio);
    }

    /// Lines of the log that were thrown away since the start, as nobody read those before.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }
}

/// The log as it runs; dropped, it waits a moment for the last lines.
pub struct Log {
    /// Whether each line is a JSON object.
    pub is_json: bool,
    filter: LogFilter,
    dropped: ErrorCounter,
    lines: WorkerGuard,
}

/// Starts the process's logs, to standard error, and its traces, if a collector is configured.
///
/// Logs are text, with colours, on a terminal; one JSON object a line otherwise.
///
/// # Errors
/// Traces cannot be sent the way that is configured. A collector that is away is no error.
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

/// The filter, never with the notices of PostgreSQL, which quote rows (docs/privacy.md), nor with the Kubernetes client: it
/// logs each failure, also of the hundredth try, and bodies that it cannot read.
fn filter(log: &sections::Log) -> EnvFilter {
    EnvFilter::new(format!("{},sqlx::postgres::notice=off,kube_client=off", log.filter))
}

/// Starts the process's logs. They are written by a thread of their own: a pipe that nobody reads stops nothing, and what does not
/// find room is counted instead.
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
    // Spans are for the collector alone. What only asks whether a line would be written is neither span nor event. Without the hint
    // every library's spans would be made, down to the finest.
    let no_spans = filter_fn(|metadata: &Metadata<'_>| !metadata.is_span());
    let lines = lines.with_filter(filter.and(no_spans.with_max_level_hint(LevelFilter::TRACE)));
    let registry = tracing_subscriber::registry().with(lines);
    // A second start in one process (tests) keeps the first. No layer rather than one that is `None`: beside a layer without a
    // filter, whoever asks and then writes loses the line.
    let _ = match delivery {
        Some(delivery) => registry.with(delivery.layer()).try_init(),
        None => registry.try_init(),
    };
    Log { is_json, filter: handle, dropped, lines: guard }
}

/// Who sends the traces. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are read by OpenTelemetry itself.
fn resource() -> Resource {
    let found = || Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource = found().build();
    match resource.get(&Key::new("service.name")) {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => found().with_service_name("nutritionfacts").build(),
    }
}
