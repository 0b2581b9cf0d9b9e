//! What this process has committed and not yet counted in `instances`, folded by installation.
//!
//! Memory only: the truth is in the table `uncounted`, and what is lost from here is counted by SQL
//! (docs/decisions/0015-instances-after-the-commit.md).

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::BTreeMap,
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
/// So many installations are counted at once, for the sake of memory: about 100 bytes each.
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
    /// In the order of their ids, in which all processes lock them.
    pub installations: BTreeMap<Installation, Pings>,
    /// Those that were folded.
    pub batches: Vec<B>,
    /// Those that only SQL can count: nobody knows which of their pings are new.
    pub left: Vec<B>,
    begun: Instant,
    latest: Instant,
}

/// Its id, with the order of texts; as Kolibri sends it, 32 hexadecimal digits, it takes half the room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Installation {
    Hex(Uuid),
    Text(Box<str>),
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
    tied: Option<Box<[Uuid]>>,
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
        Self { installations: BTreeMap::new(), batches: vec![], left: vec![], begun: now, latest: now }
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
        let installation = Installation::of(&row.instance_id);
        self.installations.entry(installation).and_modify(|pings| pings.add(row)).or_insert_with(|| Pings::of(row));
    }

    /// Takes the next installations, and gives their memory back.
    pub fn slice(&mut self, size: usize) -> Vec<(Installation, Pings)> {
        std::iter::from_fn(|| self.installations.pop_first()).take(size).collect()
    }
}

impl Installation {
    fn of(id: &str) -> Self {
        let hex = Uuid::try_parse(id).ok().filter(|hex| hex.simple().encode_lower(&mut [0; 32]) == id);
        hex.map_or_else(|| Self::Text(id.into()), Self::Hex)
    }

    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Hex(hex) => hex.simple().to_string().into(),
            Self::Text(text) => (&**text).into(),
        }
    }
}

impl Ord for Installation {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Hex(one), Self::Hex(other)) => one.cmp(other),
            _ => self.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for Installation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Pings {
    fn of(row: &PingbackRow) -> Self {
        Self { first: row.received_at, last: row.received_at, count: 1, latest: row.id, tied: None }
    }

    fn add(&mut self, row: &PingbackRow) {
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(row.received_at);
        if row.received_at > self.last {
            (self.last, self.latest) = (row.received_at, row.id);
            self.tied = None;
        } else if row.received_at == self.last {
            let tied = self.tied.take().unwrap_or_default();
            self.tied = Some(tied.into_iter().chain([row.id]).collect());
        }
    }

    /// The latest ping stands for all; the tied ones have a say in the description only.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let line = |id, count| Line { id, first: self.first, count };
        let tied = self.tied.iter().flatten().map(move |id| line(*id, 0));
        std::iter::once(line(self.latest, self.count)).chain(tied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        new_id,
        pingback::{Arrival, Pingback},
        privacy::Privacy,
    };

    fn row(instance: &str, second: i64, random: u128) -> PingbackRow {
        let received_at = Timestamp::from_timestamp(second, 0).unwrap();
        let arrival = Arrival { id: new_id(received_at, random), received_at, address: "192.0.2.1".parse().unwrap() };
        let body = format!(r#"{{"instance_id": "{instance}"}}"#);
        Pingback::read(&body).unwrap().into_row(arrival, &Privacy::None)
    }

    fn lines(tally: &Tally<u8>) -> Vec<(String, Vec<Line>)> {
        let sorted = tally.take().slice(usize::MAX);
        sorted.into_iter().map(|(instance, pings)| (instance.text().into(), pings.lines().collect())).collect()
    }

    #[test]
    fn pings_fold_in_any_order() {
        let rows = [row("b", 2, 0), row("a", 1, 0), row("a", 3, 0), row("a", 2, 0), row("", 9, 0)];
        let tally = Tally::default();
        tally.fold(1, &rows.iter().collect::<Vec<_>>());
        let line = |row: &PingbackRow, first: &PingbackRow, count| Line { id: row.id, first: first.received_at, count };
        let expected =
            [("a".into(), vec![line(&rows[2], &rows[1], 3)]), ("b".into(), vec![line(&rows[0], &rows[0], 1)])];
        assert_eq!(lines(&tally), expected);
        assert!(lines(&tally).is_empty() && tally.take().batches.is_empty());
        for row in rows.iter().rev() {
            tally.fold(1, &[row]);
        }
        assert_eq!(lines(&tally), expected);
    }

    #[test]
    fn whatever_is_of_the_last_moment_has_a_say() {
        let rows = [row("a", 1, 1), row("a", 2, 2 << 64), row("a", 2, 3 << 64), row("a", 1, 4 << 64)];
        let tally = Tally::default();
        tally.fold(1, &rows.iter().collect::<Vec<_>>());
        let counts: Vec<_> = lines(&tally).remove(0).1.into_iter().map(|line| (line.id, line.count)).collect();
        assert_eq!(counts, [(rows[1].id, 4), (rows[2].id, 0)]);
    }

    #[test]
    fn installations_are_in_the_order_of_their_texts() {
        let hex = "0123456789abcdef0123456789abcdef";
        let upper = hex.to_uppercase();
        let hyphens = "01234567-89ab-cdef-0123-456789abcdef";
        let mut texts = ["a", hex, &upper, hyphens, &hex[..31], "é", "f", &"f".repeat(32), "01234567", "Z"];
        let mut installations = texts.map(Installation::of);
        texts.sort_unstable();
        installations.sort_unstable();
        assert_eq!(installations.each_ref().map(|installation| installation.text().into_owned()), texts);
        let in_short = installations.iter().filter(|installation| matches!(installation, Installation::Hex(_)));
        assert_eq!(in_short.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stroke_is_due_when_it_is_calm() {
        let (tally, row) = (Tally::default(), row("a", 1, 1));
        let begun = Instant::now();
        tokio::join!(tally.due(), async { tally.fold(1, &[&row]) });
        assert_eq!(begun.elapsed().as_secs(), CALM.as_secs());
        tally.take();
        tally.leave([2]);
        tally.due().await;
        assert_eq!(begun.elapsed().as_secs(), 2 * CALM.as_secs(), "what is left to SQL counts as well");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stroke_is_due_though_it_is_never_calm() {
        let (tally, row) = (Tally::default(), row("a", 1, 1));
        let begun = Instant::now();
        tokio::select! {
            () = tally.due() => {}
            () = async {
                loop {
                    tally.fold(1, &[&row]);
                    tokio::time::sleep(CALM / 2).await;
                }
            } => {}
        }
        assert_eq!(begun.elapsed().as_secs(), LONGEST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let tally = Tally::default();
        let rows: Vec<_> = (0..TOO_MANY).map(|number| row(&number.to_string(), 1, 1)).collect();
        tally.fold(1, &rows.iter().collect::<Vec<_>>());
        let begun = Instant::now();
        tally.due().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "at once");
        tally.fold(2, &[&row("one more", 1, 1)]);
        let folded = tally.take();
        assert_eq!((folded.batches, folded.left, folded.installations.len()), (vec![1], vec![2], TOO_MANY));
    }
}
