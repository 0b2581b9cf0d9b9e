//! Notices to users about the ConfigMaps that they changed.

use tokio::sync::mpsc;

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

/// Takes notices for Events on ConfigMaps; by default nobody hears of them.
#[derive(Debug, Clone, Default)]
pub struct Notices(Option<mpsc::Sender<Notice>>);

impl Notices {
    /// With a receiver.
    #[must_use]
    pub fn to(receiver: mpsc::Sender<Notice>) -> Self {
        Self(Some(receiver))
    }

    /// Sends a notice, if there is a receiver.
    pub fn tell(&self, notice: Notice) {
        // Full only if the API server was unreachable for many changes: the log has them all.
        let _ = self.0.as_ref().map(|receiver| receiver.try_send(notice));
    }
}
