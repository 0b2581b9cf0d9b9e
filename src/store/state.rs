//! The state that every writer must know before it writes: the row of `store_state`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

use super::StoreError;
use crate::domain::Timestamp;

/// The state as last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// Incremented when another column changes, or profiles were deleted.
    pub generation: i64,
    /// Identifies the table: it is another one after a backup was restored.
    pub table: i64,
    /// Start time of the server: another server, or one restored to an earlier state, has a later one.
    pub started: Timestamp,
    /// Pings of earlier days are not stored.
    pub sealed_before: NaiveDate,
}

/// Shared by all writers of a process.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    state: Option<State>,
    /// Whether it must be read again.
    is_doubted: bool,
    epoch: u32,
}

impl Shared {
    /// The state for a writer that depends on an epoch. `None` if it must be read, or read again.
    ///
    /// # Errors
    ///
    /// `Stale`: another epoch has begun.
    pub fn get_in(&self, epoch: u32) -> Result<Option<State>, StoreError> {
        let known = self.known();
        if known.epoch == epoch { Ok(known.state.filter(|_| !known.is_doubted)) } else { Err(StoreError::Stale) }
    }

    /// Sets the state. If it differs, a new epoch begins, because cached profiles may be invalid.
    pub fn set(&self, state: State) {
        let mut known = self.known();
        if known.state.replace(state).is_some_and(|before| before != state) {
            known.epoch += 1;
        }
        known.is_doubted = false;
    }

    /// Marks the state as possibly outdated.
    pub fn doubt(&self) {
        self.known().is_doubted = true;
    }

    /// See [`super::Store::epoch`].
    pub fn epoch(&self) -> u32 {
        self.known().epoch
    }

    /// See [`super::Store::is_sealed`].
    pub fn is_sealed(&self, received_at: Timestamp) -> bool {
        self.known().state.is_some_and(|state| received_at.date_naive() < state.sealed_before)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_of_an_earlier_epoch_gets_stale() {
        let known = Shared::default();
        let state =
            |generation| State { generation, table: 1, started: Timestamp::UNIX_EPOCH, sealed_before: NaiveDate::MIN };
        assert_eq!(known.get_in(known.epoch()).unwrap(), None);
        known.set(state(1));
        assert_eq!(known.get_in(0).unwrap(), Some(state(1)), "nothing was known before");
        known.doubt();
        assert_eq!(known.get_in(0).unwrap(), None);
        known.set(state(1));
        assert_eq!(known.get_in(0).unwrap(), Some(state(1)));
        known.doubt();
        known.set(state(2));
        assert!(matches!(known.get_in(0), Err(StoreError::Stale)));
        assert_eq!(known.get_in(1).unwrap(), Some(state(2)));
    }
}
