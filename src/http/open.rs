//! The register of open connections: who gives way at the cap, and whom a stop must reach.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::activity::Activity;

/// Between two vain searches for a connection that may give way.
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

/// The open connections, so that the longest idle can be found.
#[derive(Default)]
pub(super) struct Open(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    list: Vec<Weak<Activity>>,
    /// When a search last found that all have a request under way.
    all_busy: Option<Instant>,
}

impl Open {
    /// Takes a connection in; if there are too many, the one longest idle or at its header gives way (a real client is
    /// at its header for a moment only). False if all have a request under way.
    pub(super) fn add(&self, activity: &Arc<Activity>, max: usize) -> bool {
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A search looks at all of them: under a storm of connections it must not be made for each.
        if connections.all_busy.is_some_and(|moment| moment.elapsed() < SEARCH_PAUSE) {
            return false;
        }
        let Connections { list: open, all_busy } = &mut *connections;
        *all_busy = None;
        // Those that have ended are swept out only when the list is full, so that a sweep is paid for by many.
        if open.len() >= max {
            open.retain(|connection| connection.strong_count() > 0);
        }
        if open.len() >= max {
            let idle = open.iter().enumerate().filter_map(|(index, connection)| {
                let activity = connection.upgrade()?;
                Some((activity.dispensable()?, index, activity))
            });
            let Some((_, index, longest)) = idle.min_by_key(|(since, ..)| *since) else {
                *all_busy = Some(Instant::now());
                return false;
            };
            longest.give_way();
            open.swap_remove(index);
        }
        open.push(Arc::downgrade(activity));
        true
    }

    /// Asks all to leave.
    pub(super) fn leave(&self) {
        self.for_each(Activity::leave);
    }

    /// Asks all to leave, and waits for no half-sent header any more.
    pub(super) fn give_way(&self) {
        self.for_each(Activity::give_way);
    }

    fn for_each(&self, ask: fn(&Activity)) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.list.iter().filter_map(Weak::upgrade).for_each(|activity| ask(&activity));
    }
}
