//! How the process starts and stops: readiness, three steps of shutdown, and essential tasks.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// State of the process, shared by all parts: starting, running or stopping.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<State>);

#[derive(Debug, Default)]
struct State {
    started: AtomicBool,
    draining: AtomicBool,
    stop: CancellationToken,
    last_call: CancellationToken,
    failure: OnceLock<String>,
    failed: CancellationToken,
    connections: TaskTracker,
    tasks: TaskTracker,
}

/// Signals within this time of the first count as one: `timeout` and some supervisors signal the process and then its group.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// Why [`Lifecycle::run`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything in progress was finished.
    Soft,
    /// Work was left unfinished: there was a second signal, or the grace period ended.
    Hard(&'static str),
    /// An essential task has ended.
    Failed(String),
}

impl Lifecycle {
    /// The store is migrated: pings are accepted from now on.
    pub fn set_started(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// Whether start-up is complete.
    #[must_use]
    pub fn started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Whether shutdown was requested: not ready any more, but still serving.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Fires when no new connections are to be accepted and idle ones are to be closed.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Fires when half of the grace period is over: incomplete requests are not waited for any longer.
    #[must_use]
    pub fn last_call(&self) -> &CancellationToken {
        &self.0.last_call
    }

    /// Tracks connections; a shutdown waits for them.
    #[must_use]
    pub fn connections(&self) -> &TaskTracker {
        &self.0.connections
    }

    /// Runs a task that must not end before the shutdown: if it returns or panics, the process ends too.
    ///
    /// A shutdown waits for it, after the connections.
    pub fn spawn_essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let guard = Guard { name, lifecycle: self.clone() };
        self.0.tasks.spawn(async move {
            let _guard = guard;
            task.await;
        });
    }

    /// Ends the process for this reason.
    pub fn fail(&self, reason: String) {
        let _ = self.0.failure.set(reason);
        self.0.failed.cancel();
    }

    /// Serves until a signal or a failure, then shuts down in order.
    ///
    /// SIGTERM: not ready for `delay`, so that load balancers stop sending, then as SIGINT. SIGINT: no new connections,
    /// requests in progress are finished, `finish` ends the writers, all within `grace`. A second signal, one second later or
    /// more, ends it immediately.
    ///
    /// # Errors
    /// Signal handlers cannot be installed.
    pub async fn run(
        &self,
        delay: Duration,
        grace: Duration,
        finish: impl Future<Output = ()>,
    ) -> std::io::Result<End> {
        let mut signals = Signals::new()?;
        let first = tokio::select! {
            first = signals.next() => first,
            () = self.0.failed.cancelled() => return Ok(self.failure()),
        };
        self.0.draining.store(true, Ordering::Relaxed);
        let delay = if first == "SIGINT" { Duration::ZERO } else { delay };
        tracing::info!(signal = first, ?delay, ?grace, "stopping");
        let orderly = async {
            tokio::time::sleep(delay).await;
            let rest = async {
                self.0.stop.cancel();
                self.0.connections.close();
                self.0.connections.wait().await;
                finish.await;
                self.0.tasks.close();
                self.0.tasks.wait().await;
            };
            // The other half is for commits of complete requests, for replies, for clients that read their reply slowly, and for
            // the last digest of the writers (a quarter). So a slow client cannot force a hard stop.
            let last_call = async {
                tokio::time::sleep(grace / 2).await;
                self.0.last_call.cancel();
                tokio::time::sleep(grace / 2).await;
            };
            tokio::select! {
                () = rest => End::Soft,
                () = last_call => End::Hard("shutdown.grace is over"),
            }
        };
        let begun = Instant::now();
        let second = async {
            loop {
                signals.next().await;
                if begun.elapsed() >= ONE_SIGNAL {
                    return End::Hard("a second signal");
                }
            }
        };
        Ok(tokio::select! {
            end = orderly => end,
            end = second => end,
            () = self.0.failed.cancelled() => self.failure(),
        })
    }

    fn failure(&self) -> End {
        End::Failed(self.0.failure.get().cloned().unwrap_or_default())
    }
}

/// Fails the process if its task ends too early.
struct Guard {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.lifecycle.0.stop.is_cancelled() {
            self.lifecycle.fail(format!("the task `{}` has ended unexpectedly", self.name));
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn end_with(task: impl Future<Output = ()> + Send + 'static) -> End {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn_essential("writer", task);
        lifecycle.run(Duration::ZERO, Duration::ZERO, async {}).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_ends_the_process() {
        let told = End::Failed("the task `writer` has ended unexpectedly".into());
        assert_eq!(end_with(async {}).await, told);
        assert_eq!(end_with(async { panic!("on purpose") }).await, told);
    }

    #[tokio::test]
    async fn the_first_failure_is_reported() {
        let lifecycle = Lifecycle::default();
        lifecycle.fail("first".into());
        lifecycle.fail("second".into());
        assert_eq!(lifecycle.run(Duration::ZERO, Duration::ZERO, async {}).await.unwrap(), End::Failed("first".into()));
    }
}
