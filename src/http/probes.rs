//! `/livez`, `/readyz`, `/startupz`, and the names that people ask for.

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

use super::{
    reply::{json, plain},
    state::Shared,
};

/// `GET /`: name and version.
pub async fn name() -> Response {
    plain(StatusCode::OK, concat!("nutritionfacts ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// `OPTIONS /`: we are here.
pub async fn options() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /livez`: the process answers. It never asks the store, whose absence no restart mends.
pub async fn livez() -> Response {
    plain(StatusCode::OK, "OK")
}

/// `GET /health_check`: the name that the previous server had.
pub async fn health_check() -> Response {
    plain(StatusCode::OK, "OK")
}

/// `GET /startupz`: migrations are done.
pub async fn startupz(State(state): State<Shared>) -> Response {
    if state.lifecycle.started() {
        plain(StatusCode::OK, "OK")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

/// `GET /readyz`: a ping can be kept. `?verbose` tells each check, also when all is well.
pub async fn readyz(State(state): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let checks = [
        ("startup", state.lifecycle.started(), "starting"),
        ("shutdown", !state.lifecycle.draining(), "draining"),
        ("store", state.health.up(), "unavailable"),
    ];
    let ready = checks.iter().all(|(_, ok, _)| *ok);
    let verbose = query.as_deref().is_some_and(|query| query.split('&').any(|key| key == "verbose"));
    let status = if ready { "ok" } else { "unavailable" };
    let mut body = serde_json::json!({ "status": status });
    if verbose || !ready {
        body["checks"] =
            checks.iter().map(|(name, ok, otherwise)| (*name, if *ok { "ok" } else { otherwise })).collect();
    }
    json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body.to_string())
}
