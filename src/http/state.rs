//! State shared by handlers. In a module of its own, so that handlers need not import the router.

use std::sync::Arc;

use tokio::sync::watch;

use super::{budget::Budgets, refusals::Refusals, unknown::Unknown};
use crate::{
    config::Loaded,
    geoip::Places,
    ingest::{Ingest, health::Health},
    lifecycle::Lifecycle,
    messages,
    telemetry::metrics::Metrics,
};

/// Shared by all requests.
pub struct AppState {
    /// Accepts pings.
    pub ingest: Ingest,
    /// The active messages.
    pub messages: messages::Current,
    /// Where pings come from.
    pub places: Places,
    /// The effective configuration.
    pub config: watch::Receiver<Loaded>,
    /// Whether the store accepts rows.
    pub health: Health,
    /// Whether the process starts, runs or stops.
    pub lifecycle: Lifecycle,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The memory for bodies.
    pub budgets: Budgets,
    /// Logs refused reports.
    pub refusals: Refusals,
    /// Logs reports of an unknown kind.
    pub unknown: Unknown,
}

/// As handlers get it: in an `Arc`, so that a clone for each request is one increment, not twenty.
pub type Shared = Arc<AppState>;
