//! `POST /api/v1/pingback` and `/api/v1/statistics` (PROTOCOL.md sections 4 to 7).

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::{
    body::{self, BodyError, Caps},
    budget::Share,
    client_ip::client_ip,
    error::Refusal,
    inflate::{self, Text},
    reply::json,
    serve::Peer,
    state::{AppState, Shared},
};
use crate::{
    config::sections::Reply,
    domain::{pingback::Pingback, statistics::Envelope, version::Version},
    ingest::Outcome,
    telemetry::request::Named,
};

/// A pingback has some 500 bytes (PROTOCOL.md 3.3); this is its cap, as sent and inflated.
const MAX_PINGBACK: usize = 1024 * 1024;
/// A report is in memory as rows, as what the store's client makes of them, and as what goes over the wire.
const COPIES: usize = 3;

/// Keeps a pingback, and answers what its sender's version can digest.
pub async fn pingback(
    State(state): State<Shared>,
    Extension(peer): Extension<Peer>,
    Extension(named): Extension<Named>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match keep_pingback(&state, peer, named.clone(), &headers, body).await {
        Ok((response, outcome)) => {
            state.metrics.pingbacks_total.with_label_values(&[outcome.label()]).inc();
            response
        }
        Err(refusal) => {
            state.metrics.pingbacks_total.with_label_values(&[refusal.outcome()]).inc();
            refused(&state, refusal, "/api/v1/pingback", &named)
        }
    }
}

async fn keep_pingback(
    state: &AppState,
    peer: Peer,
    named: Named,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Response, Outcome), Refusal> {
    let caps = Caps { sent: MAX_PINGBACK, inflated: MAX_PINGBACK, ..caps(state) };
    let mut share = state.budgets.pingbacks.share();
    let text = text(body, caps, &mut share).await?;
    let pingback = Pingback::read(text.as_str())?;
    let held = text.as_str().len();
    drop(text);
    share.shrink(held);
    let version = Version::read(&pingback.version);
    let (address, reply) = {
        let config = state.config.borrow();
        (client_ip(peer.0, headers, &config.http.trusted_proxies), config.api.reply)
    };
    let (id, outcome) = state.ingest.pingback(pingback, address, named, share.into_permit()).await?;
    state.metrics.count_release(version.and_then(Version::release_line));
    let takes_json = reply == Reply::ByVersion && version.is_some_and(Version::takes_json);
    Ok((if takes_json { json(StatusCode::OK, pingback_reply(id)) } else { Response::new(Body::empty()) }, outcome))
}

fn pingback_reply(id: Uuid) -> String {
    format!(r#"{{"id": "{id}", "messages": []}}"#)
}

/// Keeps a statistics report.
pub async fn statistics(State(state): State<Shared>, Extension(named): Extension<Named>, body: Body) -> Response {
    match keep_statistics(&state, named.clone(), body).await {
        Ok(outcome) => {
            state.metrics.statistics_total.with_label_values(&[outcome.label()]).inc();
            json(StatusCode::OK, r#"{"messages": []}"#)
        }
        Err(refusal) => {
            state.metrics.statistics_total.with_label_values(&[refusal.outcome()]).inc();
            refused(&state, refusal, "/api/v1/statistics", &named)
        }
    }
}

async fn keep_statistics(state: &AppState, named: Named, body: Body) -> Result<Outcome, Refusal> {
    let caps = caps(state);
    let mut share = state.budgets.statistics.share();
    let bytes = body::read(body, caps, &mut share).await?;
    let heavy = inflate::is_heavy(&bytes);
    let (ingest, most) = (state.ingest.clone(), state.budgets.statistics.bytes() / COPIES);
    let read = move || {
        let text = inflate::text(bytes, caps.inflated, &mut share)?;
        let envelope = Envelope::read(text.as_str())?;
        let (id, received_at) = ingest.arrive()?;
        // Rows may take more memory than their text.
        let report = envelope.into_report(id, received_at, most).ok_or(BodyError::TooLarge { read: true })?;
        let bytes = report.bytes() * COPIES;
        share.cover(bytes.max(text.as_str().len())).map_err(BodyError::from)?;
        Ok::<_, Refusal>((report, share))
    };
    // Megabytes take milliseconds, in which other pings would wait.
    let (report, share) =
        if heavy { tokio::task::spawn_blocking(read).await.map_err(|_| BodyError::Broken)?? } else { read()? };
    Ok(state.ingest.statistics(report, named, share.into_permit()).await?)
}

async fn text(body: Body, caps: Caps<'_>, share: &mut Share) -> Result<Text, BodyError> {
    let bytes = body::read(body, caps, share).await?;
    inflate::text(bytes, caps.inflated, share)
}

fn caps(state: &AppState) -> Caps<'_> {
    let http = &state.config.borrow().http;
    let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    let (sent, inflated) = (bytes(http.max_body), bytes(http.max_inflated_body));
    Caps { sent, inflated, timeout: http.body_timeout, last_call: state.lifecycle.last_call() }
}

fn refused(state: &AppState, refusal: Refusal, route: &'static str, named: &Named) -> Response {
    // That the store is down has been told already.
    if !matches!(refusal, Refusal::Unavailable(_)) || state.health.up() {
        state.refusals.tell(refusal, route, named);
    }
    refusal.into_response()
}
