//! The system clock.

use crate::domain::{Clock, Timestamp};

/// The system's time.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }
}
