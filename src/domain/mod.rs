//! Types and rules of the service without I/O: no async, no database, web or cluster library.

pub mod country;
pub mod digest;
pub mod extra;
pub mod json;
pub mod message;
pub mod mode;
pub mod origin;
pub mod period;
pub mod pingback;
pub mod place;
pub mod platform;
pub mod privacy;
pub mod profile;
pub mod statistics;
pub mod survey;
pub mod text;
pub mod version;
pub mod wording;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A time of arrival, in UTC, with microseconds.
pub type Timestamp = DateTime<Utc>;

/// Source of the time; fixed in tests.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// Sixteen hexadecimal digits (of SHA-256), the same for the same text.
#[must_use]
pub fn fingerprint(text: &str) -> String {
    let number = Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

/// A UUIDv7 (RFC 9562, 5.7) of this moment: 48 bits of milliseconds, 10 of the microseconds within (6.2, method 3), 64 random
/// bits. Ids sort as their moments do, and with 0 as random bits it is the smallest id of its moment.
///
/// Pings are partitioned by this id, so its time must be that of `received_at`.
#[must_use]
pub fn new_id(now: Timestamp, random: u128) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let micros = now.timestamp_subsec_micros() % 1_000;
    // 12 bits after the version: the microseconds, and two random ones.
    let first = u128::from(micros << 2) | (random >> 62) & 0b11;
    let tail = (first << 64 | random & u128::from(u64::MAX)).to_be_bytes();
    let mut last_10 = [0; 10];
    last_10.copy_from_slice(&tail[6..]);
    uuid::Builder::from_unix_timestamp_millis(millis, &last_10).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_as_their_moments_do() {
        let begin = Timestamp::from_timestamp_micros(1_790_000_000_000_000).unwrap();
        let mut last = Uuid::nil();
        for micros in (0..3_000).chain([999_999, 1_000_000, 60_000_000]) {
            let moment = begin + chrono::TimeDelta::microseconds(micros);
            let (from, to) = (new_id(moment, 0), new_id(moment, u128::MAX));
            assert!(last < from && from < to, "{micros}");
            assert_eq!((from.get_version_num(), to.get_variant()), (7, uuid::Variant::RFC4122));
            last = to;
        }
    }
}
