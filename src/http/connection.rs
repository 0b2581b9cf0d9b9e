//! One connection: its phase, its deadlines, and an end that never says `Connection: close`.
//!
//! hyper closes a connection gracefully by `Connection: close` on the reply in flight, which Kolibri 0.18 and later takes
//! for a failure (PROTOCOL.md 5.4). So the socket is wrapped: while a stop is under way, or a deadline is over, reading
//! reports the end of the stream as if the client had left, but never while a request is under way.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, Sleep},
};

/// Deadlines of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the first byte of a header to its last.
    pub header: Duration,
    /// Between requests, and for a client that does not read.
    pub idle: Duration,
}

/// What a connection is doing, shared by its socket, its requests and the listener.
#[derive(Debug)]
pub struct Activity {
    phase: Mutex<Phase>,
    leaving: AtomicBool,
    http2: AtomicBool,
    /// Wakes the connection's task after [`Self::leave`].
    pub left: Notify,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing of a request has arrived since.
    Idle(Instant),
    /// A part of a header has arrived.
    Header(Instant),
    /// So many requests are under way (more than one only in HTTP/2).
    Requests(usize),
}

impl Activity {
    /// Of a fresh connection.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let (phase, leaving, http2) =
            (Mutex::new(Phase::Idle(Instant::now())), AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { phase, leaving, http2, left: Notify::new() })
    }

    fn phase(&self) -> std::sync::MutexGuard<'_, Phase> {
        // A panic cannot leave a phase half-written.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun; dropped, it has been answered.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> Request {
        let mut phase = self.phase();
        *phase = Phase::Requests(if let Phase::Requests(count) = *phase { count + 1 } else { 1 });
        Request(self.clone())
    }

    /// Since when it has been idle; `None` while anything of a request is under way.
    #[must_use]
    pub fn idle_since(&self) -> Option<Instant> {
        if let Phase::Idle(since) = *self.phase() { Some(since) } else { None }
    }

    /// Asks the connection to close as soon as no request is under way.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.left.notify_one();
    }

    /// Whether it speaks HTTP/2, which has a graceful end of its own.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    fn received(&self, bytes: &[u8]) {
        let mut phase = self.phase();
        if let Phase::Idle(_) = *phase {
            if bytes.starts_with(b"PRI") {
                self.http2.store(true, Ordering::Relaxed);
            }
            // Frames of an idle HTTP/2 connection are not the beginning of a request.
            if !self.is_http2() {
                *phase = Phase::Header(Instant::now());
            }
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Request(Arc<Activity>);

impl Drop for Request {
    fn drop(&mut self) {
        let mut phase = self.0.phase();
        *phase = match *phase {
            Phase::Requests(count) if count > 1 => Phase::Requests(count - 1),
            _ => Phase::Idle(Instant::now()),
        };
    }
}

/// The socket of a connection under deadlines.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    activity: Arc<Activity>,
    deadlines: Deadlines,
    alarm: Option<Pin<Box<Sleep>>>,
    blocked_since: Option<Instant>,
}

impl<S> Socket<S> {
    /// Wraps the stream.
    #[must_use]
    pub fn new(stream: S, activity: Arc<Activity>, deadlines: Deadlines) -> Self {
        Self { stream, activity, deadlines, alarm: None, blocked_since: None }
    }

    /// Whether the moment is over; if not, the task is woken then.
    fn is_over(&mut self, moment: Instant, cx: &mut Context<'_>) -> bool {
        if Instant::now() >= moment {
            return true;
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(moment)));
        // An alarm that is due earlier is left: moving it for each request costs more than waking once too often.
        if alarm.deadline() > moment || alarm.is_elapsed() {
            alarm.as_mut().reset(moment);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            alarm.as_mut().reset(moment);
            return alarm.as_mut().poll(cx).is_ready();
        }
        false
    }

    fn blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        if self.is_over(since + self.deadlines.idle, cx) {
            Poll::Ready(io::ErrorKind::TimedOut.into())
        } else {
            Poll::Pending
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            let bytes = &buffer.filled()[before..];
            if !bytes.is_empty() {
                self.activity.received(bytes);
            }
            return Poll::Ready(result);
        }
        let (phase, deadlines) = (*self.activity.phase(), self.deadlines);
        let over = match phase {
            Phase::Requests(_) => false,
            Phase::Header(since) => self.is_over(since + deadlines.header, cx),
            Phase::Idle(since) => {
                let leaving = self.activity.leaving.load(Ordering::Relaxed) && !self.activity.is_http2();
                leaving || self.is_over(since + deadlines.idle, cx)
            }
        };
        // No bytes: the end of the stream.
        if over { Poll::Ready(Ok(())) } else { Poll::Pending }
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
