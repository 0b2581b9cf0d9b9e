//! The digest: takes batches out of the outbox and feeds all that is derived from them, in one transaction. What follows from
//! what is decided in `domain::digest`; here is what must be read for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    StoreError,
    books::{Batch, Books, ENTRIES, Kind, StoredReport},
    neighbours::Neighbours,
};
use crate::domain::digest::{
    facts::Ping,
    pings::Step,
    usage::{self, Facility, Report},
};

/// A batch that could not be digested waits this long before it is looked at again, each time twice as long.
const PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(16);

/// Reports that are further apart are not read together, as all between them are read: milliseconds.
const APART: u128 = 600_000;

/// Which batches are digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those that this process has written a moment ago, and remembers.
    Own,
    /// Others that have been in the outbox for so long, the oldest first. Younger ones are left to who has written them, as those
    /// of an installation are best digested in their order.
    Others {
        /// By the clock of the database.
        age: Duration,
    },
}

impl Whose {
    /// All that are in the outbox.
    pub const OTHERS: Self = Self::Others { age: Duration::ZERO };
}

/// What one call has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digested {
    /// Batches that are digested now.
    pub batches: usize,
    /// Their rows.
    pub rows: usize,
    /// Whether there may be more, as it was as much as one call does.
    pub more: bool,
    /// Batches that are not wholly visible yet, and left for later.
    pub waiting: usize,
    /// Why a batch cannot be digested: a constraint, a limit of time, or a fault of ours. It is left for later.
    pub refused: Option<String>,
    /// Another process is at it.
    pub busy: bool,
    /// Whether others must be digested before this process's own next.
    pub behind: bool,
    /// Profiles that pings refer to and that are not there: none, unless somebody deletes rows by hand.
    pub dangling: usize,
}

/// Batches that have to wait, in the memory of one process.
#[derive(Debug)]
pub(super) struct Waiting<I> {
    batches: HashMap<I, Wait>,
    /// So many batches are to be taken one by one, as one of them cannot be digested.
    alone: usize,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Instant,
    pause: Duration,
}

impl<I> Default for Waiting<I> {
    fn default() -> Self {
        Self { batches: HashMap::new(), alone: 0 }
    }
}

impl<I: Copy + Eq + Hash> Waiting<I> {
    /// Those that are not to be looked at now.
    fn now(&mut self) -> Vec<I> {
        // Who has not come back is digested.
        self.batches.retain(|_, wait| wait.since.elapsed() < wait.pause + LONGEST_PAUSE);
        let waits = |(batch, wait): (&I, &Wait)| (wait.since.elapsed() < wait.pause).then_some(*batch);
        self.batches.iter().filter_map(waits).collect()
    }

    /// These are not to be looked at for a while.
    fn add(&mut self, batches: impl IntoIterator<Item = I>) {
        for batch in batches {
            let before = self.batches.get(&batch).map_or(PAUSE / 2, |wait| wait.pause);
            let pause = (before * 2).min(LONGEST_PAUSE);
            self.batches.insert(batch, Wait { since: Instant::now(), pause });
        }
    }

    /// After a step that took these: a batch that cannot be digested keeps no other from it.
    pub fn after(&mut self, taken: Vec<I>, result: Result<Digested, StoreError>) -> Result<Digested, StoreError> {
        match result {
            Err(error) if error.is_about_rows() && !taken.is_empty() => {
                let mut done = Digested { more: true, ..Digested::default() };
                if taken.len() > 1 {
                    self.alone = taken.len();
                } else {
                    self.add(taken);
                    done.refused = Some(error.to_string());
                }
                Ok(done)
            }
            result => result,
        }
    }
}

/// Digests batches that this process remembers.
pub(super) async fn own_step<B: Books>(
    books: &mut B,
    batches: Vec<(B::Id, Vec<Ping>)>,
    rows: usize,
) -> sqlx::Result<Digested> {
    let ids: Vec<_> = batches.iter().map(|(id, _)| *id).collect();
    let there: HashSet<_> = books.remove(&ids).await?.into_iter().collect();
    // Somebody else may have digested one.
    let pings: Vec<_> = batches.into_iter().filter(|(id, _)| there.contains(id)).flat_map(|(_, pings)| pings).collect();
    // Another batch would hardly have had room.
    let more = pings.len() > rows / 2;
    let mut done = Digested { batches: ids.len(), rows: pings.len(), more, ..Digested::default() };
    digest_pings(books, pings, &mut done).await?;
    Ok(done)
}

/// Digests the oldest batches but for those of `fresh`, together up to so many rows, or one batch. `taken` is told which, before
/// anything can go wrong.
pub(super) async fn step<B: Books>(
    books: &mut B,
    (rows, age): (usize, Duration),
    fresh: Vec<B::Id>,
    waiting: &mut Waiting<B::Id>,
    taken: &mut Vec<B::Id>,
) -> sqlx::Result<Digested> {
    let rows = if waiting.alone > 0 { 1 } else { rows };
    waiting.alone = waiting.alone.saturating_sub(1);
    let mut but = waiting.now();
    but.extend(fresh);
    let mut batches = books.batches(age, &but).await?;
    let all = batches.len();
    let mut sum = 0;
    let mut fits = |batch: &Batch<B::Id>| {
        // A report may hold very many facilities and channels.
        let few = if batch.kind == Kind::Statistics { rows / 4 } else { 0 };
        sum += batch.ids.len().max(few);
        sum <= rows
    };
    let count = batches.iter().take_while(|batch| fits(batch)).count().max(1);
    batches.truncate(count);
    taken.extend(batches.iter().map(|batch| batch.id));
    let (pings, reports): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| batch.kind == Kind::Pings);
    let mut visible = Visible { batches: vec![], waiting: vec![], rows: 0 };
    let ids = ids_of(&pings);
    let found = if ids.is_empty() { Vec::new() } else { books.pings(&ids).await? };
    let pings = visible.of(pings, found, |ping| ping.id);
    let ids = ids_of(&reports);
    let found = if ids.is_empty() { Vec::new() } else { books.reports(&ids).await? };
    let reports = visible.of(reports, found, |report| report.id);
    let mut done = Digested {
        batches: visible.batches.len(),
        rows: visible.rows,
        waiting: visible.waiting.len(),
        more: all > 1,
        ..Digested::default()
    };
    waiting.add(visible.waiting);
    // First, so that what is left in the outbox is what is not digested.
    books.remove(&visible.batches).await?;
    digest_pings(books, pings, &mut done).await?;
    digest_reports(books, reports).await?;
    Ok(done)
}

/// The batches of which all rows are visible: a distributed database may show a row of the outbox before others of its
/// transaction.
struct Visible<I> {
    batches: Vec<I>,
    /// The others.
    waiting: Vec<I>,
    rows: usize,
}

impl<I> Visible<I> {
    /// The rows of those of these batches that are wholly among what was found.
    fn of<T>(&mut self, batches: Vec<Batch<I>>, found: Vec<T>, id: impl Fn(&T) -> Uuid) -> Vec<T> {
        let mut found: HashMap<_, _> = found.into_iter().map(|row| (id(&row), row)).collect();
        let mut rows = Vec::with_capacity(found.len());
        for batch in batches {
            if batch.ids.iter().all(|id| found.contains_key(id)) {
                self.batches.push(batch.id);
                rows.extend(batch.ids.iter().filter_map(|id| found.remove(id)));
            } else {
                self.waiting.push(batch.id);
            }
        }
        self.rows += rows.len();
        rows
    }
}

fn ids_of<I>(batches: &[Batch<I>]) -> Vec<Uuid> {
    let mut ids: Vec<_> = batches.iter().flat_map(|batch| batch.ids.iter().copied()).collect();
    ids.sort_unstable();
    ids
}

async fn digest_pings<B: Books>(books: &mut B, mut pings: Vec<Ping>, done: &mut Digested) -> sqlx::Result<()> {
    let own: HashSet<_> = pings.iter().map(|ping| ping.id).collect();
    pings.retain(|ping| !ping.instance_id.is_empty());
    if pings.is_empty() {
        return Ok(());
    }
    let mut step = Step::new(pings);
    let usual: Vec<_> = step.usual().collect();
    let usual = if usual.is_empty() { Vec::new() } else { books.usual(&usual).await? };
    step.settle(&usual);
    let instances: Vec<_> = step.instances().collect();
    let known = if instances.is_empty() { HashMap::new() } else { books.known(&instances).await? };
    let late = step.late(&known);
    let others = if late.is_empty() { Vec::new() } else { Neighbours { books, own: &own }.find(&late).await? };
    let keys = step.profiles(&known, &others);
    let said = if keys.is_empty() { HashMap::new() } else { books.said(&keys).await? };
    done.dangling = keys.len() - said.len();
    let changes = step.digest(&known, others, &said);
    books.save(&changes).await
}

async fn digest_reports<B: Books>(books: &mut B, reports: Vec<StoredReport>) -> sqlx::Result<()> {
    if reports.is_empty() {
        return Ok(());
    }
    let senders: BTreeSet<_> = reports.iter().filter_map(|report| report.pingback).collect();
    let senders: Vec<_> = senders.into_iter().collect();
    let senders = if senders.is_empty() { Vec::new() } else { books.pings(&senders).await? };
    let keys: BTreeSet<_> = senders.iter().map(|ping| (ping.instance_id.clone(), ping.profile)).collect();
    let said = if keys.is_empty() { HashMap::new() } else { books.said(&keys).await? };
    let senders: HashMap<_, _> = senders.into_iter().map(|ping| (ping.id, ping)).collect();
    let reports: BTreeMap<_, _> = reports
        .into_iter()
        .map(|report| {
            let sender = report.pingback.and_then(|id| senders.get(&id));
            let said = sender.and_then(|ping| said.get(&(ping.instance_id.clone(), ping.profile)));
            let report = Report {
                id: report.id,
                received_at: report.received_at,
                instance_id: sender.map(|ping| ping.instance_id.to_string()).unwrap_or_default(),
                ordinary: said.is_none_or(|said| said.mode.is_empty()),
                country: sender.map(|ping| ping.country.clone()).unwrap_or_default(),
            };
            (report.id, report)
        })
        .collect();
    let ids: Vec<_> = reports.keys().copied().collect();
    for near in ids.chunk_by(|a, b| (b.as_u128() >> 80) - (a.as_u128() >> 80) <= APART) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
        let mut after = Some((*first, -1));
        while let Some(place) = after {
            let entries = books.facility_entries(place, *last).await?;
            after = full(&entries).map(|last| (last.report, last.position));
            save_facilities(books, usage::facilities(&reports, entries)).await?;
        }
        let mut after = Some((*first, -1));
        while let Some(place) = after {
            let entries = books.channel_entries(place, *last).await?;
            after = full(&entries).map(|last| (last.report, last.position));
            let channels: Vec<_> = usage::channels(&reports, entries).into_values().collect();
            if !channels.is_empty() {
                books.save_channels(&channels).await?;
            }
        }
    }
    Ok(())
}

/// The last of them, if there may be more.
fn full<T>(entries: &[T]) -> Option<&T> {
    entries.last().filter(|_| entries.len() == usize::from(ENTRIES))
}

async fn save_facilities<B: Books>(books: &mut B, mut facilities: BTreeMap<String, Facility>) -> sqlx::Result<()> {
    if facilities.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = facilities.keys().map(String::as_str).collect();
    for known in books.facilities(&names).await? {
        if let Some(facility) = facilities.remove(&known.facility_id) {
            facilities.insert(known.facility_id.clone(), known.merge(facility));
        }
    }
    books.save_facilities(&facilities.into_values().collect::<Vec<_>>()).await
}
