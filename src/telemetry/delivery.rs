//! Finished spans on their way to the collector: a bounded queue, and a thread that sends batches.
//!
//! The thread has a runtime of its own, so that spans are still sent when the server's has ended, and so that a slow
//! collector takes no time of a request. What the queue does not hold is dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc as blocking,
    },
    thread,
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter as Exporter, WithExportConfig, WithTonicConfig,
    tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Spans that may wait; some 2 MB.
const QUEUE: usize = 4096;
/// Spans of one message to the collector.
const BATCH: usize = 512;
/// From a span's end to its way to the collector, unless half the queue is full.
const DELAY: Duration = Duration::from_secs(1);
/// The collector's time for one message.
const ANSWER: Duration = Duration::from_secs(5);
/// Time for what is left at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// The way to the collector; dropped, it sends what is left, within a short time.
#[derive(Debug)]
pub struct Delivery {
    closing: CancellationToken,
    ended: blocking::Receiver<()>,
}

/// Where finished spans are queued.
#[derive(Debug)]
pub struct Queue {
    spans: mpsc::Sender<SpanData>,
    flow: Arc<Flow>,
}

/// What both ends of the queue know.
#[derive(Debug, Default)]
struct Flow {
    half_full: Notify,
    dropped: AtomicU64,
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Of the address or of the variables `OTEL_EXPORTER_OTLP_*`.
    #[error("the way to the collector of traces is not configured well")]
    Exporter(#[from] ExporterBuildError),
    /// Of the system.
    #[error("the thread that sends traces cannot be started")]
    Thread(#[from] std::io::Error),
}

impl Delivery {
    /// Starts the thread; whether the collector is there does not matter.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn start(endpoint: &str, resource: &Resource) -> Result<(Self, Queue), DeliveryError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut exporter = {
            let _runtime = runtime.enter();
            let builder = Exporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(ANSWER);
            if endpoint.starts_with("https:") {
                builder.with_tls_config(ClientTlsConfig::new().with_native_roots()).build()
            } else {
                builder.build()
            }?
        };
        exporter.set_resource(resource);
        let (spans, waiting) = mpsc::channel(QUEUE);
        let (closing, flow) = (CancellationToken::new(), Arc::new(Flow::default()));
        let (end, ended) = blocking::channel();
        let sending = Sending { exporter, waiting, flow: flow.clone(), closing: closing.clone(), reachable: true };
        thread::Builder::new().name("traces".into()).spawn(move || {
            runtime.block_on(sending.run());
            let _ = end.send(());
        })?;
        Ok((Self { closing, ended }, Queue { spans, flow }))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.closing.cancel();
        // A collector that does not answer is not waited for: the thread ends with the process.
        let _ = self.ended.recv_timeout(FLUSH);
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.spans.try_send(span).is_err() {
            self.flow.dropped.fetch_add(1, Ordering::Relaxed);
        } else if self.spans.capacity() < QUEUE / 2 {
            self.flow.half_full.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The thread's work.
struct Sending {
    exporter: Exporter,
    waiting: mpsc::Receiver<SpanData>,
    flow: Arc<Flow>,
    closing: CancellationToken,
    reachable: bool,
}

impl Sending {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let closing = self.closing.is_cancelled();
            if closing {
                self.waiting.close();
            } else {
                tokio::select! {
                    () = self.closing.cancelled() => continue,
                    taken = self.waiting.recv_many(&mut batch, 1) => if taken == 0 { return },
                }
                // A few spans wait for more, so that a message is worth its while.
                tokio::select! {
                    () = self.closing.cancelled() => {}
                    () = tokio::time::sleep(DELAY) => {}
                    () = self.flow.half_full.notified() => {}
                }
            }
            while let Ok(span) = self.waiting.try_recv() {
                batch.push(span);
                if batch.len() >= BATCH {
                    self.send(&mut batch).await;
                }
            }
            self.send(&mut batch).await;
            if closing {
                return;
            }
        }
    }

    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let spans = std::mem::replace(batch, Vec::with_capacity(BATCH));
        let problem = match timeout(ANSWER, self.exporter.export(spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if let Some(problem) = problem {
            self.flow.dropped.fetch_add(count, Ordering::Relaxed);
            if std::mem::replace(&mut self.reachable, false) {
                tracing::warn!(problem, "cannot deliver traces: they are dropped until the collector takes them");
            }
            return;
        }
        let dropped = self.flow.dropped.swap(0, Ordering::Relaxed);
        if !std::mem::replace(&mut self.reachable, true) {
            tracing::info!(spans_dropped = dropped, "traces are delivered again");
        } else if dropped > 0 {
            tracing::debug!(spans_dropped = dropped, "more spans than the collector takes");
        }
    }
}
