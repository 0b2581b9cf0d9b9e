//! Polling of sources that cannot notify about changes (docs/decisions/0021-files-are-read-again.md).

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Polling interval.
pub const PAUSE: Duration = Duration::from_millis(500);

/// Ticks at the polling interval; the first one immediately.
#[must_use]
pub fn ticks() -> Interval {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The last value seen, if it differs from the active one.
///
/// A change is applied after it was seen twice: an editor may be in the middle of a write, and a file that it has just
/// truncated would be a valid configuration, or withdraw messages.
#[derive(Debug)]
pub struct Glimpse<T>(Option<T>);

impl<T> Default for Glimpse<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> Glimpse<T> {
    /// Returns the value if it differs from the active one and was also seen the last time.
    pub fn confirm(&mut self, seen: T, in_force: Option<&T>) -> Option<T> {
        if in_force == Some(&seen) {
            self.0 = None;
            None
        } else if self.0.as_ref() == Some(&seen) {
            Some(seen)
        } else {
            self.0 = Some(seen);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_confirmed_when_it_is_seen_twice() {
        let mut glimpse = Glimpse::default();
        assert_eq!(glimpse.confirm(1, Some(&1)), None);
        assert_eq!(glimpse.confirm(2, Some(&1)), None);
        assert_eq!(glimpse.confirm(3, Some(&1)), None, "not the same");
        assert_eq!(glimpse.confirm(3, Some(&1)), Some(3));
        assert_eq!(glimpse.confirm(3, Some(&1)), Some(3), "again, as long as it is not applied");
        assert_eq!(glimpse.confirm(3, Some(&3)), None);
        assert_eq!(glimpse.confirm(4, Some(&3)), None);
        assert_eq!(glimpse.confirm(3, Some(&3)), None, "and back");
        assert_eq!(glimpse.confirm(4, Some(&3)), None);
        assert_eq!(Glimpse::default().confirm(1, None), None);
    }
}
