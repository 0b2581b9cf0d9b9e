//! Writes batches: tries again, sets aside what the store refuses, and answers after the commit.

use std::{iter, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use super::{Outcome, Unavailable, digest::Committed, health::Health, row::Row, waiting::Waiting};
use crate::{
    config::Loaded,
    store::{Store, StoreError, Write},
    telemetry::{metrics::Metrics, request::Named, storm::Storm},
};

/// A batch is tried again for this long: twice a statement that runs into its time limit, and a client waits for 60 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest pause between two tries; a random part of it is taken.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Writes the batches of all queues.
#[derive(Clone)]
pub struct Writer {
    pub store: Store,
    pub config: watch::Receiver<Loaded>,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    /// Rows that the store refuses.
    pub set_aside: Storm,
    /// Writes that are tried again.
    pub failed: Storm,
    /// Whom commits are told.
    pub committed: Committed,
    /// The tasks that write.
    pub tasks: TaskTracker,
}

impl Writer {
    /// Writes a batch, splitting it where the store refuses a row, and answers each sender as soon as its row is safe.
    pub async fn commit<R: Row>(&self, rows: &[R], waiting: &mut [Option<Waiting>]) {
        let deadline = Instant::now() + PATIENCE;
        self.metrics.ingest_batch_rows.observe(f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX)));
        let mut write = Write::New;
        let mut parts: Vec<_> = iter::once(0..rows.len()).collect();
        while let Some(part) = parts.pop() {
            let batch = &rows[part.clone()];
            let result = match self.write_patiently(batch, &mut write, deadline).await {
                Err(StoreError::Rejected { .. }) if batch.len() > 1 => {
                    let middle = part.start + batch.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                    // Reports before the one at fault may be there: SQLite writes a large batch in pieces.
                    write = Write::Replay;
                    continue;
                }
                Err(StoreError::Rejected { reason }) => {
                    let named = waiting[part.start].as_ref().map(|waiting| &waiting.named);
                    self.set_aside(&batch[0], named, reason, deadline).await
                }
                Err(_) => Err(Unavailable),
                Ok(()) => {
                    for (row, waiting) in batch.iter().zip(&mut waiting[part]) {
                        if let Some(waiting) = waiting.take() {
                            waiting.answer(Ok(row.outcome(&self.store)));
                        }
                    }
                    self.committed.tell();
                    continue;
                }
            };
            for waiting in waiting[part].iter_mut().filter_map(Option::take) {
                waiting.answer(result);
            }
        }
    }

    /// Tries until it is written, refused, or the patience is at an end.
    ///
    /// After the first failure nobody knows what was written: from then on rows may be there already.
    async fn write_patiently<R: Row>(
        &self,
        rows: &[R],
        write: &mut Write,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        loop {
            if !self.health.up() {
                return Err(StoreError::Unavailable { reason: "known to be down".into(), timeout: false });
            }
            let started = Instant::now();
            let result = R::write(&self.store, rows, *write).await;
            let kind = self.store.kind();
            let class = match &result {
                Ok(()) => {
                    self.metrics
                        .store_commit_duration_seconds
                        .with_label_values(&[kind])
                        .observe(started.elapsed().as_secs_f64());
                    return result;
                }
                Err(StoreError::Rejected { .. }) => {
                    self.metrics.store_errors_total.with_label_values(&[kind, "rejected"]).inc();
                    return result;
                }
                Err(StoreError::Unavailable { timeout: true, .. }) => "timeout",
                Err(StoreError::Unavailable { .. }) if Instant::now() < deadline => "retried",
                Err(StoreError::Unavailable { .. } | StoreError::Stale) => "unavailable",
            };
            self.metrics.store_errors_total.with_label_values(&[kind, class]).inc();
            *write = Write::Replay;
            // A store that is really away refuses the probe as well, and everyone waiting hears of it at once.
            if let Some(reason) = self.probe().await {
                self.health.set(false, &reason);
                return result;
            }
            if Instant::now() >= deadline {
                // The store is well, so it is this one row that always takes too long.
                return match result {
                    Err(StoreError::Unavailable { reason, timeout: true })
                        if R::CAN_BE_TOO_LARGE && rows.len() == 1 =>
                    {
                        Err(StoreError::Rejected { reason })
                    }
                    other => other,
                };
            }
            if let Err(error) = &result {
                let sum = move |count| tracing::warn!(count, store = kind, "more writes failed and were tried again");
                if self.failed.begins(sum) {
                    tracing::warn!(%error, store = kind, rows = rows.len(), "write failed: it is tried again");
                }
            }
            tokio::time::sleep(LONGEST_PAUSE.mul_f32(fastrand::f32())).await;
        }
    }

    /// Why the store takes no rows now, if so: more to the point than what the lost batch was told.
    async fn probe(&self) -> Option<String> {
        self.store.health().await.err().map(|error| error.to_string())
    }

    async fn set_aside<R: Row>(
        &self,
        row: &R,
        named: Option<&Named>,
        reason: String,
        deadline: Instant,
    ) -> Result<Outcome, Unavailable> {
        let mut row = row.set_aside(reason);
        loop {
            match self.store.set_aside(&row).await {
                Ok(()) => {
                    let kind = row.kind;
                    if self.set_aside.begins(|count| tracing::warn!(count, "more rows set aside")) {
                        let request = named.map(|named| tracing::field::display(&named.id));
                        let trace = named.and_then(Named::trace_id);
                        tracing::warn!(kind, reason = row.reason, id = %row.id, request, trace, "row set aside: the store refuses it");
                    }
                    return Ok(Outcome::SetAside);
                }
                // What is wrong with the row is also wrong with its copy: then only the fact is kept.
                Err(StoreError::Rejected { .. }) if row.row != "{}" => {
                    row.row = "{}".into();
                    row.instance_id.clear();
                }
                Err(StoreError::Rejected { .. }) => return Err(Unavailable),
                Err(_) if Instant::now() >= deadline || !self.health.up() => return Err(Unavailable),
                Err(_) => {
                    if let Some(reason) = self.probe().await {
                        self.health.set(false, &reason);
                    }
                    tokio::time::sleep(LONGEST_PAUSE.mul_f32(fastrand::f32())).await;
                }
            }
        }
    }
}
