//! The words of the service and its pure rules: no async, no I/O, no database, web or cluster library.

pub mod extra;
pub mod json;
pub mod message;
pub mod mode;
pub mod pingback;
pub mod platform;
pub mod privacy;
pub mod statistics;
pub mod survey;
pub mod text;
pub mod version;
pub mod wording;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A moment of arrival, in UTC, with microseconds.
pub type Timestamp = DateTime<Utc>;

/// Where the time comes from: tests hold it still.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Sixteen hexadecimal digits (of SHA-256) that are the same wherever the same is said.
#[must_use]
pub fn fingerprint(text: &str) -> String {
    let number = Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

/// A UUIDv7 (RFC 9562, 5.7) of the given moment: 48 bits of milliseconds, 74 random bits.
///
/// Pingbacks are partitioned by this id, so its time must be that of `received_at`.
#[must_use]
pub fn new_id(now: Timestamp, random: u128) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let random = random.to_be_bytes();
    let mut tail = [0; 10];
    tail.copy_from_slice(&random[..10]);
    uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
}
