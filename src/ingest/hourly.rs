//! Approximate number of pings of each installation within the hour, so that a device in a loop cannot fill the store.
//!
//! A count-min sketch of two rows: each installation has one counter in each, by hashes that nobody can guess; the smaller one
//! counts. It is never too small, and too large only if both are shared with installations that ping as often. So a fixed
//! amount of memory serves any number of installations.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::domain::Timestamp;

/// Counters per row: two rows take 2 MiB, and a million pings an hour raise each counter to four.
const COUNTERS: usize = 1 << 18;

/// Shared by all that take pings.
pub struct Hourly {
    hasher: RandomState,
    /// The hour in the upper half, the count in the lower.
    rows: [Box<[AtomicU32]>; 2],
}

impl Default for Hourly {
    fn default() -> Self {
        let row = || (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self { hasher: RandomState::new(), rows: [row(), row()] }
    }
}

impl Hourly {
    /// Counts a ping; returns whether there were more than `most` of this installation within the hour, including this one.
    pub fn is_beyond(&self, instance_id: &str, received_at: Timestamp, most: u16) -> bool {
        // The lowest bits are enough to distinguish neighbouring hours.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the lowest bits")]
        let hour = (received_at.timestamp() / 3600) as u16;
        let hash = self.hasher.hash_one(instance_id);
        let places = [hash & u64::from(u32::MAX), hash >> 32];
        let counts = self.rows.iter().zip(places).map(|(row, place)| {
            #[expect(clippy::cast_possible_truncation, reason = "below the length of a row")]
            let counter = &row[place as usize % COUNTERS];
            count(counter, hour)
        });
        counts.min().is_some_and(|count| count > most)
    }
}

/// Increments a counter for this hour, and returns it. Two simultaneous pings may count as one.
fn count(counter: &AtomicU32, hour: u16) -> u16 {
    let value = counter.load(Relaxed);
    let before = if value >> 16 == u32::from(hour) { u16::try_from(value & 0xffff).unwrap_or(u16::MAX) } else { 0 };
    let count = before.saturating_add(1);
    counter.store(u32::from(hour) << 16 | u32::from(count), Relaxed);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000 / 3600 * 3600 + seconds, 0).unwrap()
    }

    #[test]
    fn pings_are_counted_by_installation_and_hour() {
        let hourly = Hourly::default();
        let beyond = |instance: &str, second| hourly.is_beyond(instance, at(second), 360);
        let taken = (0..3600).filter(|second| !beyond("loop", *second)).count();
        assert_eq!(taken, 360);
        assert!(!beyond("other", 3599) && !beyond("loop", 3600), "another one, and another hour");
        // Also if the clock was set back.
        assert!(!beyond("loop", -7200));
    }

    #[test]
    fn many_installations_do_not_disturb_each_other() {
        let hourly = Hourly::default();
        let beyond = (0..500_000).filter(|number| hourly.is_beyond(&format!("i{number}"), at(0), 30)).count();
        assert_eq!(beyond, 0);
    }
}
