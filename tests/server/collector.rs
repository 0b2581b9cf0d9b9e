//! A minimal collector of OTLP traces over gRPC.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Request, Response, Status,
    transport::server::{Server, TcpIncoming},
};

use crate::support::eventually;

/// A running collector; stopped when dropped.
pub struct Collector {
    pub address: SocketAddr,
    received: Received,
    _stop: DropGuard,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap())
    }

    pub fn start_at(address: SocketAddr) -> Self {
        let (received, stop) = (Received::default(), CancellationToken::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let (service, stopped) = (TraceServiceServer::new(received.clone()), stop.clone());
        thread::spawn(move || {
            runtime.block_on(async {
                let serving = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
                tokio::select! {
                    result = serving => result.unwrap(),
                    () = stopped.cancelled() => {}
                }
            });
        });
        Self { address, received, _stop: stop.drop_guard() }
    }

    /// The setting with its URL.
    pub fn setting(&self) -> String {
        format!("telemetry.tracing.endpoint=http://{}", self.address)
    }

    /// Everything that was received, as searchable text.
    pub fn text(&self) -> String {
        format!("{:?}", self.received.0.lock().unwrap())
    }

    /// The resource attributes of the sender.
    pub fn resource(&self) -> Vec<(String, String)> {
        let received = self.received.0.lock().unwrap();
        received[0].resource_spans[0].resource.as_ref().unwrap().attributes.iter().map(attribute).collect()
    }

    /// The received spans of a trace, by start time.
    pub fn spans(&self, trace: &str) -> Vec<Span> {
        let received = self.received.0.lock().unwrap();
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        let mut spans: Vec<_> = spans.filter(|span| hex(&span.trace_id) == trace).cloned().collect();
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
        spans
    }

    /// Waits for the complete trace of a ping.
    pub fn trace(&self, trace: &str) -> [Span; 3] {
        eventually("the trace arrives", || self.spans(trace).try_into().ok())
    }
}

pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// A span's attributes.
pub fn attributes(span: &Span) -> Vec<(String, String)> {
    let mut attributes: Vec<_> = span.attributes.iter().map(attribute).collect();
    attributes.sort();
    attributes
}

fn attribute(attribute: &KeyValue) -> (String, String) {
    let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    (attribute.key.clone(), value)
}
