//! The whole body of a request, as sent, under its caps.

use std::{future::Future, pin::pin, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::budget::{Exhausted, Share};

/// A body over its cap is read to its end and thrown away, up to so many times the cap.
const PATIENCE: usize = 4;
/// A body that is here at once and has no more bytes than this is not counted: Kolibri's pings have 500.
const SMALL: usize = 2048;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Over a cap, as sent or inflated; `read` tells whether its end was reached.
    #[error("the body is too large")]
    TooLarge {
        /// False: the connection must be closed, as the rest of the body is still to come.
        read: bool,
    },
    /// Not complete within the time.
    #[error("the body is too slow")]
    TooSlow,
    /// The sender has gone away, or its framing is broken.
    #[error("the body is cut off")]
    Broken,
    /// A stream that cannot be inflated, or no UTF-8.
    #[error("the body is not text")]
    NotText,
    /// All bodies together are too much.
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

/// Caps of one kind of request.
#[derive(Debug, Clone, Copy)]
pub struct Caps<'a> {
    /// Bytes as sent.
    pub sent: usize,
    /// Bytes after inflating.
    pub inflated: usize,
    /// From now to the end of the body.
    pub timeout: Duration,
    /// Ends it before, when the server stops.
    pub last_call: &'a CancellationToken,
}

impl<'a> Caps<'a> {
    fn too_late(self) -> impl Future<Output = ()> + use<'a> {
        // From now, not from when it is first waited for.
        let timeout = sleep(self.timeout);
        async move {
            tokio::select! {
                () = timeout => {}
                () = self.last_call.cancelled() => {}
            }
        }
    }
}

/// Reads the whole body. Whatever the outcome, its end has been reached, unless the error says that the connection
/// must be closed: a client whose unread bytes meet a closed socket loses the reply (docs/protocol.md, 5.4).
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
            // While the rest is read and thrown away, others can use it.
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

/// Reads and forgets a body that nobody wants, so that the connection can go on. False: it must be closed.
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

/// The next part of the body; none after the last.
async fn next(body: &mut Body, too_late: impl Future<Output = ()>) -> Result<Option<Frame<Bytes>>, BodyError> {
    tokio::select! {
        // What is there is taken, however late.
        biased;
        frame = body.frame() => frame.transpose().map_err(|_| BodyError::Broken),
        () = too_late => Err(BodyError::TooSlow),
    }
}

/// Bytes as they come; a body in one piece is not copied.
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
        // Not by doubling, which would hold twice what the budget knows of.
        if self.rest.capacity() - self.rest.len() < data.len() {
            self.rest.reserve_exact(data.len().max(self.rest.len() / 8));
        }
        self.rest.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.into() }
    }
}
