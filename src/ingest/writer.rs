//! The queue and the group commit: what is queued is taken, written by one statement, and answered after the commit.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Span;

use super::{Awaiting, Outcome, Unavailable, digest::Committed, health::Health, row::Row};
use crate::{
    config::Loaded,
    lifecycle::Lifecycle,
    store::{Store, StoreError, Write},
    telemetry::{metrics::Metrics, request::Named, storm::Storm, traces},
};

/// A batch is tried again for this long: twice a statement that runs into its time limit, and a client waits for 60 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// Who has waited this long in the queue hears 503 instead of being written: clients and proxies have given up before
/// long, and a store that is behind must not spend its time on their pings (docs/decisions/0040-pings-that-wait.md).
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A sender that has closed its side is taken for gone when it has waited for longer: one that has only finished sending, and
/// listens, has its answer by then.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// Beyond this much expected waiting a ping is refused at once. Each that waits holds a connection, and the cap of those
/// must not be reached before the refusals begin.
const LONGEST_QUEUE: Duration = Duration::from_secs(2);
/// Longest pause between two tries; a random part of it is taken.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What the writers need.
#[derive(Clone)]
pub struct Writing {
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
    pub writers: TaskTracker,
}

struct Job<R> {
    row: R,
    queued: Instant,
    waiting: Waiting,
}

impl<R> Job<R> {
    /// Its row and its sender, if somebody still waits for the answer: a sender that has gone away comes again, and its ping would
    /// be counted twice.
    fn awaited(self) -> Option<(R, Waiting)> {
        let waited = self.queued.elapsed();
        if waited > LONGEST_WAIT || waited > SHORT_WAIT && self.waiting.client.has_left() {
            self.waiting.answer(Err(Unavailable));
            return None;
        }
        (!self.waiting.answer.is_closed()).then_some((self.row, self.waiting))
    }
}

struct Waiting {
    answer: oneshot::Sender<Result<Outcome, Unavailable>>,
    /// Dropped when the row is committed, not when its sender goes away.
    client: Box<dyn Awaiting>,
    named: Named,
    /// What it waits for, if it is traced: its turn, then the commit.
    stage: Span,
}

impl Waiting {
    fn answer(self, result: Result<Outcome, Unavailable>) {
        traces::ended(&self.stage, result.map_or("unavailable", Outcome::label));
        drop(self.stage);
        // A sender that has gone away does not hear the answer.
        let _ = self.answer.send(result);
    }
}

/// The queues of one kind of row.
pub struct Writer<R> {
    lanes: Vec<Lane<R>>,
    config: watch::Receiver<Loaded>,
    metrics: Arc<Metrics>,
    closed: CancellationToken,
}

struct Lane<R> {
    queue: mpsc::Sender<Job<R>>,
    pace: Pace,
}

/// How long the last batch took, in milliseconds.
#[derive(Clone, Default)]
struct Pace(Arc<AtomicU64>);

impl Pace {
    fn note(&self, duration: Duration) {
        self.0.store(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether a ping behind so many others will wait too long. Behind less than a batch it never does: its turn comes
    /// with the next one, and tells whether the store has become faster.
    fn is_too_slow(&self, queued: usize, max_batch: usize) -> bool {
        let batches = u64::try_from(queued / max_batch.max(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.0.load(Relaxed).saturating_mul(batches)) > LONGEST_QUEUE
    }
}

impl<R: Row> Writer<R> {
    /// Starts a task for each lane.
    pub fn start(writing: &Writing, lifecycle: &Lifecycle) -> Self {
        let (count, capacity) = {
            let ingest = &writing.config.borrow().ingest;
            // SQLite has one writer: more lanes would only wait for each other.
            let count = if writing.store.kind() == "sqlite" { 1 } else { ingest.lanes.max(1) };
            (count, ingest.queue_capacity)
        };
        let closed = CancellationToken::new();
        let lanes = (0..count)
            .map(|_| {
                let (sender, queue) = mpsc::channel(capacity.div_ceil(count));
                let pace = Pace::default();
                let writer = run(writing.clone(), queue, pace.clone(), closed.clone());
                lifecycle.spawn_essential(R::NAME, writing.writers.track_future(writer));
                Lane { queue: sender, pace }
            })
            .collect();
        Self { lanes, config: writing.config.clone(), metrics: writing.metrics.clone(), closed }
    }

    /// Queues the row, and waits for its commit.
    pub async fn write(&self, row: R, named: Named, client: impl Awaiting) -> Result<Outcome, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let Lane { queue, pace } = self.lane(row.key());
        if pace.is_too_slow(queue.max_capacity() - queue.capacity(), self.config.borrow().ingest.max_batch) {
            return Err(Unavailable);
        }
        self.metrics.ingest_queue_rows.inc();
        let stage = traces::queue_wait(&named.span);
        let waiting = Waiting { answer, client: Box::new(client), named, stage };
        if queue.try_send(Job { row, queued: Instant::now(), waiting }).is_err() {
            self.metrics.ingest_queue_rows.dec();
            return Err(Unavailable);
        }
        answered.await.unwrap_or(Err(Unavailable))
    }

    /// Takes no further rows; what is queued is still written.
    pub fn close(&self) {
        self.closed.cancel();
    }

    fn lane(&self, key: &str) -> &Lane<R> {
        if self.lanes.len() == 1 {
            return &self.lanes[0];
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        // The remainder is below the count, which is a usize.
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a usize")]
        let index = (hasher.finish() % self.lanes.len() as u64) as usize;
        &self.lanes[index]
    }
}

async fn run<R: Row>(writer: Writing, mut queue: mpsc::Receiver<Job<R>>, pace: Pace, closed: CancellationToken) {
    let (mut jobs, mut rows, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let max_batch = writer.config.borrow().ingest.max_batch;
        let taken = tokio::select! {
            biased;
            taken = queue.recv_many(&mut jobs, max_batch) => taken,
            () = closed.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        if taken == 0 {
            return;
        }
        writer.metrics.ingest_queue_rows.sub(i64::try_from(taken).unwrap_or(0));
        for (row, mut sender) in jobs.drain(..).filter_map(Job::awaited) {
            // It ends before the next begins.
            sender.stage = Span::none();
            sender.stage = traces::commit(&sender.named.span, writer.store.kind(), taken);
            rows.push(row);
            waiting.push(Some(sender));
        }
        if rows.is_empty() {
            continue;
        }
        let begun = Instant::now();
        writer.commit(&rows, &mut waiting).await;
        pace.note(begun.elapsed());
        rows.clear();
        waiting.clear();
    }
}

impl Writing {
    /// Writes a batch, splitting it where the store refuses a row, and answers each sender as soon as its row is safe.
    async fn commit<R: Row>(&self, rows: &[R], waiting: &mut [Option<Waiting>]) {
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::Receiver;

    use super::*;
    use crate::telemetry::request::RequestId;

    /// Whether it has left.
    struct Client(bool);

    impl Awaiting for Client {
        fn has_left(&self) -> bool {
            self.0
        }
    }

    fn job(client: Client) -> (Job<&'static str>, Receiver<Result<Outcome, Unavailable>>) {
        let (answer, answered) = oneshot::channel();
        let named = Named { id: RequestId::new(None), span: Span::none() };
        let waiting = Waiting { answer, client: Box::new(client), named, stage: Span::none() };
        (Job { row: "row", queued: Instant::now(), waiting }, answered)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_waited_too_long_is_refused() {
        let (early, mut refused) = job(Client(false));
        tokio::time::advance(LONGEST_WAIT + Duration::from_millis(1)).await;
        let (late, mut waiting) = job(Client(false));
        assert!(early.awaited().is_none());
        assert_eq!(refused.try_recv(), Ok(Err(Unavailable)));
        assert_eq!(late.awaited().map(|(row, _)| row), Some("row"));
        assert!(waiting.try_recv().is_err(), "not answered before it is written");
    }

    #[test]
    fn the_queue_is_as_long_as_the_store_is_fast() {
        let pace = Pace::default();
        assert!(!pace.is_too_slow(10_000, 500), "nothing is known yet");
        pace.note(Duration::from_millis(250));
        assert!(!pace.is_too_slow(4_499, 500) && pace.is_too_slow(4_500, 500));
        pace.note(Duration::from_mins(1));
        assert!(!pace.is_too_slow(499, 500) && pace.is_too_slow(500, 500));
    }

    #[tokio::test]
    async fn a_sender_that_has_gone_is_not_written() {
        let (job, answered) = job(Client(false));
        drop(answered);
        assert!(job.awaited().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_has_closed_its_side_is_answered_at_once_or_not_written() {
        let (slow, mut refused) = job(Client(true));
        let (quick, _answered) = job(Client(true));
        assert!(quick.awaited().is_some());
        tokio::time::advance(SHORT_WAIT + Duration::from_millis(1)).await;
        assert!(slow.awaited().is_none());
        assert_eq!(refused.try_recv(), Ok(Err(Unavailable)));
    }
}
