//! Where rows rest: PostgreSQL or SQLite, the same operations on both.

use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::domain::Timestamp;

/// Whether rows can be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Rows with fresh ids: the fast statement.
    New,
    /// After an ambiguous failure: a row that is there already is left as it is and not counted again.
    Replay,
}

/// What went wrong, named by what the caller must do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store cannot take rows now: try again later (whether this write took place is not known).
    #[error("the store is unavailable ({reason})")]
    Unavailable {
        /// What is known about the cause: an SQLSTATE or a kind of failure; no text of the database.
        reason: String,
        /// A statement, or the wait for a connection, ran out of time.
        timeout: bool,
    },
    /// The store refuses one of the rows; none was written.
    #[error("the store refuses a row ({reason})")]
    Rejected {
        /// SQLSTATE and constraint name only (PRIVACY.md: DETAIL quotes rows).
        reason: String,
    },
}

/// A row that the store refused, kept for a person to look at.
#[derive(Debug, Clone, Serialize)]
pub struct SetAside {
    /// The id that the row would have had.
    pub id: Uuid,
    /// The moment of arrival.
    pub received_at: Timestamp,
    /// `pingback` or `statistics`.
    pub kind: &'static str,
    /// Of a pingback; `''` otherwise.
    pub instance_id: String,
    /// SQLSTATE and constraint name only.
    pub reason: String,
    /// The row as a JSON object (its text).
    pub row: String,
}
