//! When `instances` is brought up to date: now and then after commits, and once more after the last one.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::{store::Store, telemetry::storm::Storm};

/// Runs until the writers have ended and what they wrote is counted, but for no longer than `last` then.
pub async fn run(store: Store, writers: TaskTracker, last: Duration) {
    let failed = Storm::default();
    let counting = async {
        loop {
            let ended = tokio::select! {
                () = writers.wait() => true,
                () = store.count_due() => false,
            };
            if let Err(error) = store.count_own().await {
                let sum = |count| tracing::warn!(count, "more counts of installations failed");
                if failed.begins(sum) {
                    tracing::warn!(%error, "cannot count installations now: it is made up for");
                }
            }
            if ended {
                return;
            }
        }
    };
    tokio::pin!(counting);
    tokio::select! {
        () = &mut counting => return,
        () = writers.wait() => {}
    }
    if timeout(last, counting).await.is_err() {
        tracing::warn!("the last installations are not counted yet: the next start makes up for it");
    }
}
