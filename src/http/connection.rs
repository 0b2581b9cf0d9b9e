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
        Arc, Mutex, OnceLock, PoisonError,
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

/// What a connection that was asked to leave gets to take its last replies, or to say good-bye in HTTP/2. Without it, one
/// client that does not read makes a stop a hard one.
const FAREWELL: Duration = Duration::from_secs(5);

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
    left_at: OnceLock<Instant>,
    gives_way: AtomicBool,
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
    /// Requests are under way.
    Requests {
        /// So many (more than one only in HTTP/2).
        count: usize,
        /// So many of them wait for nothing but the client, which is to take their reply.
        replying: usize,
        /// When the first of these began to wait, or the last one was taken.
        progress: Instant,
    },
}

impl Activity {
    /// Of a fresh connection.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            phase: Mutex::new(Phase::Idle(Instant::now())),
            left_at: OnceLock::new(),
            gives_way: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            left: Notify::new(),
        })
    }

    fn phase(&self) -> std::sync::MutexGuard<'_, Phase> {
        // A panic cannot leave a phase half-written.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun; dropped, it has been answered.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> Request {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Requests { count, replying, progress } => Phase::Requests { count: count + 1, replying, progress },
            _ => Phase::Requests { count: 1, replying: 0, progress: Instant::now() },
        };
        Request { activity: self.clone(), replying: false }
    }

    /// Since when it has been idle or at its header, the longest the best to spare; `None` while a request is under way.
    #[must_use]
    pub fn dispensable(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::Idle(since) | Phase::Header(since) => Some(since),
            Phase::Requests { .. } => None,
        }
    }

    /// Makes room for another connection: as [`Self::leave`], and a half-sent header is not waited for.
    pub fn give_way(&self) {
        self.gives_way.store(true, Ordering::Relaxed);
        self.leave();
    }

    /// Asks the connection to close as soon as no request is under way.
    pub fn leave(&self) {
        self.left_at.get_or_init(Instant::now);
        self.left.notify_one();
    }

    /// Its client has begun a request in HTTP/2, however the preface was cut.
    pub fn set_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
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
                self.set_http2();
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
pub struct Request {
    activity: Arc<Activity>,
    replying: bool,
}

impl Request {
    /// The reply is made: from now on the request waits for its client.
    pub fn reply(&mut self) {
        if let Phase::Requests { replying, progress, .. } = &mut *self.activity.phase() {
            if *replying == 0 {
                *progress = Instant::now();
            }
            *replying += 1;
            self.replying = true;
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut phase = self.activity.phase();
        *phase = match *phase {
            Phase::Requests { count, replying, .. } if count > 1 => Phase::Requests {
                count: count - 1,
                replying: replying - usize::from(self.replying),
                progress: Instant::now(),
            },
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

    /// When a connection that was asked to leave is closed, if it has been waiting for its client since this moment.
    fn farewell(&self, since: Instant) -> Option<Instant> {
        self.activity.left_at.get().map(|left_at| since.max(*left_at) + FAREWELL)
    }

    fn blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        let deadline = since + self.deadlines.idle;
        let deadline = self.farewell(since).map_or(deadline, |end| end.min(deadline));
        if self.is_over(deadline, cx) { Poll::Ready(io::ErrorKind::TimedOut.into()) } else { Poll::Pending }
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
            // In HTTP/2 a reply that the client does not take blocks nothing but itself.
            Phase::Requests { replying: 1.., progress, .. } => {
                let deadline = progress + deadlines.idle;
                let deadline = self.farewell(progress).map_or(deadline, |end| end.min(deadline));
                self.is_over(deadline, cx)
            }
            Phase::Requests { .. } => false,
            Phase::Header(since) => {
                self.activity.gives_way.load(Ordering::Relaxed) || self.is_over(since + deadlines.header, cx)
            }
            Phase::Idle(since) => match self.farewell(since) {
                None => self.is_over(since + deadlines.idle, cx),
                // HTTP/2 says good-bye first, and a client that does not answer to that is not waited for.
                Some(end) => !self.activity.is_http2() || self.is_over(end, cx),
            },
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
