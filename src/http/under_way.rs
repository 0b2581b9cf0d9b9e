//! Requests in progress: until the last byte of the reply is sent, or the client has disconnected.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::Span;

use super::activity::{Request, Unread};
use crate::telemetry::metrics::Metrics;

/// The body of a request; its end is recorded.
pub struct Received {
    body: Incoming,
    unread: Option<Unread>,
}

impl Received {
    /// The body of this request.
    pub fn wrap(body: Incoming, request: &Request) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self { unread: Some(request.unread()), body })
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.take().inspect(Unread::is_read);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// The body of a reply; the request is in progress until it is dropped.
pub struct Reply {
    body: Body,
    started: Instant,
    route: &'static str,
    metrics: Arc<Metrics>,
    _request: Request,
    _span: Span,
}

impl Reply {
    /// Dropping it ends the request, its duration (since `started`, the arrival of its header) and its span.
    pub fn new(
        body: Body,
        request: Request,
        started: Instant,
        route: &'static str,
        metrics: Arc<Metrics>,
        span: Span,
    ) -> Self {
        Self { body, started, route, metrics, _request: request, _span: span }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let duration = self.started.elapsed().as_secs_f64();
        self.metrics.http_request_duration_seconds.with_label_values(&[self.route]).observe(duration);
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
