//! When the outbox is digested: soon after commits, periodically for batches of other servers, and after the last commit.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::health::Health;
use crate::{
    store::{Digested, Store, StoreError, Whose},
    telemetry::{metrics::Metrics, storm::Storm},
};

/// Delay from a commit to the digest, so that commits within it are digested together.
const SOON: Duration = Duration::from_secs(1);
/// Interval of checks for batches of other servers, and for retries.
const CALM: Duration = Duration::from_secs(5);

/// Batches of this age are digested by any server: their writer is down, or very slow.
const OTHERS: Duration = Duration::from_secs(15);

/// Wakes the digest.
#[derive(Clone, Default)]
pub struct Committed(Arc<Notify>);

impl Committed {
    /// Rows were committed.
    pub fn tell(&self) {
        self.0.notify_one();
    }
}

/// The digest task.
pub struct Digest {
    pub store: Store,
    pub committed: Committed,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    /// Failures, summed up.
    pub failed: Storm,
}

impl Digest {
    /// Runs until the writers have ended and their rows are digested, but then no longer than `last`.
    pub async fn run(self, writers: TaskTracker, last: Duration) {
        let digesting = async {
            // Batches of servers that ended before this process began are digested at once.
            let mut others = Some(Whose::OTHERS);
            let mut looked = Instant::now();
            let mut failing = false;
            loop {
                // Before the migration, or while the store is down, there is nothing to try, and health has logged it.
                tokio::select! {
                    () = self.health.wait_until_up() => {}
                    () = writers.wait() => if !self.health.up() { return },
                }
                let result = self.all(others.take()).await;
                if result.is_ok() && failing {
                    tracing::info!("pings are digested again");
                }
                failing = result.is_err();
                if let Err(error) = result {
                    if self.failed.begins(more) {
                        tracing::warn!(%error, "cannot digest pings now: nothing is lost, the digest is retried");
                    }
                    // Wait, so that retries do not follow the rate of commits.
                    tokio::select! {
                        () = tokio::time::sleep(SOON) => {}
                        () = writers.wait() => {}
                    }
                }
                if writers.is_closed() && writers.is_empty() {
                    return;
                }
                let ended = tokio::select! {
                    () = writers.wait() => true,
                    () = async {
                        let _ = timeout(CALM, self.committed.0.notified()).await;
                        let _ = timeout(SOON, self.store.much_to_digest()).await;
                    } => false,
                };
                if ended {
                    others = Some(Whose::OTHERS);
                } else if looked.elapsed() >= CALM {
                    others = Some(Whose::Others { age: OTHERS });
                    looked = Instant::now();
                }
            }
        };
        tokio::pin!(digesting);
        tokio::select! {
            () = &mut digesting => return,
            () = writers.wait() => {}
        }
        if timeout(last, digesting).await.is_err() {
            tracing::warn!("the last pings are not digested yet: this is done at the next start, or by another server");
        }
    }

    /// Digests everything, batches of this process and of others in turns, so that neither delays the other.
    async fn all(&self, mut others: Option<Whose>) -> Result<(), StoreError> {
        loop {
            let own = self.step(Whose::Own).await?;
            let mut more = own.more;
            if let Some(whose) = if own.behind { Some(Whose::OTHERS) } else { others } {
                let done = self.step(whose).await?;
                others = others.filter(|_| done.more);
                more |= done.more;
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn step(&self, whose: Whose) -> Result<Digested, StoreError> {
        let Self { store, metrics, .. } = self;
        let done = store.digest(whose).await?;
        if done.dangling > 0 {
            tracing::error!(count = done.dangling, "pings refer to missing profiles: were rows deleted by hand?");
        }
        if let Some(reason) = &done.refused
            && self.failed.begins(more)
        {
            tracing::error!(reason, "cannot digest a batch: it is retried, and other batches are digested");
        }
        let rows = u64::try_from(done.rows).unwrap_or(u64::MAX);
        metrics.digest_rows_total.with_label_values(&[store.kind()]).inc_by(rows);
        Ok(done)
    }
}

fn more(count: u64) {
    tracing::warn!(count, "more digests failed");
}
