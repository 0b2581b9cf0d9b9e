//! The configuration, and the layers that it comes from.
//!
//! `sources` reads files, environment and flags into layers, and `config_maps` inserts those of the cluster; `load`, a pure
//! function, turns them into a configuration or a list of errors; rules about one key are in the `schema`, rules about several
//! keys in `validate`.

mod complaint;
pub mod config_maps;
mod layer;
pub mod live;
mod load;
pub mod looks;
pub mod notice;
mod path;
mod privacy;
mod reload;
mod schema;
pub mod secret;
pub mod sections;
mod show;
mod sources;
mod units;
mod validate;
mod value;
mod walk;
pub mod yaml;

use std::{net::Ipv4Addr, time::Duration};

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    complaint::Complaint,
    layer::{DEFAULT, Layer, Source},
    load::{Loaded, load, load_to_start},
    privacy::{KEY_LENGTH, KeyError, MAKE_A_KEY},
    reload::Reload,
    schema::{Key, live_keys, schema},
    show::show,
    sources::{Flags, layers, libpq},
};

/// The effective configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The public listener.
    pub http: sections::Http,
    /// The listener for metrics and probes.
    pub admin: sections::Admin,
    /// The replies of the server.
    pub api: sections::Api,
    /// Where pings are stored.
    pub store: sections::Store,
    /// From request to row.
    pub ingest: sections::Ingest,
    /// Where pings come from.
    pub geoip: sections::Geoip,
    /// Messages to administrators.
    pub messages: sections::Messages,
    /// Which identifiers of devices are stored.
    pub privacy: sections::Privacy,
    /// What is read from the Kubernetes cluster.
    pub kubernetes: sections::Kubernetes,
    /// Logs and traces.
    pub telemetry: sections::Telemetry,
    /// How the server shuts down.
    pub shutdown: sections::Shutdown,
}

impl Default for sections::Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            max_body: ByteSize::mib(16),
            max_inflated_body: ByteSize::mib(16),
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for sections::Admin {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 8081).into() }
    }
}

impl Default for sections::Store {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            database: None,
            user: None,
            password: None,
            password_file: None,
            ssl_mode: None,
            ssl_root_cert: None,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            pooler: sections::Pooler::default(),
        }
    }
}

impl Config {
    /// As a tree, with secrets redacted.
    fn values(&self) -> serde_json::Value {
        // Only texts, numbers and lists; paths come from UTF-8 text.
        serde_json::to_value(self).expect("a configuration has a JSON form")
    }
}

impl sections::Store {
    /// Whether pings are stored in PostgreSQL and not in the embedded store.
    pub fn is_postgres(&self) -> bool {
        self.host.is_some() || self.url.as_ref().is_some_and(|url| url.expose().starts_with("postgres"))
    }
}

impl Default for sections::Ingest {
    fn default() -> Self {
        Self {
            max_batch: 500,
            max_hourly_pings: 360,
            queue_capacity: 10_000,
            lanes: 1,
            profile_cache: ByteSize::mib(32),
            mode_rules: Vec::new(),
        }
    }
}

impl Default for sections::Kubernetes {
    fn default() -> Self {
        Self {
            enabled: sections::Enabled::default(),
            config_maps: Vec::new(),
            message_resources: true,
            namespace: None,
        }
    }
}

impl Default for sections::Log {
    fn default() -> Self {
        Self { format: sections::LogFormat::default(), filter: "info".into() }
    }
}

impl Default for sections::Tracing {
    fn default() -> Self {
        Self { endpoint: None, sample_ratio: 1.0 }
    }
}

impl Default for sections::Shutdown {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), grace: Duration::from_secs(25) }
    }
}
