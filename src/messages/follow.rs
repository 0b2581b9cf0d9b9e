//! Keeps the catalogue up to date: sources are read again, the last good state rests in the store.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{
    catalogue::Catalogue,
    collection::Collection,
    files::{self, File},
};
use crate::{
    config::Loaded,
    store::{Store, StoreError},
    telemetry::metrics::Metrics,
};

/// Between two looks at the files (docs/decisions/0021-files-are-read-again.md).
const PAUSE: Duration = Duration::from_millis(500);

/// The catalogue in force; cheap to clone.
pub type Current = watch::Receiver<Arc<Catalogue>>;

/// Follows the sources of messages.
pub struct Messages {
    config: watch::Receiver<Loaded>,
    store: Store,
    metrics: Arc<Metrics>,
    current: watch::Sender<Arc<Catalogue>>,
    /// What the catalogue in force was made of.
    files: Vec<File>,
    collection: Collection,
    /// What the store is to remember, until it does.
    unsaved: Option<String>,
    is_save_failing: bool,
}

impl Messages {
    /// Without messages until [`Self::begin`].
    #[must_use]
    pub fn new(config: watch::Receiver<Loaded>, store: Store, metrics: Arc<Metrics>) -> (Self, Current) {
        let current = watch::Sender::new(Arc::default());
        let catalogue = current.subscribe();
        let (files, collection) = (Vec::new(), Collection::default());
        (Self { config, store, metrics, current, files, collection, unsaved: None, is_save_failing: false }, catalogue)
    }

    /// Reads the sources for the first time. What cannot be read counts as it was when it could: an empty catalogue by
    /// accident would withdraw every message from every device that pings.
    ///
    /// # Errors
    /// Something cannot be read, and the store cannot be asked either: try again.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        let files = self.read().await;
        let before = if files.iter().any(|file| file.text.is_err()) {
            self.store.message_snapshot().await?.as_deref().map(Collection::of_snapshot).unwrap_or_default()
        } else {
            Collection::default()
        };
        self.publish(files, &before);
        Ok(())
    }

    /// Runs for ever.
    pub async fn follow(mut self) {
        let mut glimpsed = None;
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let files = self.read().await;
            if files == self.files {
                glimpsed = None;
            } else if glimpsed.as_ref() == Some(&files) {
                // Seen twice: an editor may have been half-way through.
                glimpsed = None;
                let before = std::mem::take(&mut self.collection);
                self.publish(files, &before);
            } else {
                glimpsed = Some(files);
            }
            self.save().await;
        }
    }

    async fn read(&self) -> Vec<File> {
        let paths: Vec<PathBuf> = self.config.borrow().messages.files.clone();
        let unread = |path: &PathBuf| File { path: path.clone(), text: Err("the reading was broken off".into()) };
        let otherwise = paths.iter().map(unread).collect();
        // A network file system may take its time.
        spawn_blocking(move || files::read(&paths)).await.unwrap_or(otherwise)
    }

    /// Puts in force what the files hold, and says what is wrong with them.
    fn publish(&mut self, files: Vec<File>, before: &Collection) {
        let collection = Collection::of(&files, before);
        for complaint in &collection.unreadable {
            tracing::error!(%complaint, "cannot read messages: those that were there stay in force");
        }
        for complaint in collection.rejected.iter().flatten() {
            tracing::error!(%complaint, "message rejected: it is left out");
        }
        let (active, rejected) = (collection.active(), collection.rejected.len() + collection.unreadable.len());
        self.metrics.messages_active.set(count(active));
        self.metrics.messages_rejected.set(count(rejected));
        let messages = collection.messages().count();
        if messages + rejected > 0 || self.collection.messages().count() > 0 {
            tracing::info!(messages, active, rejected, "messages loaded");
        }
        self.current.send_replace(Arc::new(collection.catalogue()));
        self.unsaved = Some(collection.snapshot());
        self.collection = collection;
        self.files = files;
    }

    /// Lets the store remember, if it does not yet; failing, it is tried again at the next look.
    async fn save(&mut self) {
        let Some(snapshot) = &self.unsaved else { return };
        match self.store.save_message_snapshot(snapshot).await {
            Ok(()) => {
                self.unsaved = None;
                self.is_save_failing = false;
            }
            Err(error) if !self.is_save_failing => {
                tracing::warn!(%error, "cannot remember the messages in the store yet");
                self.is_save_failing = true;
            }
            Err(_) => {}
        }
    }
}

fn count(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
