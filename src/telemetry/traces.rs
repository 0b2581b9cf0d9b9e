//! Traces: one per sampled request, with spans by OpenTelemetry's semantic conventions for HTTP servers.
//!
//! Sampling is decided before a span exists, so that other requests cost nothing. Spans contain no text from the client
//! except the ids of `traceparent`; its `tracestate` and `baggage` are untrusted text and are ignored.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TraceId},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{
    Span,
    field::{Empty, debug},
    info_span,
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans for the collector; all others are not exported.
pub const TARGET: &str = "nutritionfacts::span";

/// Decides which requests are traced; none without a collector; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Ratio>);

impl Traces {
    /// For a server with a collector.
    #[must_use]
    pub fn new(sample_ratio: f64) -> Self {
        let traces = Self(Some(Ratio::default()));
        traces.set_sample_ratio(sample_ratio);
        traces
    }

    /// Changes the share of requests that are traced; 0: none, even if the client requests it.
    pub fn set_sample_ratio(&self, ratio: f64) {
        if let Some(shared) = &self.0 {
            shared.set(ratio);
        }
    }

    /// Begins the span of a request, or [`Span::none`] if it is not sampled; `traceparent` as the client sent it. It ends when
    /// all its clones are dropped.
    #[must_use]
    pub fn request(&self, traceparent: Option<&str>, method: &'static str, route: Option<&'static str>) -> Span {
        let ratio = self.0.as_ref().map_or(0.0, Ratio::get);
        if ratio <= 0.0 {
            return Span::none();
        }
        let parent = traceparent.map(continued).filter(Context::has_active_span);
        let is_sampled = match &parent {
            Some(parent) => parent.span().span_context().is_sampled(),
            None => fastrand::f64() < ratio,
        };
        if !is_sampled {
            return Span::none();
        }
        // OpenTelemetry's names for an unknown method.
        let (verb, method) = if method == "other" { ("HTTP", "_OTHER") } else { (method, method) };
        let name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"));
        let span = info_span!(
            target: TARGET,
            parent: None,
            "request",
            otel.name = name,
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.response.status_code = Empty,
            http.route = route,
            url.scheme = "http",
            "error.type" = Empty,
        );
        if let Some(parent) = parent {
            // Fails only if the layer is missing (tests).
            let _ = span.set_parent(parent);
        }
        span
    }
}

/// The context from the client.
fn continued(traceparent: &str) -> Context {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// The trace that a request's span belongs to.
#[must_use]
pub fn id(request: &Span) -> Option<TraceId> {
    (!request.is_none()).then(|| request.context().span().span_context().trace_id())
}

/// Records the status of the reply in a request's span.
pub fn answered(request: &Span, status: u16) {
    request.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        request.record("error.type", debug(status));
        request.record("otel.status_code", "ERROR");
    }
}

/// Begins the span of the time in the queue.
#[must_use]
pub fn queue_wait(request: &Span) -> Span {
    if request.is_none() {
        return Span::none();
    }
    info_span!(target: TARGET, parent: request, "queue wait", nutritionfacts.outcome = Empty, otel.status_code = Empty)
}

/// Begins the span of a commit of `rows`, for one request that waits for it. Each request has its own, so that its trace is complete.
#[must_use]
pub fn commit(request: &Span, store: &'static str, rows: usize) -> Span {
    if request.is_none() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        parent: request,
        "commit",
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = if store == "postgres" { "postgresql" } else { store },
        nutritionfacts.batch.rows = i64::try_from(rows).unwrap_or(i64::MAX),
        nutritionfacts.outcome = Empty,
    )
}

/// Records the outcome in the span of a wait or a commit, as in `pingbacks_total`.
pub fn ended(stage: &Span, outcome: &'static str) {
    stage.record("nutritionfacts.outcome", outcome);
    if outcome == "unavailable" {
        stage.record("otel.status_code", "ERROR");
    }
}

/// The share of new traces that are sampled; can change at any time.
#[derive(Debug, Clone, Default)]
struct Ratio(Arc<AtomicU64>);

impl Ratio {
    fn set(&self, ratio: f64) {
        self.0.store(ratio.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";

    /// With the layer, but without an exporter.
    fn with_layer<T>(run: impl FnOnce() -> T) -> T {
        let provider = SdkTracerProvider::builder().build();
        let subscriber = tracing_subscriber::registry().with(crate::telemetry::delivery::layer(&provider));
        tracing::subscriber::with_default(subscriber, run)
    }

    fn sampled(traces: &Traces, parent: Option<&str>) -> usize {
        (0..1000).filter(|_| !traces.request(parent, "POST", None).is_none()).count()
    }

    #[test]
    fn nothing_is_traced_without_a_collector() {
        assert_eq!(with_layer(|| sampled(&Traces::default(), Some(&format!("{PARENT}01")))), 0);
    }

    #[test]
    fn the_client_decides_or_else_the_ratio() {
        with_layer(|| {
            let traces = Traces::new(0.5);
            let (yes, no) = (format!("{PARENT}01"), format!("{PARENT}00"));
            assert_eq!((sampled(&traces, Some(&yes)), sampled(&traces, Some(&no))), (1000, 0));
            assert!((300..700).contains(&sampled(&traces, None)));
            assert!((300..700).contains(&sampled(&traces, Some("nonsense"))));
            traces.set_sample_ratio(1.0);
            assert_eq!(sampled(&traces, None), 1000);
            traces.set_sample_ratio(0.0);
            assert_eq!((sampled(&traces, None), sampled(&traces, Some(&yes))), (0, 0));
        });
    }

    #[test]
    fn the_trace_of_the_client_is_continued() {
        with_layer(|| {
            let traces = Traces::new(1.0);
            let request = traces.request(Some(&format!("{PARENT}01")), "POST", Some("/"));
            assert_eq!(id(&request).unwrap().to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(id(&queue_wait(&request)), id(&request));
            assert_ne!(id(&traces.request(None, "POST", None)), id(&request));
            assert_eq!(id(&Span::none()), None);
        });
    }
}
