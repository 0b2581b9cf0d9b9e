//! What whoever has changed something, as a ConfigMap, is to be told.

/// Complaints of one change that are logged: a megabyte of rubbish can have thousands.
pub const MOST_TOLD: usize = 20;

/// What there is to say about a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its name.
    pub config_map: String,
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub note: String,
}

/// What has become of a ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is in force.
    Reloaded,
    /// Something is wrong: the last good configuration stays.
    Rejected,
    /// It has a key that only a restart could set.
    RestartNeeded,
    /// It holds messages that are left out.
    MessagesRejected,
}
