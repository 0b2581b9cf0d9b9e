//! The sections of the configuration, one struct each; their fields are the keys (docs/configuration.md).

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::units::Enabled;
use super::{secret::Secret, units};
use crate::domain::{
    mode::{self, ModeRule},
    privacy::Identifiers,
};

/// `http`: the public listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address of the public listener.
    #[schemars(schema_with = "units::address")]
    pub listen: SocketAddr,
    /// Cap of a statistics body as sent.
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(schema_with = "units::body_size", extend("x-live" = true))]
    pub max_body: ByteSize,
    /// Cap of a statistics body after inflating.
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(schema_with = "units::body_size", extend("x-live" = true))]
    pub max_inflated_body: ByteSize,
    /// Open connections; beyond, one of the network with the most is closed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// From the first byte of a header to its last.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub header_timeout: Duration,
    /// From the header's end to the body's.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub body_timeout: Duration,
    /// Between requests, and for a client that does not read its reply.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub idle_timeout: Duration,
    /// Networks whose `Forwarded` and `X-Forwarded-For` are believed.
    #[schemars(schema_with = "mode::networks", extend("x-live" = true))]
    pub trusted_proxies: Vec<IpNet>,
}

/// `admin`: the listener of metrics and probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address of the admin listener.
    #[schemars(schema_with = "units::address")]
    pub listen: SocketAddr,
}

/// `api`: what is answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// The reply to a pingback.
    #[schemars(extend("x-live" = true))]
    pub reply: Reply,
}

/// `api.reply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Empty below 0.11, `{id, messages}` from there.
    #[default]
    ByVersion,
    /// Always empty: the letter of the first specification.
    Empty,
}

/// `store`: where pings rest. Neither `url` nor `host` means the embedded store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite://PATH` or `postgres://…`; a URL of PostgreSQL may hold a password.
    #[serde(serialize_with = "super::secret::serialize_url")]
    pub url: Option<Secret>,
    /// Host or socket directory of PostgreSQL, instead of `url`; several separated by commas, tried in this order.
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// Port of PostgreSQL; `PGPORT` or 5432 if not given.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Database of PostgreSQL.
    #[schemars(length(min = 1))]
    pub database: Option<String>,
    /// User of PostgreSQL.
    #[schemars(length(min = 1))]
    pub user: Option<String>,
    /// Password of PostgreSQL; not by flag, which `ps` shows.
    #[schemars(extend("x-sources" = ["file", "environment"]))]
    pub password: Option<Secret>,
    /// File that holds the password; read for each new connection.
    #[schemars(length(min = 1))]
    pub password_file: Option<PathBuf>,
    /// TLS towards PostgreSQL, unless the URL says it; `PGSSLMODE` or `prefer` if not given.
    #[schemars(schema_with = "ssl_mode")]
    pub ssl_mode: Option<SslMode>,
    /// PEM file of the authorities to trust.
    #[schemars(length(min = 1))]
    pub ssl_root_cert: Option<PathBuf>,
    /// Connections kept to PostgreSQL.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: u32,
    /// Longest wait for a connection.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub acquire_timeout: Duration,
    /// Longest run of one statement.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub statement_timeout: Duration,
    /// What is between the server and PostgreSQL.
    pub pooler: Pooler,
}

/// `store.ssl_mode`, as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it.
    Prefer,
    /// TLS, any certificate.
    Require,
    /// TLS, a certificate of a trusted authority.
    VerifyCa,
    /// The same, for the right host name.
    VerifyFull,
}

/// Null, or one of them, in a form that [`super::Key`] reads.
fn ssl_mode(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names = ["disable", "prefer", "require", "verify-ca", "verify-full"].map(Some);
    schemars::json_schema!({"type": ["string", "null"], "enum": names.into_iter().chain([None]).collect::<Vec<_>>()})
}

/// `store.pooler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooler {
    /// A direct connection.
    #[default]
    None,
    /// PgBouncer in transaction mode.
    Transaction,
}

/// `ingest`: from request to row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Rows of one commit at most.
    #[schemars(range(min = 1, max = 10_000), extend("x-live" = true))]
    pub max_batch: usize,
    /// Pings of an installation within an hour that are stored; what is beyond is answered and counted. 0: all.
    #[schemars(range(max = 65_535), extend("x-live" = true))]
    pub max_hourly_pings: u16,
    /// Rows that may wait for a commit; beyond, 503.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue_capacity: usize,
    /// Writers at work side by side (PostgreSQL).
    #[schemars(range(min = 1, max = 16))]
    pub lanes: usize,
    /// Memory for what installations said of themselves, of which known ones cost less; about 800 bytes each.
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(schema_with = "units::memory")]
    pub profile_cache: ByteSize,
    /// Modes for installations that do not send one: the first rule that matches.
    #[schemars(extend("x-live" = true))]
    pub mode_rules: Vec<ModeRule>,
}

/// `messages`: messages to administrators of Kolibri.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Messages {
    /// Files of messages, or folders of such files (docs/messages.md).
    #[schemars(extend("x-live" = true))]
    pub files: Vec<PathBuf>,
}

/// `privacy`: what of a device's identity is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// How hardware identifiers and addresses are stored.
    #[schemars(extend("x-live" = true))]
    pub identifiers: Identifiers,
    /// The key of the pseudonyms, at least 32 characters; from the environment only.
    #[schemars(extend("x-sources" = ["environment"]))]
    pub key: Option<Secret>,
    /// File that holds the key.
    #[schemars(length(min = 1))]
    pub key_file: Option<PathBuf>,
    /// Address of the notice that users agreed to; needed for `raw`.
    #[schemars(length(min = 1), extend("x-live" = true))]
    pub notice_url: Option<String>,
    /// Version of that notice, stored with each row; needed for `raw`.
    #[schemars(length(min = 1), extend("x-live" = true))]
    pub notice_version: Option<String>,
}

/// `kubernetes`: what is read from the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// Whether to ask the API server; `auto`: inside a pod that has a service account's token.
    #[schemars(schema_with = "units::auto_or_bool")]
    pub enabled: Enabled,
    /// ConfigMaps to follow, by name; the later over the earlier.
    pub config_maps: Vec<String>,
    /// Whether to follow the messages that are `KolibriMessage` objects.
    pub message_resources: bool,
    /// Where all of these are; unset: in the namespace of the pod, or of the kubeconfig.
    #[schemars(length(min = 1))]
    pub namespace: Option<String>,
}

/// `telemetry`: how the server is seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Logs.
    pub log: Log,
    /// Traces.
    pub tracing: Tracing,
}

/// `telemetry.tracing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tracing {
    /// Collector that takes traces by OTLP over gRPC, as `http://collector:4317`; unset: no traces.
    #[schemars(length(min = 1))]
    pub endpoint: Option<String>,
    /// Share of the requests that are traced, unless their client decided; 0 switches traces off altogether.
    #[serde(deserialize_with = "units::deserialize_ratio")]
    #[schemars(schema_with = "units::ratio", extend("x-live" = true))]
    pub sample_ratio: f64,
}

/// `telemetry.log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Which lines: directives as `info` or `nutritionfacts=debug,sqlx=warn`.
    #[schemars(length(min = 1), extend("x-live" = true))]
    pub filter: String,
}

/// `telemetry.log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One line of text.
    Text,
    /// One JSON object a line.
    Json,
}

/// `shutdown`: how the server stops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Readiness is off but all is served, so that load balancers forget us. SIGINT skips it.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::duration")]
    pub delay: Duration,
    /// Time to finish what is under way, after the delay; then the stop is hard.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub grace: Duration,
}
