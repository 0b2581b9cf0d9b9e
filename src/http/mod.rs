//! The HTTP interface: two listeners, their routes, and the layers around each request.

mod activity;
mod admin;
pub mod body;
pub mod budget;
pub mod client_ip;
mod connection;
mod error;
pub mod inflate;
pub mod network;
mod open;
pub mod openapi;
mod probes;
pub mod refusals;
mod reply;
mod reports;
pub mod serve;
pub mod socket;
pub mod state;
mod stream;
mod under_way;
pub mod unknown;

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use body::Caps;
use state::{AppState, Shared};

/// A body that no route reads is read up to this number of bytes (times four), so that the connection can be reused.
const UNWANTED_BODY: usize = 1024 * 1024;

/// The routes of a listener.
pub struct Routes {
    router: Router,
    paths: Vec<&'static str>,
}

impl Routes {
    fn new<const N: usize>(list: [(&'static str, MethodRouter<Shared>); N], state: Shared) -> Self {
        let paths = list.iter().map(|(path, _)| *path).collect();
        let router = list
            .into_iter()
            .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(state);
        Self { router, paths }
    }

    /// The label `route` of a path: without a trailing slash, and never an unknown path.
    fn label(&self, path: &str) -> &'static str {
        match self.paths.iter().find(|known| **known == path) {
            Some(&"/") => "/",
            Some(known) => known.trim_end_matches('/'),
            None => "unmatched",
        }
    }
}

/// The public listener: pings, probes, name and version.
pub fn public(state: Shared) -> Routes {
    Routes::new(public_routes(), state)
}

/// A test compares the OpenAPI document with it.
fn public_routes() -> [(&'static str, MethodRouter<Shared>); 9] {
    [
        ("/api/v1/pingback", post(reports::pingback)),
        ("/api/v1/pingback/", post(reports::pingback)),
        ("/api/v1/statistics", post(reports::statistics)),
        ("/api/v1/statistics/", post(reports::statistics)),
        // HAProxy requests OPTIONS by default (`option httpchk`).
        ("/", get(probes::name).options(probes::options)),
        ("/livez", get(probes::livez)),
        ("/readyz", get(probes::readyz)),
        ("/health_check", get(probes::health_check)),
        ("/openapi.json", get(openapi::get)),
    ]
}

/// The admin listener: metrics and probes.
pub fn admin(state: Shared) -> Routes {
    let routes = [
        ("/metrics", get(admin::metrics)),
        ("/config", get(admin::config)),
        ("/livez", get(probes::livez)),
        ("/readyz", get(probes::readyz)),
        ("/startupz", get(probes::startupz)),
    ];
    Routes::new(routes, state)
}

async fn not_found(State(state): State<Shared>, request: Request) -> Response {
    state.unknown.note(request.method(), request.uri().path(), &state.metrics);
    unwanted(&state, request, reply::plain(StatusCode::NOT_FOUND, "Not found.")).await
}

/// axum adds the header `Allow`.
async fn method_not_allowed(State(state): State<Shared>, request: Request) -> Response {
    unwanted(&state, request, StatusCode::METHOD_NOT_ALLOWED.into_response()).await
}

/// Replies after the request's body was read, because a client that still sends would lose the reply.
async fn unwanted(state: &AppState, request: Request, mut response: Response) -> Response {
    let timeout = state.config.borrow().http.body_timeout;
    let caps = Caps { sent: UNWANTED_BODY, inflated: UNWANTED_BODY, timeout, last_call: state.lifecycle.last_call() };
    if !body::discard(request.into_body(), caps).await {
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}
