//! Whether the store accepts rows: writers notice failures first, a probe notices recovery.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{store::Store, telemetry::metrics::Metrics};

/// Interval of probes while the store is up; below, while it is down.
const CALM: Duration = Duration::from_secs(5);
const ALERT: Duration = Duration::from_millis(250);

/// State shared by all users; cheap to clone.
#[derive(Clone)]
pub struct Health {
    up: Arc<watch::Sender<bool>>,
    store: &'static str,
    metrics: Arc<Metrics>,
}

impl Health {
    /// Down until [`Self::set`] is called: the store is not migrated yet.
    #[must_use]
    pub fn new(store: &Store, metrics: &Arc<Metrics>) -> Self {
        Self { up: Arc::new(watch::Sender::new(false)), store: store.kind(), metrics: metrics.clone() }
    }

    /// Whether the store is up, as far as is known.
    #[must_use]
    pub fn up(&self) -> bool {
        *self.up.borrow()
    }

    /// Waits until the store is up.
    pub async fn wait_until_up(&self) {
        // The sender lives as long as `self`.
        let _ = self.up.subscribe().wait_for(|up| *up).await;
    }

    /// Sets the state, and logs each change once.
    pub fn set(&self, up: bool, reason: &str) {
        let changed = self.up.send_if_modified(|known| std::mem::replace(known, up) != up);
        if changed {
            self.metrics.store_up.with_label_values(&[self.store]).set(up.into());
            if up {
                tracing::info!(store = self.store, "store is up");
            } else {
                tracing::warn!(store = self.store, reason, "store is down: clients get 503 until it is back");
            }
        }
    }

    /// Probes forever, more often while the store is down.
    pub async fn probe(self, store: Store) {
        let mut known = self.up.subscribe();
        loop {
            let pause = if self.up() { CALM } else { ALERT };
            // A writer that finds the store down shortens the pause.
            let _ = tokio::time::timeout(pause, known.changed()).await;
            match store.health().await {
                Ok(()) => self.set(true, ""),
                Err(error) => self.set(false, &error.to_string()),
            }
            let (idle, used) = store.connections();
            for (state, count) in [("idle", idle), ("used", used)] {
                self.metrics
                    .store_connections
                    .with_label_values(&[state])
                    .set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }
}
