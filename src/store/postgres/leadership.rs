//! Leader election among the processes that share a database: the leader holds an advisory lock.

use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::time::timeout;

use super::Postgres;
use crate::store::{StoreError, error::classify};

/// Key of the advisory lock that the leader holds: "nutr" and a number.
const LEADER_LOCK: i64 = 0x6e75_7472_0000_0003;

/// PostgreSQL must notice within seconds, not hours, that the leader's machine is gone. A pooler checks its clients
/// itself.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2";

/// A connection that holds the lock, or tries to get it.
#[derive(Debug)]
pub struct Candidate {
    connection: PgConnection,
    pooled: bool,
    leads: bool,
}

impl Postgres {
    /// Uses a connection of its own; leadership ends with it.
    pub(in crate::store) async fn candidate(&self) -> Result<Candidate, StoreError> {
        let connection = self.spare_connection().await?;
        let mut candidate = Candidate { connection, pooled: self.connections.server.pooled, leads: false };
        if !candidate.pooled {
            let kept = sqlx::raw_sql(KEEPALIVE).execute(&mut candidate.connection).await;
            kept.map_err(|error| classify(&error))?;
        }
        Ok(candidate)
    }

    /// Whether the candidate is the leader now.
    pub(in crate::store) async fn leads(&self, candidate: &mut Candidate) -> Result<bool, StoreError> {
        let limit = self.connections.limit();
        match timeout(limit, candidate.ask()).await {
            Ok(result) => result.map_err(|error| classify(&error)),
            Err(_) => Err(StoreError::timeout("no answer", limit)),
        }
    }
}

impl Candidate {
    /// The lock is held as long as the connection lives. A pooler assigns a connection per transaction: there an open transaction
    /// holds the lock. It has read nothing, so it does not block vacuum.
    async fn ask(&mut self) -> Result<bool, sqlx::Error> {
        let held = "SELECT true".to_owned();
        let sql = match (self.leads, self.pooled) {
            (true, _) => held,
            (false, false) => format!("SELECT pg_try_advisory_lock({LEADER_LOCK})"),
            (false, true) => {
                let begin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '15s'";
                sqlx::raw_sql(begin).execute(&mut self.connection).await?;
                format!("SELECT pg_try_advisory_xact_lock({LEADER_LOCK})")
            }
        };
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await?;
        self.leads = row.try_get(0)?;
        if self.pooled && !self.leads {
            sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await?;
        }
        Ok(self.leads)
    }
}
