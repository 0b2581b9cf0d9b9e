//! The whole body of a request, under caps: as sent, inflated, and of all requests together.
//!
//! Plain JSON, zlib and gzip are told apart by the bytes, whatever the headers say (PROTOCOL.md 3.2).

use std::{
    io::{ErrorKind, Read},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Bytes of bodies that may be read, inflated and queued at one time, of all requests together.
pub const TOTAL: usize = 64 * 1024 * 1024;
/// The unit in which they are counted.
const UNIT: usize = 1024;
/// A body over its cap is read to its end and thrown away, up to so many times the cap.
const PATIENCE: usize = 4;
/// Inflated text grows by such steps, so that its memory ends at the cap.
const STEP: usize = 64 * 1024;

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

/// The memory for bodies, shared by all requests.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL / UNIT)))
    }
}

/// What a request has taken of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// An empty share.
    ///
    /// # Errors
    /// The semaphore is closed, which never happens.
    pub fn share(&self) -> Result<Share, BodyError> {
        let permit = self.0.clone().try_acquire_many_owned(0).map_err(|_| BodyError::Budget)?;
        Ok(Share { budget: self.clone(), permit })
    }
}

impl Share {
    /// Makes the share cover `bytes` in all.
    ///
    /// # Errors
    /// The budget does not hold as much.
    pub fn cover(&mut self, bytes: usize) -> Result<(), BodyError> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.permit.num_permits());
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| BodyError::Budget)?;
            self.permit.merge(self.budget.0.clone().try_acquire_many_owned(missing).map_err(|_| BodyError::Budget)?);
        }
        Ok(())
    }

    /// Makes the share cover `bytes` and no more.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.permit.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.permit.split(surplus));
    }

    /// What is to be held until the row is committed.
    pub fn into_permit(self) -> OwnedSemaphorePermit {
        self.permit
    }
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
        let step = if total > caps.sent { Err(BodyError::TooLarge { read: true }) } else { share.cover(total) };
        if let Err(error) = step {
            failure = Some(error);
            kept = Kept::default();
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

/// How a body is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Zlib,
    Gzip,
}

fn packing(body: &[u8]) -> Packing {
    match body {
        [0x78, ..] => Packing::Zlib,
        [0x1f, 0x8b, ..] => Packing::Gzip,
        _ => Packing::Plain,
    }
}

/// Whether inflating this may take so long that other requests would notice.
#[must_use]
pub fn is_heavy(body: &[u8]) -> bool {
    const LONG: usize = 64 * 1024;
    const LONG_PACKED: usize = 4 * 1024;
    body.len() > if packing(body) == Packing::Plain { LONG } else { LONG_PACKED }
}

/// The text of a body, inflated if need be.
///
/// # Errors
/// [`BodyError::NotText`], [`BodyError::TooLarge`] over the cap, [`BodyError::Budget`].
pub fn text(body: Bytes, cap: usize, share: &mut Share) -> Result<Text, BodyError> {
    let text = match packing(&body) {
        Packing::Plain => Text::Shared(body),
        Packing::Zlib => Text::Own(inflate(ZlibDecoder::new(&*body), cap, body.len(), share)?),
        Packing::Gzip => Text::Own(inflate(GzDecoder::new(&*body), cap, body.len(), share)?),
    };
    match std::str::from_utf8(text.bytes()) {
        Ok(_) => Ok(text),
        Err(_) => Err(BodyError::NotText),
    }
}

/// UTF-8, in the bytes of the request or inflated.
#[derive(Debug)]
pub enum Text {
    /// The request's own bytes.
    Shared(Bytes),
    /// Inflated.
    Own(Vec<u8>),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // `text` has checked it; checking again costs 20 ns, `unsafe` is forbidden.
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

/// Bytes after the end of the stream are ignored.
fn inflate(mut stream: impl Read, cap: usize, held: usize, share: &mut Share) -> Result<Vec<u8>, BodyError> {
    let mut text = Vec::new();
    loop {
        let start = text.len();
        // One byte over the cap tells a text that just fits from one that does not.
        let step = STEP.min((cap + 1).saturating_sub(start));
        if step == 0 {
            return Err(BodyError::TooLarge { read: true });
        }
        share.cover(held + start + step)?;
        text.reserve_exact(step);
        text.resize(start + step, 0);
        let mut filled = start;
        while filled < text.len() {
            match stream.read(&mut text[filled..]) {
                Ok(0) => {
                    text.truncate(filled);
                    return Ok(text);
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(BodyError::NotText),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn zlib(text: &[u8]) -> Bytes {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    fn inflated(body: Bytes, cap: usize) -> Result<usize, BodyError> {
        text(body, cap, &mut Budget::default().share().unwrap()).map(|text| text.as_str().len())
    }

    #[test]
    fn inflates_up_to_the_cap() {
        let sent = zlib(&vec![b' '; 200_000]);
        assert_eq!(inflated(sent.clone(), 200_000), Ok(200_000));
        assert_eq!(inflated(sent, 199_999), Err(BodyError::TooLarge { read: true }));
    }

    #[test]
    fn ignores_what_follows_and_refuses_what_is_missing() {
        let sent = zlib(b"{}");
        assert_eq!(inflated([&sent[..], b"more"].concat().into(), 100), Ok(2));
        assert_eq!(inflated(sent.slice(..sent.len() - 5), 100), Err(BodyError::NotText));
        assert_eq!(inflated(Bytes::from_static(b"x{}"), 100), Err(BodyError::NotText));
        assert_eq!(inflated(Bytes::from_static(b"{\"a\": \"\xff\"}"), 100), Err(BodyError::NotText));
    }

    #[test]
    fn the_budget_is_shared() {
        let budget = Budget::default();
        let mut first = budget.share().unwrap();
        assert_eq!(first.cover(TOTAL), Ok(()));
        let mut second = budget.share().unwrap();
        assert_eq!(second.cover(1), Err(BodyError::Budget));
        first.shrink(TOTAL - UNIT);
        assert_eq!(second.cover(1), Ok(()));
        drop(first);
        assert_eq!(second.cover(TOTAL), Ok(()));
    }
}
