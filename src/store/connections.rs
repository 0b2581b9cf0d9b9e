//! The pool of connections to PostgreSQL.
//!
//! Not sqlx's pool: that one logs texts of database errors, checks twice per use whether the connection is alive, and
//! lets callers wait while the server refuses connections (docs/decisions/0012-own-connections.md).

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{error::Elapsed, timeout},
};

use super::{
    error::{MigrationError, StoreError, classify},
    server::Server,
};

/// A connection that was idle longer is checked before use; on a busy server no check is needed.
const REST: Duration = Duration::from_secs(1);
/// Timeout of that check: after a silent network failure there is no answer, and a ping waits.
const ALIVE: Duration = Duration::from_secs(1);
/// A connection that was idle longer is closed: firewalls drop it, and the peak is over.
const LONGEST_REST: Duration = Duration::from_mins(2);
/// Longest lifetime, so that a changed load balancer target or password takes effect eventually.
const LIFE: Duration = Duration::from_mins(30);
/// Time of an operation in addition to the server's own statement timeout.
const MARGIN: Duration = Duration::from_secs(2);

/// At most `max_connections`, opened when needed.
#[derive(Debug)]
pub(super) struct Connections {
    pub server: Server,
    idle: Mutex<Vec<Resting>>,
    permits: Semaphore,
    max: usize,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

#[derive(Debug)]
struct Resting {
    connection: PgConnection,
    since: Instant,
    made: Instant,
}

/// A connection in use. Closed when dropped: only [`Lease::settle`] returns it.
pub(super) struct Lease<'a> {
    connection: PgConnection,
    made: Instant,
    owner: &'a Connections,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    pub fn new(server: Server, max: u32, acquire_timeout: Duration, statement_timeout: Duration) -> Self {
        let max = usize::try_from(max).unwrap_or(1).max(1);
        let permits = Semaphore::new(max);
        Self { server, idle: Mutex::default(), permits, max, acquire_timeout, statement_timeout }
    }

    /// Returns a connection that responds.
    pub async fn lease(&self) -> Result<Lease<'_>, StoreError> {
        match timeout(self.acquire_timeout, self.take()).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::timeout("no connection", self.acquire_timeout)),
        }
    }

    async fn take(&self) -> Result<Lease<'_>, StoreError> {
        let permit = self.permits.acquire().await.map_err(|_| StoreError::unavailable("closed"))?;
        while let Some(mut resting) = self.pop() {
            if resting.made.elapsed() > LIFE {
                continue;
            }
            let is_alive = resting.since.elapsed() < REST
                || timeout(ALIVE, resting.connection.ping()).await.is_ok_and(|answer| answer.is_ok());
            if is_alive {
                let Resting { connection, made, .. } = resting;
                return Ok(Lease { connection, made, owner: self, _permit: permit });
            }
            // Those that were idle longer are no better.
            self.resting().clear();
        }
        let limit = self.statement_timeout.as_millis().to_string();
        let connection = self.server.connect(&limit).await.map_err(|error| match error {
            MigrationError::Store(error) => error,
            other => StoreError::unavailable(other.to_string()),
        })?;
        Ok(Lease { connection, made: Instant::now(), owner: self, _permit: permit })
    }

    /// Opens a connection outside the pool, without a statement timeout: for migrations.
    pub async fn single(&self) -> Result<PgConnection, MigrationError> {
        match timeout(self.acquire_timeout, self.server.connect("0")).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::timeout("no connection", self.acquire_timeout).into()),
        }
    }

    /// Timeout of one operation, for a server that hangs and does not apply its own timeout.
    pub fn limit(&self) -> Duration {
        self.statement_timeout + MARGIN
    }

    /// Number of idle and of used connections; closes those that were idle for too long.
    pub fn count(&self) -> (usize, usize) {
        let mut resting = self.resting();
        resting.retain(|connection| connection.since.elapsed() < LONGEST_REST);
        (resting.len(), self.max.saturating_sub(self.permits.available_permits()))
    }

    pub async fn close(&self) {
        // Connections in use are returned first; a server that hangs is waited for no longer than usual.
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        let _ = timeout(self.limit(), self.permits.acquire_many(all)).await;
        self.permits.close();
        while let Some(resting) = self.pop() {
            let _ = timeout(MARGIN, resting.connection.close()).await;
        }
    }

    fn pop(&self) -> Option<Resting> {
        self.resting().pop()
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Keeps the connection if the result leaves it in a known state, and converts the error.
    pub fn settle<T>(self, outcome: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, StoreError> {
        let owner = self.owner;
        let result = match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(StoreError::timeout("no answer", owner.limit())),
        };
        match &result {
            Err(error) if !error.spares_connection() => {
                // Closed, read-only or hung: the idle ones lead to the same server and are no better.
                owner.resting().clear();
            }
            _ => self.keep(),
        }
        result
    }

    fn keep(self) {
        let resting = Resting { connection: self.connection, since: Instant::now(), made: self.made };
        self.owner.resting().push(resting);
    }
}

impl Deref for Lease<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
