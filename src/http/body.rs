//! Reads the whole body of a request, as sent, within limits.

use std::{future::Future, pin::pin, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::budget::{Exhausted, Share};

/// A body over its limit is read to its end and discarded, up to this multiple of the limit.
const PATIENCE: usize = 4;
/// A body that arrives at once and is not larger than this is not counted: Kolibri's pings have 500 bytes.
const SMALL: usize = 2048;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Over a limit, as sent or after decompression.
    #[error("the body is too large")]
    TooLarge {
        /// Whether the body was read to its end; otherwise the connection must be closed.
        read: bool,
    },
    /// Not complete within the timeout.
    #[error("the body is too slow")]
    TooSlow,
    /// The client has disconnected, or the framing is broken.
    #[error("the body is cut off")]
    Broken,
    /// Cannot be decompressed, or is not UTF-8.
    #[error("the body is not text")]
    NotText,
    /// The memory for all bodies is used up.
    #[error("the budget for bodies is used up")]
    Budget,
}

impl From<Exhausted> for BodyError {
    fn from(exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::Now => Self::Budget,
            Exhausted::Ever => Self::TooLarge { read: true },
        }
    }
}

/// Limits of one kind of request.
#[derive(Debug, Clone, Copy)]
pub struct Caps<'a> {
    /// Bytes as sent.
    pub sent: usize,
    /// Bytes after decompression.
    pub inflated: usize,
    /// Timeout of the whole body, from now.
    pub timeout: Duration,
    /// Ends the wait earlier, when the server shuts down.
    pub last_call: &'a CancellationToken,
}

impl<'a> Caps<'a> {
    fn too_late(self) -> impl Future<Output = ()> + use<'a> {
        // From now, not from the first poll.
        let timeout = sleep(self.timeout);
        async move {
            tokio::select! {
                () = timeout => {}
                () = self.last_call.cancelled() => {}
            }
        }
    }
}

/// Reads the whole body. In every case its end was reached, unless the error says that the connection
/// must be closed: a client that still sends to a closed socket loses the reply (docs/protocol.md, 5.4).
///
/// # Errors
/// See [`BodyError`].
pub async fn read(mut body: Body, caps: Caps<'_>, share: &mut Share) -> Result<Bytes, BodyError> {
    let mut too_late = pin!(caps.too_late());
    let mut kept = Kept::default();
    let mut failure = None;
    let mut total = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = next(&mut body, too_late.as_mut()) => frame?,
            () = share.cut(), if failure.is_none() => {
                (failure, kept) = (Some(BodyError::Budget), Kept::default());
                share.shrink(0);
                continue;
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total > caps.sent.saturating_mul(PATIENCE) {
            return Err(BodyError::TooLarge { read: false });
        }
        if failure.is_some() {
            continue;
        }
        let step = if total > caps.sent {
            Err(BodyError::TooLarge { read: true })
        } else if total <= SMALL && total == data.len() && body.is_end_stream() {
            Ok(())
        } else {
            share.cover(total).map_err(BodyError::from)
        };
        if let Err(error) = step {
            failure = Some(error);
            kept = Kept::default();
            // Others can use the memory while the rest is read and discarded.
            share.shrink(0);
        } else {
            kept.push(data);
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(kept.into_bytes()),
    }
}

/// Reads and discards a body, so that the connection can be reused. Returns false if it must be closed.
pub async fn discard(mut body: Body, caps: Caps<'_>) -> bool {
    let mut too_late = pin!(caps.too_late());
    let mut total = 0;
    while let Ok(Some(frame)) = next(&mut body, too_late.as_mut()).await {
        total += frame.data_ref().map_or(0, Bytes::len);
        if total > caps.sent.saturating_mul(PATIENCE) {
            return false;
        }
    }
    http_body::Body::is_end_stream(&body)
}

/// The next part of the body; `None` after the last.
async fn next(body: &mut Body, too_late: impl Future<Output = ()>) -> Result<Option<Frame<Bytes>>, BodyError> {
    tokio::select! {
        // Data that has arrived is used, even after the timeout.
        biased;
        frame = body.frame() => frame.transpose().map_err(|_| BodyError::Broken),
        () = too_late => Err(BodyError::TooSlow),
    }
}

/// Bytes of a body; a body in one piece is not copied.
#[derive(Default)]
struct Kept {
    first: Bytes,
    rest: Vec<u8>,
}

impl Kept {
    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        // Not by doubling, which would take twice the memory that the budget accounts for.
        if self.rest.capacity() - self.rest.len() < data.len() {
            self.rest.reserve_exact(data.len().max(self.rest.len() / 8));
        }
        self.rest.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.into() }
    }
}
