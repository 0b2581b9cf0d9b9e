//! Traces: one of each sampled request, with spans of OpenTelemetry's semantic conventions for HTTP servers.
//!
//! Spans are made by hand and only for sampled requests, not by the `tracing` crate for all of them
//! (docs/decisions/0030-spans-by-hand.md). None holds anything that a sender chose but the ids of its `traceparent`.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    trace::{
        Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceId, Tracer, TracerProvider,
    },
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, Span, SpanProcessor},
};

/// Begins traces, or does nothing where no collector is configured; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Tracing>>);

#[derive(Debug)]
struct Tracing {
    tracer: SdkTracer,
    ratio: Ratio,
}

impl Traces {
    /// Hands finished spans to the processor.
    #[must_use]
    pub fn new(processor: impl SpanProcessor + 'static, resource: Resource, sample_ratio: f64) -> Self {
        let ratio = Ratio::default();
        ratio.set(sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(ratio.clone())))
            .with_resource(resource)
            .with_span_processor(processor)
            .build();
        Self(Some(Arc::new(Tracing { tracer: provider.tracer("nutritionfacts"), ratio })))
    }

    /// Changes the share of requests that are traced; 0: none, whatever their senders wish.
    pub fn set_sample_ratio(&self, ratio: f64) {
        if let Some(tracing) = &self.0 {
            tracing.ratio.set(ratio);
        }
    }

    /// Begins the span of a request, if it is sampled; `traceparent` as its sender wrote it.
    #[must_use]
    pub fn request(
        &self,
        traceparent: Option<&str>,
        method: &'static str,
        route: Option<&'static str>,
    ) -> Option<RequestSpan> {
        let Tracing { tracer, ratio } = self.0.as_deref()?;
        if ratio.get() <= 0.0 {
            return None;
        }
        let parent = traceparent.map_or_else(Context::new, continued);
        // Names that OpenTelemetry gives to a method that it does not know.
        let (verb, method) = if method == "other" { ("HTTP", "_OTHER") } else { (method, method) };
        let name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"));
        let mut attributes = vec![KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", "http")];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes);
        let span = tracer.build_with_context(builder, &parent);
        let context = span.span_context().clone();
        context.is_sampled().then(|| RequestSpan { span, trace: Arc::new(Trace { tracer: tracer.clone(), context }) })
    }
}

/// The sender's context. Its `tracestate` may hold any text, and would go to the collector: it is left out.
fn continued(traceparent: &str) -> Context {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// The span of a request under way; ends when it is dropped.
#[derive(Debug)]
pub struct RequestSpan {
    span: Span,
    trace: Arc<Trace>,
}

impl RequestSpan {
    /// Where further spans of the request belong.
    #[must_use]
    pub fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// Notes what was answered.
    pub fn set_status(&mut self, status: u16) {
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            self.span.set_attribute(KeyValue::new("error.type", status.to_string()));
            self.span.set_status(Status::error(""));
        }
    }
}

/// The trace of one request.
#[derive(Debug)]
pub struct Trace {
    tracer: SdkTracer,
    context: SpanContext,
}

impl Trace {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> TraceId {
        self.context.trace_id()
    }

    /// The time in the queue begins.
    #[must_use]
    pub fn queue_wait(&self) -> Stage {
        self.child(SpanBuilder::from_name("queue wait"))
    }

    /// A commit begins that this request waits for, one of `rows`.
    #[must_use]
    pub fn commit(&self, store: &'static str, rows: usize) -> Stage {
        let system = if store == "postgres" { "postgresql" } else { store };
        let attributes = vec![
            KeyValue::new("db.system.name", system),
            KeyValue::new("nutritionfacts.batch.rows", i64::try_from(rows).unwrap_or(i64::MAX)),
        ];
        self.child(SpanBuilder::from_name("commit").with_kind(SpanKind::Client).with_attributes(attributes))
    }

    fn child(&self, builder: SpanBuilder) -> Stage {
        let parent = Context::new().with_remote_span_context(self.context.clone());
        Stage(Box::new(self.tracer.build_with_context(builder, &parent)))
    }
}

/// A stage of a request's way; ends when it is dropped. Small where it is none, as every waiting row has room for one.
#[derive(Debug)]
pub struct Stage(Box<Span>);

impl Stage {
    /// Ends a commit; `outcome` is that of `pingbacks_total`.
    pub fn end(mut self, outcome: &'static str) {
        self.0.set_attribute(KeyValue::new("nutritionfacts.outcome", outcome));
        if outcome == "unavailable" {
            self.0.set_status(Status::error(""));
        }
    }
}

/// The share of traces that begin here and are sampled; can change at any time.
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

impl ShouldSample for Ratio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        Sampler::TraceIdRatioBased(self.get()).should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";

    fn traces(ratio: f64) -> Traces {
        #[derive(Debug)]
        struct Nowhere;
        impl SpanProcessor for Nowhere {
            fn on_start(&self, _: &mut Span, _: &Context) {}
            fn on_end(&self, _: opentelemetry_sdk::trace::SpanData) {}
            fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
                Ok(())
            }
            fn shutdown_with_timeout(&self, _: std::time::Duration) -> opentelemetry_sdk::error::OTelSdkResult {
                Ok(())
            }
        }
        Traces::new(Nowhere, Resource::builder_empty().build(), ratio)
    }

    fn sampled(traces: &Traces, parent: Option<&str>) -> usize {
        (0..1000).filter(|_| traces.request(parent, "POST", None).is_some()).count()
    }

    #[test]
    fn nothing_is_traced_without_a_collector() {
        assert_eq!(sampled(&Traces::default(), Some(&format!("{PARENT}01"))), 0);
    }

    #[test]
    fn the_sender_decides_and_otherwise_the_ratio() {
        let traces = traces(0.5);
        let (yes, no) = (format!("{PARENT}01"), format!("{PARENT}00"));
        assert_eq!((sampled(&traces, Some(&yes)), sampled(&traces, Some(&no))), (1000, 0));
        assert!((300..700).contains(&sampled(&traces, None)));
        assert!((300..700).contains(&sampled(&traces, Some("nonsense"))));
        traces.set_sample_ratio(1.0);
        assert_eq!(sampled(&traces, None), 1000);
        traces.set_sample_ratio(0.0);
        assert_eq!((sampled(&traces, None), sampled(&traces, Some(&yes))), (0, 0));
    }

    #[test]
    fn the_trace_of_the_sender_goes_on() {
        let request = traces(1.0).request(Some(&format!("{PARENT}01")), "POST", Some("/")).unwrap();
        assert_eq!(request.trace().id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(request.span.span_context().span_id().to_string(), "b7ad6b7169203331");
    }
}
