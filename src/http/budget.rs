//! The memory for the bodies of all requests: bytes are counted from their arrival to their commit.
//!
//! If it runs short, bodies of the network that holds the most are dropped. So no client, and no set of clients of one network,
//! can take the memory that others need, and nobody is limited while there is room.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::network::Network;

/// Limit of statistics, in bytes, and of pingbacks: 64 MiB together. Separate, so that a few large reports that
/// never end do not block the small pings.
const STATISTICS: usize = 48 * 1024 * 1024;
const PINGBACKS: usize = 16 * 1024 * 1024;
/// Accounting unit in bytes: a body takes more memory than its bytes.
const UNIT: usize = 1024;

/// Why a body does not get the memory that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// No memory is available now, and no other network holds more.
    #[error("the budget for bodies is used up")]
    Now,
    /// It needs more than the whole budget.
    #[error("more than the budget for bodies")]
    Ever,
}

/// The memory for bodies of one kind, shared by all requests.
#[derive(Debug, Clone)]
pub struct Budget {
    held: Arc<Mutex<Held>>,
    bytes: usize,
}

/// One budget for each kind of report.
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

#[derive(Debug, Default)]
struct Held {
    units: usize,
    last: u64,
    networks: HashMap<Network, Holding>,
}

/// The shares of a network.
#[derive(Debug, Default)]
struct Holding {
    units: usize,
    /// Shares of bodies that are incomplete and can be dropped.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    units: usize,
    cut: CancellationToken,
}

/// The part of the budget that a request holds; released when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    network: Network,
    id: u64,
    units: usize,
    /// Whether it cannot be dropped any more.
    is_kept: bool,
    /// Cancelled if the body is to be dropped; `None` while nothing is held.
    cut: Option<CancellationToken>,
}

impl Budget {
    fn of(bytes: usize) -> Self {
        Self { held: Arc::default(), bytes }
    }

    /// Size of the budget in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// An empty share for a body from this network.
    #[must_use]
    pub fn share(&self, network: Network) -> Share {
        Share { budget: self.clone(), network, id: 0, units: 0, is_kept: false, cut: None }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic cannot leave a counter half-written.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Makes room for `units` of a network, by dropping the largest incomplete bodies of the networks that hold the most. Returns
    /// false and drops none if this network would hold the most itself, or too little could be released.
    fn make_room(&mut self, units: usize, network: Network, all: usize) -> bool {
        let own = self.networks.get(&network).map_or(0, |holding| holding.units) + units;
        let mut missing = (self.units + units).saturating_sub(all);
        if missing == 0 {
            return true;
        }
        let mut victims = Vec::new();
        // What each would still hold, and its incomplete bodies, the largest last.
        let others = self.networks.iter().filter(|(other, _)| **other != network).map(|(other, holding)| {
            let mut open: Vec<_> = holding.open.iter().map(|(id, open)| (open.units, *id)).collect();
            open.sort_unstable();
            (holding.units, *other, open)
        });
        let mut others: Vec<_> = others.collect();
        while missing > 0 {
            let most = others
                .iter_mut()
                .filter(|(_, _, open)| !open.is_empty())
                .max_by_key(|(held, other, _)| (*held, *other));
            let Some((held, other, open)) = most.filter(|(held, ..)| *held > own) else { return false };
            let Some((units, id)) = open.pop() else { return false };
            *held -= units;
            missing = missing.saturating_sub(units);
            victims.push((*other, id));
        }
        for (other, id) in victims {
            self.give_way(other, id);
        }
        true
    }

    fn give_way(&mut self, network: Network, id: u64) {
        let Some(holding) = self.networks.get_mut(&network) else { return };
        let Some(open) = holding.open.remove(&id) else { return };
        holding.units -= open.units;
        self.units -= open.units;
        open.cut.cancel();
        if holding.units == 0 {
            self.networks.remove(&network);
        }
    }
}

impl Share {
    /// Grows the share to `bytes`; if necessary, the largest incomplete body of the network that holds the most is dropped.
    ///
    /// # Errors
    /// The budget is too small, or this body was dropped.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.budget.bytes {
            return Err(Exhausted::Ever);
        }
        let more = bytes.div_ceil(UNIT).saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.budget.held();
        if self.is_cut() || !held.make_room(more, self.network, self.budget.bytes / UNIT) {
            return Err(Exhausted::Now);
        }
        if self.id == 0 {
            held.last += 1;
            self.id = held.last;
        }
        self.units += more;
        held.units += more;
        let holding = held.networks.entry(self.network).or_default();
        holding.units += more;
        let cut = self.cut.get_or_insert_default();
        if self.is_kept {
            return Ok(());
        }
        holding.open.entry(self.id).or_insert_with(|| Open { units: 0, cut: cut.clone() }).units = self.units;
        Ok(())
    }

    /// Shrinks the share to `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        self.give_back(self.units.saturating_sub(bytes.div_ceil(UNIT)));
    }

    /// Waits until this body is to be dropped; its memory is released then.
    pub async fn cut(&self) {
        match &self.cut {
            Some(cut) => cut.cancelled().await,
            None => pending().await,
        }
    }

    /// The body is complete and parsed: it cannot be dropped any more.
    ///
    /// # Errors
    /// It was dropped.
    pub fn keep(&mut self) -> Result<(), Exhausted> {
        self.is_kept = true;
        if self.cut.is_none() {
            return Ok(());
        }
        let mut held = self.budget.held();
        if self.is_cut() {
            return Err(Exhausted::Now);
        }
        if let Some(holding) = held.networks.get_mut(&self.network) {
            holding.open.remove(&self.id);
        }
        Ok(())
    }

    fn is_cut(&self) -> bool {
        self.cut.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    fn give_back(&mut self, units: usize) {
        if units == 0 {
            return;
        }
        let mut held = self.budget.held();
        self.units -= units;
        // The memory of a dropped body is released already.
        if self.is_cut() {
            return;
        }
        held.units -= units;
        if let Some(holding) = held.networks.get_mut(&self.network) {
            holding.units -= units;
            match holding.open.get_mut(&self.id) {
                Some(_) if self.units == 0 => drop(holding.open.remove(&self.id)),
                Some(open) => open.units = self.units,
                None => {}
            }
            if holding.units == 0 {
                held.networks.remove(&self.network);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Network {
        Network::of([192, 0, number, 1].into())
    }

    #[test]
    fn requests_share_a_budget() {
        let budget = Budget::of(10 * UNIT);
        let mut first = budget.share(network(1));
        assert_eq!(first.cover(10 * UNIT), Ok(()));
        let mut second = budget.share(network(1));
        assert_eq!(second.cover(1), Err(Exhausted::Now), "its own network holds most");
        first.shrink(9 * UNIT);
        assert_eq!(second.cover(1), Ok(()));
        drop(first);
        assert_eq!(second.cover(10 * UNIT), Ok(()));
        assert_eq!(second.cover(10 * UNIT + 1), Err(Exhausted::Ever));
    }

    #[test]
    fn the_largest_body_of_the_network_that_holds_most_is_dropped() {
        let budget = Budget::of(10 * UNIT);
        let mut hostile: Vec<_> = [2, 4, 3].map(|units| (budget.share(network(1)), units)).into();
        for (share, units) in &mut hostile {
            share.cover(*units * UNIT).unwrap();
        }
        let is_cut = |hostile: &[(Share, usize)]| hostile.iter().map(|(share, _)| share.is_cut()).collect::<Vec<_>>();
        let mut other = budget.share(network(2));
        other.cover(UNIT).unwrap();
        assert_eq!(is_cut(&hostile), [false, false, false], "there was room");
        let mut third = budget.share(network(3));
        third.cover(UNIT).unwrap();
        assert_eq!(is_cut(&hostile), [false, true, false], "the largest");
        assert_eq!(hostile[1].0.cover(5 * UNIT), Err(Exhausted::Now));
        // Complete bodies are not dropped, nor those of a network that holds less.
        hostile[0].0.keep().unwrap();
        hostile[2].0.keep().unwrap();
        assert_eq!(hostile[1].0.keep(), Err(Exhausted::Now));
        third.cover(4 * UNIT).unwrap();
        assert_eq!(third.cover(6 * UNIT), Err(Exhausted::Now));
        drop((hostile, other, third));
        assert_eq!(budget.held().units, 0);
        assert!(budget.held().networks.is_empty());
        // No body is dropped if that would not release enough.
        let mut shares = [(1, 3), (1, 3), (2, 4)].map(|(number, units)| (budget.share(network(number)), units));
        for (share, units) in &mut shares {
            share.cover(*units * UNIT).unwrap();
        }
        shares[2].0.keep().unwrap();
        assert_eq!(budget.share(network(3)).cover(5 * UNIT), Err(Exhausted::Now));
        assert!(shares.iter().all(|(share, _)| !share.is_cut()));
        drop(shares);
        // A network whose only body was dropped leaves no entry behind.
        let (mut large, mut small) = (budget.share(network(1)), budget.share(network(2)));
        large.cover(10 * UNIT).unwrap();
        small.cover(UNIT).unwrap();
        assert!(large.is_cut() && budget.held().networks.len() == 1);
        drop((large, small));
        assert_eq!(budget.held().units, 0);
        assert!(budget.held().networks.is_empty());
    }
}
