//! When the outbox is digested: soon after commits, now and then what others have left, and once more after the last commit.

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

/// From a commit to the digest: what comes together is digested together, and what is derived is never far behind.
const SOON: Duration = Duration::from_secs(1);
/// Between two looks for what others have left, and for reports.
const CALM: Duration = Duration::from_secs(5);

/// Batches of so much age are digested by anybody: who has written them is gone, or very slow.
const OTHERS: Duration = Duration::from_secs(15);

/// Wakes the digest.
#[derive(Clone, Default)]
pub struct Committed(Arc<Notify>);

impl Committed {
    /// Something was committed.
    pub fn tell(&self) {
        self.0.notify_one();
    }
}

/// What the digest needs.
pub struct Digest {
    pub store: Store,
    pub committed: Committed,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    /// Problems, summed up.
    pub failed: Storm,
}

impl Digest {
    /// Runs until the writers have ended and what they wrote is digested, but for no longer than `last` then.
    pub async fn run(self, writers: TaskTracker, last: Duration) {
        let digesting = async {
            // What those have left that ended before this process began is not waited for.
            let mut others = Some(Whose::OTHERS);
            let mut looked = Instant::now();
            let mut failing = false;
            loop {
                // Before the tables are there, or while the store is down, there is nothing to try, and health has said so.
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
                        tracing::warn!(%error, "cannot digest pings now: nothing is lost, it is tried again");
                    }
                    // Not at the rate of commits.
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
            tracing::warn!("the last pings are not digested yet: the next start, or another server, does it");
        }
    }

    /// As much as there is, of what this process has written and of others in turns: neither keeps the other waiting.
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
            tracing::error!(
                count = done.dangling,
                "pings refer to profiles that are not there: were rows deleted by hand?"
            );
        }
        if let Some(reason) = &done.refused
            && self.failed.begins(more)
        {
            tracing::error!(reason, "a batch cannot be digested: it is tried again, and others go on");
        }
        let rows = u64::try_from(done.rows).unwrap_or(u64::MAX);
        metrics.digest_rows_total.with_label_values(&[store.kind()]).inc_by(rows);
        Ok(done)
    }
}

fn more(count: u64) {
    tracing::warn!(count, "more digests failed");
}
