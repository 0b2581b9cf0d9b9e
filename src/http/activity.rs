//! The state of a connection: since when it waits for its client, and whether it was asked to close.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use tokio::time::Instant;

/// Shared by the socket of a connection, its requests and the listener.
#[derive(Debug)]
pub struct Activity {
    state: Mutex<State>,
    left_at: OnceLock<Instant>,
    gives_way: AtomicBool,
    displaced: AtomicBool,
    body_unread: AtomicBool,
    /// Number of requests with incomplete bodies.
    bodies: AtomicUsize,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Wakes the connection's task, which waits in its socket.
    waker: Option<Waker>,
}

/// What a connection waits for its client to do; those to close first come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Send a request, or the rest of its header, which takes a real client only a moment.
    Request,
    /// Send the rest of a body, or read a reply.
    Client,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Idle since.
    Idle(Instant),
    /// An incomplete header, since.
    Header(Instant),
    /// Requests are in progress.
    Requests {
        /// Number of requests (more than one only in HTTP/2).
        count: usize,
        /// Number of requests that only wait for the client to read their reply.
        replying: usize,
        /// When the first of these began to wait, or the client last read something.
        progress: Instant,
    },
}

impl Activity {
    /// The activity of a new connection.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { phase: Phase::Idle(Instant::now()), waker: None }),
            left_at: OnceLock::new(),
            gives_way: AtomicBool::new(false),
            displaced: AtomicBool::new(false),
            body_unread: AtomicBool::new(false),
            bodies: AtomicUsize::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave a phase half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun; when dropped, it was answered.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> Request {
        self.body_unread.store(false, Ordering::Relaxed);
        let phase = &mut self.state().phase;
        *phase = match *phase {
            Phase::Requests { count, replying, progress } => Phase::Requests { count: count + 1, replying, progress },
            _ => Phase::Requests { count: 1, replying: 0, progress: Instant::now() },
        };
        Request { activity: self.clone(), replying: false }
    }

    /// What it waits for, and since when. `None` while the server works on a request.
    #[must_use]
    pub fn dispensable(&self) -> Option<(Wait, Instant)> {
        match self.state().phase {
            Phase::Idle(since) | Phase::Header(since) => Some((Wait::Request, since)),
            Phase::Requests { count, replying, progress } => {
                let waiting = replying + self.bodies.load(Ordering::Relaxed);
                (waiting >= count).then_some((Wait::Client, progress))
            }
        }
    }

    /// Closes the connection to make room for another, unless the server works on a request of it.
    pub fn displace(&self) {
        self.displaced.store(true, Ordering::Relaxed);
        self.leave();
    }

    /// Whether it is to be closed now.
    pub(super) fn is_displaced(&self) -> bool {
        self.displaced.load(Ordering::Relaxed) && self.dispensable().is_some()
    }

    /// As [`Self::leave`], and does not wait for an incomplete header.
    pub fn give_way(&self) {
        self.gives_way.store(true, Ordering::Relaxed);
        self.leave();
    }

    /// Asks the connection to close as soon as no request is in progress.
    pub fn leave(&self) {
        self.left_at.get_or_init(Instant::now);
        if let Some(waker) = &self.state().waker {
            waker.wake_by_ref();
        }
    }

    pub(super) fn left_at(&self) -> Option<Instant> {
        self.left_at.get().copied()
    }

    pub(super) fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Relaxed)
    }

    /// Returns its phase, and wakes the task when it is asked to close.
    pub(super) fn sleep(&self, cx: &mut Context<'_>) -> Phase {
        let State { phase, waker } = &mut *self.state();
        match waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        *phase
    }

    /// Bytes of a header have arrived.
    pub(super) fn header(&self) {
        let phase = &mut self.state().phase;
        if let Phase::Idle(_) = *phase {
            *phase = Phase::Header(Instant::now());
        }
    }

    /// They were the preface of HTTP/2, which does not begin a request.
    pub(super) fn preface(&self) {
        self.state().phase = Phase::Idle(Instant::now());
    }

    /// Whether the body of its last request was not read to its end (HTTP/1 only, one at a time).
    pub(super) fn body_unread(&self) -> bool {
        self.body_unread.load(Ordering::Relaxed)
    }
}

/// A request in progress.
#[derive(Debug)]
pub struct Request {
    activity: Arc<Activity>,
    replying: bool,
}

impl Request {
    /// The reply is complete: from now on the request waits for its client.
    pub fn reply(&mut self) {
        if let Phase::Requests { replying, progress, .. } = &mut self.activity.state().phase {
            if *replying == 0 {
                *progress = Instant::now();
            }
            *replying += 1;
            self.replying = true;
        }
    }

    /// A guard for its body.
    pub(super) fn unread(&self) -> Unread {
        self.activity.body_unread.store(true, Ordering::Relaxed);
        self.activity.bodies.fetch_add(1, Ordering::Relaxed);
        Unread(self.activity.clone())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let phase = &mut self.activity.state().phase;
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

/// The end of a body has not been read yet.
#[derive(Debug)]
pub(super) struct Unread(Arc<Activity>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Unread {
    pub(super) fn is_read(&self) {
        self.0.body_unread.store(false, Ordering::Relaxed);
    }
}
