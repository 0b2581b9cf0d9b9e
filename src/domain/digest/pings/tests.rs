use proptest::prelude::*;

use super::*;
use crate::domain::new_id;

/// All that was digested, and what follows from it.
#[derive(Debug, Default)]
struct Books {
    pings: Vec<Ping>,
    installations: BTreeMap<String, (Known, i64, Said)>,
    versions: BTreeMap<Key, VersionChange>,
    gaps: BTreeMap<Gap, i64>,
    periods: BTreeSet<Period>,
}

const VERSIONS: [(&str, &str); 3] = [("0.15.0", ""), ("0.16.0", ""), ("0.16.0", "dev")];

fn said(profile: Uuid) -> Said {
    let (version, mode) = VERSIONS[usize::try_from(profile.as_u128()).unwrap()];
    Said { kolibri_version: version.into(), mode: mode.into(), ..Said::default() }
}

fn ping((instance, seconds, random, profile): (u8, i64, u8, u8)) -> Ping {
    let received_at = Timestamp::from_timestamp(1_790_000_000 + seconds, 0).unwrap();
    Ping {
        id: new_id(received_at, random.into()),
        received_at,
        instance_id: instance.to_string().into(),
        profile: Uuid::from_u128(profile.into()),
        country: if random % 2 == 0 { "KE" } else { "TZ" }.into(),
        subdivision: String::new(),
    }
}

impl Books {
    fn known(&self) -> HashMap<String, Known> {
        self.installations.iter().map(|(instance, (known, _, _))| (instance.clone(), known.clone())).collect()
    }

    /// What [`Step::late`] asks for, and as many more on each side.
    fn others(&self, late: &BTreeMap<&str, Late>, more: usize) -> Vec<Ping> {
        let mut others = Vec::new();
        for (instance, late) in late {
            let mut own: Vec<_> = self.pings.iter().filter(|ping| *ping.instance_id == **instance).cloned().collect();
            own.sort_by_key(Ping::order);
            let begin = own.iter().position(|ping| ping.received_at >= late.from).unwrap_or(own.len());
            let end = own.iter().position(|ping| ping.received_at > late.to).unwrap_or(own.len());
            match late.after {
                After::None => assert_eq!(end, own.len()),
                After::Until(last) => assert_eq!(own.last().map_or(last, |ping| ping.received_at), last),
                After::First(first) => {
                    assert_eq!((end, own.first().map_or(first, |ping| ping.received_at)), (0, first));
                }
            }
            others.extend_from_slice(&own[begin.saturating_sub(1 + more)..own.len().min(end + 1 + more)]);
        }
        others
    }

    fn digest(&mut self, pings: &[Ping], more: usize) {
        let mut step = Step::new(pings.to_vec());
        let mut usual = Vec::new();
        for Usual { instance_id, profile, from, last, pings } in step.usual() {
            let Some((known, count, _)) = self.installations.get_mut(instance_id) else { continue };
            if known.profile != profile || known.last_seen >= from {
                continue;
            }
            usual.push(Before {
                instance_id: instance_id.into(),
                last_seen: known.last_seen,
                ordinary: known.ordinary,
            });
            *count += pings;
            let (country, subdivision) = (last.country.clone(), last.subdivision.clone());
            *known = Known { last_seen: last.received_at, country, subdivision, ..known.clone() };
        }
        step.settle(&usual);
        let known = self.known();
        let others = self.others(&step.late(&known), more);
        let keys = step.profiles(&known, &others);
        let said = keys.into_iter().map(|key| (key.clone(), said(key.1))).collect();
        let changes = step.digest(&known, others, &said);
        self.pings.extend_from_slice(pings);
        for Changed { instance_id, known, pings, said } in changes.changed {
            let before = self.installations.get(&*instance_id).map_or(0, |(_, count, _)| *count);
            self.installations.insert(instance_id.to_string(), (known, before + pings, said));
        }
        for key in changes.no_versions {
            assert!(self.versions.remove(&key).is_some(), "what is not there is not taken away");
        }
        for change in changes.versions {
            assert!(self.versions.insert((change.instance_id.clone(), change.id), change).is_none());
        }
        for (gap, count) in changes.gaps {
            *self.gaps.entry(gap).or_default() += count;
        }
        self.gaps.retain(|_, count| *count != 0);
        self.periods.extend(changes.periods);
    }

    /// The same, read off all pings at once.
    fn naive(pings: &[Ping]) -> Self {
        let mut books = Self { pings: pings.to_vec(), ..Self::default() };
        let mut own: BTreeMap<&str, Vec<&Ping>> = BTreeMap::new();
        for ping in pings {
            own.entry(&ping.instance_id).or_default().push(ping);
            books.periods.extend(Grain::ALL.map(|grain| grain.of(ping.received_at)));
        }
        for (instance, mut own) in own {
            own.sort_by_key(|ping| ping.order());
            let (first, last) = (own[0], own[own.len() - 1]);
            let known = Known {
                first_seen: first.received_at,
                first_version: said(first.profile).kolibri_version,
                first_ordinary: said(first.profile).mode.is_empty(),
                last_seen: last.received_at,
                profile: last.profile,
                kolibri_version: said(last.profile).kolibri_version,
                ordinary: said(last.profile).mode.is_empty(),
                country: last.country.clone(),
                subdivision: last.subdivision.clone(),
            };
            let count = i64::try_from(own.len()).unwrap();
            books.installations.insert(instance.into(), (known, count, said(last.profile)));
            for pair in own.windows(2) {
                let (from, to) = (said(pair[0].profile), said(pair[1].profile));
                let hours = (pair[1].received_at - pair[0].received_at).num_hours();
                let bound = GAPS.into_iter().filter(|bound| i64::from(*bound) <= hours).max().unwrap();
                let gap = (pair[1].received_at.date_naive(), to.mode.is_empty(), bound);
                *books.gaps.entry(gap).or_default() += 1;
                if from.kolibri_version != to.kolibri_version {
                    let change = VersionChange {
                        instance_id: instance.into(),
                        id: pair[1].id,
                        changed_at: pair[1].received_at,
                        from_version: from.kolibri_version,
                        to_version: to.kolibri_version,
                        ordinary: to.mode.is_empty(),
                    };
                    books.versions.insert((instance.into(), pair[1].id), change);
                }
            }
        }
        books
    }

    fn assert_is(&self, expected: &Self) {
        assert_eq!(self.installations, expected.installations);
        assert_eq!(self.versions, expected.versions);
        assert_eq!(self.gaps, expected.gaps);
        assert!(self.periods.is_superset(&expected.periods));
    }
}

/// Of few installations, so that they have neighbours: within seconds, of one moment, and over months.
fn some_pings() -> impl Strategy<Value = Vec<Ping>> {
    let seconds = prop_oneof![0_i64..5, (0_i64..5).prop_map(|days| days * 86_400), 0_i64..20_000_000];
    let one = (0_u8..3, seconds, 0_u8..4, 0_u8..3).prop_map(ping);
    proptest::collection::vec(one, 1..40).prop_map(|pings| {
        let by_id: BTreeMap<_, _> = pings.into_iter().map(|ping| (ping.id, ping)).collect();
        by_id.into_values().collect()
    })
}

proptest! {
    #[test]
    fn the_same_pings_in_any_order_lead_to_the_same(
        pings in some_pings().prop_shuffle(),
        cuts in proptest::collection::vec(1_usize..8, 1..8),
        more in 0_usize..3,
    ) {
        let mut books = Books::default();
        let (mut rest, mut cuts) = (&pings[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (step, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            books.digest(step, more);
            rest = after;
        }
        books.assert_is(&Books::naive(&pings));
    }
}

/// What follows from the pings of a month that is gone stays, and nothing is taken for a pair twice.
#[test]
fn a_late_ping_beside_a_month_that_is_gone_changes_no_pair_of_it() {
    let pings = [(1, 0, 0, 0), (1, 5_000_000, 0, 1), (1, 6_000_000, 0, 1)].map(ping);
    let mut books = Books::default();
    books.digest(&pings, 0);
    let (versions, gaps) = (books.versions.clone(), books.gaps.clone());
    books.pings.remove(0);
    // Before all that is left, and of the moment of what is.
    for late in [(1, 4_000_000, 0, 2), (1, 5_000_000, 1, 1)] {
        books.digest(&[ping(late)], 0);
    }
    assert_eq!(books.versions, versions);
    assert_eq!(
        books.gaps.values().sum::<i64>(),
        gaps.values().sum::<i64>() + 1,
        "from the second late one to the next"
    );
    assert_eq!(books.installations["1"].1, 5);
    books.pings.clear();
    books.digest(&[ping((1, 4_500_000, 0, 0))], 0);
    assert_eq!(books.versions, versions);
}

/// Whatever was counted by the first ping is counted again.
#[test]
fn an_earlier_first_ping_marks_what_it_changes() {
    let day = 86_400;
    let mut books = Books::default();
    let (first, late, last) = (ping((1, 40 * day, 0, 0)), ping((1, 0, 0, 0)), ping((1, 100 * day, 0, 0)));
    books.digest(&[first.clone(), last.clone()], 0);
    books.periods.clear();
    books.digest(std::slice::from_ref(&late), 0);
    let mut expected: BTreeSet<_> =
        [&first, &late].into_iter().flat_map(|ping| Grain::ALL.map(|grain| grain.of(ping.received_at))).collect();
    // By the month of the first ping: in every month since the one that was taken for it.
    for days in [40, 70, 100] {
        expected.insert(Grain::Month.of(ping((1, days * day, 0, 0)).received_at));
    }
    assert_eq!(books.periods, expected);
}
