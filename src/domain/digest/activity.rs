//! From the installations that pinged in a period to its rows of `activity` and `cohorts`.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::version::{build, release};

/// Installations of a period that have all of this in common, by the last ping of each in the period.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// No mode.
    pub ordinary: bool,
    /// As sent.
    pub kolibri_version: String,
    /// The operating system.
    pub os: String,
    /// ISO 3166-1 code, or `''`.
    pub country: String,
    /// The month of the first ping, where the period is a month.
    pub cohort: Option<NaiveDate>,
    /// How many.
    pub instances: i64,
    /// How many of them had their first ping in the period.
    pub new_instances: i64,
    /// All their pings in the period, if they were counted.
    pub pings: Option<i64>,
}

/// The key of a row of `activity`, but for the period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// No mode.
    pub ordinary: bool,
    /// `0.N` or `other`.
    pub release: String,
    /// See [`build`].
    pub build: &'static str,
    /// The operating system.
    pub os: String,
    /// ISO 3166-1 code, or `''`.
    pub country: String,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Installations.
    pub instances: i64,
    /// Those that are new in the period.
    pub new_instances: i64,
    /// Pings, if they were counted.
    pub pings: Option<i64>,
}

/// A period counted.
#[derive(Debug, Default, PartialEq)]
pub struct Counted {
    /// Rows of `activity`.
    pub activity: BTreeMap<Kind, Counts>,
    /// Rows of `cohorts`: installations by the month of their first ping, and whether they have no mode.
    pub cohorts: BTreeMap<(NaiveDate, bool), i64>,
}

impl Counted {
    /// Takes note of a group.
    pub fn add(&mut self, group: Group) {
        if let Some(cohort) = group.cohort {
            *self.cohorts.entry((cohort, group.ordinary)).or_default() += group.instances;
        }
        let kind = Kind {
            ordinary: group.ordinary,
            release: release(&group.kolibri_version),
            build: build(&group.kolibri_version),
            os: group.os,
            country: group.country,
        };
        let counts = self.activity.entry(kind).or_default();
        counts.instances += group.instances;
        counts.new_instances += group.new_instances;
        if let Some(pings) = group.pings {
            *counts.pings.get_or_insert_default() += pings;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_release_lines() {
        let group = |version: &str, cohort: &str, instances| Group {
            ordinary: true,
            kolibri_version: version.into(),
            os: "linux".into(),
            country: "KE".into(),
            cohort: Some(cohort.parse().unwrap()),
            instances,
            new_instances: 1,
            pings: Some(10),
        };
        let mut counted = Counted::default();
        counted.add(group("0.17.1", "2026-01-01", 3));
        counted.add(group("0.17.5", "2026-01-01", 4));
        counted.add(group("0.17.5", "2026-02-01", 5));
        counted.add(group("0.18.0rc1", "2026-02-01", 6));
        let activity: Vec<_> =
            counted.activity.iter().map(|(kind, counts)| (kind.release.as_str(), kind.build, *counts)).collect();
        assert_eq!(
            activity,
            [
                ("0.17", "release", Counts { instances: 12, new_instances: 3, pings: Some(30) }),
                ("0.18", "pre-release", Counts { instances: 6, new_instances: 1, pings: Some(10) }),
            ]
        );
        assert_eq!(counted.cohorts.into_values().collect::<Vec<_>>(), [7, 11]);
    }
}
