//! How the world speaks to us: two listeners, their routes, and what stands around each request.

mod activity;
mod admin;
pub mod body;
pub mod budget;
pub mod client_ip;
mod connection;
mod error;
pub mod inflate;
mod open;
pub mod openapi;
mod probes;
pub mod refusals;
mod reply;
mod reports;
pub mod serve;
pub mod socket;
pub mod state;
mod under_way;

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use body::Caps;
use state::{AppState, Shared};

/// A body that no route wants is read up to so many bytes (times four), so that the connection can go on.
const UNWANTED_BODY: usize = 1024 * 1024;

/// The public listener: pings, probes, and who we are.
pub fn public(state: Shared) -> Router {
    public_routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

/// As a list, so that a test can hold the OpenAPI document against it.
fn public_routes() -> [(&'static str, MethodRouter<Shared>); 9] {
    [
        ("/api/v1/pingback", post(reports::pingback)),
        ("/api/v1/pingback/", post(reports::pingback)),
        ("/api/v1/statistics", post(reports::statistics)),
        ("/api/v1/statistics/", post(reports::statistics)),
        ("/", get(probes::name)),
        ("/livez", get(probes::livez)),
        ("/readyz", get(probes::readyz)),
        ("/health_check", get(probes::health_check)),
        ("/openapi.json", get(openapi::get)),
    ]
}

/// The admin listener: metrics and probes.
pub fn admin(state: Shared) -> Router {
    Router::new()
        .route("/metrics", get(admin::metrics))
        .route("/config", get(admin::config))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/startupz", get(probes::startupz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

/// The label `route` of a path: a path that is not ours must not become a label.
#[must_use]
pub fn route(path: &str) -> &'static str {
    match path {
        "/api/v1/pingback" | "/api/v1/pingback/" => "/api/v1/pingback",
        "/api/v1/statistics" | "/api/v1/statistics/" => "/api/v1/statistics",
        "/" => "/",
        "/livez" => "/livez",
        "/readyz" => "/readyz",
        "/startupz" => "/startupz",
        "/health_check" => "/health_check",
        "/openapi.json" => "/openapi.json",
        "/metrics" => "/metrics",
        "/config" => "/config",
        _ => "unmatched",
    }
}

async fn not_found(State(state): State<Shared>, request: Request) -> Response {
    unwanted(&state, request, reply::plain(StatusCode::NOT_FOUND, "Not found.")).await
}

/// axum adds `Allow`.
async fn method_not_allowed(State(state): State<Shared>, request: Request) -> Response {
    unwanted(&state, request, StatusCode::METHOD_NOT_ALLOWED.into_response()).await
}

/// Answers after the request's body has been read, as a client that still sends would lose the reply.
async fn unwanted(state: &AppState, request: Request, mut response: Response) -> Response {
    let timeout = state.config.borrow().http.body_timeout;
    let caps = Caps { sent: UNWANTED_BODY, inflated: UNWANTED_BODY, timeout, last_call: state.lifecycle.last_call() };
    if !body::discard(request.into_body(), caps).await {
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}
