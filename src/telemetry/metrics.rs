//! Every metric once; its doc comment is its HELP text.
//!
//! No label takes a value from a client, unless it is on a fixed list.

use std::sync::Arc;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use crate::domain::period::Grain;

const PREFIX: &str = "nutritionfacts";

/// From 100 µs to some seconds: a commit takes milliseconds, a client waits 60 s.
const SECONDS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const ROWS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// Reports of an unknown kind, as no label takes a value from a client: what a newer Kolibri is said to send, anything else in the
/// form of its paths, and what scanners try.
pub const UNKNOWN_KINDS: [&str; 3] = ["error_report", "other", "scan"];

/// Where unknown keys are found.
const UNKNOWN_PLACES: [&str; 4] = ["pingback", "statistics", "channel", "facility"];

/// What becomes of a report.
const OUTCOMES: [&str; 7] = ["stored", "set_aside", "expired", "limited", "invalid", "too_large", "unavailable"];

trait Metric: Sized + Clone + Collector + 'static {
    const TYPE: &str;

    fn make(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self>;
}

macro_rules! metric {
    ($type:ty, $kind:literal, |$opts:ident, $labels:ident| $make:expr) => {
        impl Metric for $type {
            const TYPE: &str = $kind;

            fn make(name: &str, help: &str, $labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
                let $opts = Opts::new(name, help).namespace(PREFIX);
                $make
            }
        }
    };
}

metric!(IntCounter, "counter", |opts, _labels| IntCounter::with_opts(opts));
metric!(IntCounterVec, "counter", |opts, labels| IntCounterVec::new(opts, labels));
metric!(IntGauge, "gauge", |opts, _labels| IntGauge::with_opts(opts));
metric!(IntGaugeVec, "gauge", |opts, labels| IntGaugeVec::new(opts, labels));

impl Metric for Histogram {
    const TYPE: &str = "histogram";

    fn make(name: &str, help: &str, _: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Histogram::with_opts(HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec()))
    }
}

impl Metric for HistogramVec {
    const TYPE: &str = "histogram";

    fn make(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        HistogramVec::new(HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec()), labels)
    }
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty $([$($label:literal),*])? $({$buckets:expr})?,)+) => {
        /// All metrics, handed to whoever has something to count.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $name: $type,)+
        }

        impl Metrics {
            /// Name, type, labels and meaning of each, for the documentation.
            pub const ALL: &[(&str, &str, &[&str], &str)] = &[
                $((
                    concat!("nutritionfacts_", stringify!($name)),
                    <$type as Metric>::TYPE,
                    &[$($($label),*)?],
                    concat!($($help),+),
                ),)+
            ];

            fn register() -> prometheus::Result<Self> {
                let registry = Registry::new();
                $(
                    let help = concat!($($help),+).trim();
                    let $name = <$type as Metric>::make(stringify!($name), help, &[$($($label),*)?], metrics!(@buckets $($buckets)?))?;
                    registry.register(Box::new($name.clone()))?;
                )+
                #[cfg(target_os = "linux")]
                registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
                Ok(Self { registry, $($name,)+ })
            }
        }
    };
    (@buckets) => { &[] };
    (@buckets $buckets:expr) => { &$buckets };
}

metrics! {
    /// 1, labelled with the version and revision of this build.
    build_info: IntGaugeVec ["version", "revision"],
    /// Requests answered; probes too. Unknown methods are `other`, unknown paths `unmatched`.
    http_requests_total: IntCounterVec ["listener", "route", "method", "status"],
    /// From a request's header to the end of its reply.
    http_request_duration_seconds: HistogramVec ["route"] {SECONDS},
    /// Open connections.
    http_connections: IntGaugeVec ["listener"],
    /// Pingbacks by what became of them: `stored`, `set_aside` (the store refuses the row), `expired` (older than the retention, not stored), `limited` (too many of one installation within the hour, not stored), `invalid`, `too_large` or `unavailable` (503).
    pingbacks_total: IntCounterVec ["outcome"],
    /// Statistics reports by what became of them.
    statistics_total: IntCounterVec ["outcome"],
    /// Pingbacks that were kept, by release line of Kolibri; `other` where the version cannot be read.
    pingbacks_by_release_total: IntCounterVec ["release"],
    /// Rows waiting for a commit.
    ingest_queue_rows: IntGauge,
    /// Rows that may wait for a commit; beyond, clients get 503.
    ingest_queue_capacity_rows: IntGauge,
    /// Rows of one commit.
    ingest_batch_rows: Histogram {ROWS},
    /// One commit, from its first statement to its end.
    store_commit_duration_seconds: HistogramVec ["store"] {SECONDS},
    /// Failed writes: `unavailable`, `rejected` (a row that the store refuses was among them), `retried`, `timeout`.
    store_errors_total: IntCounterVec ["store", "class"],
    /// Whether the store takes rows.
    store_up: IntGaugeVec ["store"],
    /// Connections to the database, `idle` or `used`, as the last probe found them.
    store_connections: IntGaugeVec ["state"],
    /// Whole months after the present one that have their partition; PostgreSQL only.
    store_months_ahead: IntGaugeVec ["store"],
    /// Size of the log beside the embedded store's database, which is copied into that; 0 with PostgreSQL.
    store_log_size_bytes: IntGaugeVec ["store"],
    /// Free bytes of the volume that the embedded store is on.
    store_volume_free_bytes: IntGaugeVec ["store"],
    /// Size of the volume that the embedded store is on.
    store_volume_size_bytes: IntGaugeVec ["store"],
    /// How far this process's clock is ahead of the database's, in seconds; 0 with the embedded store.
    store_clock_ahead_seconds: IntGaugeVec ["store"],
    /// Rows that this process has digested: from them follow installations, versions, usage, and the periods to be counted.
    digest_rows_total: IntCounterVec ["store"],
    /// Batches of rows that are not digested yet, whoever wrote them.
    digest_waiting_batches: IntGaugeVec ["store"],
    /// For how long the oldest of them has been waiting, by the database's clock.
    digest_oldest_age_seconds: IntGaugeVec ["store"],
    /// Days, weeks and months counted by this process: `counted`, `failed` (tried again later).
    periods_counted_total: IntCounterVec ["grain", "result"],
    /// Lines of the log that were dropped, as the lines before them were not read in time.
    log_lines_dropped_total: IntCounter,
    /// What is posted below `/api/` to a path that is not known here, answered 404: `error_report`, `other` in the form of Kolibri's paths, or `scan`.
    unknown_reports_total: IntCounterVec ["kind"],
    /// Keys that are not known here, in reports that were answered with success: of a `pingback`, of `statistics`, or of an entry for a `channel` or a `facility`. They are in the column `extra`.
    unknown_keys_total: IntCounterVec ["place"],
    /// 1, labelled with the hash of the effective configuration (of its redacted values).
    config_info: IntGaugeVec ["hash"],
    /// Whether the last change of the configuration was taken over; if not, the last good one is in force.
    config_last_reload_successful: IntGauge,
    /// When the last change was taken over, or the program started; seconds since 1970.
    config_last_reload_success_timestamp_seconds: IntGauge,
    /// Changes of the configuration by where they were made and what became of them: `applied`, `rejected`, `restart_needed`.
    config_reloads_total: IntCounterVec ["source", "result"],
    /// Messages that are sent to all of their audience.
    messages_active: IntGauge,
    /// Whether what is followed in the cluster is up to date: `configmap/NAME` or `kolibrimessages`.
    config_watch_up: IntGaugeVec ["source"],
    /// Whether this process is the one that does what one has to do: 1 for one of all that share a database.
    leader: IntGauge,
    /// Messages that are left out, as clients cannot read them or another one has their id, and files of messages that cannot be read.
    messages_rejected: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Panics
    /// Two metrics have the same name, or one an invalid name: any test would show it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let metrics = Self::register().expect("metric names are valid and differ");
        // Series that are there before their first event, so that a rate sees it.
        for outcome in OUTCOMES {
            metrics.pingbacks_total.with_label_values(&[outcome]);
            metrics.statistics_total.with_label_values(&[outcome]);
        }
        for kind in UNKNOWN_KINDS {
            metrics.unknown_reports_total.with_label_values(&[kind]);
        }
        for place in UNKNOWN_PLACES {
            metrics.unknown_keys_total.with_label_values(&[place]);
        }
        for grain in Grain::ALL {
            for result in ["counted", "failed"] {
                metrics.periods_counted_total.with_label_values(&[grain.name(), result]);
            }
        }
        for result in ["applied", "rejected", "restart_needed"] {
            for source in ["file", "config_map"] {
                metrics.config_reloads_total.with_label_values(&[source, result]);
            }
        }
        Arc::new(metrics)
    }

    /// The same for the series of the store in use, by its kind.
    pub fn begin_store(&self, kind: &str) {
        for class in ["unavailable", "rejected", "retried", "timeout"] {
            self.store_errors_total.with_label_values(&[kind, class]);
        }
        self.digest_rows_total.with_label_values(&[kind]);
        for gauge in [
            &self.store_up,
            &self.store_clock_ahead_seconds,
            &self.digest_waiting_batches,
            &self.digest_oldest_age_seconds,
            &self.store_log_size_bytes,
        ] {
            gauge.with_label_values(&[kind]).set(0);
        }
    }

    /// Counts a pingback by its release line: `0.N`, else `other`.
    pub fn count_release(&self, line: Option<usize>) {
        let release = line.map_or_else(|| "other".to_owned(), |line| format!("0.{line}"));
        self.pingbacks_by_release_total.with_label_values(&[&release]).inc();
    }

    /// Counts keys that nobody knows, in a report of this kind or in its entries.
    pub fn count_unknown_keys(&self, place: &str, keys: usize) {
        if keys > 0 {
            self.unknown_keys_total.with_label_values(&[place]).inc_by(u64::try_from(keys).unwrap_or(u64::MAX));
        }
    }

    /// All of them in the text format of Prometheus.
    ///
    /// # Errors
    /// The encoder fails, which it does only for metrics without a name.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(32 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
