//! All metrics; the doc comment of each is its HELP text.
//!
//! No label has a value from a client, unless it is on a fixed list.

use std::sync::Arc;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use crate::domain::period::Grain;

const PREFIX: &str = "nutritionfacts";

/// From 100 µs to some seconds: a commit takes milliseconds, and clients wait 60 s.
const SECONDS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const ROWS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// Kinds of unknown reports, a fixed list: a report that a newer Kolibri may send, any other path in the form of Kolibri's,
/// and requests of scanners.
pub const UNKNOWN_KINDS: [&str; 3] = ["error_report", "other", "scan"];

/// Where unknown keys are found.
const UNKNOWN_PLACES: [&str; 4] = ["pingback", "statistics", "channel", "facility"];

/// Outcomes of a report.
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
        /// All metrics.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $name: $type,)+
        }

        impl Metrics {
            /// Name, type, labels and HELP text of each, for the documentation.
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
    /// Always 1; the labels are the version and revision of this build.
    build_info: IntGaugeVec ["version", "revision"],
    /// Requests answered, including probes. Unknown methods are `other`, unknown paths `unmatched`.
    http_requests_total: IntCounterVec ["listener", "route", "method", "status"],
    /// Time from a request's header to the end of its reply.
    http_request_duration_seconds: HistogramVec ["route"] {SECONDS},
    /// Open connections.
    http_connections: IntGaugeVec ["listener"],
    /// Pingbacks by outcome: `stored`, `set_aside` (the store rejects the row), `expired` (older than the retention, not stored), `limited` (too many of one installation within the hour, not stored), `invalid`, `too_large` or `unavailable` (503).
    pingbacks_total: IntCounterVec ["outcome"],
    /// Statistics reports by outcome.
    statistics_total: IntCounterVec ["outcome"],
    /// Pingbacks that were stored, by release line of Kolibri; `other` if the version cannot be read.
    pingbacks_by_release_total: IntCounterVec ["release"],
    /// Rows waiting for a commit.
    ingest_queue_rows: IntGauge,
    /// Rows that may wait for a commit; above this, clients get 503.
    ingest_queue_capacity_rows: IntGauge,
    /// Rows per commit.
    ingest_batch_rows: Histogram {ROWS},
    /// Duration of a commit, from its first statement to its end.
    store_commit_duration_seconds: HistogramVec ["store"] {SECONDS},
    /// Failed writes: `unavailable`, `rejected` (the store rejects at least one row), `retried`, `timeout`.
    store_errors_total: IntCounterVec ["store", "class"],
    /// Whether the store accepts rows.
    store_up: IntGaugeVec ["store"],
    /// Connections to the database, `idle` or `used`, at the last probe.
    store_connections: IntGaugeVec ["state"],
    /// Complete months after the current one that have a partition; PostgreSQL only.
    store_months_ahead: IntGaugeVec ["store"],
    /// Size of the write-ahead log of the embedded store; 0 with PostgreSQL.
    store_log_size_bytes: IntGaugeVec ["store"],
    /// Free bytes of the volume that the embedded store is on.
    store_volume_free_bytes: IntGaugeVec ["store"],
    /// Size of the volume that the embedded store is on.
    store_volume_size_bytes: IntGaugeVec ["store"],
    /// How far this process's clock is ahead of the database's, in seconds; 0 with the embedded store.
    store_clock_ahead_seconds: IntGaugeVec ["store"],
    /// Rows digested by this process, from which installations, versions, usage, and periods to count are derived.
    digest_rows_total: IntCounterVec ["store"],
    /// Batches of rows that are not digested yet, from all servers.
    digest_waiting_batches: IntGaugeVec ["store"],
    /// Age of the oldest of these batches, by the database's clock.
    digest_oldest_age_seconds: IntGaugeVec ["store"],
    /// Days, weeks and months counted by this process: `counted`, `failed` (retried later).
    periods_counted_total: IntCounterVec ["grain", "result"],
    /// Log lines that were dropped, because earlier lines were not read in time.
    log_lines_dropped_total: IntCounter,
    /// Requests that post to an unknown path below `/api/` and get 404: `error_report`, `other` in the form of Kolibri's paths, or `scan`.
    unknown_reports_total: IntCounterVec ["kind"],
    /// Unknown keys in acknowledged reports: of a `pingback`, of `statistics`, or of an entry for a `channel` or a `facility`. They are in the column `extra`.
    unknown_keys_total: IntCounterVec ["place"],
    /// Look-ups of countries: `found`, `unknown` (the database does not have the address), `reserved` (no address of the Internet, such as that of a proxy that is not trusted), `failed` (the database cannot be read there). None without a database.
    geoip_lookups_total: IntCounterVec ["result"],
    /// Time when the database of countries was built; seconds since 1970, 0 without a database.
    geoip_database_built_timestamp_seconds: IntGauge,
    /// Whether `geoip.database` could not be used when it was last read; then the last good one stays in use.
    geoip_database_rejected: IntGauge,
    /// Always 1; the label is the hash of the effective configuration (of its redacted values).
    config_info: IntGaugeVec ["hash"],
    /// Whether the last change of the configuration was applied; if not, the last good one is active.
    config_last_reload_successful: IntGauge,
    /// Time when the last change was applied, or the program started; seconds since 1970.
    config_last_reload_success_timestamp_seconds: IntGauge,
    /// Changes of the configuration by source and result: `applied`, `rejected`, `restart_needed`.
    config_reloads_total: IntCounterVec ["source", "result"],
    /// Messages that are sent to their whole audience.
    messages_active: IntGauge,
    /// Whether each source in the cluster is followed: `configmap/NAME` or `kolibrimessages`.
    config_watch_up: IntGaugeVec ["source"],
    /// Whether this process is the leader: 1 for one of all that share a database.
    leader: IntGauge,
    /// Messages that are left out, because clients cannot read them or another one has the same id, and message files that cannot be read.
    messages_rejected: IntGauge,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Panics
    /// Two metrics have the same name, or a name is invalid: any test would show it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let metrics = Self::register().expect("metric names are valid and differ");
        // Creates series before their first event, so that a rate sees it.
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
        for result in ["found", "unknown", "reserved", "failed"] {
            metrics.geoip_lookups_total.with_label_values(&[result]);
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

    /// Creates the series of the store in use, by its kind.
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

    /// Counts a pingback by its release line: `0.N`, or `other`.
    pub fn count_release(&self, line: Option<usize>) {
        let release = line.map_or_else(|| "other".to_owned(), |line| format!("0.{line}"));
        self.pingbacks_by_release_total.with_label_values(&[&release]).inc();
    }

    /// Counts unknown keys in a report of this kind or in its entries.
    pub fn count_unknown_keys(&self, place: &str, keys: usize) {
        if keys > 0 {
            self.unknown_keys_total.with_label_values(&[place]).inc_by(u64::try_from(keys).unwrap_or(u64::MAX));
        }
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// The encoder fails, which happens only for metrics without a name.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(32 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
