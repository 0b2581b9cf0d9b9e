//! Notices to users about the ConfigMaps that they changed.

/// Limit of logged errors per change: a large invalid file can cause thousands.
pub const MOST_TOLD: usize = 20;

/// A notice about a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Name of the ConfigMap.
    pub config_map: String,
    /// The reason, in one word.
    pub reason: Reason,
    /// The notice, in a sentence.
    pub note: String,
}

/// The outcome of a change of a ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is active.
    Reloaded,
    /// It is invalid; the last good configuration stays active.
    Rejected,
    /// It has a key that only a restart can change.
    RestartNeeded,
    /// It contains messages that are left out.
    MessagesRejected,
    /// It names a file of countries that cannot be used.
    DatabaseRejected,
}
