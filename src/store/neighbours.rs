//! The neighbours of late pings, in `pings`.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use uuid::Uuid;

use super::digest::Books;
use crate::domain::{
    Timestamp,
    digest::pings::{After, Late, Ping},
    new_id,
};

/// Around late pings their neighbours are looked for in steps, as most are near.
const REACHES: [TimeDelta; 5] =
    [TimeDelta::minutes(1), TimeDelta::hours(1), TimeDelta::days(1), TimeDelta::days(30), TimeDelta::days(400)];
/// Looks for the pings around late ones, of those that were digested before.
pub(super) struct Neighbours<'a, B> {
    pub books: &'a mut B,
    /// The pings that are digested now.
    pub own: &'a HashSet<Uuid>,
}

/// What is there of one installation.
struct Found {
    pings: Vec<Ping>,
    needs_before: bool,
    needs_after: bool,
}

impl<B: Books> Neighbours<'_, B> {
    pub async fn find(mut self, late: &BTreeMap<&str, Late>) -> sqlx::Result<Vec<Ping>> {
        let mut firsts = Vec::new();
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        for (instance, late) in late {
            if let After::First(first) = late.after {
                firsts.push((*instance, least_id(first), least_id(first + MILLISECOND)));
            } else {
                let needs_after = late.after == After::Some;
                found.insert(instance, Found { pings: vec![], needs_before: late.has_before, needs_after });
            }
        }
        let mut others = Vec::new();
        if !firsts.is_empty() {
            let pings = self.books.pings_at(&firsts).await?;
            others = self.digested(pings).await?;
        }
        let times = || found.keys().filter_map(|instance| late.get(instance));
        let (Some(from), Some(to)) = (times().map(|late| late.from).min(), times().map(|late| late.to).max()) else {
            return Ok(others);
        };
        let (mut begin, mut end) = (least_id(from), least_id(to + MILLISECOND));
        let all: Vec<_> = found.keys().copied().collect();
        self.look(&all, (begin, end), late, &mut found).await?;
        // In the end everywhere.
        let reaches = REACHES.into_iter().map(Some).chain([None]);
        for reach in reaches {
            let before: Vec<_> = found.iter().filter(|(_, found)| found.needs_before).map(|(name, _)| *name).collect();
            let after: Vec<_> = found.iter().filter(|(_, found)| found.needs_after).map(|(name, _)| *name).collect();
            if before.is_empty() && after.is_empty() {
                break;
            }
            let further_begin = reach.map_or(Uuid::nil(), |reach| least_id(from - reach));
            let further_end = reach.map_or(Uuid::max(), |reach| least_id(to + reach));
            if !before.is_empty() {
                self.look(&before, (further_begin, begin), late, &mut found).await?;
            }
            if !after.is_empty() {
                self.look(&after, (end, further_end), late, &mut found).await?;
            }
            (begin, end) = (further_begin, further_end);
        }
        others.extend(found.into_values().flat_map(|found| found.pings));
        Ok(others)
    }

    async fn look(
        &mut self,
        instances: &[&str],
        ids: (Uuid, Uuid),
        late: &BTreeMap<&str, Late>,
        found: &mut BTreeMap<&str, Found>,
    ) -> sqlx::Result<()> {
        let pings = self.books.pings_between(instances, ids).await?;
        for ping in self.digested(pings).await? {
            let instance = &*ping.instance_id;
            let (Some(late), Some(found)) = (late.get(instance), found.get_mut(instance)) else { continue };
            found.needs_before &= ping.received_at >= late.from;
            found.needs_after &= ping.received_at <= late.to;
            found.pings.push(ping);
        }
        Ok(())
    }

    /// Those of them that were digested before.
    async fn digested(&mut self, mut pings: Vec<Ping>) -> sqlx::Result<Vec<Ping>> {
        pings.retain(|ping| !self.own.contains(&ping.id));
        let ids = || pings.iter().map(|ping| ping.id);
        let (Some(least), Some(greatest)) = (ids().min(), ids().max()) else { return Ok(pings) };
        let undigested: HashSet<_> = self.books.undigested(least, greatest).await?.into_iter().collect();
        pings.retain(|ping| !undigested.contains(&ping.id));
        Ok(pings)
    }
}

const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

/// Below all ids of the moment's millisecond, whoever made them: beyond that only our own ids sort by time.
fn least_id(moment: Timestamp) -> Uuid {
    Uuid::from_u128(new_id(moment, 0).as_u128() >> 80 << 80)
}
