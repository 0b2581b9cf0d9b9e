//! What installations said of themselves, as this process remembers it: an installation says the same in nearly all of its pings,
//! and what was said before need not be cleaned, hashed and written again.
//!
//! A bounded cache. Right is what it says in any case: it is asked with all that decides about a profile, byte for byte. Cold,
//! full or one of many, it only changes how fast the server is.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
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
    privacy::Privacy,
    profile::{Described, Description, Profile},
    version::Version,
};

/// Who has not pinged for so long brings the profile again: by then nothing that a retention does can have touched it.
const LIFE: u32 = 3 * 24 * 60 * 60;
/// What an entry takes besides its texts.
const OVERHEAD: usize = 256;

/// Remembers profiles; cheap to clone.
#[derive(Clone)]
pub struct Profiles {
    cache: Arc<Cache<u64, Arc<Source>, Size>>,
    hasher: RandomState,
}

/// A profile, and all that it was made of.
#[derive(Debug)]
pub struct Source {
    id: Uuid,
    /// See [`Profile::instance_id`].
    pub instance_id: Arc<str>,
    /// The version, if it can be read.
    pub version: Option<Version>,
    /// The mode, as sent or given.
    pub mode: Box<str>,
    cut: Box<[&'static str]>,
    /// See [`Description::joined`].
    sent: Box<str>,
    privacy: Arc<Privacy>,
    /// The version as text, if no mode was sent: then it has a say in the mode that is given.
    unsent_mode: Option<Box<str>>,
    /// When a ping with this profile was last committed: the store's epoch, and seconds. 0: not yet.
    stored: AtomicU64,
}

#[derive(Clone)]
struct Size;

impl Weighter<u64, Arc<Source>> for Size {
    fn weight(&self, _: &u64, source: &Arc<Source>) -> u64 {
        let bytes = OVERHEAD + source.sent.len() + source.instance_id.len() + source.mode.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Profiles {
    /// Takes so much memory at most.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        // Of a usual size, for the tables within.
        let entries = usize::try_from(bytes / 800).unwrap_or(usize::MAX);
        Self { cache: Arc::new(Cache::with_weighter(entries, bytes, Size)), hasher: RandomState::new() }
    }

    /// The profile of a sender. If it was not remembered, its texts come along, as they are at hand.
    pub fn of(
        &self,
        sent: &Description<'_>,
        rules: &[ModeRule],
        address: IpAddr,
        privacy: &Arc<Privacy>,
    ) -> (Arc<Source>, Option<Box<Profile>>) {
        let key = self.hasher.hash_one(sent.instance());
        if let Some(source) = self.cache.get(&key)
            && source.is(sent, rules, address, privacy)
        {
            return (source, None);
        }
        let mut draft = Profile::read(sent);
        let unsent_mode = draft.mode.is_empty().then(|| draft.version.as_str().into());
        draft.settle_mode(rules, address);
        let version = Version::read(&draft.version);
        let profile = draft.into_profile(privacy);
        let source = Arc::new(Source {
            id: profile.id,
            instance_id: profile.instance_id.clone(),
            version,
            mode: profile.mode.as_str().into(),
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
    /// What a ping needs to know.
    pub fn described(&self) -> Described<'_> {
        Described { profile: self.id, instance_id: self.instance_id.clone(), cut: &self.cut }
    }

    /// The rules that it was made by.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// Whether the same was sent, under the same rules.
    fn is(&self, sent: &Description<'_>, rules: &[ModeRule], address: IpAddr, privacy: &Arc<Privacy>) -> bool {
        let same_mode = self.unsent_mode.as_ref().is_none_or(|version| {
            mode::unsent(version, rules, address.to_canonical(), &self.instance_id) == &*self.mode
        });
        Arc::ptr_eq(&self.privacy, privacy) && same_mode && sent.is(&self.sent)
    }

    /// The profile once more, from what was sent.
    pub fn profile(&self) -> Profile {
        let mut draft = Profile::read(&Description::of_joined(&self.sent));
        draft.mode = self.mode.to_string();
        draft.into_profile(&self.privacy)
    }

    /// Whether the store has the profile for certain.
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

/// Since the machine began, also while it slept. From 1: 0 means never.
fn seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0).max(1)
}
