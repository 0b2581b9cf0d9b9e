//! Countries and subdivisions of addresses, from an MMDB file that is read again when it changes.
//!
//! Pings are looked up when they arrive, by the whole address; what is found travels with the ping, the address does not
//! (docs/privacy.md, "Addresses").

mod database;
mod follow;
mod record;

use std::{net::IpAddr, sync::Arc};

use prometheus::IntCounter;
use tokio::sync::watch;

pub use self::{
    database::{Database, Unusable},
    follow::Following,
};
use crate::{
    config::{Loaded, notice::Notices},
    domain::place::{Place, is_public},
    telemetry::metrics::Metrics,
};

/// The database in use.
type Current = watch::Receiver<Option<Arc<Database>>>;

/// Looks up places; cheap to clone.
#[derive(Clone)]
pub struct Places {
    current: Current,
    found: IntCounter,
    unknown: IntCounter,
    reserved: IntCounter,
    failed: IntCounter,
}

/// Looks up places in the database that the configuration names; before [`Following::begin`] all are unknown.
#[must_use]
pub fn follow(config: watch::Receiver<Loaded>, notices: Notices, metrics: &Arc<Metrics>) -> (Places, Following) {
    let current = watch::Sender::new(None);
    let places = Places::of(current.subscribe(), metrics);
    (places, Following::new(config, notices, metrics.clone(), current))
}

impl Places {
    /// Without a database.
    #[must_use]
    pub fn unknown(metrics: &Metrics) -> Self {
        Self::of(watch::Sender::new(None).subscribe(), metrics)
    }

    fn of(current: Current, metrics: &Metrics) -> Self {
        // Looked up once: each look-up of a labelled counter takes a lock.
        let counter = |result| metrics.geoip_lookups_total.with_label_values(&[result]);
        let [found, unknown, reserved, failed] = ["found", "unknown", "reserved", "failed"].map(counter);
        Self { current, found, unknown, reserved, failed }
    }

    /// The place of an address, unknown without a database.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Place {
        let current = self.current.borrow();
        let Some(database) = &*current else { return Place::default() };
        if !is_public(address) {
            self.reserved.inc();
            return Place::default();
        }
        match database.find(address) {
            Ok(place) if place == Place::default() => {
                self.unknown.inc();
                place
            }
            Ok(place) => {
                self.found.inc();
                place
            }
            Err(_) => {
                self.failed.inc();
                Place::default()
            }
        }
    }
}
