//! What every writer must know of a store before it writes: its row of `store_state`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

use super::StoreError;
use crate::domain::Timestamp;

/// What was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// Changes whenever something else here does, or profiles were removed.
    pub generation: i64,
    /// Which table this is: another one after a backup was put back.
    pub table: i64,
    /// When the server began to run: another server, or one that was put back to an earlier state, begins later.
    pub started: Timestamp,
    /// What arrived before this day is not stored.
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
    /// For a writer that rests on what was so in an epoch. None if it must be read, or read again.
    ///
    /// # Errors
    ///
    /// `Stale`: another one has begun.
    pub fn get_in(&self, epoch: u32) -> Result<Option<State>, StoreError> {
        let known = self.known();
        if known.epoch == epoch { Ok(known.state.filter(|_| !known.is_doubted)) } else { Err(StoreError::Stale) }
    }

    /// Takes note. If it was another one, a new epoch begins: what is remembered of profiles may not be so.
    pub fn set(&self, state: State) {
        let mut known = self.known();
        if known.state.replace(state).is_some_and(|before| before != state) {
            known.epoch += 1;
        }
        known.is_doubted = false;
    }

    /// It may not be so any longer.
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
    fn whoever_rests_on_an_earlier_epoch_learns_of_it() {
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
