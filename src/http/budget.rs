//! The memory for bodies of all requests together: what a stranger sends is counted until it is committed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::BodyError;

/// Bytes of bodies that may be read, inflated and queued at one time, of all requests together.
pub const TOTAL: usize = 64 * 1024 * 1024;
/// The unit in which they are counted.
const UNIT: usize = 1024;
/// The memory for bodies, shared by all requests.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL / UNIT)))
    }
}

/// What a request has taken of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// An empty share.
    ///
    /// # Errors
    /// The semaphore is closed, which never happens.
    pub fn share(&self) -> Result<Share, BodyError> {
        let permit = self.0.clone().try_acquire_many_owned(0).map_err(|_| BodyError::Budget)?;
        Ok(Share { budget: self.clone(), permit })
    }
}

impl Share {
    /// Makes the share cover `bytes` in all.
    ///
    /// # Errors
    /// The budget does not hold as much.
    pub fn cover(&mut self, bytes: usize) -> Result<(), BodyError> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.permit.num_permits());
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| BodyError::Budget)?;
            self.permit.merge(self.budget.0.clone().try_acquire_many_owned(missing).map_err(|_| BodyError::Budget)?);
        }
        Ok(())
    }

    /// Makes the share cover `bytes` and no more.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.permit.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.permit.split(surplus));
    }

    /// What is to be held until the row is committed.
    pub fn into_permit(self) -> OwnedSemaphorePermit {
        self.permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared() {
        let budget = Budget::default();
        let mut first = budget.share().unwrap();
        assert_eq!(first.cover(TOTAL), Ok(()));
        let mut second = budget.share().unwrap();
        assert_eq!(second.cover(1), Err(BodyError::Budget));
        first.shrink(TOTAL - UNIT);
        assert_eq!(second.cover(1), Ok(()));
        drop(first);
        assert_eq!(second.cover(TOTAL), Ok(()));
    }
}
