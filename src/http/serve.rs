//! A listener and its connections, on hyper directly, because `axum::serve` keeps idle and incomplete ones forever.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, http};
use hyper::{body::Incoming, service::service_fn};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::Instant,
};
use tower::Service;
use tracing::Span;

use super::{
    Routes,
    activity::{Activity, Request},
    connection,
    network::Network,
    open::Open,
    socket::{Deadlines, Socket},
    stream::{ClientEnd, Stream},
    under_way::{Received, Reply},
};
use crate::{
    lifecycle::Lifecycle,
    telemetry::{
        metrics::Metrics,
        request::{Named, RequestId},
        storm::Storm,
        traces::{self, Traces},
    },
};

/// Longest request target: ours have 20 bytes, and additions by proxies or people are short.
const MAX_ADDRESS: usize = 8 * 1024;
/// Connections that the kernel queues until they are accepted.
const BACKLOG: u32 = 4096;
/// Pause after an error of `accept` that the client did not cause, usually because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Header with an id that the reply repeats.
const REQUEST_ID: &str = "x-request-id";
/// Routes that are requested all the time and are useless in traces.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/health_check"];

/// The client's end of the connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether the client is still connected.
    pub end: ClientEnd,
}

/// A bound socket, and how it is served.
pub struct Listener {
    /// `public` or `admin`: the label of its metrics.
    pub name: &'static str,
    /// The bound socket.
    pub socket: TcpListener,
    /// The routes.
    pub routes: Routes,
    /// Deadlines of each connection.
    pub deadlines: Deadlines,
    /// Limit of connections; at the limit one is closed (see [`Open::admit`]).
    pub max_connections: usize,
    /// Traces of requests, except probes.
    pub traces: Traces,
}

/// Binds a listener; `[::]` falls back to `0.0.0.0` if IPv6 is disabled.
///
/// # Errors
/// The address is in use or not local.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = |address: SocketAddr| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    match listen(address) {
        Err(error)
            if address.is_ipv6() && address.ip().is_unspecified() && error.kind() != io::ErrorKind::AddrInUse =>
        {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    }
}

impl Listener {
    /// Accepts connections until the shutdown; those that are open then are tracked by the lifecycle.
    pub async fn run(self, lifecycle: Lifecycle, metrics: Arc<Metrics>) {
        let (open, name, failures) = (Open::new(self.max_connections), self.name, Storm::default());
        let Self { routes, traces, .. } = self;
        let served = Arc::new(Served { metrics, name, routes, traces });
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = lifecycle.stop().cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let network = Network::of(peer.ip());
                    if let Some(place) = open.admit(network).await {
                        let activity = Activity::new();
                        open.add(network, &activity);
                        let (served, deadlines) = (served.clone(), self.deadlines);
                        lifecycle.connections().spawn(async move {
                            serve(stream, peer.ip(), activity, deadlines, served).await;
                            drop(place);
                        });
                    }
                }
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    let sum = move |count| {
                        tracing::warn!(count, listener = name, "cannot accept connections: further errors");
                    };
                    if failures.begins(sum) {
                        tracing::warn!(%error, listener = name, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        open.leave();
        tokio::select! {
            () = lifecycle.connections().wait() => {}
            () = lifecycle.last_call().cancelled() => open.give_way(),
        }
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

struct Served {
    metrics: Arc<Metrics>,
    name: &'static str,
    routes: Routes,
    traces: Traces,
}

async fn serve(stream: TcpStream, address: IpAddr, activity: Arc<Activity>, deadlines: Deadlines, served: Arc<Served>) {
    let gauge = served.metrics.http_connections.with_label_values(&[served.name]);
    gauge.inc();
    // Replies are one small write: waiting for more data would only delay them.
    let _ = stream.set_nodelay(true);
    let stream = Stream::new(stream);
    let peer = Peer { address, end: stream.client_end() };
    let socket = Socket::new(stream, activity.clone(), deadlines);
    let answer = |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        served.clone().answer(request, activity.request())
    };
    connection::serve(socket, service_fn(answer)).await;
    gauge.dec();
}

impl Served {
    async fn answer(
        self: Arc<Self>,
        mut request: http::Request<Incoming>,
        mut under_way: Request,
    ) -> Result<http::Response<Reply>, Infallible> {
        let started = Instant::now();
        let route = self.routes.label(request.uri().path());
        let method = method(request.method());
        let span = self.span(request.headers(), method, route);
        let id = RequestId::new(header(request.headers(), REQUEST_ID));
        let named = Named { id, span: span.clone() };
        request.extensions_mut().insert(named.clone());
        let mut response = if request.uri().path_and_query().is_some_and(|address| address.as_str().len() > MAX_ADDRESS)
        {
            too_long()
        } else {
            self.routes.router.clone().call(request.map(|body| Received::wrap(body, &under_way))).await?
        };
        self.metrics
            .http_requests_total
            .with_label_values(&[self.name, route, method, response.status().as_str()])
            .inc();
        let status = response.status();
        traces::answered(&span, status.as_u16());
        if status.is_client_error() || status.is_server_error() {
            let (id, trace) = (&named.id, named.trace_id());
            tracing::debug!(request = %id, trace, listener = self.name, route, method, status = status.as_u16(), "refused");
        }
        if let RequestId::Sent(id) = &named.id
            && let Ok(id) = http::HeaderValue::from_str(id)
        {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        under_way.reply();
        Ok(response.map(|body| Reply::new(body, under_way, started, route, self.metrics.clone(), span)))
    }

    fn span(&self, headers: &http::HeaderMap, method: &'static str, route: &'static str) -> Span {
        if PROBES.contains(&route) {
            return Span::none();
        }
        self.traces.request(header(headers, "traceparent"), method, (route != "unmatched").then_some(route))
    }
}

fn header<'a>(headers: &'a http::HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The same reply as hyper's for headers that are too large.
fn too_long() -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::URI_TOO_LONG;
    response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}

fn method(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "other",
    }
}
