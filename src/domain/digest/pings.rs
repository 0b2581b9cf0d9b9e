//! From pings to installations: first and last ping, changes of version, times between, and the periods to be counted again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter,
    sync::Arc,
};

use chrono::{Months, TimeDelta};
use uuid::Uuid;

use super::facts::{Before, Changed, Changes, Gap, Key, Known, Ping, Said, Usual, VersionChange};
use crate::domain::{
    Timestamp,
    period::{Grain, Period, month_of},
};

/// Times between two pings are told apart by these bounds, in hours.
const GAPS: [i32; 7] = [0, 1, 12, 36, 7 * 24, 30 * 24, 90 * 24];

/// Pings that are digested together, those of an installation beside each other.
#[derive(Debug, Default)]
pub struct Step {
    pings: Vec<Ping>,
    changes: Changes,
}

/// Late pings of an installation: others of its pings were digested before that are not earlier. Needed around them are those
/// digested before: all from `from` to `to`, and one more on each side where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Late {
    /// The earliest of the late ones.
    pub from: Timestamp,
    /// The latest of the late ones.
    pub to: Timestamp,
    /// The first of those digested before, if it is before `from`: none of them is earlier.
    pub first: Option<Timestamp>,
    /// What there is after `to`.
    pub after: After,
}

/// See [`Late::after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    None,
    /// Something, at this moment at the latest.
    Until(Timestamp),
    /// All that was digested before, from this moment on.
    First(Timestamp),
}

impl Step {
    /// Of pings of installations, each once; those without an installation must be left out.
    #[must_use]
    pub fn new(mut pings: Vec<Ping>) -> Self {
        pings.sort_unstable_by(|a, b| a.instance_id.cmp(&b.instance_id).then_with(|| a.order().cmp(&b.order())));
        let mut changes = Changes::default();
        for ping in &pings {
            changes.periods.extend(Grain::ALL.map(|grain| grain.of(ping.received_at)));
        }
        Self { pings, changes }
    }

    /// The installations, sorted.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.groups().map(|pings| &*pings[0].instance_id)
    }

    fn groups(&self) -> impl Iterator<Item = &[Ping]> {
        self.pings.chunk_by(|a, b| a.instance_id == b.instance_id)
    }

    /// What may be usual, sorted by installation: if the installation is known with this profile, and was last seen before the
    /// first of these pings, then only its latest ping is another one.
    pub fn usual(&self) -> impl Iterator<Item = Usual<'_>> {
        self.groups().filter_map(|pings| {
            let (first, last) = (pings.first()?, pings.last()?);
            pings.iter().all(|ping| ping.profile == first.profile).then(|| Usual {
                instance_id: &last.instance_id,
                profile: last.profile,
                from: first.received_at,
                last,
                pings: count(pings),
            })
        })
    }

    /// Digests those that were usual indeed; the others are left.
    pub fn settle(&mut self, settled: &[Before]) {
        let settled: HashMap<&str, &Before> =
            settled.iter().map(|before| (before.instance_id.as_str(), before)).collect();
        let changes = &mut self.changes;
        self.pings.retain({
            // Of the ping before this one.
            let mut last = None;
            move |ping| {
                let Some(before) = settled.get(&*ping.instance_id) else { return true };
                let from = match &last {
                    Some((instance, at)) if *instance == ping.instance_id => *at,
                    _ => before.last_seen,
                };
                *changes.gaps.entry(gap(from, ping.received_at, before.ordinary)).or_default() += 1;
                last = Some((ping.instance_id.clone(), ping.received_at));
                false
            }
        });
    }

    /// The installations with pings that do not come after all of theirs that were digested before.
    #[must_use]
    pub fn late(&self, known: &HashMap<String, Known>) -> BTreeMap<&str, Late> {
        let late = |pings: &[Ping]| {
            let (first, last) = (pings.first()?, pings.last()?);
            let known = known.get(&*first.instance_id)?;
            let (from, to) = (first.received_at, last.received_at);
            let after = if to < known.first_seen {
                After::First(known.first_seen)
            } else if to < known.last_seen {
                After::Until(known.last_seen)
            } else {
                After::None
            };
            let first = Some(known.first_seen).filter(|first| *first < from);
            (from <= known.last_seen).then_some(Late { from, to, first, after })
        };
        self.groups().filter_map(|pings| Some((&*pings[0].instance_id, late(pings)?))).collect()
    }

    /// The profiles that must be known besides those of `known`.
    #[must_use]
    pub fn profiles(&self, known: &HashMap<String, Known>, others: &[Ping]) -> BTreeSet<Key> {
        let late = self.late(known);
        let own = self.pings.iter().filter(|ping| {
            late.contains_key(&*ping.instance_id)
                || known.get(&*ping.instance_id).is_none_or(|known| known.profile != ping.profile)
        });
        let mut keys: BTreeSet<_> = own.chain(others).map(|ping| (ping.instance_id.clone(), ping.profile)).collect();
        // Rows that are there already are written anew.
        let mut rewritten = self.groups().filter_map(|pings| {
            let instance = &pings[0].instance_id;
            Some((instance.clone(), known.get(&**instance)?.profile))
        });
        keys.extend(&mut rewritten);
        keys
    }

    /// Digests what is left: `others` are the pings digested before that [`Self::late`] asks for, `said` tells of
    /// [`Self::profiles`].
    #[must_use]
    pub fn digest(self, known: &HashMap<String, Known>, others: Vec<Ping>, said: &HashMap<Key, Said>) -> Changes {
        let mut around: HashMap<Arc<str>, Vec<Ping>> = HashMap::new();
        for ping in others {
            around.entry(ping.instance_id.clone()).or_default().push(ping);
        }
        let mut changes = self.changes;
        for pings in self.pings.chunk_by(|a, b| a.instance_id == b.instance_id) {
            let instance = pings[0].instance_id.clone();
            let others = around.remove(&instance).unwrap_or_default();
            let one = One { known: known.get(&*instance), said, instance };
            one.digest(pings, others, &mut changes);
        }
        changes.gaps.retain(|_, count| *count != 0);
        changes
    }
}

/// One installation.
struct One<'a> {
    instance: Arc<str>,
    known: Option<&'a Known>,
    said: &'a HashMap<Key, Said>,
}

/// A ping with what it said.
#[derive(Clone, Copy)]
struct Link<'a> {
    ping: &'a Ping,
    version: &'a str,
    ordinary: bool,
}

/// The ping before another one.
#[derive(Clone, Copy, PartialEq)]
struct Previous<'a> {
    at: Timestamp,
    version: &'a str,
}

/// Two pings in a row, the later one by its id.
type Pairs<'a> = BTreeMap<Uuid, (Previous<'a>, Link<'a>)>;

impl One<'_> {
    /// `pings` are new, `others` those around them that are not; all of this installation.
    fn digest(self, pings: &[Ping], mut others: Vec<Ping>, changes: &mut Changes) {
        let (Some(earliest), Some(last)) = (pings.first(), pings.last()) else { return };
        let links = pings.iter().map(|ping| self.link(ping));
        let count = count(pings);
        let Some(known) = self.known else {
            self.replace(Pairs::new(), pairs(None, links), changes);
            let first = self.link(earliest);
            let known = Known {
                first_seen: earliest.received_at,
                first_version: first.version.to_owned(),
                first_ordinary: first.ordinary,
                ..self.latest(last)
            };
            return self.change(known, count, changes);
        };
        if known.last_seen < earliest.received_at {
            let latest = Previous { at: known.last_seen, version: &known.kolibri_version };
            self.replace(Pairs::new(), pairs(Some(latest), links), changes);
            let known = known.clone().with_latest(self.latest(last));
            return self.change(known, count, changes);
        }
        others.sort_by_key(Ping::order);
        let old: Vec<_> = others.iter().map(|ping| self.link(ping)).collect();
        let mut all: Vec<_> = old.iter().copied().chain(links).collect();
        all.sort_by_key(|link| link.ping.order());
        let mut new = pairs(None, all.iter().copied());
        // With the pings of months that are gone went the one before: what follows from it and the next one stays.
        if let Some(first) = old.first()
            && known.first_seen < earliest.received_at
            && earliest.received_at <= first.ping.received_at
        {
            new.remove(&first.ping.id);
        }
        self.replace(pairs(None, old.into_iter()), new, changes);
        let mut now = known.clone();
        // Of one moment are all there: from the first new ping to the last.
        if let Some(last) = all.last().filter(|_| last.received_at >= known.last_seen) {
            now = now.with_latest(self.latest(last.ping));
        }
        if let Some(first) = all.first().filter(|_| earliest.received_at <= known.first_seen) {
            now.first_seen = first.ping.received_at;
            first.version.clone_into(&mut now.first_version);
            now.first_ordinary = first.ordinary;
            changes.periods.extend(of_another_first(known.first_seen, &now));
        }
        self.change(now, count, changes);
    }

    fn change(self, known: Known, pings: i64, changes: &mut Changes) {
        let key = (self.instance, known.profile);
        let said = self.said.get(&key).cloned().unwrap_or_default();
        changes.changed.push(Changed { instance_id: key.0, known, pings, said });
    }

    /// What is known by the latest ping.
    fn latest(&self, ping: &Ping) -> Known {
        let link = self.link(ping);
        Known {
            first_seen: ping.received_at,
            first_version: String::new(),
            first_ordinary: false,
            last_seen: ping.received_at,
            profile: ping.profile,
            kolibri_version: link.version.to_owned(),
            ordinary: link.ordinary,
            country: ping.country.clone(),
            subdivision: ping.subdivision.clone(),
        }
    }

    fn link<'a>(&'a self, ping: &'a Ping) -> Link<'a> {
        if let Some(known) = self.known.filter(|known| known.profile == ping.profile) {
            return Link { ping, version: &known.kolibri_version, ordinary: known.ordinary };
        }
        let said = self.said.get(&(self.instance.clone(), ping.profile));
        let (version, mode) = said.map_or(("", ""), |said| (&said.kolibri_version, &said.mode));
        Link { ping, version, ordinary: mode.is_empty() }
    }

    /// Takes away what follows from the old pairs, and adds what follows from the new ones.
    fn replace(&self, mut old: Pairs<'_>, new: Pairs<'_>, changes: &mut Changes) {
        for (id, (before, link)) in new {
            match old.remove(&id) {
                Some((same, _)) if same == before => {}
                other => {
                    if let Some((before, link)) = other {
                        self.take(before, link, changes);
                    }
                    self.add(before, link, changes);
                }
            }
        }
        for (before, link) in old.into_values() {
            self.take(before, link, changes);
        }
    }

    fn add(&self, before: Previous<'_>, link: Link<'_>, changes: &mut Changes) {
        *changes.gaps.entry(gap(before.at, link.ping.received_at, link.ordinary)).or_default() += 1;
        if before.version != link.version {
            changes.versions.push(VersionChange {
                instance_id: self.instance.clone(),
                id: link.ping.id,
                changed_at: link.ping.received_at,
                from_version: before.version.to_owned(),
                to_version: link.version.to_owned(),
                ordinary: link.ordinary,
            });
        }
    }

    fn take(&self, before: Previous<'_>, link: Link<'_>, changes: &mut Changes) {
        *changes.gaps.entry(gap(before.at, link.ping.received_at, link.ordinary)).or_default() -= 1;
        if before.version != link.version {
            changes.no_versions.push((self.instance.clone(), link.ping.id));
        }
    }
}

impl Known {
    fn with_latest(self, latest: Self) -> Self {
        let Self { first_seen, first_version, first_ordinary, .. } = self;
        Self { first_seen, first_version, first_ordinary, ..latest }
    }
}

fn pairs<'a>(before: Option<Previous<'a>>, links: impl Iterator<Item = Link<'a>>) -> Pairs<'a> {
    let mut before = before;
    let mut pairs = Pairs::new();
    for link in links {
        let this = Previous { at: link.ping.received_at, version: link.version };
        if let Some(before) = before.replace(this) {
            pairs.insert(link.ping.id, (before, link));
        }
    }
    pairs
}

fn gap(from: Timestamp, to: Timestamp, ordinary: bool) -> Gap {
    let is_reached = |bound: &&i32| to - from >= TimeDelta::hours(i64::from(**bound));
    (to.date_naive(), ordinary, *GAPS.iter().rev().find(is_reached).unwrap_or(&0))
}

fn count(pings: &[Ping]) -> i64 {
    i64::try_from(pings.len()).unwrap_or(i64::MAX)
}

/// The periods in which an installation was new or counted by the month of its first ping, before an earlier one came.
fn of_another_first(was: Timestamp, now: &Known) -> impl Iterator<Item = Period> {
    let month = |moment: Timestamp| month_of(moment.date_naive());
    let (first, last) = (month(was), month(now.last_seen));
    let is_another_month = month(now.first_seen) != first;
    let months = iter::successors(Some(first), |month| Some(*month + Months::new(1)));
    let months = months.take_while(move |month| is_another_month && *month <= last);
    let months = months.map(|begins| Period { grain: Grain::Month, begins });
    Grain::ALL.into_iter().map(move |grain| grain.of(was)).chain(months)
}

#[cfg(test)]
mod tests;
