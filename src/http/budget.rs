//! The memory for bodies of all requests together: what a stranger sends is counted until it is committed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that statistics may hold at one time, and pingbacks: 64 MiB together. Apart, so that a few large reports that
/// never end do not shut out the small pings.
const STATISTICS: usize = 48 * 1024 * 1024;
const PINGBACKS: usize = 16 * 1024 * 1024;
/// The unit in which they are counted.
const UNIT: usize = 1024;

/// A body does not get what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Others hold too much at the moment.
    #[error("the budget for bodies is used up")]
    Now,
    /// It needs more than there is.
    #[error("more than the budget for bodies")]
    Ever,
}

/// The memory for bodies of one kind, shared by all requests.
#[derive(Debug, Clone)]
pub struct Budget {
    permits: Arc<Semaphore>,
    bytes: usize,
}

/// One for each kind of report.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Small bodies.
    pub pingbacks: Budget,
    /// Large ones.
    pub statistics: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { pingbacks: Budget::of(PINGBACKS), statistics: Budget::of(STATISTICS) }
    }
}

/// What a request has taken of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    /// None at first.
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    fn of(bytes: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(bytes / UNIT)), bytes }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// An empty share.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), permit: None }
    }
}

impl Share {
    /// Makes the share cover `bytes` in all.
    ///
    /// # Errors
    /// The budget does not hold as much.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.budget.bytes {
            return Err(Exhausted::Ever);
        }
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.units());
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| Exhausted::Ever)?;
            let more = self.budget.permits.clone().try_acquire_many_owned(missing).map_err(|_| Exhausted::Now)?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                None => self.permit = Some(more),
            }
        }
        Ok(())
    }

    /// Makes the share cover `bytes` and no more.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.units().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.permit.as_mut().and_then(|permit| permit.split(surplus)));
    }

    fn units(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// What is to be held until the row is committed.
    pub fn into_permit(self) -> Option<OwnedSemaphorePermit> {
        self.permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_shared() {
        let budget = Budget::of(10 * UNIT);
        let mut first = budget.share();
        assert_eq!(first.cover(10 * UNIT), Ok(()));
        let mut second = budget.share();
        assert_eq!(second.cover(1), Err(Exhausted::Now));
        first.shrink(9 * UNIT);
        assert_eq!(second.cover(1), Ok(()));
        drop(first);
        assert_eq!(second.cover(10 * UNIT), Ok(()));
        assert_eq!(second.cover(10 * UNIT + 1), Err(Exhausted::Ever));
    }
}
