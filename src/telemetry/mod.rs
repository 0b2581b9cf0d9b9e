//! How we are seen: logs and metrics.

pub mod metrics;

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

use crate::config::sections::{Log, LogFormat};

/// Changes the log filter of the running process.
#[derive(Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Applies directives; the loader has checked that they can be read.
    pub fn set(&self, directives: &str) {
        let _ = self.0.reload(EnvFilter::new(directives));
    }
}

/// Starts the process's logging, to standard error.
///
/// Text, with colours, on a terminal; one JSON object a line otherwise.
#[must_use]
pub fn start(log: &Log) -> LogFilter {
    let terminal = std::io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(EnvFilter::new(&log.filter));
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = if json {
        registry.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).try_init()
    } else {
        registry.with(lines.with_ansi(terminal)).try_init()
    };
    LogFilter(handle)
}
