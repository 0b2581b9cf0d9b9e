//! The socket of a connection: its deadlines, and a graceful end without `Connection: close`.
//!
//! hyper closes a connection gracefully with `Connection: close` on the last reply, which Kolibri 0.18 and later treats as
//! a failure (docs/protocol.md, 5.4). So the socket is wrapped: during a shutdown or after a deadline, reading
//! reports the end of the stream as if the client had disconnected, but never while a request is in progress. The same
//! makes hyper return the socket when it has been idle for a moment (`http::connection`).

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::activity::{Activity, Phase};

/// Time for a connection that was asked to close to send its last replies, or GOAWAY in HTTP/2. Without it, a
/// client that does not read would cause a hard stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long hyper keeps an idle connection; clients that send requests more often are not parked in between. Short,
/// because the allocator does not return the memory of connections that were busy within this time.
pub(super) const PARK_AFTER: Duration = Duration::from_millis(100);

/// Deadlines of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the first byte of a header to its last.
    pub header: Duration,
    /// Between requests, and for a client that does not read its reply.
    pub idle: Duration,
}

/// Who reads from the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The code that waits for the beginning of a request.
    Parked,
    /// hyper, for HTTP/1.
    Http1,
    /// hyper, for HTTP/2.
    Http2,
}

/// The socket of a connection, with deadlines.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    /// Bytes that were read and must be read again.
    unread: Bytes,
    reader: Reader,
    activity: Arc<Activity>,
    deadlines: Deadlines,
    alarm: Option<Pin<Box<Sleep>>>,
    blocked_since: Option<Instant>,
}

impl<S> Socket<S> {
    /// Wraps the stream.
    #[must_use]
    pub fn new(stream: S, activity: Arc<Activity>, deadlines: Deadlines) -> Self {
        let (unread, reader) = (Bytes::new(), Reader::Parked);
        Self { stream, unread, reader, activity, deadlines, alarm: None, blocked_since: None }
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(super) fn set_reader(&mut self, reader: Reader) {
        self.reader = reader;
    }

    /// Whether hyper's end of the stream only meant that it is to return the socket.
    pub(super) fn is_parked(&self) -> bool {
        self.reader == Reader::Parked
    }

    /// Puts back bytes that were read too early.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Whether the moment has passed; if not, the task is woken then.
    fn is_over(&mut self, moment: Instant, cx: &mut Context<'_>) -> bool {
        if Instant::now() >= moment {
            return true;
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(moment)));
        // An earlier timer is left as it is: resetting it for each request costs more than one wakeup too many.
        if alarm.deadline() > moment || alarm.is_elapsed() {
            alarm.as_mut().reset(moment);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            alarm.as_mut().reset(moment);
            return alarm.as_mut().poll(cx).is_ready();
        }
        false
    }

    /// When a connection that was asked to close is closed, if it has waited for its client since this moment.
    fn farewell(&self, since: Instant) -> Option<Instant> {
        self.activity.left_at().map(|left_at| since.max(left_at) + FAREWELL)
    }

    /// Whether a connection that is idle since this moment is to be closed or parked.
    fn is_idle_over(&mut self, since: Instant, cx: &mut Context<'_>) -> bool {
        let idle = self.deadlines.idle;
        match (self.reader, self.farewell(since)) {
            // HTTP/2 sends GOAWAY first; a client that does not react to it is not waited for.
            (Reader::Http2, Some(end)) => self.is_over(end, cx),
            (Reader::Http2 | Reader::Parked, None) => self.is_over(since + idle, cx),
            (Reader::Http1 | Reader::Parked, Some(_)) => true,
            // Otherwise the unread rest of a body would be taken for the next request.
            (Reader::Http1, None) if self.activity.body_unread() => self.is_over(since + idle, cx),
            (Reader::Http1, None) => self.is_over(since + idle.min(PARK_AFTER), cx),
        }
    }

    fn blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.activity.sleep(cx);
        if self.activity.is_displaced() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        let deadline = since + self.deadlines.idle;
        let deadline = self.farewell(since).map_or(deadline, |end| end.min(deadline));
        if self.is_over(deadline, cx) { Poll::Ready(io::ErrorKind::TimedOut.into()) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_unread() {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
            return Poll::Ready(Ok(()));
        }
        if self.activity.is_displaced() {
            // As if the client had disconnected, also within a body.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            // Frames of an idle HTTP/2 connection do not begin a request.
            if buffer.filled().len() > before && self.reader != Reader::Http2 {
                self.activity.header();
            }
            return Poll::Ready(result);
        }
        let (phase, deadlines) = (self.activity.sleep(cx), self.deadlines);
        let over = match phase {
            // In HTTP/2 a reply that the client does not read blocks only its own stream.
            Phase::Requests { replying: 1.., progress, .. } => {
                let deadline = progress + deadlines.idle;
                let deadline = self.farewell(progress).map_or(deadline, |end| end.min(deadline));
                self.is_over(deadline, cx)
            }
            Phase::Requests { .. } => false,
            Phase::Header(since) => self.activity.gives_way() || self.is_over(since + deadlines.header, cx),
            Phase::Idle(since) => self.is_idle_over(since, cx),
        };
        if !over {
            return Poll::Pending;
        }
        if matches!(phase, Phase::Idle(_)) && self.reader == Reader::Http1 && !self.activity.body_unread() {
            self.reader = Reader::Parked;
        }
        // No bytes: the end of the stream.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(result) => {
                self.blocked_since = None;
                Poll::Ready(result)
            }
            Poll::Pending => self.blocked(cx).map(Err),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, parts) {
            Poll::Ready(result) => {
                self.blocked_since = None;
                Poll::Ready(result)
            }
            Poll::Pending => self.blocked(cx).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_parked() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
