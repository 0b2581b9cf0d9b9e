//! A cache of profiles: an installation sends the same profile with nearly all of its pings, and a known one need not be
//! cleaned, hashed and written again.
//!
//! The size is limited. The cache is always correct: the key is everything that determines a profile, byte for byte. Whether it
//! is cold, full or one of many only changes how fast the server is.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{Weighter, sync::Cache};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use crate::domain::{
    mode::{self, ModeRule},
    origin::Origin,
    privacy::Privacy,
    profile::{Described, Description, Profile},
    version::Version,
};

/// Lifetime of entries in seconds: within this time, retention cannot have deleted the profile.
const LIFE: u32 = 3 * 24 * 60 * 60;
/// Memory of an entry in addition to its texts, in bytes.
const OVERHEAD: usize = 320;

/// The cache; cheap to clone.
#[derive(Clone)]
pub struct Profiles {
    cache: Arc<Cache<u64, Arc<Source>, Size>>,
    hasher: RandomState,
}

/// A profile, and everything from which it was made.
#[derive(Debug)]
pub struct Source {
    id: Uuid,
    /// See [`Profile::instance_id`].
    pub instance_id: Arc<str>,
    /// The version, if it is readable.
    pub version: Option<Version>,
    /// The mode, as sent or as assigned by a rule.
    pub mode: Box<str>,
    /// See [`Profile::os`].
    pub os: &'static str,
    /// See [`Profile::installer`].
    pub installer: Box<str>,
    /// See [`Profile::language`].
    pub language: Box<str>,
    cut: Box<[&'static str]>,
    /// See [`Description::joined`].
    sent: Box<str>,
    privacy: Arc<Privacy>,
    /// The version as text, if no mode was sent: then the assigned mode depends on it.
    unsent_mode: Option<Box<str>>,
    /// When a ping with this profile was last committed: epoch of the store, and seconds. 0: never.
    stored: AtomicU64,
}

#[derive(Clone)]
struct Size;

impl Weighter<u64, Arc<Source>> for Size {
    fn weight(&self, _: &u64, source: &Arc<Source>) -> u64 {
        let texts = [&source.sent, &source.mode, &source.installer, &source.language].map(|text| text.len());
        let bytes = OVERHEAD + texts.iter().sum::<usize>() + source.instance_id.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Profiles {
    /// A cache of at most this size in bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        // Expected number of entries, for the size of its tables.
        let entries = usize::try_from(bytes / 800).unwrap_or(usize::MAX);
        Self { cache: Arc::new(Cache::with_weighter(entries, bytes, Size)), hasher: RandomState::new() }
    }

    /// Returns the profile of an installation, and also its row if it was not in the cache.
    pub fn of(
        &self,
        sent: &Description<'_>,
        rules: &[ModeRule],
        origin: Origin,
        privacy: &Arc<Privacy>,
    ) -> (Arc<Source>, Option<Box<Profile>>) {
        let key = self.hasher.hash_one(sent.instance());
        if let Some(source) = self.cache.get(&key)
            && source.is(sent, rules, origin, privacy)
        {
            return (source, None);
        }
        let mut draft = Profile::read(sent);
        let unsent_mode = draft.mode.is_empty().then(|| draft.version.as_str().into());
        draft.settle_mode(rules, origin);
        let version = Version::read(&draft.version);
        let profile = draft.into_profile(privacy);
        let source = Arc::new(Source {
            id: profile.id,
            instance_id: profile.instance_id.clone(),
            version,
            mode: profile.mode.as_str().into(),
            os: profile.os,
            installer: profile.installer.as_str().into(),
            language: profile.language.as_str().into(),
            cut: profile.cut.clone(),
            sent: sent.joined(),
            privacy: privacy.clone(),
            unsent_mode,
            stored: AtomicU64::new(0),
        });
        self.cache.insert(key, source.clone());
        (source, Some(Box::new(profile)))
    }
}

impl Source {
    /// What a ping needs from its profile.
    pub fn described(&self) -> Described<'_> {
        Described { profile: self.id, instance_id: self.instance_id.clone(), cut: &self.cut }
    }

    /// The privacy rules that were applied.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// Whether the same was sent, under the same rules.
    fn is(&self, sent: &Description<'_>, rules: &[ModeRule], origin: Origin, privacy: &Arc<Privacy>) -> bool {
        let same_mode = self
            .unsent_mode
            .as_ref()
            .is_none_or(|version| mode::unsent(version, rules, origin, &self.instance_id) == &*self.mode);
        Arc::ptr_eq(&self.privacy, privacy) && same_mode && sent.is(&self.sent)
    }

    /// Makes the row of the profile again.
    pub fn profile(&self) -> Profile {
        let mut draft = Profile::read(&Description::of_joined(&self.sent));
        draft.mode = self.mode.to_string();
        draft.into_profile(&self.privacy)
    }

    /// Whether the profile is certainly in the store.
    pub fn is_stored(&self, epoch: u32) -> bool {
        let stored = self.stored.load(Ordering::Acquire);
        let (stored_epoch, at) = (stored >> 32, stored & u64::from(u32::MAX));
        stored != 0 && stored_epoch == u64::from(epoch) && seconds().saturating_sub(at) < u64::from(LIFE)
    }

    /// A ping with this profile was committed in this epoch of the store.
    pub fn set_stored(&self, epoch: u32) {
        self.stored.store(u64::from(epoch) << 32 | seconds() & u64::from(u32::MAX), Ordering::Release);
    }
}

/// Seconds since the machine was booted, including sleep. Starts at 1, as 0 means never.
fn seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{country::Country, pingback::Pingback};

    /// In an order in which each country is asked for after each other one, as all share an entry of the cache.
    #[test]
    fn the_mode_is_that_of_the_country_whatever_is_cached() {
        let (profiles, privacy) = (Profiles::new(1024 * 1024), Arc::new(Privacy::None));
        let rules = [ModeRule {
            countries: Country::read("TZ").into_iter().collect(),
            mode: "pilot".into(),
            ..ModeRule::default()
        }];
        let mode = |rules: &[ModeRule], country: &str, mode: &str| {
            let body = format!(r#"{{"instance_id": "a", "version": "0.17.5", "mode": "{mode}"}}"#);
            let sent = Pingback::read(&body).unwrap().description;
            let origin = Origin::new([192, 0, 2, 1].into(), Country::read(country));
            profiles.of(&sent, rules, origin, &privacy).0.mode.to_string()
        };
        let assigned = |country: &str| if country == "TZ" { "pilot" } else { "" };
        for country in ["TZ", "KE", "TZ", "", "TZ", "TZ", "KE", "", "", "KE", "TZ"] {
            assert_eq!(mode(&rules, country, ""), assigned(country), "{country}");
        }
        // Also while other rules, or other modes, are remembered.
        for country in ["TZ", "KE", "", "TZ"] {
            assert_eq!(mode(&[], country, ""), "", "{country}");
            assert_eq!(mode(&rules, country, ""), assigned(country), "{country}");
            assert_eq!(mode(&rules, country, "sent"), "sent", "{country}");
        }
    }

    #[test]
    fn what_messages_are_chosen_by_is_that_of_the_profile() {
        let (profiles, privacy) = (Profiles::new(1024 * 1024), Arc::new(Privacy::None));
        let body = r#"{"instance_id": "a", "version": "0.17.5", "platform": "Linux-4.14", "installer": "apk - 0.19", "language": "sw-tz"}"#;
        let sent = Pingback::read(body).unwrap().description;
        let origin = Origin::new([192, 0, 2, 1].into(), None);
        for _ in 0..2 {
            let (source, _) = profiles.of(&sent, &[], origin, &privacy);
            assert_eq!((source.os, &*source.installer, &*source.language), ("android", "apk - 0.19", "sw-tz"));
        }
    }
}
