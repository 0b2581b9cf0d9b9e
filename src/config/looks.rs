//! Looking again and again at what has no way to tell of its changes (docs/decisions/0021-files-are-read-again.md).

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Between two looks.
pub const PAUSE: Duration = Duration::from_millis(500);

/// When to look; the first time at once.
#[must_use]
pub fn ticks() -> Interval {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What the last look has found, if it was not what is in force.
///
/// A change counts when it has been seen twice: an editor may be half-way through, and a file that it has just emptied
/// would be a valid configuration, or withdraw messages.
#[derive(Debug)]
pub struct Glimpse<T>(Option<T>);

impl<T> Default for Glimpse<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> Glimpse<T> {
    /// What was seen, if it is not what is in force and was seen the last time as well.
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
    fn a_change_counts_when_it_is_seen_twice() {
        let mut glimpse = Glimpse::default();
        assert_eq!(glimpse.confirm(1, Some(&1)), None);
        assert_eq!(glimpse.confirm(2, Some(&1)), None);
        assert_eq!(glimpse.confirm(3, Some(&1)), None, "not the same");
        assert_eq!(glimpse.confirm(3, Some(&1)), Some(3));
        assert_eq!(glimpse.confirm(3, Some(&1)), Some(3), "again, while it is not taken over");
        assert_eq!(glimpse.confirm(3, Some(&3)), None);
        assert_eq!(glimpse.confirm(4, Some(&3)), None);
        assert_eq!(glimpse.confirm(3, Some(&3)), None, "and back");
        assert_eq!(glimpse.confirm(4, Some(&3)), None);
        assert_eq!(Glimpse::default().confirm(1, None), None);
    }
}
