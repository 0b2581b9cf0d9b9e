//! What this process has committed and not yet counted in `instances`, folded by installation.
//!
//! Memory only: the truth is in the table `uncounted`, and what is lost from here is counted by SQL
//! (docs/decisions/0015-instances-after-the-commit.md).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use crate::domain::{Timestamp, pingback::PingbackRow};

/// Nothing new for so long: what is there is counted, so that a small fleet never sees `instances` behind.
const CALM: Duration = Duration::from_secs(1);
/// Longest wait when there is always something new.
const LONGEST: Duration = Duration::from_secs(30);
/// So many installations are counted at once, for the sake of memory: about 150 bytes each.
const MANY: usize = 100_000;
/// More than a stroke can be behind: from here on SQL counts.
const TOO_MANY: usize = MANY + MANY / 4;
/// So many batches are remembered for SQL; others are found by their age.
const MOST_LEFT: usize = 100_000;

/// The open fold; a stroke takes it and leaves an empty one.
#[derive(Debug)]
pub(super) struct Tally<B> {
    open: Mutex<Folded<B>>,
    /// Something is there, or a lot.
    changed: Notify,
}

/// Batches, and what they come to.
#[derive(Debug)]
pub(super) struct Folded<B> {
    installations: HashMap<Box<str>, Pings>,
    /// Those that were folded.
    pub batches: Vec<B>,
    /// Those that only SQL can count: nobody knows which of their pings are new.
    pub left: Vec<B>,
    begun: Instant,
    latest: Instant,
}

/// The pings of one installation.
#[derive(Debug, PartialEq)]
pub(super) struct Pings {
    first: Timestamp,
    last: Timestamp,
    count: u32,
    /// Of the last moment.
    latest: Uuid,
    /// Others of the same moment: their texts decide, and those are in the database.
    tied: Vec<Uuid>,
}

/// What the SQL of a stroke is told: a ping, for how many it stands, and since when.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub id: Uuid,
    pub first: Timestamp,
    pub count: u32,
}

impl<B> Default for Tally<B> {
    fn default() -> Self {
        Self { open: Mutex::new(Folded::new()), changed: Notify::new() }
    }
}

impl<B: Copy> Tally<B> {
    /// Folds a batch whose pings are all new.
    pub fn fold(&self, batch: B, rows: &[&PingbackRow]) {
        let mut open = self.open();
        if open.installations.len() >= TOO_MANY {
            drop(open);
            return self.leave([batch]);
        }
        let was_empty = open.is_empty();
        for row in rows.iter().filter(|row| !row.instance_id.is_empty()) {
            open.add(row);
        }
        open.batches.push(batch);
        open.touch(was_empty);
        if was_empty || open.installations.len() >= MANY {
            self.changed.notify_one();
        }
    }

    /// Leaves batches to SQL.
    pub fn leave(&self, batches: impl IntoIterator<Item = B>) {
        let mut open = self.open();
        let was_empty = open.is_empty();
        let room = MOST_LEFT.saturating_sub(open.left.len());
        open.left.extend(batches.into_iter().take(room));
        open.touch(was_empty);
        self.changed.notify_one();
    }

    pub fn take(&self) -> Folded<B> {
        std::mem::replace(&mut *self.open(), Folded::new())
    }

    /// The oldest batch.
    pub fn oldest(&self) -> Option<B> {
        self.open().batches.first().copied()
    }

    /// Waits until it is time to count.
    pub async fn due(&self) {
        loop {
            let due = self.open().due();
            match due {
                Some(due) if due <= Instant::now() => return,
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Folded<B>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Folded<B> {
    fn new() -> Self {
        let now = Instant::now();
        Self { installations: HashMap::new(), batches: vec![], left: vec![], begun: now, latest: now }
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.left.is_empty()
    }

    fn touch(&mut self, was_empty: bool) {
        self.latest = Instant::now();
        if was_empty {
            self.begun = self.latest;
        }
    }

    fn due(&self) -> Option<Instant> {
        if self.is_empty() {
            None
        } else if self.installations.len() >= MANY {
            Some(self.begun)
        } else {
            Some((self.latest + CALM).min(self.begun + LONGEST))
        }
    }

    fn add(&mut self, row: &PingbackRow) {
        // The name is copied only when it is new.
        match self.installations.get_mut(row.instance_id.as_str()) {
            Some(pings) => pings.add(row),
            None => {
                self.installations.insert(row.instance_id.as_str().into(), Pings::of(row));
            }
        }
    }

    /// The installations in the order of their ids, in which all processes lock them.
    pub fn sorted(&mut self) -> Vec<(Box<str>, Pings)> {
        let mut sorted: Vec<_> = std::mem::take(&mut self.installations).into_iter().collect();
        sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        sorted
    }
}

impl Pings {
    fn of(row: &PingbackRow) -> Self {
        Self { first: row.received_at, last: row.received_at, count: 1, latest: row.id, tied: vec![] }
    }

    fn add(&mut self, row: &PingbackRow) {
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(row.received_at);
        if row.received_at > self.last {
            (self.last, self.latest) = (row.received_at, row.id);
            self.tied = vec![];
        } else if row.received_at == self.last {
            self.tied.push(row.id);
        }
    }

    /// The latest ping stands for all; the tied ones have a say in the description only.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let line = |id, count| Line { id, first: self.first, count };
        let tied = self.tied.iter().map(move |id| line(*id, 0));
        std::iter::once(line(self.latest, self.count)).chain(tied)
    }
}
