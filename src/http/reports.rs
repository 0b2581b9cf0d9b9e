//! `POST /api/v1/pingback` and `/api/v1/statistics` (docs/protocol.md, 4 to 7).

use std::net::IpAddr;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    body::{self, BodyError, Caps},
    budget::Share,
    client_ip::client_ip,
    error::Refusal,
    inflate::{self, Text},
    network::Network,
    reply::{Parts, json},
    serve::Peer,
    state::{AppState, Shared},
    stream::ClientEnd,
};
use crate::{
    config::sections::Reply,
    domain::{
        origin::Origin,
        pingback::{Arrival, Pingback},
        statistics::Envelope,
        version::Version,
    },
    ingest::{Awaiting, Outcome},
    messages::Sender,
    telemetry::request::Named,
};

/// Largest pingback, as sent and after decompression; a real one has some 500 bytes (docs/protocol.md, 3.3).
const MAX_PINGBACK: usize = 64 * 1024;
/// A report is in memory as rows, in the client library of the store, and as bytes on the wire.
const COPIES: usize = 3;

/// Stores a pingback, and replies in the form that the sender's version understands.
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
    let (address, caps) = begin(state, &peer, headers);
    let caps = Caps { sent: MAX_PINGBACK, inflated: MAX_PINGBACK, ..caps };
    let mut share = state.budgets.pingbacks.share(Network::of(address));
    let text = text(body, caps, &mut share).await?;
    share.keep().map_err(BodyError::from)?;
    let pingback = Pingback::read(text.as_str())?;
    // While the address is known: what is stored of it is less.
    let place = state.places.find(address);
    let origin = Origin::new(address, place.known_country());
    let (reply, most, sender) = {
        let config = state.config.borrow();
        let sender = state.ingest.recognise(&pingback.description, &config.ingest.mode_rules, origin);
        (config.api.reply, config.ingest.max_hourly_pings, sender)
    };
    // First, because before the store is up the messages are unknown too, and an empty set would withdraw them.
    let (id, received_at) = state.ingest.arrive()?;
    // Selected now, while the address is known.
    let source = sender.source.clone();
    let version = source.version.as_ref();
    let messages = version.filter(|version| reply == Reply::ByVersion && version.takes_json()).map(|version| {
        let sender = Sender {
            version,
            mode: &source.mode,
            instance_id: &source.instance_id,
            origin,
            installer: &source.installer,
            os: source.os,
            language: &source.language,
        };
        state.messages.borrow().choose(sender, received_at.date_naive())
    });
    let unknown = pingback.unknown_keys();
    let ping = sender.send(pingback, Arrival { id, received_at, address, place });
    let held = text.as_str().len();
    drop(text);
    share.shrink(held);
    let outcome = state.ingest.pingback(ping, most, named, Client { end: peer.end, _share: share }).await?;
    state.metrics.count_release(version.and_then(Version::release_line));
    state.metrics.count_unknown_keys("pingback", unknown);
    let response = match messages {
        Some(messages) => json(StatusCode::OK, pingback_reply(id, messages)),
        None => Response::new(Body::empty()),
    };
    Ok((response, outcome))
}

fn pingback_reply(id: Uuid, messages: Vec<Bytes>) -> Body {
    if messages.is_empty() {
        return format!(r#"{{"id": "{id}", "messages": []}}"#).into();
    }
    let mut parts = Vec::with_capacity(2 * messages.len() + 1);
    parts.push(format!(r#"{{"id": "{id}", "messages": ["#).into());
    for (index, message) in messages.into_iter().enumerate() {
        if index > 0 {
            parts.push(Bytes::from_static(b", "));
        }
        parts.push(message);
    }
    parts.push(Bytes::from_static(b"]}"));
    Body::new(Parts::new(parts))
}

/// Stores a statistics report.
pub async fn statistics(
    State(state): State<Shared>,
    Extension(peer): Extension<Peer>,
    Extension(named): Extension<Named>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match keep_statistics(&state, peer, named.clone(), &headers, body).await {
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

async fn keep_statistics(
    state: &AppState,
    peer: Peer,
    named: Named,
    headers: &HeaderMap,
    body: Body,
) -> Result<Outcome, Refusal> {
    let (address, caps) = begin(state, &peer, headers);
    let mut share = state.budgets.statistics.share(Network::of(address));
    let bytes = body::read(body, caps, &mut share).await?;
    let (heavy, sent) = (inflate::is_heavy(&bytes), bytes.len());
    let (ingest, most) = (state.ingest.clone(), state.budgets.statistics.bytes() / COPIES);
    let read = move || {
        let text = inflate::text(bytes, caps.inflated, &mut share)?;
        share.keep().map_err(BodyError::from)?;
        let envelope = Envelope::read(text.as_str())?;
        // Rows may take more memory than their text.
        let (report, unknown) = ingest.read_report(envelope, sent, most)?.ok_or(BodyError::TooLarge { read: true })?;
        let bytes = report.bytes() * COPIES;
        share.cover(bytes.max(text.as_str().len())).map_err(BodyError::from)?;
        Ok::<_, Refusal>((report, unknown, share))
    };
    // Parsing megabytes takes milliseconds, for which other pings would wait.
    let (report, unknown, share) =
        if heavy { tokio::task::spawn_blocking(read).await.map_err(|_| BodyError::Broken)?? } else { read()? };
    let outcome = state.ingest.statistics(report, named, Client { end: peer.end, _share: share }).await?;
    state.metrics.count_unknown_keys("statistics", unknown.report);
    state.metrics.count_unknown_keys("channel", unknown.channels);
    state.metrics.count_unknown_keys("facility", unknown.facilities);
    Ok(outcome)
}

/// A waiting client, and the memory that is held until its row is committed.
struct Client {
    end: ClientEnd,
    _share: Share,
}

impl Awaiting for Client {
    fn has_left(&self) -> bool {
        self.end.has_left()
    }
}

async fn text(body: Body, caps: Caps<'_>, share: &mut Share) -> Result<Text, BodyError> {
    let bytes = body::read(body, caps, share).await?;
    inflate::text(bytes, caps.inflated, share)
}

/// The client's address, and the limits of its body.
fn begin<'a>(state: &'a AppState, peer: &Peer, headers: &HeaderMap) -> (IpAddr, Caps<'a>) {
    let http = &state.config.borrow().http;
    let address = client_ip(peer.address, headers, &http.trusted_proxies);
    let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    let (sent, inflated) = (bytes(http.max_body), bytes(http.max_inflated_body));
    (address, Caps { sent, inflated, timeout: http.body_timeout, last_call: state.lifecycle.last_call() })
}

fn refused(state: &AppState, refusal: Refusal, route: &'static str, named: &Named) -> Response {
    // That the store is down was logged already.
    if !matches!(refusal, Refusal::Unavailable(_)) || state.health.up() {
        state.refusals.tell(refusal, route, named);
    }
    refusal.into_response()
}
