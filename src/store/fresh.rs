//! Pings that this process has just committed, cached for the digest, so that it need not read them again.
//!
//! Only a cache: the outbox defines what is to be digested, and what is missing here is read from the database.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    StoreError,
    digest::{Digested, Whose},
};
use crate::domain::{digest::facts::Ping, pingback};

/// Capacity in pings, of some 150 bytes each.
const MOST: usize = 50_000;
/// From this number on, they are digested at once.
const MANY: usize = 10_000;

/// Batches in the order of their commits.
#[derive(Debug)]
pub(super) struct Fresh<I> {
    inner: Mutex<Inner<I>>,
    many: Notify,
}

#[derive(Debug)]
struct Inner<I> {
    batches: VecDeque<(I, Vec<Ping>)>,
    pings: usize,
    /// The capacity was exceeded, so later pings must be read from the database. Until that is done nothing is cached, because it
    /// would be digested before them.
    is_behind: bool,
}

impl<I> Default for Fresh<I> {
    fn default() -> Self {
        let inner = Inner { batches: VecDeque::new(), pings: 0, is_behind: false };
        Self { inner: Mutex::new(inner), many: Notify::new() }
    }
}

impl<I> Fresh<I> {
    /// Adds a committed batch, with all its pings.
    pub fn add(&self, batch: I, pings: &[&pingback::Ping]) {
        let pings: Vec<_> = pings.iter().map(|ping| of(ping)).collect();
        let mut inner = self.inner();
        inner.is_behind |= inner.pings + pings.len() > MOST;
        if inner.is_behind {
            return;
        }
        inner.pings += pings.len();
        inner.batches.push_back((batch, pings));
        if inner.pings >= MANY {
            self.many.notify_one();
        }
    }

    /// Waits until there are many pings.
    pub async fn many(&self) {
        self.many.notified().await;
    }

    /// Whether pings must be read from the database before any are cached again.
    pub fn is_behind(&self) -> bool {
        self.inner().is_behind
    }

    /// There are pings to digest that are not cached.
    pub fn fall_behind(&self) {
        self.inner().is_behind = true;
        self.many.notify_one();
    }

    /// Whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.inner().batches.is_empty()
    }

    /// To be called after a step of the digest: batches that it took and did not digest must be read from the database; when all
    /// others are digested, none must.
    ///
    /// # Errors
    ///
    /// Those of the step, except errors of rows: the faulty batch is found when they are read from the database.
    pub fn after(&self, whose: Whose, result: Result<Digested, StoreError>) -> Result<Digested, StoreError> {
        if whose == Whose::Own && result.is_err() {
            self.inner().is_behind = true;
        }
        let done = match result {
            Err(error) if whose == Whose::Own && error.is_about_rows() => Digested::default(),
            result => result?,
        };
        if whose == Whose::OTHERS && !done.more && !done.busy {
            self.inner().is_behind = false;
        }
        Ok(Digested { behind: self.is_behind(), ..done })
    }

    /// The cached batches.
    pub fn batches(&self) -> Vec<I>
    where
        I: Copy,
    {
        self.inner().batches.iter().map(|(batch, _)| *batch).collect()
    }

    /// Takes the oldest batches, with at most this number of rows together, or one batch.
    pub fn take(&self, rows: usize) -> Vec<(I, Vec<Ping>)> {
        let mut inner = self.inner();
        let mut sum = 0;
        let fits = |(_, pings): &&(I, Vec<Ping>)| {
            sum += pings.len();
            sum <= rows
        };
        let count = inner.batches.iter().take_while(fits).count().max(1).min(inner.batches.len());
        let taken: Vec<_> = inner.batches.drain(..count).collect();
        inner.pings -= taken.iter().map(|(_, pings)| pings.len()).sum::<usize>();
        taken
    }

    fn inner(&self) -> MutexGuard<'_, Inner<I>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of(ping: &pingback::Ping) -> Ping {
    Ping {
        id: ping.id,
        received_at: ping.received_at,
        instance_id: ping.instance_id.clone(),
        profile: ping.profile,
        country: ping.country.clone(),
        subdivision: ping.subdivision.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Timestamp,
        pingback::{Arrival, Pingback},
        place::Place,
        privacy::Privacy,
    };

    #[test]
    fn the_cache_is_bounded() {
        let arrival = Arrival {
            id: uuid::Uuid::nil(),
            received_at: Timestamp::UNIX_EPOCH,
            address: std::net::IpAddr::from([192, 0, 2, 1]),
            place: Place::default(),
        };
        let (ping, _) = Pingback::read("{}").unwrap().into_rows(arrival, &Privacy::None);
        let fresh = Fresh::default();
        for batch in 0..MOST / 500 + 10 {
            fresh.add(batch, &vec![&ping; 500]);
        }
        let taken: Vec<_> = std::iter::from_fn(|| Some(fresh.take(1_200)).filter(|taken| !taken.is_empty())).collect();
        assert!(taken.iter().all(|taken| taken.len() <= 2));
        let batches: Vec<_> = taken.into_iter().flatten().map(|(batch, _)| batch).collect();
        assert_eq!(batches, (0..MOST / 500).collect::<Vec<_>>(), "the oldest first");
        fresh.add(7, &[&ping]);
        assert!(fresh.is_behind() && fresh.batches().is_empty(), "pings that are later than a dropped one are dropped");
        fresh.after(Whose::OTHERS, Ok(Digested::default())).unwrap();
        fresh.add(7, &vec![&ping; 1_201]);
        assert_eq!((fresh.is_behind(), fresh.batches()), (false, vec![7]));
        assert_eq!(fresh.take(1_200).len(), 1, "at least one");
    }
}
