//! The open connections: which of them are closed at the limit, and which a shutdown must reach.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{activity::Activity, network::Network};

/// Pause after a search for a connection to close found none.
const SEARCH_PAUSE: Duration = Duration::from_millis(10);
/// How long to wait for a connection that is being closed.
const CLOSING: Duration = Duration::from_millis(100);
/// A search inspects all connections, so it closes one for each this many of them.
const OF_ALL: usize = 256;

/// The open connections, at most as many as the limit.
pub(super) struct Open {
    places: Arc<Semaphore>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    list: Vec<(Network, Weak<Activity>)>,
    /// When a search last found no connection to close.
    in_vain: Option<Instant>,
}

impl Open {
    /// With this limit.
    pub(super) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), connections: Mutex::default() }
    }

    /// Returns a permit for a connection from this network, held until it is closed. At the limit, a connection of the network
    /// with the most is closed: one that is idle or in its header, otherwise one whose client is to send or to read
    /// something, the longest first. `None` if no connection can be closed.
    pub(super) async fn admit(&self, network: Network) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Some(place);
        }
        if !self.displace(network) {
            return None;
        }
        timeout(CLOSING, self.places.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Adds a connection that was admitted.
    pub(super) fn add(&self, network: Network, activity: &Arc<Activity>) {
        let mut connections = self.connections();
        let list = &mut connections.list;
        // Closed connections are removed only when the list would grow, so that the cost is shared by many.
        if list.len() == list.capacity() {
            list.retain(|(_, connection)| connection.strong_count() > 0);
        }
        list.push((network, Arc::downgrade(activity)));
    }

    fn displace(&self, network: Network) -> bool {
        let mut connections = self.connections();
        // When many clients connect at once, not each of them may start a search.
        if connections.in_vain.is_some_and(|moment| moment.elapsed() < SEARCH_PAUSE) {
            return false;
        }
        let list = &mut connections.list;
        list.retain(|(_, connection)| connection.strong_count() > 0);
        let mut counts = HashMap::<_, usize>::new();
        for (network, _) in &*list {
            *counts.entry(*network).or_default() += 1;
        }
        // Connections are not closed for a network that has more.
        let least = counts.get(&network).map_or(1, |count| count + 1);
        let mut found: Vec<_> = list
            .iter()
            .enumerate()
            .filter_map(|(index, (of, connection))| {
                let count = counts.get(of).copied().unwrap_or_default() + usize::from(*of == network);
                let (wait, since) = connection.upgrade().filter(|_| count >= least)?.dispensable()?;
                Some((Reverse(count), wait, since, index))
            })
            .collect();
        if found.is_empty() {
            connections.in_vain = Some(Instant::now());
            return false;
        }
        let most = (list.len() / OF_ALL).clamp(1, found.len());
        found.select_nth_unstable(most - 1);
        found.truncate(most);
        found.sort_unstable_by_key(|(.., index)| Reverse(*index));
        for (.., index) in found {
            if let Some(connection) = list.swap_remove(index).1.upgrade() {
                connection.displace();
            }
        }
        true
    }

    /// Asks all connections to close.
    pub(super) fn leave(&self) {
        self.for_each(Activity::leave);
    }

    /// Asks all connections to close, also those with an incomplete header.
    pub(super) fn give_way(&self) {
        self.for_each(Activity::give_way);
    }

    fn for_each(&self, ask: fn(&Activity)) {
        let connections = self.connections();
        connections.list.iter().filter_map(|(_, connection)| connection.upgrade()).for_each(|activity| ask(&activity));
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
