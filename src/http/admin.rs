//! The endpoints for operators.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{reply::json, state::Shared};

/// `GET /metrics`.
pub async fn metrics(State(state): State<Shared>) -> Response {
    match state.metrics.render() {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(prometheus::TEXT_FORMAT));
            response
        }
        Err(error) => {
            tracing::error!(%error, "cannot render the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /config`: the active configuration, its origins and its hash; secrets redacted.
pub async fn config(State(state): State<Shared>) -> Response {
    let loaded = state.config.borrow().clone();
    match serde_json::to_string_pretty(&loaded) {
        Ok(text) => json(StatusCode::OK, text),
        Err(error) => {
            tracing::error!(%error, "cannot show the configuration");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
