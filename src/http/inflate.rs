//! Decompresses bodies: plain JSON, zlib and gzip are detected from the bytes, whatever the headers say
//! (docs/protocol.md, 3.2).

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};

use super::{body::BodyError, budget::Share};

/// The buffer grows in steps of this size, so that its memory ends at the limit.
const STEP: usize = 64 * 1024;

/// How a body is compressed, by its first bytes.
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

/// Whether decompression may take long enough to delay other requests.
#[must_use]
pub fn is_heavy(body: &[u8]) -> bool {
    const LONG: usize = 64 * 1024;
    // zlib compresses at best a thousand bytes to one.
    const LONG_PACKED: usize = LONG / 1032;
    body.len() > if packing(body) == Packing::Plain { LONG } else { LONG_PACKED }
}

/// The text of a body, decompressed if necessary.
///
/// # Errors
/// [`BodyError::NotText`], [`BodyError::TooLarge`] over the limit, [`BodyError::Budget`].
pub fn text(body: Bytes, cap: usize, share: &mut Share) -> Result<Text, BodyError> {
    #[expect(clippy::disallowed_methods, reason = "under a cap")]
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

/// UTF-8, in the bytes of the request or decompressed.
#[derive(Debug)]
pub enum Text {
    /// The request's own bytes.
    Shared(Bytes),
    /// Decompressed bytes.
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
        // `text` has checked it; checking again costs 20 ns, and `unsafe` is forbidden.
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

/// Bytes after the end of the stream are ignored.
fn inflate(mut stream: impl Read, cap: usize, held: usize, share: &mut Share) -> Result<Vec<u8>, BodyError> {
    let mut text = Vec::new();
    loop {
        let start = text.len();
        // One byte more than the limit distinguishes a text that just fits from one that is too long.
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

    use super::{
        super::{budget::Budgets, network::Network},
        *,
    };

    fn zlib(text: &[u8]) -> Bytes {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    fn inflated(body: Bytes, cap: usize) -> Result<usize, BodyError> {
        text(body, cap, &mut Budgets::default().statistics.share(Network::of([192, 0, 2, 1].into())))
            .map(|text| text.as_str().len())
    }

    #[test]
    fn bodies_are_decompressed_up_to_the_limit() {
        let sent = zlib(&vec![b' '; 200_000]);
        assert_eq!(inflated(sent.clone(), 200_000), Ok(200_000));
        assert_eq!(inflated(sent, 199_999), Err(BodyError::TooLarge { read: true }));
    }

    #[test]
    fn trailing_bytes_are_ignored_and_truncated_bodies_are_refused() {
        let sent = zlib(b"{}");
        assert_eq!(inflated([&sent[..], b"more"].concat().into(), 100), Ok(2));
        assert_eq!(inflated(sent.slice(..sent.len() - 5), 100), Err(BodyError::NotText));
        assert_eq!(inflated(Bytes::from_static(b"x{}"), 100), Err(BodyError::NotText));
        assert_eq!(inflated(Bytes::from_static(b"{\"a\": \"\xff\"}"), 100), Err(BodyError::NotText));
    }
}
