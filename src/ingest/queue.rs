//! The queues before the store: who waits for how long, and the tasks that write what is queued in batches.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
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
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{Awaiting, Outcome, Unavailable, row::Row, waiting::Waiting, writer::Writer};
use crate::{
    config::Loaded,
    lifecycle::Lifecycle,
    telemetry::{metrics::Metrics, request::Named, traces},
};

/// Who has waited this long in the queue hears 503 instead of being written: clients and proxies have given up before
/// long, and a store that is behind must not spend its time on their pings (docs/decisions/0040-pings-that-wait.md).
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A sender that has closed its side is taken for gone when it has waited for longer: one that has only finished sending, and
/// listens, has its answer by then.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// Beyond this much expected waiting a ping is refused at once. Each that waits holds a connection, and the cap of those
/// must not be reached before the refusals begin.
const LONGEST_QUEUE: Duration = Duration::from_secs(2);

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

/// The queues of one kind of row.
pub struct Queues<R> {
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

impl<R: Row> Queues<R> {
    /// Starts a task for each lane.
    pub fn start(writer: &Writer, lifecycle: &Lifecycle) -> Self {
        let (count, capacity) = {
            let ingest = &writer.config.borrow().ingest;
            // SQLite has one writer: more lanes would only wait for each other.
            let count = if writer.store.kind() == "sqlite" { 1 } else { ingest.lanes.max(1) };
            (count, ingest.queue_capacity)
        };
        let closed = CancellationToken::new();
        let lanes = (0..count)
            .map(|_| {
                let (sender, queue) = mpsc::channel(capacity.div_ceil(count));
                let pace = Pace::default();
                let task = run(writer.clone(), queue, pace.clone(), closed.clone());
                lifecycle.spawn_essential(R::NAME, writer.tasks.track_future(task));
                Lane { queue: sender, pace }
            })
            .collect();
        Self { lanes, config: writer.config.clone(), metrics: writer.metrics.clone(), closed }
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

async fn run<R: Row>(writer: Writer, mut queue: mpsc::Receiver<Job<R>>, pace: Pace, closed: CancellationToken) {
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
