//! Repeated problems: the first one is logged, the others are summed up in one line per minute.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Interval between the first line and the first sum, and between two sums.
const INTERVAL: Duration = Duration::from_mins(1);

/// One kind of problem; clones share the count. `Some` during a storm.
#[derive(Debug, Clone, Default)]
pub struct Storm(Arc<Mutex<Option<u64>>>);

impl Storm {
    /// Counts a problem; returns whether to log it. The number of others is passed to `sum` once a minute, until a
    /// minute passes without any.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn begins(&self, sum: impl Fn(u64) + Send + 'static) -> bool {
        let begins = self.count();
        if begins {
            let storm = self.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(INTERVAL).await;
                    match storm.turn() {
                        Some(count) => sum(count),
                        None => return,
                    }
                }
            });
        }
        begins
    }

    /// Adds one; returns whether it is the first.
    fn count(&self) -> bool {
        let mut more = self.more();
        if let Some(more) = more.as_mut() {
            *more += 1;
            return false;
        }
        *more = Some(0);
        true
    }

    /// The number in this interval; `None` if the storm is over.
    fn turn(&self) -> Option<u64> {
        let mut more = self.more();
        let count = more.filter(|count| *count > 0);
        *more = count.map(|_| 0);
        count
    }

    fn more(&self) -> MutexGuard<'_, Option<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_problem_is_logged_and_the_others_are_summed_up() {
        let storm = Storm::default();
        let told = |times: u32| (0..times).filter(|_| storm.count()).count();
        assert_eq!((told(1000), storm.turn()), (1, Some(999)));
        assert_eq!((told(5), storm.turn()), (0, Some(5)), "it goes on");
        assert_eq!((told(0), storm.turn()), (0, None), "it is over");
        assert_eq!((told(1), storm.turn()), (1, None));
        assert_eq!((told(2), storm.turn()), (1, Some(1)));
    }
}
