//! The probes `/livez`, `/readyz` and `/startupz`, and other paths that clients of the public listener may request.

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

use super::{
    reply::{json, plain},
    state::Shared,
};

/// `GET /`: returns name and version.
pub async fn name() -> Response {
    plain(StatusCode::OK, concat!("nutritionfacts ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// `OPTIONS /`: returns 204.
pub async fn options() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /livez`: the process responds. It does not check the store, because a restart would not fix that.
pub async fn livez() -> Response {
    plain(StatusCode::OK, "OK")
}

/// `GET /health_check`: same as `/livez`, under the path of the previous server.
pub async fn health_check() -> Response {
    plain(StatusCode::OK, "OK")
}

/// `GET /startupz`: 200 once migrations are done.
pub async fn startupz(State(state): State<Shared>) -> Response {
    if state.lifecycle.started() {
        plain(StatusCode::OK, "OK")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

/// `GET /readyz`: 200 if pings can be stored. `?verbose` lists each check, also if all pass.
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
