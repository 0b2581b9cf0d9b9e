//! A connection from its first byte to its last: parked (only a socket) while it is idle, in hyper while it is busy.
//!
//! hyper keeps 20 KB for each HTTP/1 connection, even if it is idle. So an idle connection is parked: hyper is
//! told that the stream has ended, returns the socket, and a new hyper connection is built for the next request.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
};

use axum::http;
use bytes::Bytes;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{
    socket::{Reader, Socket},
    under_way::Reply,
};

/// The first bytes of HTTP/2.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Largest header in bytes, and its largest number of lines.
const MAX_HEADER: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// Concurrent requests on an HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// Serves until either side closes. Protocol errors are not logged: the client causes them, and a flood of them must not
/// fill the log.
pub async fn serve<S, H>(mut socket: Socket<S>, service: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Service<http::Request<Incoming>, Response = http::Response<Reply>, Error = Infallible>,
    H::Future: Send + 'static,
{
    while let Some(reader) = begin(&mut socket).await {
        socket.set_reader(reader);
        // Boxed, so that a parked connection does not take the memory of a busy one.
        if reader == Reader::Http2 {
            return Box::pin(speak_http2(socket, &service)).await;
        }
        match Box::pin(speak_http1(socket, &service)).await {
            Some(parked) => socket = parked,
            None => return,
        }
    }
}

/// Waits for the beginning of a request, and returns who can read it.
async fn begin<S: AsyncRead + Unpin>(socket: &mut Socket<S>) -> Option<Reader> {
    if socket.has_unread() {
        return Some(Reader::Http1);
    }
    let (mut bytes, mut length) = ([0; PREFACE.len()], 0);
    loop {
        let read = socket.read(&mut bytes[length..]).await.ok().filter(|read| *read > 0)?;
        length += read;
        let is_http2 = PREFACE.starts_with(&bytes[..length]);
        if !is_http2 || length == PREFACE.len() {
            socket.unread(Bytes::copy_from_slice(&bytes[..length]));
            return Some(if is_http2 { Reader::Http2 } else { Reader::Http1 });
        }
    }
}

/// Returns the socket if it is to be parked.
async fn speak_http1<S, H>(socket: Socket<S>, service: H) -> Option<Socket<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Service<http::Request<Incoming>, Response = http::Response<Reply>, Error = Infallible>,
{
    let mut builder = http1::Builder::new();
    // The deadlines are our own, because hyper's also apply to idle connections.
    builder.header_read_timeout(None).max_buf_size(MAX_HEADER).max_headers(MAX_HEADERS).half_close(true);
    let mut connection = builder.serve_connection(TokioIo::new(socket), service);
    let result = (&mut connection).await;
    let parts = connection.into_parts();
    let mut socket = parts.io.into_inner();
    // For hyper, the end of the stream within a header is an error, but that header will be continued.
    if !socket.is_parked() || result.is_err_and(|error| !error.is_incomplete_message()) {
        return None;
    }
    if !parts.read_buf.is_empty() {
        socket.activity().header();
        socket.unread(parts.read_buf);
    }
    Some(socket)
}

async fn speak_http2<S, H>(socket: Socket<S>, service: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Service<http::Request<Incoming>, Response = http::Response<Reply>, Error = Infallible>,
    H::Future: Send + 'static,
{
    let activity = socket.activity().clone();
    activity.preface();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_header_list_size(u32::try_from(MAX_HEADER).unwrap_or(u32::MAX)).max_concurrent_streams(MAX_STREAMS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut leaving = false;
    poll_fn(|cx| {
        if !leaving && activity.left_at().is_some() {
            leaving = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

#[cfg(test)]
mod tests;
