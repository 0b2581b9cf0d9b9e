//! The survey that the first specification asks for: how many installations there are, by what they run.

use std::collections::HashMap;

use serde::Serialize;

/// Smaller groups are merged (docs/privacy.md).
pub const SMALLEST: u64 = 10;

/// The last ping of an installation within some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Not empty.
    pub instance_id: String,
    /// Empty for an ordinary installation.
    pub mode: String,
    /// Its traits.
    pub traits: Traits,
}

/// The traits by which installations are grouped; empty if unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Traits {
    /// As in the column `os`.
    pub os: String,
    /// Version of Kolibri.
    pub version: String,
    /// As in the column `country`.
    pub country: String,
    /// As in the column `language`.
    pub language: String,
}

/// The survey so far: each installation once, by its last ping.
#[derive(Debug, Default)]
pub struct Survey {
    others_too: bool,
    /// Index of the traits of each installation; `None` if it is not an ordinary one now.
    installations: HashMap<String, Option<usize>>,
    /// There are few combinations with many installations each.
    traits: Vec<Traits>,
    known: HashMap<Traits, usize>,
    facilities: HashMap<String, u64>,
    /// Set if only counts are left.
    counts: Option<Vec<(Traits, u64)>>,
}

/// The results of the survey.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Number of installations that pinged.
    pub installations: u64,
    /// Number of facilities that reported; `None` if only counts of installations are left.
    pub facilities: Option<u64>,
    /// Sum of the largest number of learners that each facility reported; `None` if only counts of installations are left.
    pub learners: Option<u64>,
    /// By operating system.
    pub os: Vec<Group>,
    /// By version of Kolibri.
    pub version: Vec<Group>,
    /// By country.
    pub country: Vec<Group>,
    /// By language.
    pub language: Vec<Group>,
}

/// Installations with a common value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The value; `unknown` if none is known, `others` for all groups that are too small.
    pub value: String,
    /// Their number.
    pub installations: u64,
}

impl Survey {
    /// Counts ordinary installations; all with `others_too`.
    #[must_use]
    pub fn new(others_too: bool) -> Self {
        Self { others_too, ..Self::default() }
    }

    /// Adds a sighting that is later than all earlier ones of this installation.
    pub fn see(&mut self, sighting: Sighting) {
        let counts = self.others_too || sighting.mode.is_empty();
        let traits = counts.then(|| {
            *self.known.entry(sighting.traits).or_insert_with_key(|traits| {
                self.traits.push(traits.clone());
                self.traits.len() - 1
            })
        });
        self.installations.insert(sighting.instance_id, traits);
    }

    /// Only counts will be added.
    pub fn only_counts(&mut self) {
        self.counts.get_or_insert_default();
    }

    /// Adds installations that were counted before their pings were deleted; no sightings can be added then.
    pub fn count(&mut self, traits: Traits, installations: u64) {
        self.counts.get_or_insert_default().push((traits, installations));
    }

    /// Adds the number of learners that a facility reported.
    pub fn hear(&mut self, facility: String, learners: u64) {
        let most = self.facilities.entry(facility).or_default();
        *most = learners.max(*most);
    }

    /// The results.
    #[must_use]
    pub fn findings(&self) -> Findings {
        let mut counts = vec![0; self.traits.len()];
        for place in self.installations.values().flatten() {
            counts[*place] += 1;
        }
        let seen = self.traits.iter().zip(counts);
        let all: Vec<_> = seen.chain(self.counts.iter().flatten().map(|(traits, count)| (traits, *count))).collect();
        let by = |of: fn(&Traits) -> &str| groups(all.iter().map(|(traits, count)| (of(traits), *count)));
        let reported = self.counts.is_none().then_some(&self.facilities);
        let learners =
            |facilities: &HashMap<_, u64>| facilities.values().fold(0, |sum: u64, more| sum.saturating_add(*more));
        Findings {
            installations: all.iter().map(|(_, count)| count).sum(),
            facilities: reported.map(|facilities| facilities.len() as u64),
            learners: reported.map(learners),
            os: by(|traits| &traits.os),
            version: by(|traits| &traits.version),
            country: by(|traits| &traits.country),
            language: by(|traits| &traits.language),
        }
    }
}

/// The largest group first; last, all groups that are too small, merged.
fn groups<'a>(counted: impl Iterator<Item = (&'a str, u64)>) -> Vec<Group> {
    let mut sums = HashMap::<&str, u64>::new();
    for (value, count) in counted {
        *sums.entry(if value.is_empty() { "unknown" } else { value }).or_default() += count;
    }
    let few: u64 = sums.values().filter(|count| **count < SMALLEST).sum();
    let mut groups: Vec<_> = sums
        .into_iter()
        .filter(|(_, count)| *count >= SMALLEST)
        .map(|(value, installations)| Group { value: value.to_owned(), installations })
        .collect();
    groups.sort_by(|a, b| b.installations.cmp(&a.installations).then_with(|| a.value.cmp(&b.value)));
    if few > 0 {
        groups.push(Group { value: "others".to_owned(), installations: few });
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(id: usize, mode: &str, os: &str) -> Sighting {
        let traits = Traits { os: os.into(), version: "0.19.0".into(), country: String::new(), language: "en".into() };
        Sighting { instance_id: id.to_string(), mode: mode.into(), traits }
    }

    fn group(value: &str, installations: u64) -> Group {
        Group { value: value.into(), installations }
    }

    #[test]
    fn each_installation_counts_once_by_its_last_ping() {
        let mut survey = Survey::new(false);
        for id in 0..30 {
            survey.see(sighting(id, "", "windows"));
        }
        for id in 0..12 {
            survey.see(sighting(id, "", "linux"));
        }
        survey.see(sighting(40, "demo", "linux"));
        // One becomes a demonstration.
        survey.see(sighting(0, "demo", "linux"));
        let findings = survey.findings();
        assert_eq!(findings.installations, 29);
        assert_eq!(findings.os, [group("windows", 18), group("linux", 11)]);
        assert_eq!(findings.country, [group("unknown", 29)]);
    }

    #[test]
    fn groups_that_are_too_small_are_merged() {
        let mut survey = Survey::new(true);
        for id in 0..25 {
            survey.see(sighting(
                id,
                "demo",
                if id < 10 {
                    "linux"
                } else if id < 19 {
                    "android"
                } else {
                    "macos"
                },
            ));
        }
        assert_eq!(survey.findings().os, [group("linux", 10), group("others", 15)]);
    }

    #[test]
    fn learners_are_the_largest_number_of_each_facility() {
        let mut survey = Survey::new(false);
        for (facility, learners) in [("a", 5), ("b", 7), ("a", 9), ("a", 2), ("c", u64::MAX)] {
            survey.hear(facility.into(), learners);
        }
        let findings = survey.findings();
        assert_eq!((findings.facilities, findings.learners), (Some(3), Some(u64::MAX)));
    }
}
