//! From a ping as read to a ping as kept: id and time, privacy, the queue, and the answer after the commit.

mod counting;
pub mod health;
mod row;
mod writer;

use std::sync::Arc;

use chrono::SubsecRound;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    config::Loaded,
    domain::{
        Clock, Timestamp, new_id,
        pingback::{Arrival, Pingback, PingbackRow},
        privacy::Privacy,
        statistics::StatisticsReport,
    },
    lifecycle::Lifecycle,
    store::Store,
    telemetry::{metrics::Metrics, request::Named, storm::Storm},
};
use health::Health;
use writer::Writer;

/// What became of a ping that was answered with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Committed.
    Stored,
    /// The store refuses this row: it was committed to `set_aside`. A sender cannot mend it, so it hears of nothing.
    SetAside,
}

impl Outcome {
    /// The label `outcome` of `pingbacks_total` and `statistics_total`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::SetAside => "set_aside",
        }
    }
}

/// The ping could not be kept; the sender comes again in 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ping cannot be kept now")]
pub struct Unavailable;

/// What the memory of a ping is counted against until it is committed.
pub type Weight = Option<OwnedSemaphorePermit>;

/// Takes pings; cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Inner>);

struct Inner {
    clock: Box<dyn Clock>,
    privacy: watch::Receiver<Privacy>,
    health: Health,
    pingbacks: Writer<PingbackRow>,
    statistics: Writer<StatisticsReport>,
    /// Those that write.
    writers: TaskTracker,
}

impl Ingest {
    /// Starts the writers.
    pub fn start(
        store: &Store,
        clock: impl Clock,
        config: watch::Receiver<Loaded>,
        privacy: watch::Receiver<Privacy>,
        health: Health,
        metrics: &Arc<Metrics>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let (capacity, grace) = (config.borrow().ingest.queue_capacity, config.borrow().shutdown.grace);
        metrics.ingest_queue_capacity_rows.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        let writing = writer::Writing {
            store: store.clone(),
            config,
            health: health.clone(),
            metrics: metrics.clone(),
            set_aside: Storm::default(),
            failed: Storm::default(),
            writers: TaskTracker::new(),
        };
        // A quarter of the grace: the pings come first, and may arrive during half of it.
        let counting = counting::run(store.clone(), writing.writers.clone(), grace / 4);
        lifecycle.spawn_essential("counting", counting);
        Self(Arc::new(Inner {
            clock: Box::new(clock),
            privacy,
            health,
            pingbacks: Writer::start(&writing, lifecycle),
            statistics: Writer::start(&writing, lifecycle),
            writers: writing.writers,
        }))
    }

    /// Keeps a pingback whose mode is settled.
    ///
    /// # Errors
    /// The store is away or the queue is full.
    pub async fn pingback(
        &self,
        pingback: Pingback,
        arrival: Arrival,
        named: Named,
        weight: Weight,
    ) -> Result<Outcome, Unavailable> {
        let row = pingback.into_row(arrival, &self.0.privacy.borrow());
        self.0.pingbacks.write(row, named, weight).await
    }

    /// Keeps a statistics report.
    ///
    /// # Errors
    /// The store is away or the queue is full.
    pub async fn statistics(
        &self,
        report: StatisticsReport,
        named: Named,
        weight: Weight,
    ) -> Result<Outcome, Unavailable> {
        self.0.statistics.write(report, named, weight).await
    }

    /// Lets the writers finish what is queued, and end; then installations are counted for the last time.
    pub fn close(&self) {
        self.0.pingbacks.close();
        self.0.statistics.close();
        self.0.writers.close();
    }

    /// The id and the moment of a report that arrives now.
    ///
    /// # Errors
    /// The store is known to be away.
    pub fn arrive(&self) -> Result<(Uuid, Timestamp), Unavailable> {
        if !self.0.health.up() {
            return Err(Unavailable);
        }
        let now = self.0.clock.now().trunc_subsecs(6);
        Ok((new_id(now, fastrand::u128(..)), now))
    }
}
