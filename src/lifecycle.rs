//! How the process starts and stops: one readiness, three steps of stopping, and tasks that must not die.

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

/// Shared by all that must know whether the process starts, runs or stops.
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

/// Signals that come so soon after the first belong to it: `timeout` and some supervisors signal the process and then its group.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// Why [`Lifecycle::run`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All that was under way is finished.
    Soft,
    /// Something was left unfinished: a second signal, or the grace ran out.
    Hard(&'static str),
    /// A task that must not end has ended.
    Failed(String),
}

impl Lifecycle {
    /// The store is migrated: pings are taken from now on.
    pub fn set_started(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// Whether start-up is complete.
    #[must_use]
    pub fn started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Whether the process has been asked to stop: not ready any more, but still serving.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Fires when no connection shall be taken any more and idle ones shall close.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Fires when half of the grace is over: whoever still sends a request is not waited for any more.
    #[must_use]
    pub fn last_call(&self) -> &CancellationToken {
        &self.0.last_call
    }

    /// Counts connections; a stop waits for them.
    #[must_use]
    pub fn connections(&self) -> &TaskTracker {
        &self.0.connections
    }

    /// Runs a task that must not end before the stop: if it does, by itself or by a panic, the process ends too.
    ///
    /// A stop waits for it, after the connections.
    pub fn spawn_essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let guard = Guard { name, lifecycle: self.clone() };
        self.0.tasks.spawn(async move {
            let _guard = guard;
            task.await;
        });
    }

    /// Ends the process with this reason.
    pub fn fail(&self, reason: String) {
        let _ = self.0.failure.set(reason);
        self.0.failed.cancel();
    }

    /// Serves until a signal or a failure, then stops in order.
    ///
    /// SIGTERM: readiness off, `delay` for load balancers to forget us, then as SIGINT. SIGINT: no new connections,
    /// requests under way finish, `finish` ends the writers, all within `grace`. A second signal, a second later or more, ends it at
    /// once.
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
            // The other half is for the commit of what has arrived, for replies, for a client that does not take its reply,
            // and for the last count of the writers (a quarter). So one slow sender cannot make a stop a hard one.
            let last_call = async {
                tokio::time::sleep(grace / 2).await;
                self.0.last_call.cancel();
                tokio::time::sleep(grace / 2).await;
            };
            tokio::select! {
                () = rest => End::Soft,
                () = last_call => End::Hard("the grace ran out"),
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

/// Reports a task that ends too early.
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
    async fn what_failed_first_is_told() {
        let lifecycle = Lifecycle::default();
        lifecycle.fail("first".into());
        lifecycle.fail("second".into());
        assert_eq!(lifecycle.run(Duration::ZERO, Duration::ZERO, async {}).await.unwrap(), End::Failed("first".into()));
    }
}
