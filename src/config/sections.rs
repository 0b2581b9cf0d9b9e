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
    /// Largest statistics body as sent.
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(schema_with = "units::body_size", extend("x-live" = true))]
    pub max_body: ByteSize,
    /// Largest statistics body after decompression.
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(schema_with = "units::body_size", extend("x-live" = true))]
    pub max_inflated_body: ByteSize,
    /// Open connections; above this limit, a connection of the network that has the most is closed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// Timeout from the first byte of a header to its last.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub header_timeout: Duration,
    /// Timeout from the end of the header to the end of the body.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub body_timeout: Duration,
    /// Idle timeout between requests, and for a client that does not read its reply.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub idle_timeout: Duration,
    /// Proxies whose `Forwarded` and `X-Forwarded-For` are trusted, as networks.
    #[schemars(schema_with = "mode::networks", extend("x-live" = true))]
    pub trusted_proxies: Vec<IpNet>,
}

/// `admin`: the listener for metrics and probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address of the admin listener.
    #[schemars(schema_with = "units::address")]
    pub listen: SocketAddr,
}

/// `api`: the replies of the server.
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
    /// Empty for Kolibri before 0.11, `{id, messages}` from 0.11 on.
    #[default]
    ByVersion,
    /// Always empty, as the first specification literally says.
    Empty,
}

/// `store`: where pings are stored. Without `url` and `host`, the embedded store is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite://PATH` or `postgres://…`; a URL of PostgreSQL may contain a password.
    #[serde(serialize_with = "super::secret::serialize_url")]
    pub url: Option<Secret>,
    /// Host or socket directory of PostgreSQL, instead of `url`; several are separated by commas and tried in order.
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// Port of PostgreSQL; `PGPORT` or 5432 if not set.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Database of PostgreSQL.
    #[schemars(length(min = 1))]
    pub database: Option<String>,
    /// User of PostgreSQL.
    #[schemars(length(min = 1))]
    pub user: Option<String>,
    /// Password of PostgreSQL; cannot be a flag, because `ps` shows flags.
    #[schemars(extend("x-sources" = ["file", "environment"]))]
    pub password: Option<Secret>,
    /// File that contains the password; read for each new connection.
    #[schemars(length(min = 1))]
    pub password_file: Option<PathBuf>,
    /// TLS mode of connections to PostgreSQL, unless the URL sets it; `PGSSLMODE` or `prefer` if not set.
    #[schemars(schema_with = "ssl_mode")]
    pub ssl_mode: Option<SslMode>,
    /// PEM file of the trusted certificate authorities.
    #[schemars(length(min = 1))]
    pub ssl_root_cert: Option<PathBuf>,
    /// Maximum number of pooled connections to PostgreSQL.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: u32,
    /// Longest wait for a connection from the pool.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub acquire_timeout: Duration,
    /// Timeout of one statement.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub statement_timeout: Duration,
    /// Kind of pooler between the server and PostgreSQL.
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
    /// TLS, with a certificate of a trusted authority.
    VerifyCa,
    /// TLS, with a certificate of a trusted authority for this host name.
    VerifyFull,
}

/// Null or one of the modes, in a form that [`super::Key`] reads.
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
    /// Largest number of rows in one commit.
    #[schemars(range(min = 1, max = 10_000), extend("x-live" = true))]
    pub max_batch: usize,
    /// Pings of one installation that are stored per hour; additional ones are answered and counted. 0: no limit.
    #[schemars(range(max = 65_535), extend("x-live" = true))]
    pub max_hourly_pings: u16,
    /// Largest number of rows that wait for a commit; above it, clients get 503.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue_capacity: usize,
    /// Number of parallel writers (PostgreSQL).
    #[schemars(range(min = 1, max = 16))]
    pub lanes: usize,
    /// Memory of the profile cache, about 800 bytes per profile; a ping with a cached profile costs less.
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(schema_with = "units::memory")]
    pub profile_cache: ByteSize,
    /// Assigns modes to installations that do not send one: the first matching rule applies. A rule matches by one of its
    /// `networks`, `instances` or `countries`.
    #[schemars(extend("x-live" = true))]
    pub mode_rules: Vec<ModeRule>,
}

/// `geoip`: where pings come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Geoip {
    /// MMDB file in which countries and subdivisions are looked up; if not set, they are empty (docs/operations.md).
    #[schemars(length(min = 1), extend("x-live" = true))]
    pub database: Option<PathBuf>,
}

/// `messages`: messages to administrators of Kolibri.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Messages {
    /// Message files, or folders of such files (docs/messages.md).
    #[schemars(extend("x-live" = true))]
    pub files: Vec<PathBuf>,
}

/// `privacy`: which identifiers of devices are stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// How hardware identifiers and addresses are stored.
    #[schemars(extend("x-live" = true))]
    pub identifiers: Identifiers,
    /// Key of the pseudonyms, at least 32 characters; from the environment only.
    #[schemars(extend("x-sources" = ["environment"]))]
    pub key: Option<Secret>,
    /// File that contains the key.
    #[schemars(length(min = 1))]
    pub key_file: Option<PathBuf>,
    /// URL of the privacy notice that users agreed to; required for `raw`.
    #[schemars(length(min = 1), extend("x-live" = true))]
    pub notice_url: Option<String>,
    /// Version of that notice, stored with each row; required for `raw`.
    #[schemars(length(min = 1), extend("x-live" = true))]
    pub notice_version: Option<String>,
}

/// `kubernetes`: what is read from the Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// Whether to use the API server; `auto`: in a pod that has a service account token.
    #[schemars(schema_with = "units::auto_or_bool")]
    pub enabled: Enabled,
    /// Names of ConfigMaps to follow; later ones override earlier ones.
    pub config_maps: Vec<String>,
    /// Whether to follow messages in `KolibriMessage` objects.
    pub message_resources: bool,
    /// Namespace of these objects; if not set, that of the pod, or of the kubeconfig.
    #[schemars(length(min = 1))]
    pub namespace: Option<String>,
}

/// `telemetry`: logs and traces.
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
    /// Collector that receives traces by OTLP over gRPC, such as `http://collector:4317`; if not set, there are no traces.
    #[schemars(length(min = 1))]
    pub endpoint: Option<String>,
    /// Share of requests that are traced, unless the client has decided; 0 switches traces off entirely.
    #[serde(deserialize_with = "units::deserialize_ratio")]
    #[schemars(schema_with = "units::ratio", extend("x-live" = true))]
    pub sample_ratio: f64,
}

/// `telemetry.log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Format of log lines.
    pub format: LogFormat,
    /// Filter of log lines: directives such as `info` or `nutritionfacts=debug,sqlx=warn`.
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

/// `shutdown`: how the server shuts down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Time after SIGTERM in which the server is not ready but still serves, so that load balancers forget it; not for SIGINT.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::duration")]
    pub delay: Duration,
    /// Time to finish requests in progress, after the delay; then the server stops immediately.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "units::timeout")]
    pub grace: Duration,
}
