//! The whole body of a request, as sent, under its caps.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::budget::{Exhausted, Share};

/// A body over its cap is read to its end and thrown away, up to so many times the cap.
const PATIENCE: usize = 4;
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
    #[error(transparent)]
    Budget(#[from] Exhausted),
}

/// Caps of one kind of request.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Bytes as sent.
    pub sent: usize,
    /// Bytes after inflating.
    pub inflated: usize,
    /// From now to the end of the body.
    pub timeout: Duration,
}

/// Reads the whole body. Whatever the outcome, its end has been reached, unless the error says that the connection
/// must be closed: a client whose unread bytes meet a closed socket loses the reply (PROTOCOL.md 5.4).
///
/// # Errors
/// See [`BodyError`].
pub async fn read(mut body: Body, caps: Caps, share: &mut Share) -> Result<Bytes, BodyError> {
    let deadline = Instant::now() + caps.timeout;
    let mut kept = Kept::default();
    let mut failure = None;
    let mut total = 0;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
        };
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
        } else {
            share.cover(total).map_err(BodyError::from)
        };
        if let Err(error) = step {
            failure = Some(error);
            kept = Kept::default();
            // Others may have it: the rest of this body may take its whole time, or never come.
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
pub async fn discard(mut body: Body, caps: Caps) -> bool {
    let deadline = Instant::now() + caps.timeout;
    let mut total = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        total += frame.data_ref().map_or(0, Bytes::len);
        if total > caps.sent.saturating_mul(PATIENCE) {
            return false;
        }
    }
    http_body::Body::is_end_stream(&body)
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
        self.rest.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.into() }
    }
}
