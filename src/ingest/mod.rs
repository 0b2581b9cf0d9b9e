//! From a parsed ping to a stored ping: id and time, privacy, the queue, and the reply after the commit.

mod digest;
pub mod health;
mod hourly;
mod profiles;
mod queue;
mod row;
mod waiting;
mod writer;

use std::sync::Arc;

use chrono::SubsecRound;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    config::Loaded,
    domain::{
        Clock, Timestamp,
        mode::ModeRule,
        new_id,
        origin::Origin,
        pingback::{Arrival, Pingback},
        privacy::Privacy,
        profile::{Description, Profile},
        statistics::{Envelope, StatisticsReport, UnknownKeys},
    },
    lifecycle::Lifecycle,
    store::Store,
    telemetry::{metrics::Metrics, request::Named, storm::Storm},
};
use digest::{Committed, Digest};
use health::Health;
use hourly::Hourly;
use profiles::{Profiles, Source};
use queue::Queues;
use row::PingRow;
use writer::Writer;

/// Outcome of a ping that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Committed.
    Stored,
    /// The store rejects this row: it was committed to `set_aside`. The client cannot fix it, so it is not told.
    SetAside,
    /// Older than the retention: it was not stored.
    Expired,
    /// Its installation has sent too many pings within the hour: it was counted, and not stored.
    Limited,
}

impl Outcome {
    /// The label `outcome` of `pingbacks_total` and `statistics_total`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::SetAside => "set_aside",
            Self::Expired => "expired",
            Self::Limited => "limited",
        }
    }
}

/// The ping could not be stored; the client retries in 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ping cannot be stored now")]
pub struct Unavailable;

/// Who waits for the reply to a ping; dropped when the ping is committed, which also releases its memory.
pub trait Awaiting: Send + Sync + 'static {
    /// Whether the client has disconnected, as far as is known.
    fn has_left(&self) -> bool;
}

/// The sender of a ping.
pub struct Sender {
    /// Its profile.
    pub source: Arc<Source>,
    profile: Option<Box<Profile>>,
}

/// A ping of a sender, ready to be stored.
pub struct Sent(PingRow);

impl Sender {
    /// Makes its ping, which contains no address that the privacy rules do not allow.
    #[must_use]
    pub fn send(self, pingback: Pingback<'_>, arrival: Arrival) -> Sent {
        let ping = pingback.into_ping(arrival, self.source.described(), self.source.privacy());
        Sent(PingRow { ping, source: self.source, profile: self.profile })
    }
}

/// Accepts pings; cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Inner>);

struct Inner {
    clock: Box<dyn Clock>,
    privacy: watch::Receiver<Arc<Privacy>>,
    profiles: Profiles,
    hourly: Hourly,
    health: Health,
    pingbacks: Queues<PingRow>,
    statistics: Queues<StatisticsReport>,
    /// The tasks that write.
    writers: TaskTracker,
}

impl Ingest {
    /// Starts the writers.
    pub fn start(
        store: &Store,
        clock: impl Clock,
        config: watch::Receiver<Loaded>,
        privacy: watch::Receiver<Arc<Privacy>>,
        health: Health,
        metrics: &Arc<Metrics>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let (capacity, grace) = (config.borrow().ingest.queue_capacity, config.borrow().shutdown.grace);
        let profiles = Profiles::new(config.borrow().ingest.profile_cache.as_u64());
        metrics.ingest_queue_capacity_rows.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        let writer = Writer {
            store: store.clone(),
            config,
            health: health.clone(),
            metrics: metrics.clone(),
            set_aside: Storm::default(),
            failed: Storm::default(),
            committed: Committed::default(),
            tasks: TaskTracker::new(),
        };
        // A quarter of the grace period: pings come first, and may arrive during half of it.
        let (committed, failed) = (writer.committed.clone(), Storm::default());
        let digest =
            Digest { store: store.clone(), committed, health: health.clone(), metrics: metrics.clone(), failed };
        lifecycle.spawn_essential("digest", digest.run(writer.tasks.clone(), grace / 4));
        Self(Arc::new(Inner {
            clock: Box::new(clock),
            privacy,
            profiles,
            hourly: Hourly::default(),
            health,
            pingbacks: Queues::start(&writer, lifecycle),
            statistics: Queues::start(&writer, lifecycle),
            writers: writer.tasks,
        }))
    }

    /// Returns the profile of a sender, with the mode that the rules assign.
    #[must_use]
    pub fn recognise(&self, sent: &Description<'_>, rules: &[ModeRule], origin: Origin) -> Sender {
        let (source, profile) = self.0.profiles.of(sent, rules, origin, &self.0.privacy.borrow());
        Sender { source, profile }
    }

    /// Stores a pingback, unless its installation has sent more than `most` within the hour (0: no limit).
    ///
    /// # Errors
    /// The store is down or the queue is full.
    pub async fn pingback(
        &self,
        ping: Sent,
        most: u16,
        named: Named,
        client: impl Awaiting,
    ) -> Result<Outcome, Unavailable> {
        let row = &ping.0.ping;
        if most > 0 && !row.instance_id.is_empty() && self.0.hourly.is_beyond(&row.instance_id, row.received_at, most) {
            return Ok(Outcome::Limited);
        }
        self.0.pingbacks.write(ping.0, named, client).await
    }

    /// Makes the rows of a report that arrives now: see [`Envelope::into_report`].
    ///
    /// # Errors
    /// The store is known to be down.
    pub fn read_report(
        &self,
        envelope: Envelope<'_>,
        sent: usize,
        most: usize,
    ) -> Result<Option<(StatisticsReport, UnknownKeys)>, Unavailable> {
        let arrival = self.arrive()?;
        let privacy = self.0.privacy.borrow().clone();
        Ok(envelope.into_report(arrival, &privacy, sent, most))
    }

    /// Stores a statistics report.
    ///
    /// # Errors
    /// The store is down or the queue is full.
    pub async fn statistics(
        &self,
        report: StatisticsReport,
        named: Named,
        client: impl Awaiting,
    ) -> Result<Outcome, Unavailable> {
        self.0.statistics.write(report, named, client).await
    }

    /// Lets the writers commit what is queued, and end; then the last rows are digested.
    pub fn close(&self) {
        self.0.pingbacks.close();
        self.0.statistics.close();
        self.0.writers.close();
    }

    /// Returns an id and the time for a report that arrives now.
    ///
    /// # Errors
    /// The store is known to be down.
    pub fn arrive(&self) -> Result<(Uuid, Timestamp), Unavailable> {
        if !self.0.health.up() {
            return Err(Unavailable);
        }
        let now = self.0.clock.now().trunc_subsecs(6);
        Ok((new_id(now, fastrand::u128(..)), now))
    }
}
