//! Finds the neighbours of late pings in `pings`.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use uuid::Uuid;

use super::books::Books;
use crate::domain::{
    Timestamp,
    digest::{
        facts::Ping,
        pings::{After, Late},
    },
    new_id,
};

/// The search around late pings widens in these steps, since most neighbours are near; the last step has no limit.
const REACHES: [TimeDelta; 6] = [
    TimeDelta::minutes(1),
    TimeDelta::hours(1),
    TimeDelta::days(1),
    TimeDelta::days(30),
    TimeDelta::days(400),
    TimeDelta::days(1_000_000),
];
/// Late pings of installations that are further apart than this are searched separately.
const APART: TimeDelta = TimeDelta::days(1);

/// Finds the pings around late ones, among those that were digested before.
pub(super) struct Neighbours<'a, B> {
    pub books: &'a mut B,
    /// The pings that are digested now.
    pub own: &'a HashSet<Uuid>,
}

/// What is missing for one installation: one more ping on a side, and how far away it may be.
struct Wanted {
    before: Option<Timestamp>,
    after: Option<Timestamp>,
}

impl<B: Books> Neighbours<'_, B> {
    pub async fn find(mut self, late: &BTreeMap<&str, Late>) -> sqlx::Result<Vec<Ping>> {
        let mut firsts = Vec::new();
        let mut rest = Vec::new();
        for (instance, late) in late {
            if let After::First(first) = late.after {
                firsts.push((*instance, least_id(first), beyond(first)));
            } else {
                rest.push((*instance, late));
            }
        }
        let mut others = Vec::new();
        if !firsts.is_empty() {
            let pings = self.books.pings_at(&firsts).await?;
            others = self.digested(pings).await?;
        }
        rest.sort_by_key(|(_, late)| late.from);
        for near in groups(&rest) {
            others.append(&mut self.around(near).await?);
        }
        Ok(others)
    }

    /// For installations whose late pings are near each other.
    async fn around(&mut self, late: &[(&str, &Late)]) -> sqlx::Result<Vec<Ping>> {
        let mut others = Vec::new();
        let mut wanted = BTreeMap::new();
        for (instance, late) in late {
            let after = if let After::Until(last) = late.after { Some(last) } else { None };
            wanted.insert(*instance, (*late, Wanted { before: late.first, after }));
        }
        let times = || late.iter().map(|(_, late)| late);
        let (Some(from), Some(to)) = (times().map(|late| late.from).min(), times().map(|late| late.to).max()) else {
            return Ok(others);
        };
        let all: Vec<_> = wanted.keys().copied().collect();
        let (mut begin, mut end) = (least_id(from), beyond(to));
        self.look(&all, (begin, end), &mut wanted, &mut others).await?;
        for reach in REACHES {
            let before = || wanted.iter().filter_map(|(name, (_, wanted))| Some((*name, wanted.before?)));
            let after = || wanted.iter().filter_map(|(name, (_, wanted))| Some((*name, wanted.after?)));
            // No further than there are pings.
            let further_begin =
                before().map(|(_, first)| least_id(first)).min().map(|first| first.max(least_id(from - reach)));
            let further_end = after().map(|(_, last)| beyond(last)).max().map(|last| last.min(beyond(to + reach)));
            let (before, after): (Vec<_>, Vec<_>) =
                (before().map(|(name, _)| name).collect(), after().map(|(name, _)| name).collect());
            if before.is_empty() && after.is_empty() {
                break;
            }
            if let Some(further) = further_begin.filter(|further| *further < begin) {
                self.look(&before, (further, begin), &mut wanted, &mut others).await?;
                begin = further;
            }
            if let Some(further) = further_end.filter(|further| *further > end) {
                self.look(&after, (end, further), &mut wanted, &mut others).await?;
                end = further;
            }
        }
        Ok(others)
    }

    async fn look(
        &mut self,
        instances: &[&str],
        ids: (Uuid, Uuid),
        wanted: &mut BTreeMap<&str, (&Late, Wanted)>,
        others: &mut Vec<Ping>,
    ) -> sqlx::Result<()> {
        let pings = self.books.pings_between(instances, ids).await?;
        for ping in self.digested(pings).await? {
            let Some((late, wanted)) = wanted.get_mut(&*ping.instance_id) else { continue };
            if ping.received_at < late.from {
                wanted.before = None;
            }
            if ping.received_at > late.to {
                wanted.after = None;
            }
            others.push(ping);
        }
        Ok(())
    }

    /// Those pings that were digested before.
    async fn digested(&mut self, mut pings: Vec<Ping>) -> sqlx::Result<Vec<Ping>> {
        pings.retain(|ping| !self.own.contains(&ping.id));
        if pings.is_empty() {
            return Ok(pings);
        }
        let mut ids: Vec<_> = pings.iter().map(|ping| ping.id).collect();
        ids.sort_unstable();
        let undigested: HashSet<_> = self.books.undigested(&ids).await?.into_iter().collect();
        pings.retain(|ping| !undigested.contains(&ping.id));
        Ok(pings)
    }
}

/// Groups of late pings that are near each other; the input is sorted by the earliest ping.
fn groups<'a, 'b>(mut late: &'a [(&'b str, &'b Late)]) -> impl Iterator<Item = &'a [(&'b str, &'b Late)]> {
    std::iter::from_fn(move || {
        let mut to = late.first()?.1.to;
        let is_near = |(_, late): &&(&str, &Late)| {
            let is_near = late.from <= to + APART;
            to = to.max(late.to);
            is_near
        };
        let count = late.iter().take_while(is_near).count();
        let (near, rest) = late.split_at(count);
        late = rest;
        Some(near)
    })
}

/// Smaller than all ids of the moment's millisecond, from any server: within it, only ids of one server sort by time.
fn least_id(moment: Timestamp) -> Uuid {
    Uuid::from_u128(new_id(moment, 0).as_u128() >> 80 << 80)
}

/// Larger than all of them.
fn beyond(moment: Timestamp) -> Uuid {
    least_id(moment + TimeDelta::milliseconds(1))
}
